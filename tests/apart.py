"""Run a command with processes of its own: all of them end with it, and it sees no others.

``apart.py [--network] COMMAND…``; with ``--network`` it also has a loopback of its own, on which every port is free.
The exit code is 77 where a user may not do that. It is Linux' unshare(1), as root or as root of a namespace.
"""

import fcntl
import os
import socket
import struct
import subprocess
import sys

from faults.small_disk import NOT_ALLOWED

_SET_FLAGS, _UP = 0x8914, 0x1  # SIOCSIFFLAGS, IFF_UP


def raise_loopback() -> None:
    """Make 127.0.0.1 reachable in a new network."""
    with socket.socket() as one:
        fcntl.ioctl(one, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP))


if __name__ == "__main__":
    words = sys.argv[1:]
    if words[0] == "--inside":
        raise_loopback()
        os.execvp(words[1], words[1:])
    unshare = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    unshare += [] if os.getuid() == 0 else ["--user", "--map-root-user"]
    if words[0] == "--network":
        unshare.append("--net")
        words = [sys.executable, __file__, "--inside", *words[1:]]
    try:
        allowed = subprocess.run([*unshare, "true"], stderr=subprocess.DEVNULL).returncode == 0
    except FileNotFoundError:
        allowed = False
    if not allowed:
        sys.exit(NOT_ALLOWED)
    os.execvp(unshare[0], [*unshare, *words])
