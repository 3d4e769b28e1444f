"""Errors of the operating system as one line: which file or folder, what is wrong, what to do."""

import errno
import os
import resource
import stat
from contextlib import suppress
from pathlib import Path

from embedstore.core.counts import shown_bytes

__all__ = ["FULL", "explained", "kind_of"]

_AGAIN = "what was finished is kept"
_ADVICE = {
    errno.ENOSPC: f"{_AGAIN}; free some space and run the same command again",
    errno.EDQUOT: f"{_AGAIN}; free some space of your quota and run the same command again",
    errno.EFBIG: f"{_AGAIN}; raise the limit of a file's size (`ulimit -f`), or use another disk",
    errno.EACCES: "check the permissions and the owner of it and of the folders above",
    errno.EPERM: "check the permissions and the owner of it and of the folders above",
    errno.EROFS: "choose a place that can be written to ($EMBEDSTORE_HOME, -o, or a path as STORE)",
    errno.EMFILE: "raise the limit of open files (`ulimit -n 4096`) and run the same command again",
    errno.ENFILE: "close other programs, or raise the limit of open files of the system, and run it again",
    errno.EBADF: "it is closed",
    errno.EIO: f"{_AGAIN}; the disk fails: look at the system's log, then run `embedstore verify STORE`",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOENT: "check the name, and make the folder first if it is missing",
    errno.ENOTDIR: "check the path: a file stands where a folder is expected",
    errno.EISDIR: "check the path: a folder stands where a file is expected",
    errno.ELOOP: "check the path: its symbolic links lead in a circle",
    errno.ESTALE: f"{_AGAIN}; the network disk has lost the file: mount it anew and run the same command again",
    errno.ETIMEDOUT: f"{_AGAIN}; check the network disk and run the same command again",
}
_TEMP = (".tmp-", ".embedstore-")  # what names of temp files begin with; no user knows them
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Numbers of the errors of a disk, a quota or a file that is full."""


_KINDS = {
    stat.S_IFLNK: "link",
    stat.S_IFDIR: "folder",
    stat.S_IFREG: "file",
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
}


def kind_of(status: os.stat_result) -> str:
    """Return what a status is of: a "file", "folder", "link", "pipe", "socket" or "device"."""
    return _KINDS.get(stat.S_IFMT(status.st_mode), "device")


def explained(error: OSError, place: str | Path = "", *, action: str = "can't use") -> str:
    """Return an error of the operating system as one line.

    Parameters
    ----------
    error : OSError
        The error. The file that it names is shown, if it names one.
    place : str or Path
        The file or folder to show instead, if the error names none; a text is shown as it is.
    action : str
        What failed, for the beginning of the line.

    Examples
    --------
    >>> explained(PermissionError(13, "Permission denied", "a.csv"), action="can't write")
    "can't write a.csv: Permission denied: check the permissions and the owner of it and of the folders above"
    """
    if error.filename is None and "temporary directory" in str(error.strerror):  # what tempfile says
        return f"{error.strerror}: set TMPDIR to a folder that can be written to"
    if isinstance(error.filename, str | bytes):
        place = Path(os.fsdecode(error.filename))
        place = place.parent if place.name.startswith(_TEMP) else place
    # Libraries put words of their own around the system's.
    said = (os.strerror(error.errno) if error.errno else str(error) or type(error).__name__) + _details(error, place)
    advice = _ADVICE.get(error.errno or 0)
    return f"{action} {place or 'a file'}: {said}" + (f": {advice}" if advice else "")


def _details(error: OSError, place: str | Path) -> str:
    """Return what the system knows about the limit that was met, in brackets; "" if it knows nothing."""
    if error.errno == errno.ENOSPC and isinstance(place, Path):
        with suppress(OSError):
            found = os.statvfs(_existing(place))
            if found.f_files and not found.f_favail:
                return " (no more files fit)"
            return f" ({shown_bytes(found.f_bavail * found.f_frsize)} free)"
    if error.errno == errno.EMFILE:
        return f" (the limit is {resource.getrlimit(resource.RLIMIT_NOFILE)[0]:,})"
    if error.errno == errno.EFBIG and (most := resource.getrlimit(resource.RLIMIT_FSIZE)[0]) != resource.RLIM_INFINITY:
        return f" (the limit is {shown_bytes(most)})"
    return ""


def _existing(path: Path) -> Path:
    return path if path.exists() or path == path.parent else _existing(path.parent)
