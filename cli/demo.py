"""`demo`: the whole path on the shipped reviews, each command shown and run as a user would."""

import os
import shlex
import subprocess
import sys
import tempfile

import click

__all__ = ["demo"]


@click.command()
def demo() -> None:
    """Run everything once on a small corpus that the package ships (in a temporary folder)."""
    from embedstore.demo import TEST, TRAIN

    likert = ["Very Negative", "Negative", "Neutral", "Positive", "Very Positive"]
    with tempfile.TemporaryDirectory(prefix="embedstore-demo-") as folder:
        tagged = os.path.join(folder, "tagged.csv")  # noqa: PTH118  it is shown as a word of a command
        steps = [
            ("Encode the reviews, once", ["encode", "demo", str(TRAIN), "--text", "review", "--id", "id"]),
            (None, ["encode", "demo", str(TEST), "--text", "review", "--id", "id", "--corpus", "test"]),
            ("Build the FAISS index", ["index", "demo"]),
            (
                "Tag with five labels: only the labels are encoded",
                ["tag", "demo", "--corpus", "train", *(w for name in likert for w in ("-l", name)), "-o", tagged],
            ),
            (
                "Tag with another label set: 0 texts encoded, no model loaded (--no-encode holds it to that)",
                ["tag", "demo", "--corpus", "train", "-l", "Negative", "-l", "Positive", "--gold", "class_index"]
                + ["--map", "1=Negative", "--map", "2=Positive", "-o", tagged, "--no-encode"],
            ),
            (
                "Train a classifier on cached vectors",
                ["train", "demo", "--target", "class_index", "--test-corpus", "test", "--drop-missing"],
            ),
            ("Find the nearest reviews of a sentence", ["search", "demo", "the battery died in a week", "-k", "5"]),
            ("Look at the store", ["info", "demo"]),
        ]
        for title, words in steps:
            if title:
                click.secho(f"\n# {title}", bold=True)
            click.echo(f"$ embedstore {shlex.join(words)}")
            sys.stdout.flush()
            command = [sys.executable, "-m", "embedstore.cli", *words]
            code = subprocess.run(command, env={**os.environ, "EMBEDSTORE_HOME": folder}, check=False).returncode
            if code:
                raise click.ClickException(f"the demo stopped: `embedstore {words[0]}` left with exit code {code}")
    click.echo("\nThe same on your own table: embedstore encode STORE FILE --text COLUMN")
