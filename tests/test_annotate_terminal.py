"""`embedstore annotate` driven through a real pseudo-terminal."""

import os
import pty
import select
import signal
import subprocess
import time

import pytest

from embedstore.annotations import current, read_annotations

CHOICES = ("-l", "Lamps", "-l", "Tea")


@pytest.fixture
def store(store):
    store.tag(["Lamps", "Tea"])  # their vectors are kept: the command needs no model
    return store


class Terminal:
    """A command that believes to have an 80-column terminal."""

    def __init__(self, words: list[str], environment: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            words, stdin=slave, stdout=slave, stderr=slave, env={**environment, "TERM": "xterm"}, start_new_session=True
        )
        os.close(slave)
        self.seen = ""

    def wait_for(self, text: str, times: int = 1) -> None:
        deadline = time.monotonic() + 20
        while self.seen.count(text) < times:
            assert time.monotonic() < deadline, self.seen
            if select.select([self._master], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self._master, 4096).decode(errors="replace")
                except OSError:  # the other end is closed
                    assert self.seen.count(text) >= times, self.seen

    def press(self, key: str) -> None:
        os.write(self._master, key.encode())

    def close(self) -> int:
        code = self.process.wait(timeout=60)
        os.close(self._master)
        return code


@pytest.fixture
def terminal(cli, store):
    words = ["annotate", "small", *CHOICES, "--who", "ann"]
    made = Terminal(cli.command(*words), cli.environment)
    try:
        made.wait_for("[q] quit")
        yield made
    finally:
        if made.process.poll() is None:
            made.process.kill()
            made.close()


def labels(store) -> list[str]:
    return [one.label for one in current(read_annotations(store.path)) if one.action == "label"]


def test_a_key_is_an_answer(terminal, store):
    terminal.press("1")
    terminal.wait_for("[q] quit", 2)
    assert labels(store) == ["Lamps"]
    terminal.press("2")
    terminal.wait_for("[q] quit", 3)
    terminal.press("u")
    terminal.wait_for("taken back")
    terminal.wait_for("[q] quit", 4)
    assert labels(store) == ["Lamps"]
    terminal.press("x")
    terminal.wait_for("expected one of 1 2 or s, u, q, found 'x'")
    terminal.press("s")
    terminal.wait_for("skipped")
    terminal.press("q")
    terminal.wait_for("1 answers kept; 1 texts have a label, 7 are left")
    assert terminal.close() == 0
    assert all(len(line) <= 80 for line in terminal.seen.replace("\r", "").split("\n"))


def test_a_session_killed_in_the_middle_loses_nothing(terminal, store, cli):
    for number, key in enumerate("1221", 2):
        terminal.press(key)
        terminal.wait_for("[q] quit", number)
    os.killpg(terminal.process.pid, signal.SIGKILL)
    assert terminal.close() == -signal.SIGKILL
    assert labels(store) == ["Lamps", "Tea", "Tea", "Lamps"]
    done = cli("annotate", "small", *CHOICES, "--who", "ann", stdin="q\n")
    assert "4 answered, 5 left" in done.stdout
    assert not store.verify().damaged


def test_ctrl_c_leaves_what_was_answered(terminal, store):
    terminal.press("2")
    terminal.wait_for("[q] quit", 2)
    os.kill(terminal.process.pid, signal.SIGINT)
    assert terminal.close() == 130
    assert labels(store) == ["Tea"]


def test_without_a_terminal_answers_are_lines(cli, store):
    done = cli("annotate", "small", *CHOICES, "--count", "3", stdin="1\ntea\nnone\n2\n")
    assert done.returncode == 0, done.stderr
    assert labels(store) == ["Lamps", "Tea", "Tea"]
    assert "found 'none'" in done.stdout
    done = cli("annotate", "small", *CHOICES, stdin="1\n" * 20)
    assert "every text has an answer" in done.stderr
    assert len(labels(store)) == 9


def test_annotate_refuses_what_it_cannot_do(cli, store):
    many = [word for number in range(40) for word in ("-l", f"label {number}")]
    assert "at most 32 labels, one a key, found 40" in cli.fails(2, "annotate", "small", *many)
    assert "found neither" in cli.fails(2, "annotate", "small")
    assert "--no-encode" in cli.fails(3, "annotate", "small", "-l", "Cups", "-l", "Tea", "--no-encode")
