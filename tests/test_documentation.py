"""Every command and every Python block of the README is run, in order, on the shipped reviews."""

import doctest
import importlib
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from embedstore.cli.main import group

from embedstore.demo import TEST, TRAIN

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_readme_runs(cli):
    place = cli.home.parent
    shutil.copy(TRAIN, place / "reviews.csv")
    shutil.copy(TEST, place / "more.csv")
    environment = {key: value for key, value in cli.environment.items() if key != "EMBEDSTORE_HOME"}
    commands = [line for line in README.splitlines() if line.startswith("embedstore ")]
    assert len(commands) == 9
    for command in commands:
        words = shlex.split(command)[1:]
        done = subprocess.run(cli.command(*words), cwd=place, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    assert len(pd.read_csv(place / "tagged.csv")) == len(pd.read_csv(TRAIN))
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 1
    done = subprocess.run([sys.executable, "-c", blocks[0]], cwd=place, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "macro avg" in done.stdout


def test_every_command_stands_in_the_readme():
    assert all(
        f"embedstore {name}" in README or f"`{name}`" in README or f"make {name}" in README for name in group.commands
    )


def test_every_module_stands_in_the_design():
    design = (ROOT / "docs" / "design.md").read_text()
    for path in (ROOT / "embedstore").iterdir():
        name = path.name.removesuffix(".py")
        if not name.startswith("_") and name not in ("cli", "py.typed"):
            assert f"`{name}`" in design or f"`{name}/`" in design, name


@pytest.mark.parametrize(
    "module",
    ["embedstore.texts", "embedstore.vectors", "embedstore.labels", "embedstore.estimators", "embedstore.cli.terminal"],
)
def test_examples_in_docstrings_hold(module):
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted > 0
    assert result.failed == 0


def test_the_shipped_reviews_are_a_real_table():
    train, test = pd.read_csv(TRAIN), pd.read_csv(TEST)
    both = pd.concat([train, test])
    assert len(both) >= 400
    assert both["id"].is_unique
    assert set(both["stars"]) == {1, 2, 3, 4, 5}
    assert both["product"].nunique() >= 3
    clear = both.dropna(subset="class_index")
    assert (clear["class_index"] == (clear["stars"] > 3) + 1).all()
    assert train["review"].isna().any()
    assert train["review"].dropna().duplicated().any()
