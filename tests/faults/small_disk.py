"""Run a command with a small file system of its own: ``small_disk.py FOLDER MEGABYTES COMMAND…``.

A tmpfs is mounted on FOLDER, in a mount namespace that only the command sees; it takes 100 files a megabyte. The exit
code is 77 where a user may not do that.
"""

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path

_NEW_MOUNTS, _NEW_USER = 0x00020000, 0x10000000
_PRIVATE = 1 << 18 | 1 << 14  # MS_PRIVATE | MS_REC
NOT_ALLOWED = 77


def fill(folder: Path, left: int = 0) -> int:
    """Fill the file system of a folder but for some bytes; return the bytes of the file ``filler``."""
    with (folder / "filler").open("ab", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(4096))
        except OSError:
            pass
        if left:
            os.ftruncate(stream.fileno(), max(0, stream.tell() - left))
        return os.fstat(stream.fileno()).st_size


def fill_names(folder: Path, left: int) -> None:
    """Make empty files in the folder ``fillers`` until no more fit, and remove some of them."""
    (folder / "fillers").mkdir()
    made = 0
    with suppress(OSError):
        while True:
            (folder / "fillers" / str(made)).touch()
            made += 1
    for number in range(min(left, made)):
        (folder / "fillers" / str(number)).unlink()


def _mounted(folder: str, megabytes: int) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(_NEW_MOUNTS):
        if libc.unshare(_NEW_MOUNTS | _NEW_USER):
            return False
        for name, content in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
            Path(f"/proc/self/{name}").write_text(content)
    libc.mount(b"none", b"/", None, _PRIVATE, None)
    options = f"size={megabytes}m,nr_inodes={100 * megabytes}"
    return not libc.mount(b"none", folder.encode(), b"tmpfs", 0, options.encode())


if __name__ == "__main__":
    place, size, *command = sys.argv[1:]
    if not _mounted(place, int(size)):
        sys.exit(NOT_ALLOWED)
    os.execv(command[0], command)
