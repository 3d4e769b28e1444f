"""Options of the commands that give a row several labels."""

import click
from embedstore.cli.options import Decorator, together

__all__ = ["multi_options", "separator_option"]

multi_options: Decorator = together(
    click.option("--multi", is_flag=True, help="Give a row each label that applies, or none, instead of the best one."),
    click.option(
        "--threshold",
        type=float,
        metavar="P",
        help="Least probability of a label, with --multi; by default where micro-F1 is expected to be highest.",
    ),
)
"""The options for several labels a row: `multi` and `threshold`."""

separator_option: Decorator = click.option(
    "--separator",
    metavar="TEXT",
    help="With --multi, what stands between the labels in a cell of text; by default ';'.",
)
