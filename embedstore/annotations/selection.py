"""The rows of a corpus that fulfil a condition on its columns, and on what people said of them."""

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.annotations.column import ANNOTATIONS, answered_rows, is_annotations
from embedstore.annotations.log import current_answers
from embedstore.core.counts import counted
from embedstore.core.names import nearest_hint
from embedstore.core.values import clip
from embedstore.corpora.rows import POSITION, Corpus
from embedstore.corpora.selected import SelectedCorpus
from embedstore.errors import InputError
from embedstore.tables.condition import Condition
from embedstore.tables.widening import without_missing
from embedstore.vectors.snapshot import Snapshot

__all__ = ["column_of", "numbers_where", "rows_where"]


def rows_where(now: Snapshot, table: Corpus, condition: Condition) -> SelectedCorpus:
    """Return the rows of a corpus that fulfil a condition.

    A word that means a missing value is null. If the corpus has no column of that name, ``annotations`` is the label
    that people gave to a row, null where nobody did; see `with_annotations`.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    table : Corpus
        The corpus.
    condition : Condition
        The condition.

    Raises
    ------
    InputError
        If there is no such column, or no such row.
    UsageError
        If the condition can't be evaluated on these columns.
    """
    chosen = numbers_where(now, table, condition)
    if not len(chosen):
        raise InputError(
            f"no row of {counted(len(table), 'row')} of corpus {table.name!r} fulfils {clip(condition.expression, 80)}"
        )
    return SelectedCorpus(table, chosen)


def numbers_where(
    now: Snapshot, table: Corpus, condition: Condition, *, more: Mapping[str, pa.ChunkedArray] | None = None
) -> npt.NDArray[np.int64]:
    """Return the numbers of the rows that fulfil a condition, ascending: shape (n,), int64.

    Parameters
    ----------
    now, table, condition
        See `rows_where`.
    more : mapping of str to ChunkedArray, optional
        Further columns, one value for each row; they are used for names that the corpus does not have.
    """
    several = more is None and len(now.manifest.corpora) > 1  # `more` is known of one corpus alone
    more = more or {}
    names = list(dict.fromkeys(_known(table, name, more, several=several) for name in condition.names))
    if condition.every_column:
        names += [name for name in table.schema.names if name not in names]
    own = [name for name in names if name in table.schema.names]
    said = {name: column_of(now, table, name, more=more) for name in names if name not in own}
    condition.mask(_with(table.schema.empty_table().select(own), said, 0))  # a corpus without rows has errors too
    found, start = [np.empty(0, dtype=np.int64)], 0
    for batch in table.batches(own):
        rows = batch.drop_columns([POSITION])
        for place, name in enumerate(own):
            rows = rows.set_column(place, name, without_missing(rows.column(place), table.schema.field(name)))
        found.append(start + np.flatnonzero(condition.mask(_with(rows, said, start))))
        start += batch.num_rows
    return np.concatenate(found)


def column_of(
    now: Snapshot, table: Corpus, name: str, *, more: Mapping[str, pa.ChunkedArray] | None = None
) -> pa.ChunkedArray:
    """Return a column of the corpus, of `more`, or what people said; see `numbers_where`.

    Raises
    ------
    InputError
        If there is no such column.
    """
    more = more or {}
    known = _known(table, name, more)
    if known in table.schema.names:
        return table.column(known)
    return more[known] if known in more else _said(now, table, known)


def _with(rows: pa.Table, said: dict[str, pa.ChunkedArray], start: int) -> pa.Table:
    """Return rows of a corpus from `start` on with the columns of annotations."""
    for name, column in said.items():
        rows = rows.append_column(name, column.slice(start, rows.num_rows))
    return rows


def _known(table: Corpus, name: str, more: Collection[str], *, several: bool = False) -> str:
    """Return the column that a name means: SQL does not tell upper from lower case where there is only one such."""
    names: list[str] = [*table.schema.names, *more]
    if name in names or is_annotations(name):
        return name
    alike = [one for one in names if one.casefold() == name.casefold()]
    if len(alike) == 1:
        return alike[0]
    if name.casefold() == ANNOTATIONS:
        return ANNOTATIONS
    if alike:
        raise InputError(
            f"corpus {table.name!r} has more than one column called {name!r} in upper or lower case: write one of "
            f"{', '.join(alike)} as it is, in double quotes"
        )
    raise InputError(
        f"corpus {table.name!r} has no column {name!r}: {nearest_hint(name, names)}; "
        "write a text in single quotes ('kettle'), and the name of a column with a space in double ones"
        + ("; --corpus NAME asks one corpus alone" if several else "")
    )


def _said(now: Snapshot, table: Corpus, name: str) -> pa.ChunkedArray:
    """Return the annotations of each row as a column, shape (rows,); null where there is none."""
    several = all(answer.choice.several for answer in current_answers(now))
    column = answered_rows(now, table, called=name.partition(":")[2], several=several)
    return pa.chunked_array([pa.nulls(len(table), pa.string())]) if column is None else column
