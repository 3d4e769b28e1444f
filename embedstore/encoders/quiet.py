"""Hide the output that libraries print when they are loaded.

Log levels, progress bars and file descriptor 2 belong to the process, so each is a `CountedGuard`.
"""

import logging
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack

from embedstore.core.guards import CountedGuard

__all__ = ["quiet_logs", "quiet_stderr"]

_LOGGERS = ("sentence_transformers", "transformers")


def quiet_logs() -> CountedGuard:
    """Return a context that silences the loggers and progress bars of transformers and sentence-transformers."""
    import transformers.utils.logging  # noqa: F401 - imported before any change, because it may wait for other threads

    return _LOGS


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
quiet_stderr = CountedGuard(_redirect_stderr)
"""A context that redirects file descriptor 2 to a temp file, because TensorFlow's C++ code writes to it directly."""
