"""`embedstore annotate` driven through a real pseudo-terminal."""

import fcntl
import os
import pty
import select
import signal
import subprocess
import termios
import time
from contextlib import contextmanager

import pytest
from conftest import CommandLine
from forking import Forking

CHOICES = ("-l", "Lamps", "-l", "Tea")


@pytest.fixture
def store(store):
    store.tag(["Lamps", "Tea"])  # their vectors are kept: the command needs no model
    return store


class Terminal:
    """A command that believes to have an 80-column terminal: a fork, or a process that is started as a person does."""

    def __init__(self, cli: CommandLine, forking: Forking | None, *words: str, **more: str) -> None:
        self._master, slave = pty.openpty()
        environment = {**cli.environment, "TERM": "xterm", **more}
        self.process = (
            forking.start_on(slave, words, environment=environment, folder=cli.home.parent)
            if forking
            else subprocess.Popen(
                cli.command(*words),
                stdin=slave,
                stdout=slave,
                stderr=slave,
                env=environment,
                start_new_session=True,
                preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # its closing sends SIGHUP
            )
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

    def hang_up(self) -> None:
        os.close(self._master)
        self._master = os.open(os.devnull, os.O_RDONLY)

    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self._master)[3] & termios.ECHO)

    def close(self) -> int:
        code = self.process.wait(timeout=60)
        os.close(self._master)
        return code


@contextmanager
def running(cli, forking, *more):
    """Yield a terminal in which `annotate` has asked its first question."""
    made = Terminal(cli, forking, "annotate", "small", *CHOICES, *more)
    try:
        made.wait_for("[q] quit")
        yield made
    finally:
        if made.process.poll() is None:
            made.process.kill()
            made.close()


@pytest.fixture
def terminal(cli, store, forking):
    with running(cli, forking, "--who", "ann") as made:
        yield made


@pytest.fixture
def started(cli, store):
    """The terminal of a process that is no fork, where its start can matter."""
    with running(cli, None, "--who", "ann") as made:
        yield made


def labels(store) -> list[str]:
    return store.annotations.export_table().to_pandas()["label"].tolist()


def test_a_key_is_an_answer(terminal, store):
    terminal.press("1")
    terminal.wait_for("[q] quit", 2)
    assert labels(store) == ["Lamps"]
    terminal.press("2")
    terminal.wait_for("[q] quit", 3)
    terminal.press("u")
    terminal.wait_for("taken back: Tea")
    terminal.wait_for("[q] quit", 4)
    assert labels(store) == ["Lamps"]
    terminal.press("x")
    terminal.wait_for("expected one of 1 2 or s, u, q, found 'x'")
    terminal.press("s")
    terminal.wait_for("skipped")
    terminal.press("q")
    terminal.wait_for("answers kept: 1; texts with a label: 1, left: 6")
    assert terminal.close() == 0
    assert all(len(line) <= 80 for line in terminal.seen.replace("\r", "").split("\n"))


def test_keys_that_are_no_characters_are_no_answers(terminal, store):
    for number, sent in enumerate(("\x1b[3~", "\x1b[1;2C", "\x1bOA", "\x1b[24~", "\x1b[[A", "\x1b\x1b[A"), 1):
        terminal.press(sent)
        terminal.wait_for("found 'a special key'", number)
    terminal.press("é")
    terminal.wait_for("found 'é'")
    assert "found 'A'" not in terminal.seen
    assert labels(store) == []
    terminal.press("2")
    terminal.wait_for("[q] quit", 2)
    assert labels(store) == ["Tea"]


def test_undo_takes_a_skip_back_and_then_the_answer_before(terminal, store):
    terminal.press("1")
    terminal.wait_for("[q] quit", 2)
    terminal.press("s")
    terminal.wait_for("[q] quit", 3)
    terminal.press("u")
    terminal.wait_for("[q] quit", 4)
    assert labels(store) == ["Lamps"]
    terminal.press("u")
    terminal.wait_for("[q] quit", 5)
    assert labels(store) == []
    terminal.press("u")
    terminal.wait_for("nothing to undo")


def is_ended_in_good_order(terminal, store, number):
    """End a session by a signal; it says what is kept, and leaves the terminal as it was."""
    terminal.press("2")
    terminal.wait_for("[q] quit", 2)
    assert not terminal.echoes()
    os.kill(terminal.process.pid, number)
    terminal.wait_for("answers kept: 1; texts with a label: 1, left: 7")
    terminal.wait_for(f"Error: ended by {number.name}: what was finished is kept; the same command goes on from there")
    assert terminal.process.wait(timeout=60) == 128 + number
    assert terminal.echoes()
    assert labels(store) == ["Tea"]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_says_what_is_kept_and_leaves_the_terminal_as_it_was(terminal, store, number):
    is_ended_in_good_order(terminal, store, number)


def test_a_signal_says_what_is_kept_where_no_fork_is_between(started, store):
    is_ended_in_good_order(started, store, signal.SIGTERM)


def test_a_terminal_that_is_closed_ends_the_session_and_loses_nothing(terminal, store):
    terminal.press("2")
    terminal.wait_for("[q] quit", 2)
    terminal.hang_up()
    assert terminal.process.wait(timeout=60) == 128 + signal.SIGHUP
    assert labels(store) == ["Tea"]


def test_a_signal_ends_a_session_without_a_terminal_in_good_order(cli, store):
    words = cli.command("annotate", "small", *CHOICES)
    process = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=cli.environment, text=True
    )
    process.stdin.write("2\n")
    process.stdin.flush()
    while "Tea\n" not in (line := process.stdout.readline()) or "[" in line:
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate()
    assert process.returncode == 143
    assert errors.splitlines()[-1].startswith("Error: ended by SIGTERM: what was finished is kept")
    assert "answers kept: 1;" in errors
    assert labels(store) == ["Tea"]


def test_a_session_killed_in_the_middle_loses_nothing(terminal, store, cli):
    for number, key in enumerate("1221", 2):
        terminal.press(key)
        terminal.wait_for("[q] quit", number)
    os.killpg(terminal.process.pid, signal.SIGKILL)
    assert terminal.close() == -signal.SIGKILL
    assert labels(store) == ["Lamps", "Tea", "Tea", "Lamps"]
    done = cli("annotate", "small", *CHOICES, "--who", "ann", stdin="q\n")
    assert "4 answered, 4 left" in done.stdout
    assert not store.verify().damaged


def test_ctrl_c_leaves_what_was_answered(terminal, store):
    terminal.press("2")
    terminal.wait_for("[q] quit", 2)
    os.kill(terminal.process.pid, signal.SIGINT)
    terminal.wait_for("answers kept: 1")
    assert terminal.close() == 130
    assert labels(store) == ["Tea"]


def test_without_a_terminal_answers_are_lines(cli, store):
    done = cli("annotate", "small", *CHOICES, "--count", "3", stdin="1\ntea\nnone\n2\n")
    assert done.returncode == 0, done.stderr
    assert labels(store) == ["Lamps", "Tea", "Tea"]
    assert "found 'none'" in done.stdout
    done = cli("annotate", "small", *CHOICES, stdin="1\n" * 20)
    assert "every text has an answer" in done.stderr
    assert len(labels(store)) == 8  # a text that says nothing is not asked about


def test_a_label_that_is_a_key_has_its_own(cli, store):
    store.tag(["1", "0"])
    done = cli("annotate", "small", "-l", "1", "-l", "0", "--count", "2", stdin="0\n1\n")
    assert "[1] 1   [0] 0" in done.stdout
    assert labels(store) == ["0", "1"]


def test_a_label_that_is_called_like_a_command_is_the_label_and_the_capital_letter_the_command(cli, store):
    names = ["s", "m", "l", "q"]
    store.tag(names)
    words = [word for name in names for word in ("-l", name)]
    done = cli("annotate", "small", *words, stdin="s\nm\nq\nS\nl\nQ\nl\n")
    assert "[s] s   [m] m   [l] l   [q] q   [S] skip   [u] undo   [Q] quit" in done.stdout
    assert labels(store) == ["s", "m", "q", "l"]
    assert done.stdout.count("skipped") == 1
    done = cli("annotate", "small", *words, "--multi", stdin="s;q\nS\nq\nQ\n")
    assert labels(store)[4:] == ['["q", "s"]', '["q"]']


def test_where_both_letters_of_a_command_are_labels_both_are_the_labels(cli, store):
    store.tag(["s", "S"])
    done = cli("annotate", "small", "-l", "s", "-l", "S", "--count", "2", stdin="S\ns\n")
    assert "[s] s   [1] S   [u] undo   [q] quit" in done.stdout
    assert labels(store) == ["S", "s"]


def test_the_rest_of_a_long_text_is_shown_when_it_is_asked_for(cli, store, encoder):
    store.add(
        [{"key": "long", "review": " ".join(f"word{i}" for i in range(400))}], text="review", id="key", corpus="b"
    )
    store.encode()
    done = cli("annotate", "small", *CHOICES, "--corpus", "b", stdin="m\n1\n")
    assert "[m] more" in done.stdout
    assert done.stdout.index("word399") > done.stdout.index("[m] more")
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_an_answer_of_an_earlier_session_can_be_taken_back(cli, store):
    cli("annotate", "small", *CHOICES, "--count", "1", stdin="1\n")
    assert labels(store) == ["Lamps"]
    done = cli("annotate", "small", *CHOICES, stdin="u\n")
    assert "taken back" in done.stdout
    assert labels(store) == []


def test_what_is_taken_back_of_earlier_sessions_is_not_counted(cli, store):
    cli("annotate", "small", *CHOICES, "--count", "2", stdin="1\n1\n")
    done = cli("annotate", "small", *CHOICES, "--count", "2", stdin="u\nu\n2\n2\n2\n")
    assert "answers kept: 2" in done.stderr
    assert labels(store) == ["Tea", "Tea"]


def test_answers_are_listed_by_person_and_corpus(cli, store):
    cli("annotate", "small", *CHOICES, "--who", "ann", "--count", "2", stdin="1\n2\n")
    assert len(cli("annotations", "small", "--who", "ann").stdout.splitlines()) == 3
    assert len(cli("annotations", "small", "--who", "bea").stdout.splitlines()) == 1
    assert "no corpus 'nope'" in cli.fails(1, "annotations", "small", "--corpus", "nope")
    assert "leave one of them out" in cli.fails(2, "annotations", "small", "--import", "x.csv", "--disagreements")


def test_annotate_asks_about_one_label_as_a_session_does(cli, store):
    wanted = store.annotations.session(["Lamps", "Tea"], about="Tea").question.text
    done = cli("annotate", "small", *CHOICES, "--about", "Tea", "--count", "1", stdin="2\n")
    assert done.returncode == 0, done.stderr
    assert wanted in done.stdout
    first = cli("annotate", "small", *CHOICES, "--about", "Lamps", "--who", "bea", "--count", "1", stdin="2\n")
    assert wanted not in first.stdout
    assert "to ask about, found 'Cups'" in cli.fails(2, "annotate", "small", *CHOICES, "--about", "Cups")


def test_annotate_refuses_what_it_cannot_do(cli, store):
    many = [word for number in range(40) for word in ("-l", f"label {number}")]
    assert "at most 31 labels, one a key, found 40" in cli.fails(2, "annotate", "small", *many)
    assert "found neither" in cli.fails(2, "annotate", "small")
    assert "--no-encode" in cli.fails(3, "annotate", "small", "-l", "Cups", "-l", "Tea", "--no-encode")


def test_with_several_labels_keys_choose_and_enter_confirms(cli, store, forking):
    with running(cli, forking, "--multi", "--count", "2") as made:
        for key, shown in (
            ("1", "[x] Lamps"),
            ("2", "[x] Tea"),
            ("1", "[ ] Lamps   [x] Tea"),
            ("9", "expected keys of 1 2"),
        ):
            made.press(key)
            made.wait_for(shown)
        made.press("\r")
        made.wait_for("[q] quit", 2)
        made.press("\r")
        assert made.close() == 0
    assert labels(store) == ['["Tea"]', "[]"]


def test_undo_takes_the_choices_of_a_text_back_before_an_answer(cli, store, forking):
    with running(cli, forking, "--multi") as made:
        made.press("\r")
        made.wait_for("[q] quit", 2)
        made.press("1")
        made.wait_for("[x] Lamps")
        made.press("u")
        made.wait_for("choices of this text taken back")
        made.wait_for("[ ] Lamps   [ ] Tea")
        assert labels(store) == ["[]"]
        made.press("u")
        made.wait_for("taken back: none of them")
        made.wait_for("[q] quit", 3)
        assert labels(store) == []
        made.press("s")
        made.wait_for("[q] quit", 4)
        made.press("u")
        made.wait_for("taken back: a skip")
        made.press("q")
        assert made.close() == 0
