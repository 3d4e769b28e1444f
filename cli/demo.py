"""`demo`: run the main commands on the shipped reviews, as a user would type them."""

import shlex
import subprocess
import sys
from shutil import which

import click
from embedstore.cli.opening import store_path
from embedstore.cli.terminal import echo

__all__ = ["demo"]


_STORE = "demo-reviews"


@click.command()
def demo() -> None:
    """Run the main commands on a small shipped corpus.

    The store is kept, so you can try more commands on it.
    """
    folder = store_path(_STORE).parent
    tagged = str(folder / f"{_STORE}-tagged.csv")
    for title, words in _steps(tagged):
        if title:
            echo("", f"# {title}", bold=True)
        echo(f"$ embedstore {shlex.join(words)}")
        sys.stdout.flush()
        command = [sys.executable, "-m", "embedstore.cli", *words]
        code = subprocess.run(command, stderr=subprocess.STDOUT, check=False).returncode  # noqa: S603
        if code:
            raise click.ClickException(f"the demo stopped: `embedstore {words[0]}` left with exit code {code}")
    echo("", "On 117 reviews a few points are chance: docs/labels.md measures these methods on 52,000.")
    echo(f"The store is in {store_path(_STORE)}, the tagged table in {tagged}.")
    echo(f"Look at them, search them and label them in the browser: {_program()} serve {_STORE}")
    echo("The same on your own table: embedstore encode STORE FILE --text COLUMN")


def _program() -> str:
    """Return how the command is called in a shell."""
    found = which("embedstore")
    return "embedstore" if found else shlex.quote(sys.argv[0])


def _steps(tagged: str) -> list[tuple[str, list[str]]]:
    from embedstore.demo import ANSWERS, TEST, TRAIN

    labels = ["-l", "Negative", "-l", "Positive"]
    train = ["--corpus", "train"]
    text = ["--text", "review", "--id", "id"]
    target = ["--target", "class_index", *train, "--test-corpus", "test", "--drop-missing"]
    return [
        ("Read two tables of reviews", ["add", _STORE, str(TRAIN), *text]),
        ("", ["add", _STORE, str(TEST), *text, "--corpus", "test"]),
        ("Encode the reviews, once: no other command encodes them again", ["encode", _STORE]),
        ("Find the nearest reviews of a sentence", ["search", _STORE, "the battery died in a week", "-k", "3"]),
        ("Label them by two names: only the names are encoded", ["tag", _STORE, *train, *labels, "-o", tagged]),
        (
            "Take in what a person said of 20 reviews (`embedstore annotate` asks you, one key a review)",
            ["annotations", _STORE, "--import", str(ANSWERS), *train, *labels],
        ),
        (
            "Label them again, with what the whole corpus says (best) and with these answers (examples)",
            ["tag", _STORE, *train, *labels, "--method", "best", "--examples", "-o", tagged],
        ),
        ("Train a classifier on all labels that are given", ["train", _STORE, *target]),
        (
            "What each is worth: all are tested on the same reviews of the corpus test, and learn from none of them",
            ["compare", _STORE, *target, *labels, "--map", "1=Negative", "--map", "2=Positive"],
        ),
    ]
