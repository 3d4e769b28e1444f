"""Options shared by several commands."""

from collections.abc import Callable
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
from embedstore.cli import completion
from embedstore.cli.terminal import ALL_ROWS

from embedstore.core.blank import Blank
from embedstore.core.values import clip
from embedstore.errors import UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from embedstore.labels import LabelSet
    from embedstore.learning import TrainOptions

__all__ = [
    "Decorator",
    "blank_option",
    "computation_options",
    "corpus_option",
    "gold_options",
    "json_option",
    "label_options",
    "label_set_of",
    "max_iter_option",
    "max_seq_length_option",
    "method_option",
    "no_encode_option",
    "one_of",
    "optional_label_set",
    "output_options",
    "penalty_option",
    "plot_option",
    "rows_options",
    "scores_option",
    "seed_option",
    "space_option",
    "store_argument",
    "together",
    "topic_count_option",
    "train_options",
    "training_options",
    "where_option",
]

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def together(*options: Decorator) -> Decorator:
    """Return one decorator for several options; help lists them in the given order."""
    return lambda command: reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


class _OneOf(click.ParamType):  # type: ignore[type-arg]
    """A choice among the names in a table of the library; the table's module is imported at first use."""

    name = "choice"

    def __init__(self, table: str) -> None:
        self._table = table

    def _choice(self) -> "click.Choice[str]":
        module, _, attribute = self._table.partition(":")
        return click.Choice(list(getattr(import_module(module), attribute)))

    def convert(self, value: Any, param: "click.Parameter | None", ctx: "click.Context | None") -> Any:
        """Return `value` if it is one of the names, else fail."""
        return self._choice().convert(value, param, ctx)

    def get_metavar(self, param: "click.Parameter", ctx: "click.Context | None" = None) -> "str | None":
        """Return the names for the help text; before click 8.2 there is no `ctx`."""
        return self._choice().get_metavar(param, **({"ctx": ctx} if ctx else {}))

    def shell_complete(self, ctx: "click.Context", param: "click.Parameter", incomplete: str) -> "list[CompletionItem]":
        """Return the names that start with `incomplete`."""
        return self._choice().shell_complete(ctx, param, incomplete)


def one_of(table: str) -> "click.ParamType[Any]":
    """Return the type of an option whose values are the names in a table (``module:attribute``)."""
    return _OneOf(table)


def _setting(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    context.meta[f"embedstore.{parameter.name}"] = value


store_argument: Decorator = together(
    click.argument("store", shell_complete=completion.stores),
    click.option(
        "--wait",
        type=click.FloatRange(min=0),
        default=600,
        show_default=True,
        metavar="SECONDS",
        expose_value=False,
        callback=_setting,
        help="How long to wait for other processes that write to STORE.",
    ),
    click.option(
        "--check",
        is_flag=True,
        expose_value=False,
        callback=_setting,
        help="Read every byte of STORE first, to find damage.",
    ),
)
"""The name of a store, and how it is opened."""

corpus_option: Decorator = click.option(
    "--corpus",
    metavar="NAME",
    shell_complete=completion.corpora,
    help="Corpus; by default the only one, or train.",
)
where_option: Decorator = click.option(
    "--where",
    metavar="EXPRESSION",
    expose_value=False,
    callback=_setting,
    help="Only rows that fulfil it, such as \"stars <= 2 AND product = 'kettle'\" (docs/guide.md).",
)
space_option: Decorator = click.option(
    "--space",
    metavar="KEY|MODEL",
    shell_complete=completion.spaces,
    help="Space, by the start of its key or the name of its model; by default the first with proven vectors.",
)
rows_options: Decorator = together(corpus_option, where_option, space_option)
"""The options that select the corpus, its rows and the space."""

blank_option: Decorator = click.option(
    "--blank",
    type=click.Choice(get_args(Blank)),
    default="skip",
    show_default=True,
    help="Rows whose text is blank: give them no answer, or answer them like others.",
)


def _place(context: click.Context, _parameter: click.Parameter, value: Path | None) -> Path | None:
    """Return the file; None if all rows go to standard output, which is noted in the context."""
    if value is None or str(value) not in ("-", "/dev/stdout"):
        return value
    context.meta[ALL_ROWS] = True
    return None


output_options: Decorator = together(
    click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        metavar="FILE",
        callback=_place,
        help="Write rows to a .csv, .tsv, .jsonl or .parquet file; - is standard output, as CSV.",
    ),
    click.option(
        "--spreadsheet-safe", is_flag=True, help="Put ' before texts that a spreadsheet would take for a formula."
    ),
)
plot_option: Decorator = click.option(
    "--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw it: a .png, .svg or .html file."
)
json_option: Decorator = click.option(
    "--json", "as_json", is_flag=True, help="Print a machine-readable summary on stdout."
)
no_encode_option: Decorator = click.option(
    "--no-encode", is_flag=True, help="Leave with exit code 3 rather than load the model."
)
scores_option: Decorator = click.option("--scores", is_flag=True, help="Add one column per label.")
gold_options: Decorator = together(
    click.option(
        "--gold",
        metavar="COL",
        shell_complete=completion.targets,
        help="Compare with a column: classification report and confusion matrix.",
    ),
    click.option(
        "--map", "mapping", multiple=True, metavar="VALUE=LABEL", help="The label that a --gold value stands for."
    ),
)
max_seq_length_option: Decorator = click.option(
    "--max-seq-length", type=int, metavar="N", help="Tokens after which a text is cut off."
)
computation_options: Decorator = together(
    click.option(
        "--backend",
        type=one_of("embedstore.encoders.backends:BACKENDS"),
        default="auto",
        show_default=True,
        help="What runs the model; its vectors are the same but for rounding.",
    ),
    click.option("--device", metavar="DEVICE", help="cpu, cuda, cuda:1, mps; by default the best there is."),
    click.option(
        "--batch-size", type=click.IntRange(min=1), metavar="N", help="Texts at once; by default filled up by tokens."
    ),
    click.option(
        "--precision",
        type=click.Choice(["auto", "float32", "bfloat16"]),
        default="auto",
        show_default=True,
        help="Of the model; auto takes bfloat16 where it is fast and keeps the cosines of a sample at 0.9995.",
    ),
)
"""The options for running a model: `backend`, `device`, `batch_size` and `precision`."""

label_options: Decorator = together(
    click.option("-l", "--label", "labels", multiple=True, metavar="LABEL", help="A label; give two or more."),
    click.option(
        "--labels",
        "label_file",
        metavar="FILE|NAME",
        shell_complete=completion.label_sets,
        help="A label set: a label a line (# is a comment), YAML or JSON; or a shipped one (`embedstore labels`).",
    ),
)


def method_option(help_text: str) -> Decorator:
    """Return the option --method, the method of tagging."""
    return click.option(
        "--method",
        type=one_of("embedstore.tagging.methods:METHODS"),
        default="cosine",
        show_default=True,
        help=help_text,
    )


class _TopicCount(click.ParamType):  # type: ignore[type-arg]
    """A number of topics, or "auto"."""

    name = "count"

    def convert(self, value: Any, param: "click.Parameter | None", ctx: "click.Context | None") -> Any:
        """Return the number; None for "auto"."""
        if value == "auto":
            return None
        from embedstore.topics.pipeline import MOST_TOPICS

        if not str(value).isdecimal() or not 2 <= int(value) <= MOST_TOPICS:
            self.fail(f"expected a number from 2 to {MOST_TOPICS:,} or auto, found {clip(str(value), 20)!r}")
        return int(value)


topic_count_option: Decorator = click.option(
    "--count",
    "topic_count",
    type=_TopicCount(),
    metavar="N|auto",
    help="Number of topics; by default the one that the vectors suggest.",
)
"""The option for a number of topics: `topic_count`, None for "auto"."""

max_iter_option: Decorator = click.option(
    "--max-iter", type=click.IntRange(min=1), default=1000, show_default=True, help="Most iterations of the solver."
)
penalty_option: Decorator = click.option(
    "--C", "c", type=float, default=1.0, show_default=True, help="Inverse strength of the L2 penalty."
)


def seed_option(of: str) -> Decorator:
    """Return the option --seed; `of` completes its help text ("Seed of ...")."""
    return click.option(
        "--seed", type=click.IntRange(0, 2**32 - 1), default=42, show_default=True, metavar="N", help=f"Seed of {of}."
    )


def training_options(seed_of: str) -> Decorator:
    """Return the options for training and testing: target, corpora, split, penalty, seed; see `seed_option`."""
    return together(
        click.option(
            "--target",
            required=True,
            metavar="COL",
            shell_complete=completion.targets,
            help="The column of classes, or annotations.",
        ),
        corpus_option,
        where_option,
        click.option(
            "--test-corpus",
            metavar="NAME",
            shell_complete=completion.corpora,
            help="Test on this corpus; by default a stratified share is held out.",
        ),
        click.option("--test-size", type=float, default=0.2, show_default=True, help="Share held out."),
        penalty_option,
        max_iter_option,
        seed_option(seed_of),
        click.option("--drop-missing", is_flag=True, help="Leave rows without a target out."),
    )


def train_options(options: dict[str, Any], **more: Any) -> "TrainOptions":
    """Remove the values of `training_options` from `options` and return them as `TrainOptions`."""
    from embedstore.learning import TrainOptions

    return TrainOptions(
        C=options.pop("c"),
        max_iter=options.pop("max_iter"),
        test_size=options.pop("test_size"),
        random_state=options.pop("seed"),
        drop_missing=options.pop("drop_missing"),
        **more,
    )


def label_set_of(labels: tuple[str, ...], label_file: str | None, *, several: bool = False) -> "LabelSet":
    """Return the label set given by -l or --labels; `several` says whether a row can have several of the labels.

    Raises
    ------
    UsageError
        If both or neither is given.
    """
    from embedstore.labels import LabelSet

    if bool(labels) == bool(label_file):
        raise UsageError(
            f"expected labels as -l LABEL (two or more) or --labels FILE, found {'both' if labels else 'neither'}"
        )
    return LabelSet.named(label_file, several=several) if label_file else LabelSet.of(labels, several=several)


def optional_label_set(labels: tuple[str, ...], label_file: str | None, *, several: bool = False) -> "LabelSet | None":
    """Return the label set given by -l or --labels, or None if neither is given; see `label_set_of`."""
    return label_set_of(labels, label_file, several=several) if labels or label_file else None
