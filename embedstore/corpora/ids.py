"""Ids are unique: each part of a corpus has a run of the sorted keys of its ids, and new ones are looked up there.

The key of an id is that of its text, so that 7 and "7" are one id, as they are in a column of both. Ids of other types
than texts and whole numbers are few, and are compared in memory.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from embedstore.core.counts import counted
from embedstore.core.values import value_text
from embedstore.corpora.keyed import keys_of
from embedstore.corpora.rows import Corpus
from embedstore.errors import DamagedStoreError, InputError
from embedstore.storage.derived import KeyRun
from embedstore.storage.keys import AT_ONCE, SortedKeys, altered, halves, joined, joined_run, read_run, write_run
from embedstore.storage.records import CorpusPart, CorpusRecord
from embedstore.tables.columns import is_text
from embedstore.tables.widening import widened, without_missing

__all__ = ["HELD", "LEAST", "id_keys", "with_checked_ids"]

HELD = 1 << 22
"""Number of ids in memory from which they become a run: 100 MB."""
LEAST = 1 << 12
"""Number of rows of a part from which its ids are a run; those of smaller ones are read again."""


class _Part(NamedTuple):
    record: CorpusPart
    keys: SortedKeys
    start: int
    new: bool


def with_checked_ids(corpus: Corpus, known: Sequence[CorpusPart]) -> CorpusRecord:
    """Return the record of a corpus, whose large parts have runs of their ids.

    Parameters
    ----------
    corpus : Corpus
        The corpus, with new parts; it has an id column.
    known : sequence of CorpusPart
        The parts among which ids are known to be unique.

    Raises
    ------
    InputError
        If a row has no id, or the id of another.
    """
    if not _has_keys(corpus):
        _check_in_memory(corpus)
        return corpus.record
    start, parts, unique = 0, [], set(known)
    for part in corpus.record.parts:
        record, keys = _with_keys(corpus, part)
        parts.append(_Part(record, keys, start, part not in unique))
        start += part.rows
    for number, one in enumerate(parts):
        if one.new:
            _check_alone(corpus, one)
            for at, other in enumerate(parts):
                if at < number or not other.new:
                    _check_together(corpus, one, other)
    return replace(corpus.record, parts=tuple(part.record for part in parts))


def id_keys(corpus: Corpus, part: CorpusPart) -> Iterator[SortedKeys]:
    """Yield the keys of the ids of a part, so many at once, each with its row in the part; nulls are left out."""
    name, field = corpus.record.id_column, corpus.schema.field(corpus.record.id_column)
    alone = _alone(corpus, part)
    row = 0
    for batch in alone.batches([name]):
        column = without_missing(widened(batch.column(name), alone.schema.field(name), field), field)
        ids = column.cast(pa.string()).to_pylist()
        rows = np.array([at for at, one in enumerate(ids, row) if one is not None], dtype=np.int64)
        yield SortedKeys.of(keys_of([one for one in ids if one is not None]), rows)
        row += len(ids)


def _with_keys(corpus: Corpus, part: CorpusPart) -> tuple[CorpusPart, SortedKeys]:
    """Return a part with its run, if it is large, and the keys of its ids."""
    if part.ids:
        return part, read_run(corpus.root, KeyRun(part.ids, 0, part.rows))
    held: list[SortedKeys] = []
    runs: list[KeyRun] = []
    done = count = 0
    for keys in id_keys(corpus, part):
        held.append(keys)
        count += len(keys.first)
        if count - done >= HELD:
            runs.append(write_run(corpus.root, joined(held), done))
            held, done = [], count
    if count < part.rows:
        _refuse_missing(corpus)
    if count < LEAST:
        return part, joined(held)
    if held:
        runs.append(write_run(corpus.root, joined(held), done))
    run = joined_run(corpus.root, runs) if len(runs) > 1 else runs[0]
    lasting = _has_keys(_alone(corpus, part))  # floats beside texts become texts, and could be floats again
    return replace(part, ids=run.file) if lasting else part, read_run(corpus.root, run)


def _has_keys(corpus: Corpus) -> bool:
    type_ = corpus.schema.field(corpus.record.id_column).type
    return bool(is_text(type_) or pa.types.is_integer(type_))


def _alone(corpus: Corpus, part: CorpusPart) -> Corpus:
    return Corpus(corpus.root, corpus.name, replace(corpus.record, parts=(part,)))


def _check_alone(corpus: Corpus, part: _Part) -> None:
    first = part.keys.first
    for at in range(0, len(first) - 1, AT_ONCE):
        here = slice(at, at + AT_ONCE + 1)
        alike = np.flatnonzero(np.diff(first[here]) == 0)
        if len(alike):
            places = np.unique(np.concatenate([alike, alike + 1]), return_index=True)[0] + at
            rest, rows = part.keys.rest[places], part.keys.position[places].astype(np.int64)
            order = np.lexsort((rows, rest, first[places]))
            same = (np.diff(first[places][order]) == 0) & (np.diff(rest[order]) == 0)
            if same.any():
                raise _twice(corpus, part.start + int(rows[order][1:][same].min()))


def _check_together(corpus: Corpus, one: _Part, other: _Part) -> None:
    few, many = sorted((one, other), key=lambda part: len(part.keys.first))
    for at in range(0, len(few.keys.first), AT_ONCE):
        here = slice(at, at + AT_ONCE)
        try:
            found = many.keys.find(few.keys.first[here], few.keys.rest[here])
        except ValueError as error:
            raise _altered(corpus, many) from error
        places = np.flatnonzero(found >= 0)
        if len(places):
            place = places[few.keys.position[here][places].argmin()]
            row = int(few.keys.position[here][place])
            key = (few.keys.first[here][place], few.keys.rest[here][place])
            _check_key(corpus, few, row, key)
            _check_key(corpus, many, int(found[place]), key)
            raise _twice(corpus, few.start + row)


def _check_key(corpus: Corpus, part: _Part, row: int, key: tuple[np.uint64, np.uint64]) -> None:
    """Check that the id of a row of a part has a key, or its run was altered."""
    if row < part.record.rows:
        (value,) = corpus.ids_at(np.array([part.start + row]))
        first, rest = halves(keys_of([str(value)]))
        if (first[0], rest[0]) == key:
            return
    raise _altered(corpus, part)


def _altered(corpus: Corpus, part: _Part) -> DamagedStoreError:
    return altered(corpus.root, KeyRun(part.record.ids or part.record.file, 0, part.record.rows))


def _twice(corpus: Corpus, row: int) -> InputError:
    (value,) = corpus.ids_at(np.array([row]))
    return InputError(
        f"expected ids to be unique, found {value_text(value)!r} twice in column {corpus.record.id_column!r} of corpus "
        f"{corpus.name!r}{_rows_with(corpus, value_text(value))}: choose another column, leave --id out to number "
        "the rows, or give --replace to start the corpus anew"
    )


def _rows_with(corpus: Corpus, id_: str) -> str:
    """Return where the first two rows with an id were read from."""
    found: list[str] = []
    for part in corpus.record.parts:
        start = 0
        for batch in _alone(corpus, part).batches([corpus.record.id_column]):
            for number, value in enumerate(batch.column(0).to_pylist(), start + 1):
                if value is not None and value_text(value) == id_:
                    found.append(f"row {number:,} of {part.origin or 'the rows without a file'}")
            start += batch.num_rows
        if len(found) > 1:
            break
    return f" ({' and '.join(found[:2])})" if len(found) > 1 else ""


def _refuse_missing(corpus: Corpus) -> None:
    import pyarrow.compute as pc

    ids = corpus.ids()
    row = pc.index(pc.is_null(ids), True).as_py()
    raise InputError(
        f"expected an id in every row, found none in {counted(ids.null_count, 'row')} of column "
        f"{corpus.record.id_column!r}, first in data row {row + 1}; if words such as NA are ids, give "
        "--keep-missing-words"
    )


def _check_in_memory(corpus: Corpus) -> None:
    import pyarrow.compute as pc

    ids = corpus.ids()
    if ids.null_count:
        _refuse_missing(corpus)
    if len(pc.unique(ids)) < len(ids):
        counts = pc.value_counts(ids)
        value = counts.field("values")[pc.index(pc.greater(counts.field("counts"), 1), True).as_py()]
        raise _twice(corpus, pc.index(ids, value).as_py())
