"""Options that say which model, and what its vectors are."""

from typing import TYPE_CHECKING, Any

import click
from embedstore.cli import completion
from embedstore.cli.options import Decorator, max_seq_length_option, together

if TYPE_CHECKING:
    from embedstore.encoders import EncoderOptions

__all__ = ["encoder_options", "model_option", "model_options", "vector_options"]


def model_option(default: str) -> Decorator:
    """Return the option of a model; its help says what is taken without it."""
    named = f"Folder or Hugging Face name; {default}."
    return click.option("-m", "--model", metavar="MODEL", shell_complete=completion.models, help=named)


vector_options: Decorator = together(
    click.option("--revision", metavar="REV", help="Branch, tag or commit of a hub model."),
    click.option("--prompt", metavar="TEXT", help="Put before every text; by default the model's document prompt."),
    click.option("--query-prompt", metavar="TEXT", help="Put before a search; by default the model's query prompt."),
    click.option(
        "--pooling",
        type=click.Choice(["mean", "cls", "max", "mean-padded"]),
        help="How a transformer's last hidden state becomes a vector; by default as the model says, or else mean.",
    ),
    max_seq_length_option,
    click.option("--truncate-dim", type=click.IntRange(min=1), metavar="N", help="Keep the first N dimensions."),
    click.option(
        "--normalize/--no-normalize",
        default=None,
        help="Make vectors of unit length, or not; by default only those of sentence-transformers models.",
    ),
    click.option(
        "--dtype", type=click.Choice(["float32", "float16"]), default="float32", help="How vectors are stored."
    ),
)
"""What the vectors of a model are."""

model_options: Decorator = together(model_option("by default all-MiniLM-L6-v2"), vector_options)
"""A model, and what its vectors are."""


def encoder_options(options: dict[str, Any]) -> "EncoderOptions":
    """Return the options of a model that the user gave with `model_options`."""
    from embedstore.encoders import EncoderOptions

    return EncoderOptions(
        prompt=options["prompt"],
        query_prompt=options["query_prompt"],
        max_seq_length=options["max_seq_length"],
        truncate_dim=options["truncate_dim"],
        normalize=options["normalize"],
        dtype=options["dtype"],
        pooling=options["pooling"],
    )
