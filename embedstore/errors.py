"""The exceptions of the library.

::

    EmbedstoreError
    ├── UsageError              (ValueError)   the call itself is wrong                exit code 2
    ├── InputError              (ValueError)   a table, label set or column is wrong   exit code 1
    ├── NotFoundError           (LookupError)  no such store, corpus, row, probe       exit code 1
    ├── CheckpointError         (ValueError)   a model can't be found, read or trusted exit code 1
    ├── MissingExtraError       (ImportError)  an optional package is not installed    exit code 1
    ├── SpaceMismatchError      (ValueError)   vectors of two encoders would mix       exit code 1
    ├── ClusterError            (RuntimeError) workers can't be started or reached     exit code 1
    ├── StoreBusyError          (RuntimeError) another process holds the store         exit code 1
    ├── StoreFormatError        (ValueError)   written by a newer release              exit code 1
    ├── OutputError             (OSError)      a result can't be written               exit code 1
    ├── StorageError            (OSError)      a store can't be written or locked      exit code 1
    ├── ModelRequiredError      (RuntimeError) a vector is missing                     exit code 3
    └── DamagedStoreError       (RuntimeError) a file is missing, short or altered     exit code 4

Each message is one line. It says what was expected, what was found and what to do.
"""

from typing import ClassVar

__all__ = [
    "CheckpointError",
    "ClusterError",
    "DamagedStoreError",
    "EmbedstoreError",
    "InputError",
    "MissingExtraError",
    "ModelRequiredError",
    "NotFoundError",
    "OutputError",
    "SpaceMismatchError",
    "StorageError",
    "StoreBusyError",
    "StoreFormatError",
    "UsageError",
]


class EmbedstoreError(Exception):
    """Base of all errors that the library raises on purpose; its message is one line, whatever names stand in it."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: object = "") -> None:
        super().__init__(" ".join(str(message).splitlines()))


def _told(error: BaseException) -> str:
    # An OSError with an errno tells that instead of its message.
    return str(error.args[0])


class UsageError(EmbedstoreError, ValueError):
    """The call itself is wrong: for example, an option is out of range or a name is not valid."""

    exit_code = 2


class InputError(EmbedstoreError, ValueError):
    """A table, label set or column given by the user can't be used."""


class NotFoundError(EmbedstoreError, LookupError):
    """No such store, corpus, space, probe or row."""


class CheckpointError(EmbedstoreError, ValueError):
    """A checkpoint can't be found, read or trusted."""


class MissingExtraError(EmbedstoreError, ImportError):
    """The call needs an optional package that is not installed."""


class SpaceMismatchError(EmbedstoreError, ValueError):
    """The call would mix vectors of different encoders."""


class ClusterError(EmbedstoreError, RuntimeError):
    """The workers of a cluster can't be started or reached."""


class StoreBusyError(EmbedstoreError, RuntimeError):
    """Another process holds the store, or the call is inside one that writes to it."""


class StoreFormatError(EmbedstoreError, ValueError):
    """The store has a format that this release does not read."""


class OutputError(EmbedstoreError, OSError):
    """A result can't be written to the given path; `errno` and `filename` are those of the cause, if it has one."""

    __str__ = _told


class StorageError(EmbedstoreError, OSError):
    """A file of the store can't be written or locked; `errno` and `filename` are those of the cause."""

    __str__ = _told


class ModelRequiredError(EmbedstoreError, RuntimeError):
    """A vector is missing, and only the model can compute it."""

    exit_code = 3


class DamagedStoreError(EmbedstoreError, RuntimeError):
    """A file of the store is missing, short or altered."""

    exit_code = 4
