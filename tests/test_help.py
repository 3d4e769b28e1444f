"""What `--help` shows: every command in a group, and examples that run."""

import re
import shlex
import shutil
import signal
import subprocess

from click.testing import CliRunner
from embedstore.cli.examples import EXAMPLES
from embedstore.cli.main import group

from embedstore.demo import TEST, TRAIN


def sections(text):
    """Return the names that `--help` lists below each title."""
    found = {}
    for title, block in re.findall(r"^(\w[\w ]*):\n((?:  .*\n)+)", text, re.MULTILINE):
        found[title] = [line.split()[0] for line in block.splitlines()]
    return found


def test_every_command_is_in_one_group():
    shown = sections(CliRunner().invoke(group, ["--help"]).output)
    listed = [name for title, names in shown.items() if title != "Options" for name in names]
    assert sorted(listed) == sorted(group.commands)
    assert len(shown) == 6


def test_the_groups_fit_on_a_narrow_terminal():
    text = CliRunner().invoke(group, ["--help"], terminal_width=40).output
    assert max(map(len, text.splitlines())) <= 40


def examples(name):
    text = CliRunner().invoke(group, [name, "--help"]).output
    return re.findall(r"^ +(embedstore .*)$", text.split("Example", 1)[-1], re.MULTILINE)


def test_every_command_has_an_example():
    for name in group.commands:
        assert examples(name) == list(EXAMPLES[name])


def test_the_examples_run(cli, checkpoint):
    place = cli.home.parent
    shutil.copy(TRAIN, place / "reviews.csv")
    shutil.copy(TEST, place / "more.csv")
    shutil.copytree(checkpoint("bert"), place / "classifier")
    for name in EXAMPLES:
        for command in examples(name):
            words, _, written = command.removeprefix("embedstore ").partition(" > ")
            if name == "serve":
                serve(cli, words)
            elif name != "demo":  # tests/test_readme.py runs it
                done = cli(*shlex.split(words), stdin="1\n2\nq\n" if name == "annotate" else "")
                assert done.returncode == 0, f"{command}\n{done.stderr}"
                if written:
                    (place / written).write_text(done.stdout)


def serve(cli, words):
    command = cli.command(*shlex.split(words), "--no-open", "--port", "0")
    with subprocess.Popen(command, env=cli.environment, cwd=cli.home.parent, stdout=-1, stderr=-1, text=True) as run:
        assert run.stdout.readline().startswith("http://127.0.0.1:")
        run.send_signal(signal.SIGINT)
        run.stderr.read()
        assert run.wait() in (0, 130)
