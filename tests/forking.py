"""A process that has imported what commands need, and forks for each command: real processes that start at once.

``forking.py DESCRIPTOR [MODULE...]`` serves on a socket; it imports these modules, or all that commands need. A request
is the JSON of the words, the environment and the folder of a command and whether it stays, with the descriptors of its
three streams; the answer is the command's exit code, or the number of its process if it stays. Another request is this
number, when it has ended: the answer is its exit code. The words ``-c SCRIPT`` run a Python script, as the interpreter
does.
"""

import fcntl
import gc
import importlib
import io
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import termios
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

STREAMS = ("stdin", "stdout", "stderr")
_LONGEST = 1 << 20  # bytes of a request
# Variables that no import reads, and the beginnings of those that libraries set in the tests' own process.
_FREE = ("_RJEM_", "EMBEDSTORE_HOME", "EMBEDSTORE_PASSWORD", "PYTEST_CURRENT_TEST", "TERM", "XDG_STATE_HOME")
_FREE += ("_EMBEDSTORE_COMPLETE", "COMP_CWORD", "COMP_WORDS")
_FREE += ("ENABLE_RUNTIME_", "HDF5_", "KERAS_", "KMP_", "TF", "TORCH", "TPU_")


class Staying:
    """A command that goes on until it ends or is killed, as `subprocess.Popen` has it."""

    def __init__(self, process: int, reap: Callable[[int], int], stdout: int | None = None) -> None:
        self.pid = process  # it is nobody else's number as long as the server of forks has not waited for it
        self._ended = os.pidfd_open(process)
        self._reap = reap
        self._code: int | None = None
        self.stdout = None if stdout is None else os.fdopen(stdout)

    def kill(self) -> None:
        """End it; return when it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        if self.stdout is not None:
            self.stdout.read()
            self.stdout.close()
        self.wait(60)

    def poll(self) -> int | None:
        """Return the exit code, or None while it goes on."""
        if self._code is None and select.select([self._ended], [], [], 0)[0]:
            self._code = self._reap(self.pid)
            os.close(self._ended)
        return self._code

    def wait(self, timeout: float) -> int:
        """Return the exit code when it has ended."""
        if self._code is None and not select.select([self._ended], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("a fork", timeout)
        code = self.poll()
        assert code is not None
        return code


class Forking:
    """The server's client: one command at a time, and commands that stay beside it."""

    def __init__(self, environment: dict[str, str], modules: Sequence[str] = ()) -> None:
        self.environment = environment
        self._kept = _kept(environment)
        self._turn = threading.Lock()
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(other.fileno()), *modules], env=environment, pass_fds=[other.fileno()]
            )

    def serves(self, environment: dict[str, str]) -> bool:
        """Return whether a command in this environment would find all else as its imports do."""
        return not self.others(environment)

    def others(self, environment: dict[str, str]) -> set[tuple[str, str]]:
        """Return the variables, with their values, that are not the same there and where it imported."""
        return _kept(environment).items() ^ self._kept.items()

    def __call__(
        self, words: Sequence[str], *, input: bytes, environment: dict[str, str], folder: Path
    ) -> subprocess.CompletedProcess[bytes]:
        pipes = [os.pipe() for _ in STREAMS]
        (stdin, given), (shown, stdout), (told, stderr) = pipes
        with self._turn:
            self._send(words, environment, folder, "", stdin, stdout, stderr)
            for descriptor in (stdin, stdout, stderr):
                os.close(descriptor)
            found: dict[int, bytes] = {}
            readers = [threading.Thread(target=lambda one=one: found.update({one: _all(one)})) for one in (shown, told)]
            for reader in readers:
                reader.start()
            try:
                with os.fdopen(given, "wb") as stream:
                    stream.write(input)
            except BrokenPipeError:
                pass  # the command has ended without reading
            for reader in readers:
                reader.join()
            code = json.loads(self._socket.recv(_LONGEST))
        return subprocess.CompletedProcess(list(words), code, found[shown], found[told])

    def start(self, words: Sequence[str], *, environment: dict[str, str], folder: Path) -> Staying:
        """Start a command that stays; nothing is given to it, and what it tells goes where the tests tell."""
        assert not self.others(environment), self.others(environment)
        shown, stdout = os.pipe()
        with self._turn, Path(os.devnull).open("rb") as nothing:
            self._send(words, environment, folder, "stays", nothing.fileno(), stdout, 2)
            os.close(stdout)
            return Staying(json.loads(self._socket.recv(_LONGEST)), self._reap, shown)

    def start_on(self, terminal: int, words: Sequence[str], *, environment: dict[str, str], folder: Path) -> Staying:
        """Start a command that stays, in a session of its own with this terminal."""
        assert not self.others(environment), self.others(environment)
        with self._turn:
            self._send(words, environment, folder, "leads", terminal, terminal, terminal)
            return Staying(json.loads(self._socket.recv(_LONGEST)), self._reap)

    def _reap(self, process: int) -> int:
        with self._turn:
            self._socket.send(json.dumps(process).encode())
            code: int = json.loads(self._socket.recv(_LONGEST))
        return code

    def _send(self, words: Sequence[str], environment: dict[str, str], folder: Path, stays: str, *streams: int) -> None:
        request = json.dumps([list(words), environment, str(folder), stays]).encode()
        assert len(request) < _LONGEST
        socket.send_fds(self._socket, [request], streams)

    def close(self) -> None:
        self._socket.close()
        assert self._process.wait() == 0


def _kept(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(_FREE)}


def _all(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read()


def load() -> None:
    """Import the commands, what they are made of, and the libraries that take long."""
    import faiss  # noqa: F401
    import h5py  # noqa: F401
    import matplotlib.figure  # noqa: F401
    import pandas  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import sklearn.feature_extraction.text
    import sklearn.linear_model
    import sklearn.metrics
    import sklearn.model_selection
    import sklearn.svm  # noqa: F401
    import torch  # noqa: F401
    import transformers.models.bert.modeling_bert
    import transformers.models.distilbert.modeling_distilbert  # noqa: F401
    from embedstore.cli.main import group

    import embedstore

    for name in group.commands:
        group.commands[name]
    for module in pkgutil.walk_packages(embedstore.__path__, "embedstore."):
        other = module.name.startswith(("embedstore.encoders.keras", "embedstore.cli.__main__"))
        if not other and ".native._" not in module.name:  # what is compiled is no module of Python
            pkgutil.resolve_name(module.name)


def serve(listening: socket.socket) -> list[str] | None:
    """Fork for each request until the client is gone; return a command's words in its own process, and then None."""
    while True:
        request, descriptors, _, _ = socket.recv_fds(listening, _LONGEST, len(STREAMS))
        if not request:
            return None
        asked = json.loads(request)
        if isinstance(asked, int):
            listening.send(json.dumps(os.waitstatus_to_exitcode(os.waitpid(asked, 0)[1])).encode())
            continue
        words, environment, folder, stays = asked
        child = os.fork()
        if not child:
            listening.close()
            os.environ.clear()
            os.environ.update(environment)
            os.chdir(folder)
            _take(descriptors)
            if stays == "leads":
                os.setsid()
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # its closing sends SIGHUP
            return words
        for descriptor in descriptors:
            os.close(descriptor)
        answer = child if stays else os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        listening.send(json.dumps(answer).encode())


def _take(descriptors: Sequence[int]) -> None:
    """Make these the streams of this process, as the interpreter makes them at its start."""
    for number, (name, descriptor) in enumerate(zip(STREAMS, descriptors, strict=True)):
        os.dup2(descriptor, number)
        os.close(descriptor)
        stream = io.TextIOWrapper(
            os.fdopen(number, "wb" if number else "rb", closefd=False),
            "utf-8",
            errors="backslashreplace" if name == "stderr" else "strict",
            line_buffering=name == "stderr" or os.isatty(number),
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def end(words: list[str]) -> NoReturn:
    """Run a command and end this process, without the seconds that it takes to take everything apart that is loaded."""
    from embedstore.cli import main

    sys.argv[1:] = words
    code: object = 99
    try:
        if words[:1] == ["-c"]:
            exec(compile(words[1], "<string>", "exec"), {"__name__": "__main__"})
            sys.exit()
        main()
    except SystemExit as left:
        code = left.code or 0
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code if isinstance(code, int) else 99)


if __name__ == "__main__":
    _, descriptor, *modules = sys.argv
    sys.argv[:] = ["embedstore"]
    for module in modules:
        importlib.import_module(module)
    if not modules:
        load()
    gc.freeze()
    command = serve(socket.socket(fileno=int(descriptor)))
    if command is not None:
        end(command)
