"""The commands and the Python of the long pages are run in order, on the shipped reviews."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import documents
import pandas as pd
import pytest
from clusters import environment
from documents import CLUSTER, GUIDE, ROOT, agree, homeless
from faults.small_disk import NOT_ALLOWED

from embedstore.demo import TRAIN

place = documents.place


def test_the_guide_runs(cli, place):
    commands = [line for line in GUIDE.splitlines() if line.startswith("embedstore ")]
    assert len(commands) == 20
    for command in commands:
        done = cli(*shlex.split(command)[1:], environment=homeless(cli))
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    assert len(pd.read_csv(place / "tagged.csv")) == len(pd.read_csv(TRAIN))
    (block,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    done = cli("-c", block, environment=homeless(cli))
    assert done.stdout == "332 3 (332, 384)\n", done.stderr


def commands_of(section):
    """Return the commands in a section of the page about clusters, without those that install."""
    text = CLUSTER.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    lines = "".join(re.findall(r"```console\n(.*?)```", text, re.DOTALL)).splitlines()
    return [line for line in lines if not line.startswith("pip ")]


def write_command(folder, name, *words):
    """Write a command of this name that runs these words, as an installation would."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    (folder / name).chmod(0o755)


def test_the_commands_of_the_page_about_clusters_have_arguments_that_ray_takes():
    lines = re.findall(r"^ray (.*)$", CLUSTER, re.MULTILINE)
    assert len(lines) == 7
    with environment():  # Ray sets variables as it is imported
        from ray.scripts import scripts

        for name, *words in (shlex.split(line, comments=True) for line in lines):
            scripts.cli.commands[name].make_context("ray", words)


@pytest.mark.skipif(not os.environ.get("EMBEDSTORE_TORTURE"), reason="half a minute, for make torture")
def test_the_cluster_of_two_nodes_runs(cli, place):
    """Its processes and its loopback are its own, so no port is taken, and all that it starts ends with it."""
    commands = commands_of("Two nodes on one machine")
    assert len(commands) == 10
    reviews = pd.read_csv(TRAIN)["review"].dropna().str[:40]
    texts = [f"{number} {review}" for number in range(4) for review in reviews][:1100]
    pd.DataFrame({"review": texts}).to_csv(place / "reviews.csv", index=False)
    write_command(place / "bin", "ray", sys.executable, "-m", "ray.scripts.scripts")
    write_command(place / "bin", "embedstore", *cli.command())
    with TemporaryDirectory(prefix="r", dir="/tmp") as short:
        given = {"HOME": str(place), "RAY_TMPDIR": short, "PATH": f"{place / 'bin'}:{os.environ['PATH']}"}
        done = subprocess.run(
            [sys.executable, Path(__file__).parent / "apart.py", "--network", "bash", "-exc", "\n".join(commands)],
            cwd=place,
            env=homeless(cli) | given,
            capture_output=True,
            text=True,
            timeout=500,
        )
    if done.returncode == NOT_ALLOWED:
        pytest.skip("this user may not have a network of processes alone")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"0\.0/[12]\.0 CPU", done.stdout)  # the second node may come a moment later
    assert f"0 already cached, {len(set(texts)):,} encoded now" in done.stdout
    assert len(pd.read_csv(place / "tagged.csv")) == 1100


def test_the_shards_run(cli, place):
    commands = [line for line in commands_of("Shards, without Ray") if line.startswith("embedstore ")]
    assert len(commands) == 4
    for command in commands:
        done = cli(*shlex.split(command, comments=True)[1:], environment=homeless(cli))
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    assert "319 of 319 texts encoded" in done.stdout


def test_the_page_on_exchange_runs(cli, place):
    """Commands print what the page shows, and each block of Python what stands below it."""
    for module in ("lance", "qdrant_client", "datasets"):
        pytest.importorskip(module, reason=f"{module} is not installed")
    page = (ROOT / "docs" / "exchange.md").read_text()
    commands = "".join(re.findall(r"```console\n(.*?)```", page, re.DOTALL))
    for command, said in re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", commands, re.MULTILINE):
        done = cli(*shlex.split(command)[1:], environment=homeless(cli))
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        notes = "".join(line for line in done.stderr.splitlines(keepends=True) if line.startswith("note: "))
        said, found = (re.sub(r"; [\d.]+ s\n", "; N s\n", text) for text in (said, notes + done.stdout))
        assert agree(said, found), f"{command}\n{found}"
    blocks = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```\n", page, re.DOTALL)
    assert len(blocks) == 8
    # In one process: it imports the libraries of all programs.
    script = "".join(block for block, _ in blocks)
    done = cli("-c", script, environment=homeless(cli) | {"HF_HOME": str(place / "hf-home")})
    assert done.returncode == 0, done.stderr
    assert agree("".join(shown for _, shown in blocks), done.stdout), done.stdout
