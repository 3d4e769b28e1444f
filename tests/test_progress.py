"""How far long tasks are: what the library tells, and the bar on a terminal."""

import json

import pytest
from conftest import LABELS, CommandLine

from embedstore.core.parallel import map_in_threads
from embedstore.core.progress import listening, steps, task
from embedstore.learning import TrainOptions

TASKS = {
    "verify": (lambda store, _: store.verify(), "files"),
    "index": (lambda store, _: store.index("flat"), "segments"),
    "duplicates": (lambda store, _: store.duplicates(0.9), "parts"),
    "doubts": (lambda store, _: store.doubts("stars", folds=2), "models"),
    "train with folds": (lambda store, _: store.train("stars", options=TrainOptions(cv=2)), "models"),
    "compare": (lambda store, _: store.compare("stars"), "methods"),
    "labels": (lambda store, _: store.tag(["new", "other"]), "texts"),
    "copy": (lambda store, place: store.copy(place / "copy"), "bytes"),
}


@pytest.mark.parametrize("name", TASKS)
def test_a_listener_hears_a_task_from_none_to_all(store, tmp_path, name):
    call, what = TASKS[name]
    told = []
    with listening(lambda *of: told.append(of)):
        call(store, tmp_path)
    counts = [(done, total) for of, done, total in told if of == what]
    assert counts[0][0] == 0 < counts[0][1]
    assert (counts[0][1], counts[0][1]) in counts
    assert all(done <= total for done, total in counts)
    told.clear()
    store.tag([*LABELS, "third"])
    assert told == []


def test_threads_share_the_steps_of_a_task():
    told = []
    with listening(lambda *of: told.append(of)):
        parts = map_in_threads(range(50), list, 1 << 30)
    assert sorted(piece for part in parts for piece in part) == list(range(50))
    done = [done for _, done, _ in told]
    assert done == sorted(done)
    assert told[-1] == ("parts", 50, 50)


def test_without_a_listener_there_is_nothing_to_tell():
    pieces = iter([1, 2])
    assert steps("parts", pieces, 2) is pieces
    task("parts", 2)(1)


@pytest.fixture
def drawn(forking, cli, store):
    """A function that runs a command on a terminal, with a bar from the beginning; it returns what was shown."""

    def shown(*words):
        script = (
            "import fcntl, json, pty, shells, struct, sys, termios\n"
            "from embedstore.cli import terminal\n"
            "terminal._PATIENCE, plain = 0, pty.openpty\n"
            "def sized():\n"
            "    ends = plain()\n"
            "    fcntl.ioctl(ends[1], termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))\n"
            "    return ends\n"
            "pty.openpty = sized\n"
            "print(json.dumps(shells.run('terminal', json.load(sys.stdin))))"
        )
        environment = CommandLine.environment_of(cli.home)
        done = forking(
            ["-c", script], input=json.dumps(words).encode(), environment=environment, folder=cli.home.parent
        )
        code, text = json.loads(done.stdout)
        assert code == 0, text
        return text

    return shown


def test_a_terminal_shows_a_bar_with_the_time_left(drawn, cli):
    text = drawn("verify", "small")
    assert "verify:   0%|" in text
    assert " files/s]" in text or "? files/s]" in text
    assert "verify:" not in drawn("--quiet", "verify", "small")
    assert "verify:" not in cli("verify", "small").stderr
