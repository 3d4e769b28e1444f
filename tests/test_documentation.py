"""Every command and every Python block of README and guide is run, in order, on the shipped reviews."""

import doctest
import importlib
import inspect
import itertools
import operator
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import click
import numpy as np
import pandas as pd
import pytest
from embedstore.cli.main import group
from faults.small_disk import NOT_ALLOWED
from sklearn import metrics
from sklearn.linear_model import LogisticRegression

import embedstore
from embedstore.demo import ANSWERS, TEST, TRAIN

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


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


def encode_for_the_demo(cli):
    """Encode what the demo encodes, in forks: its own processes would each import the libraries of a model for it."""
    text, labels = ["--text", "review", "--id", "id"], ["-l", "Negative", "-l", "Positive"]
    for words in (
        ["add", "demo-reviews", TRAIN, *text],
        ["add", "demo-reviews", TEST, *text, "--corpus", "test"],
        ["encode", "demo-reviews"],
        ["tag", "demo-reviews", "--corpus", "train", *labels, "--method", "best"],
        ["search", "demo-reviews", "the battery died in a week"],
    ):
        done = cli(*words, environment=homeless(cli))
        assert done.returncode == 0, done.stderr


def test_the_readme_shows_how_the_demo_ends(cli, place):
    """The long version begins with nothing, the short one with a store that has the vectors."""
    if not os.environ.get("EMBEDSTORE_TORTURE"):
        encode_for_the_demo(cli)
    done = subprocess.run(cli.command("demo"), cwd=place, env=homeless(cli), capture_output=True, text=True)
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


def test_the_shipped_answers_are_right_and_of_no_test_review():
    train, test, answers = pd.read_csv(TRAIN), pd.read_csv(TEST), pd.read_csv(ANSWERS)
    answered = answers.merge(train, on="id", validate="one_to_one")
    assert answers["label"].value_counts().to_dict() == {"Negative": 10, "Positive": 10}
    assert (answered["class_index"].map({1: "Negative", 2: "Positive"}) == answered["label"]).all()
    assert not answered["review"].isin(test["review"]).any()
    could = train.dropna(subset=["review", "class_index"]).query("review not in @test.review")
    drawn = could.groupby("class_index").sample(10, random_state=42)
    assert sorted(drawn["id"]) == sorted(answers["id"])


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


def as_the_tutorial_does(folder, frame):
    """Return features and logits of the rows as the tutorial computes them: one pass, padded to 128."""
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    texts = list(frame["review_combined_lemma"].fillna(""))
    inputs = tokenizer(texts, truncation=True, padding="max_length", max_length=128, return_tensors="pt")
    with torch.no_grad():
        body = transformers.AutoModel.from_pretrained(folder).eval()(**inputs)
        head = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()(**inputs)
    return body.last_hidden_state.mean(axis=1).numpy(), head.logits.numpy()


def reports(learnt, features, given):
    """Return the report, and those with other predictions for the few rows that rounding can predict otherwise."""
    sure = learnt.decision_function(features)
    unsure = np.flatnonzero(abs(sure) < 0.01)
    assert len(unsure) < 4, sure
    for flipped in itertools.product((False, True), repeat=len(unsure)):
        above = sure > 0
        above[unsure] ^= np.array(flipped, dtype=bool)
        yield metrics.classification_report(given, learnt.classes_[above.astype(int)], digits=4)


def test_the_tutorial_runs(cli, checkpoint):
    """Its commands in order, on small checkpoints with random weights, and fewer rows.

    The short version loads TensorFlow once, for the first of two commands, because that takes ten seconds.
    """
    place = cli.home.parent
    for path, name in ((TRAIN, "train"), (TEST, "test")):
        table = pd.read_csv(path).dropna(subset="class_index").astype({"class_index": int})
        table = table.rename(columns={"review": "review_combined_lemma"})
        table.to_csv(place / f"{name}.csv", index=False)
    finetuned = checkpoint("distilbert", id2label={0: "NEGATIVE", 1: "POSITIVE"}, max_position_embeddings=128)
    replaced = {
        "distilbert/distilbert-base-uncased-finetuned-sst-2-english": str(finetuned),
        "sentence-transformers/all-mpnet-base-v2": "sentence-transformers/all-MiniLM-L6-v2",
        "1500": "60",
        "100000": "40",
        "10000": "20",
    }
    tutorial = (ROOT / "docs" / "tutorial.md").read_text()
    commands = [line for line in tutorial.splitlines() if line.startswith("embedstore ")]
    assert len(commands) == 11
    outputs = {}
    for command in commands:
        words = [replaced.get(word, word) for word in shlex.split(command)[1:]]
        if words[0] == "encode" and "--backend" in words and not os.environ.get("EMBEDSTORE_TORTURE"):
            at = words.index("--backend")
            del words[at : at + 2]
        done = cli(*words)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        outputs[command] = done
    drawn = {
        name: pd.read_csv(place / f"{name}.csv").sample(60, random_state=42).sort_index().reset_index(drop=True)
        for name in ("train", "test")
    }
    features, logits = zip(*(as_the_tutorial_does(finetuned, drawn[name]) for name in drawn), strict=True)
    part1 = pd.read_csv(place / "part1.csv")
    assert list(part1["review_combined_lemma"]) == list(drawn["test"]["review_combined_lemma"])
    assert list(part1["Predicted_Labels"]) == [["NEGATIVE", "POSITIVE"][i] for i in logits[1].argmax(axis=1)]
    learnt = LogisticRegression().fit(features[0], drawn["train"]["class_index"])
    shown = outputs[commands[4]].stdout
    assert any(report.strip() in shown for report in reports(learnt, features[1], drawn["test"]["class_index"]))
    assert set(pd.read_csv(place / "part4.csv")["Predicted_Labels"]) <= {
        "Very Negative", "Negative", "Neutral", "Positive", "Very Positive"
    }  # fmt: skip
    trained = [done.stdout for command, done in outputs.items() if command.startswith("embedstore train")]
    assert len(trained) == 2
    assert all("macro avg" in output for output in trained)
    table = outputs[commands[-1]].stdout
    assert "finetuned checkpoint" in table
    assert "cosine labels" in table


def test_every_command_stands_in_the_readme():
    assert all(
        f"embedstore {name}" in README or f"`{name}`" in README or f"make {name}" in README for name in group.commands
    )


def test_every_public_name_stands_in_the_reference():
    pages = "".join(page.read_text() for page in (ROOT / "docs" / "reference").glob("*.md"))
    assert set(re.findall(r"auto\w+:: (\w+)\n", pages)) == set(embedstore.__all__)


def test_every_environment_variable_stands_in_the_reference():
    code = "".join(path.read_text() for folder in ("embedstore", "cli") for path in (ROOT / folder).rglob("*.py"))
    read = set(re.findall(r'environ\.(?:get|pop)\("(\w+)"', code)) | set(re.findall(r'= "(EMBEDSTORE_\w+)"', code))
    assert len(read) > 3
    page = (ROOT / "docs" / "reference" / "environment.md").read_text()
    assert [name for name in sorted(read) if f"`{name}`" not in page] == []


def test_the_version_is_the_same_everywhere():
    version = re.escape(embedstore.__version__)
    for name, line in (("pyproject.toml", f'^version = "{version}"$'), ("CITATION.cff", f"^version: {version}$")):
        assert re.search(line, (ROOT / name).read_text(), re.MULTILINE), name


def test_every_module_stands_in_the_design():
    design = (ROOT / "docs" / "design.md").read_text()
    for path in (ROOT / "embedstore").iterdir():
        name = path.name.removesuffix(".py")
        if not name.startswith(("_", ".")) and name not in ("cli", "py.typed"):
            assert f"`{name}`" in design or f"`{name}/`" in design, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_pages_have_arguments_that_are_taken(page):
    """Whole commands stand in blocks; in a line of prose some of the arguments can be left out."""
    text = page.read_text()
    blocks = "\n".join(re.findall(r"```console\n(.*?)```", text, re.DOTALL)).replace("\\\n", "")
    whole = re.findall(r"^(?:\$ )?embedstore (\w.*)$", blocks, re.MULTILINE)
    for words in [shlex.split(line.partition(" | ")[0], comments=True) for line in whole]:
        parse(words, lambda command, rest: command.make_context("embedstore", rest))
    for words in [shlex.split(line) for line in re.findall(r"`embedstore (\w[^`]*)`", text)]:
        parse(words, lambda command, rest: command.make_parser(click.Context(command)).parse_args(rest))


def parse(words, how):
    """Let a command take its words; other commands have none of their own."""
    if "…" not in words[0]:
        how(group.commands[words[0]], [word for word in words[1:] if word not in ("&", "…")])


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def prose_of(page):
    """Return the text of a page without blocks and code, which can name addresses of this machine."""
    return re.sub(r"```.*?```|`[^`]*`", "", page.read_text(), flags=re.DOTALL)


def outer_links(pages):
    """Return every address in the prose of pages, with the page that has it."""
    for page in pages:
        for address in re.findall(r"\b\w+://[^\s)>\"]+", re.sub(r"\n(?=\S+\))", "", prose_of(page))):
            yield page.name, address.rstrip(".,;:")


def test_links_to_other_sites_are_https_and_well_formed():
    found = list(outer_links(PAGES))
    assert len(found) > 8
    for page, address in found:
        parts = urlsplit(address)
        assert parts.scheme == "https", (page, address)
        assert re.fullmatch(r"(?:[a-z0-9-]+\.)+[a-z]{2,}", parts.netloc), (page, address)
        assert "//" not in parts.path, (page, address)


def test_a_page_of_another_site_is_written_in_one_way():
    ways = {}
    for _, address in outer_links(PAGES):
        parts = urlsplit(address)
        same = parts.netloc.removeprefix("www."), parts.path.rstrip("/").removesuffix("/index.html"), parts.query
        ways.setdefault(same, set()).add(address.partition("#")[0])
    assert [found for found in ways.values() if len(found) > 1] == []


def test_the_site_is_not_built_with_a_link_that_leads_nowhere(tmp_path):
    """Two pages, with the settings of the site: one with good links, then with bad ones."""
    shutil.copy(ROOT / "docs" / "conf.py", tmp_path)
    shutil.copytree(ROOT / "docs" / "_static", tmp_path / "_static")
    (tmp_path / "start.md").write_text("# Start\n\n## Here\n")
    (tmp_path / "index.md").write_text("# A page\n\n[x](start.md#here)\n\n```{toctree}\nstart\n```\n")
    build = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "--quiet", "-b", "html", ".", "built"]
    done = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "index.md").open("a") as stream:
        stream.write("\n[x](page1.md) [x](start.md#place2) [x](#place3) ![x](picture4.png)\n")
    done = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert all(name in done.stderr for name in ("page1", "place2", "place3", "picture4")), done.stderr


def test_a_link_on_the_site_is_not_named_by_a_file():
    for page in PAGES:
        if "docs" in page.parts and page.name != "design.md":
            assert not re.search(r"\[[\w/-]+\.md\]\(", page.read_text()), page.name


def test_prose_is_wrapped():
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        long = [line for line in text.splitlines() if len(line) > 106 and not line.lstrip("- ").startswith(("|", "!["))]
        assert not long, f"{page.name}: {long[0]}"


ASKED = ("add", "encode", "tag", "search", "train", "predict", "doubts", "export")


def with_examples():
    for folder, package in (("embedstore", "embedstore"), ("cli", "embedstore.cli")):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if ">>> " in path.read_text():
                yield ".".join([package, *path.relative_to(ROOT / folder).with_suffix("").parts])


@pytest.fixture
def reviews(request, tmp_path, monkeypatch):
    """A folder to work in, with the store that examples open."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMBEDSTORE_HOME", str(tmp_path / "indexes"))

    def copied():
        shutil.copytree(request.getfixturevalue("demo_home") / "demo", tmp_path / "indexes" / "reviews")

    return copied


@pytest.mark.parametrize("module", list(with_examples()))
def test_examples_in_docstrings_hold(module, reviews):
    source = Path(importlib.import_module(module).__file__).read_text()
    if 'embedstore.open("reviews")' in source:
        reviews()
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize(
    "name", ["create", "open", *(f"EmbeddingStore.{name}" for name in ASKED)], ids=lambda name: name.rpartition(".")[2]
)
def test_what_is_used_most_has_an_example(name):
    found = operator.attrgetter(name)(embedstore)
    assert "\nExamples\n--------\n>>> " in inspect.getdoc(found)


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


def test_every_promise_names_a_test_that_is_there():
    page = (ROOT / "docs" / "reliability.md").read_text()
    promises = page.partition("## What is promised")[2].partition("\n## ")[0]
    rows = [line for line in promises.splitlines() if line.startswith("| ") and "**" not in line][1:]
    assert len(rows) > 30
    for row in rows:
        found = re.fullmatch(r"\| .* \| `(tests/[\w/]+\.py)::(test_\w+)` \|", row)
        assert found, row
        assert f"def {found[2]}(" in (ROOT / found[1]).read_text(), row
