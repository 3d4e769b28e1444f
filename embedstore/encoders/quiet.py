"""Hide the output that libraries print when they are loaded, and keep them from the network.

Log levels, progress bars, file descriptor 2 and the hub client's offline mode belong to the process, so each is a
`CountedGuard`.
"""

import logging
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack

from embedstore.core.guards import CountedGuard

__all__ = ["offline", "quiet_logs", "quiet_stderr"]

_LOGGERS = ("sentence_transformers", "transformers")


def quiet_logs() -> CountedGuard:
    """Return a context that silences the loggers and progress bars of transformers and sentence-transformers."""
    import transformers.utils.logging  # noqa: F401 - imported before any change, because it may wait for other threads

    return _LOGS


def offline() -> CountedGuard:
    """Return a context in which the hub's client sends no request.

    What is loaded is in a folder. But its configuration can name other models (the backbone of a detector, a kernel of
    attention), and the libraries would fetch these in spite of ``local_files_only=True``.
    """
    import huggingface_hub.constants  # noqa: F401 - imported before any change, because it may wait for other threads

    return _OFFLINE


def _close_hub() -> Callable[[], object]:
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True

    def restore() -> None:
        constants.HF_HUB_OFFLINE = before

    return restore


def _silence_logs() -> Callable[[], object]:
    from transformers.utils import logging as transformers_logging

    levels = {logging.getLogger(name): logging.getLogger(name).level for name in _LOGGERS}
    bars = transformers_logging.is_progress_bar_enabled()
    for logger in levels:
        logger.setLevel(logging.CRITICAL)
    transformers_logging.disable_progress_bar()

    def restore() -> None:
        for logger, level in levels.items():
            logger.setLevel(level)
        if bars:
            transformers_logging.enable_progress_bar()

    return restore


def _redirect_stderr() -> Callable[[], object]:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with ExitStack() as undo:
        sink = undo.enter_context(tempfile.TemporaryFile())
        terminal = os.dup(2)
        undo.callback(os.close, terminal)
        _flush_stderr()
        os.dup2(sink.fileno(), 2)
        undo.callback(os.dup2, terminal, 2)
        undo.callback(_flush_stderr)
        return undo.pop_all().close


def _flush_stderr() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()


_LOGS = CountedGuard(_silence_logs)
_OFFLINE = CountedGuard(_close_hub)
quiet_stderr = CountedGuard(_redirect_stderr)
"""A context that redirects file descriptor 2 to a temp file, because TensorFlow's C++ code writes to it directly."""
