"""`demo`: run the main commands on the shipped reviews, as a user would type them."""

import shlex
import subprocess
import sys

import click
from embedstore.cli.options import store_path

__all__ = ["demo"]


_STORE = "demo-reviews"
_LIKERT = ("Very Negative", "Negative", "Neutral", "Positive", "Very Positive")


@click.command()
def demo() -> None:
    """Run the main commands on a small shipped corpus.

    The store is kept, so you can try more commands on it.
    """
    folder = store_path(_STORE).parent
    tagged = str(folder / f"{_STORE}-tagged.csv")
    for title, words in _steps(tagged):
        if title:
            click.secho(f"\n# {title}", bold=True)
        click.echo(f"$ embedstore {shlex.join(words)}")
        sys.stdout.flush()
        command = [sys.executable, "-m", "embedstore.cli", *words]
        code = subprocess.run(command, stderr=subprocess.STDOUT, check=False).returncode  # noqa: S603
        if code:
            raise click.ClickException(f"the demo stopped: `embedstore {words[0]}` left with exit code {code}")
    click.echo(f"\nThe store is in {store_path(_STORE)}, the tagged table in {tagged}.")
    click.echo("The same on your own table: embedstore encode STORE FILE --text COLUMN")


def _steps(tagged: str) -> list[tuple[str, list[str]]]:
    from embedstore.demo import TEST, TRAIN

    likert = [word for name in _LIKERT for word in ("-l", name)]
    polarity = ["-l", "Negative", "-l", "Positive"]
    gold = ["--gold", "class_index", "--map", "1=Negative", "--map", "2=Positive"]
    train = ["--corpus", "train"]
    return [
        ("Encode the reviews, once", ["encode", _STORE, str(TRAIN), "--text", "review", "--id", "id"]),
        ("", ["encode", _STORE, str(TEST), "--text", "review", "--id", "id", "--corpus", "test"]),
        ("Build the FAISS index", ["index", _STORE]),
        ("Tag with five labels: only the labels are encoded", ["tag", _STORE, *train, *likert, "-o", tagged]),
        (
            "Tag with another label set: 0 texts encoded, no model loaded (--no-encode holds it to that)",
            ["tag", _STORE, *train, *polarity, *gold, "-o", tagged, "--no-encode"],
        ),
        (
            "Train a classifier on cached vectors",
            ["train", _STORE, "--target", "class_index", "--test-corpus", "test", "--drop-missing"],
        ),
        (
            "Find the nearest reviews of a sentence",
            ["search", _STORE, "the battery died in a week", "-k", "5"],
        ),
        ("Look at the store", ["info", _STORE]),
    ]
