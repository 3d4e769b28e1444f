"""What is written for users, and its commands: for the tests that run them."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from embedstore.demo import ANSWERS, TEST, TRAIN

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
GUIDE = (ROOT / "docs" / "guide.md").read_text()
CLUSTER = (ROOT / "docs" / "cluster.md").read_text()


@pytest.fixture
def place(cli):
    """A folder with the shipped reviews as reviews.csv and more.csv, answers.csv, and no home of stores."""
    shutil.copy(ANSWERS, cli.home.parent / "answers.csv")
    shutil.copy(TRAIN, cli.home.parent / "reviews.csv")
    shutil.copy(TEST, cli.home.parent / "more.csv")
    return cli.home.parent


def homeless(cli):
    """Return the environment of a user who has set no home of stores."""
    return {key: value for key, value in cli.environment.items() if key != "EMBEDSTORE_HOME"}


def agree(shown, found):
    """Return whether two outputs are the same, but for times, and for what another processor rounds otherwise."""
    pairs = zip(re.split(r"(\d[\d,.]*)", shown), re.split(r"(\d[\d,.]*)", found), strict=True)
    for one, other in pairs:
        if one == other or (one.strip("█ ") == other.strip("█ ")):
            continue
        try:
            numbers = [float(part.replace(",", "").rstrip(".")) for part in (one, other)]
        except ValueError:
            return False
        if abs(numbers[0] - numbers[1]) > 0.05 * max(numbers) + 2:
            return False
    return True


def without_times(printed):
    """Return what was printed without the seconds at the end of a line, or before the last column of a comparison."""
    printed = re.sub(r"; [\d.]+ s\n", "; N s\n", printed)
    return re.sub(r"\] +[\d.]+( +[\d,]+)$", r"] N\1", printed, flags=re.MULTILINE)


def shows_what_its_commands_print(cli, page, count):
    """Hold that each of `count` commands of a page prints what stands below it."""
    blocks = re.findall(r"```console\n\$ (.*?)\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == count
    for command, shown in blocks:
        done = cli(*shlex.split(command.removesuffix(" | cat"))[1:], environment=homeless(cli))
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        # A terminal shows messages and data as they come: here shares with their notes, the report, what was done.
        messages = done.stderr.splitlines(keepends=True)
        first = [
            line for line in messages if line.startswith("  ") or (messages[0].startswith("  ") and "note: " in line)
        ]
        found = "".join(first) + done.stdout + "".join(line for line in messages if line not in first)
        shown, found = without_times(shown), without_times(found)
        assert agree(shown, found), f"{shown}\n{found}"
