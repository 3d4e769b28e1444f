"""Hide the output that libraries print when they are loaded."""

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quiet_logs", "quiet_stderr"]


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Silence the loggers and progress bars of transformers and sentence-transformers."""
    from transformers.utils import logging as transformers_logging

    loggers = [logging.getLogger("sentence_transformers"), logging.getLogger("transformers")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.CRITICAL)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Redirect file descriptor 2 to a temp file, because TensorFlow's C++ code writes to it directly."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
