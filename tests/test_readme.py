"""The commands and the Python of README and of short pages are run on the shipped reviews, and print what is shown."""

import os
import re
import subprocess

import documents
import pytest
from documents import README, ROOT, agree, homeless, shows_what_its_commands_print

place = documents.place


_TASKS = [
    ("start", 5),
    ("tasks/answers", 4),
    ("tasks/clean", 3),
    ("tasks/compare", 5),
    ("tasks/label", 8),
    ("tasks/search", 8),
]


@pytest.mark.parametrize(("page", "count"), _TASKS)
def test_a_page_shows_what_its_commands_print(cli, place, page, count):
    text = (ROOT / "docs" / f"{page}.md").read_text()
    shows_what_its_commands_print(cli, text, count)
    for block, shown in re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", text, re.DOTALL):
        done = cli("-c", block, environment=homeless(cli))
        assert done.returncode == 0, done.stderr
        assert agree(shown, done.stdout), done.stdout


def test_the_readme_shows_what_its_commands_print(cli, place):
    shows_what_its_commands_print(cli, README, 6)
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    done = cli("-c", block, environment=homeless(cli))
    assert done.returncode == 0, done.stderr
    assert "macro avg" in done.stdout


def method_lines(text):
    """Return the accuracy and the rows of each method in a printed comparison."""
    line = r"^(\w[\w +-]*?)  .*?(\d+)  (\d\.\d{3}) \[[\d., ]+\]  \d"
    return {name: (int(rows), float(accuracy)) for name, rows, accuracy in re.findall(line, text, re.MULTILINE)}


DEMO = """
import os, subprocess, sys
from embedstore.cli import main
from forking import end

def fork(command, *, stderr, check):
    assert command[:3] == [sys.executable, "-m", "embedstore.cli"], command
    assert (stderr, check) == (subprocess.STDOUT, False)
    child = os.fork()
    if not child:
        os.dup2(1, 2)
        end(command[3:])
    return subprocess.CompletedProcess(command, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

subprocess.run = fork
main(["demo"])
"""


def run_the_demo(cli, place):
    """Run `embedstore demo`; in the short version, its commands are forks of a process that has imported all."""
    if not os.environ.get("EMBEDSTORE_TORTURE"):
        return cli("-c", DEMO, environment=homeless(cli))
    return subprocess.run(cli.command("demo"), cwd=place, env=homeless(cli), capture_output=True, text=True)


def test_the_readme_shows_how_the_demo_ends(cli, place):
    done = run_the_demo(cli, place)
    assert done.returncode == 0, done.stdout
    (shown,) = re.findall(r"```text\n(method .*?)```", README, re.DOTALL)
    shown, found = method_lines(shown), method_lines(done.stdout)
    assert list(found) == list(shown)
    assert len(found) == 8
    for name, (rows, accuracy) in found.items():
        # Another processor rounds otherwise, which can move a few of the 117 reviews.
        assert rows == shown[name][0] == 117
        assert accuracy == pytest.approx(shown[name][1], abs=4 / 119)
    commands = [line.split()[2] for line in done.stdout.splitlines() if line.startswith("$ embedstore ")]
    assert commands == ["add", "add", "encode", "search", "tag", "annotations", "tag", "train", "compare"]
