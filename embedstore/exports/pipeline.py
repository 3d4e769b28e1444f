"""Export the rows of a corpus: choose the target, tag the rows if asked, write them a batch at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from embedstore.core.blank import Blank, blank_notes
from embedstore.core.checks import at_least
from embedstore.core.counts import counted
from embedstore.core.spec import StoredDtype
from embedstore.errors import UsageError
from embedstore.exports.base import TargetOptions
from embedstore.exports.rows import Content, Rows
from embedstore.exports.targets import TARGETS, TargetEntry, find_target, target_of_suffix
from embedstore.labels.label_set import Labels, LabelSet
from embedstore.vectors.snapshot import Snapshot

if TYPE_CHECKING:
    from embedstore.reports.predictions import Predictions

__all__ = ["ExportReport", "export"]

_SPELLED = {"name": "--name", "index": "--index", "rows_per_file": "--rows-per-file", "neighbours": "--neighbours"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What an export wrote.

    Attributes
    ----------
    to : str
        The target, one of `TARGETS`.
    rows : int
        Number of rows that were written now.
    before : int
        Number of rows that were there before.
    output : str
        The file, folder or address, without anything secret.
    files : tuple of str
        Files beside it.
    notes : tuple of str
        Notes, for example on rows that were left out.
    instead : tuple of str
        The columns that the target has in place of vectors, as for "atlas".
    """

    to: str
    rows: int
    before: int
    output: str
    files: tuple[str, ...]
    notes: tuple[str, ...]
    instead: tuple[str, ...] = ()

    def __str__(self) -> str:
        what = "row" if self.instead else "vector"
        beside = f", their ids to {', '.join(self.files)}" if self.files else ""
        with_ = f" with {', '.join(self.instead)} in place of vectors" if self.instead else ""
        before = f", {self.before:,} there before" if self.before else ""
        return f"{counted(self.rows, what)} written to {self.output}{with_}{beside}{before}"


def export(
    now: Snapshot,
    target: str | Path,
    *,
    to: str | None = None,
    corpus: str | None = None,
    space: str | None = None,
    labels: Labels | None = None,
    method: str = "cosine",
    dtype: StoredDtype = "float32",
    blank: Blank | None = None,
    bare: bool | None = None,
    rows_per_file: int | None = None,
    name: str | None = None,
    index: bool = False,
    neighbours: int | None = None,
    no_encode: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> ExportReport:
    """Write the rows of a corpus with their vectors for another program.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    target : path or str
        The file or folder; for "pgvector" and "qdrant" also an address. Passwords come from the environment.
    to : str, optional
        One of `TARGETS`. By default the end of a file name decides (``.npy``, ``.parquet`` or ``.h5``), and the file
        has the ids and vectors of all rows, and nothing else.
    corpus : str, optional
        Corpus to export; by default the only one, else ``train``.
    space : str, optional
        Key or model name of the vectors.
    labels : sequence of str, mapping of str to descriptions, or LabelSet, optional
        Tag the rows; the columns of `tag` follow those of the corpus.
    method : str
        The method of `tag`.
    dtype : {"float32", "float16"}
        Type of the numbers of a vector.
    blank : {"skip", "answer"}, optional
        Whether rows with a blank text are left out; by default they are, with `to`.
    bare : bool, optional
        Whether ids and vectors are written alone; by default only without `to`.
    rows_per_file : int, optional
        Write a folder of files with at most so many rows.
    name : str, optional
        The table or collection in a database; by default the name of the store.
    index : bool
        Whether to make an index for searches in a database.
    neighbours : int, optional
        Number of neighbours of each row, for "atlas"; by default 15.
    no_encode : bool
        Raise an error instead of loading a model for the labels.
    on_progress : callable, optional
        Called with the numbers of rows that are done and of all rows.

    Raises
    ------
    UsageError
        If an option does not go with the target.
    OutputError
        If the target can't be written, or holds something else.
    MissingExtraError
        If the package for the target is not installed.
    ModelRequiredError
        If a row has no vector.

    Examples
    --------
    >>> import embedstore
    >>> store = embedstore.open("reviews")
    >>> report = store.export("vectors.parquet")
    >>> report.rows
    60
    """
    place = str(target)
    chosen = to or target_of_suffix(place)
    found, entry = find_target(chosen), TARGETS[chosen]
    given = {"rows_per_file": rows_per_file, "name": name, "index": index or None, "neighbours": neighbours}
    options = _options(entry, chosen, {key: value for key, value in given.items() if value is not None}, now.name)
    if dtype not in get_args(StoredDtype):
        raise UsageError(f"expected a dtype of {' or '.join(get_args(StoredDtype))}, found {dtype!r}")
    bare = entry.plain or (not to if bare is None else bare)
    blank = blank or ("skip" if to else "answer")
    if labels is not None and bare:
        raise UsageError(f"expected no labels for ids and vectors alone ({chosen}), found some: choose another --to")
    found.check(place, options)
    table = now.corpus(corpus)
    vectors = now.embeddings(space, [table]) if entry.searches else now.space(space, covering=[table])
    tags = None
    if labels is not None:
        from embedstore.tagging.pipeline import tag

        set_ = LabelSet.of(labels)
        tags = tag(now, set_, corpus=table.name, space=vectors.key, method=method, blank=blank, no_encode=no_encode)
    content = Content(dtype=dtype, blank=blank, bare=bare, tags=tags, reserved=entry.reserved)
    rows = Rows(now, table, vectors, content, on_progress=on_progress)
    written = found.write(rows, place, options)
    notes = (*blank_notes(rows.left_out, len(table)), *written.notes, *_notes_of(tags))
    return ExportReport(
        to=chosen,
        rows=written.rows,
        before=written.before,
        output=place,
        files=written.files,
        notes=notes,
        instead=written.instead,
    )


def _notes_of(tags: "Predictions | None") -> tuple[str, ...]:
    """Return the notes on tags, but for the one about rows without a text."""
    if tags is None:
        return ()
    blank = blank_notes(int((~tags.answered).sum()), len(tags), given="label")
    return tuple(note for note in tags.notes if note not in blank)


def _options(entry: TargetEntry, target: str, given: dict[str, object], store: str) -> TargetOptions:
    """Return the options of a target.

    Raises
    ------
    UsageError
        If it does not take one of them.
    """
    for option, value in given.items():
        if option not in entry.takes:
            able = ", ".join(name for name, other in TARGETS.items() if option in other.takes)
            raise UsageError(f"{_SPELLED[option]} goes with --to {able}, found --to {target}")
        if isinstance(value, int):
            at_least(option, value, 1)
    return TargetOptions(**{"name": store, **given})  # type: ignore[arg-type]
