"""Run many commands of the shell in one process, each in a fork of it with streams of its own: quick and real.

`work` reads a JSON list of ``[streams, words]`` from standard input and prints a JSON list of
``[exit code, what was shown]``. `streams` is "terminal", or names of streams that are closed or full: "stdout closed".
"""

import io
import json
import os
import pty
import sys

from embedstore.cli import main

STREAMS = ("stdin", "stdout", "stderr")


def set_up(streams: str, shown: int) -> None:
    """Give this process its streams; those of Python are made as the interpreter makes them at its start."""
    inputs = shown if streams == "terminal" else os.open(os.devnull, os.O_RDONLY)
    for number, (name, source) in enumerate(zip(STREAMS, (inputs, shown, shown), strict=True)):
        if f"{name} full" in streams:
            source = os.open("/dev/full", os.O_RDWR)
        os.dup2(source, number)
    os.closerange(3, 64)
    for number, name in enumerate(STREAMS):
        if f"{name} closed" in streams:
            os.close(number)
            setattr(sys, name, None)
            continue
        stream = io.TextIOWrapper(os.fdopen(number, "wb" if number else "rb"), "utf-8", line_buffering=number == 2)
        stream.reconfigure(errors="backslashreplace" if number == 2 else "strict")
        setattr(sys, name, stream)


def run(streams: str, words: list[str]) -> tuple[int, str]:
    """Run one command; return its exit code and what it wrote to those streams that are open."""
    reader, shown = pty.openpty() if streams == "terminal" else os.pipe()
    child = os.fork()
    if not child:
        code = 99
        try:
            set_up(streams, shown)
            try:
                main(words)
            except SystemExit as left:
                code = left.code or 0
            if sys.stdout is not None:
                sys.stdout.flush()
        except OSError:
            code = 120  # as the interpreter does if it can't flush at its end
        finally:
            os._exit(code)
    os.close(shown)
    if streams == "terminal":
        os.write(reader, b"q\n\x04\x04")  # for commands that ask: quit, or no more input
    seen = b""
    while True:
        try:
            block = os.read(reader, 65_536)
        except OSError:  # the terminal's other end is closed
            break
        if not block:
            break
        seen += block
    os.close(reader)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), seen.decode(errors="replace")


def work() -> None:
    """Run the commands."""
    print(json.dumps([run(streams, words) for streams, words in json.load(sys.stdin)]))
