"""What is written for users: arguments are taken, examples hold, links lead somewhere, names are there."""

import doctest
import importlib
import inspect
import operator
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import click
import pandas as pd
import pytest
from documents import README, ROOT
from embedstore.cli.main import group

import embedstore
from embedstore.demo import ANSWERS, TEST, TRAIN

PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def test_the_shipped_answers_are_right_and_of_no_test_review():
    train, test, answers = pd.read_csv(TRAIN), pd.read_csv(TEST), pd.read_csv(ANSWERS)
    answered = answers.merge(train, on="id", validate="one_to_one")
    assert answers["label"].value_counts().to_dict() == {"Negative": 10, "Positive": 10}
    assert (answered["class_index"].map({1: "Negative", 2: "Positive"}) == answered["label"]).all()
    assert not answered["review"].isin(test["review"]).any()
    could = train.dropna(subset=["review", "class_index"]).query("review not in @test.review")
    drawn = could.groupby("class_index").sample(10, random_state=42)
    assert sorted(drawn["id"]) == sorted(answers["id"])


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
