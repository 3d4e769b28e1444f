"""Write the rows of one source: a Parquet file with the user's columns and the position of each row's text."""

import json
import logging
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import parquet

from embedstore.core.counts import counted
from embedstore.core.values import is_blank
from embedstore.corpora.rows import LARGE, POSITION
from embedstore.corpora.templates import Template
from embedstore.corpora.writer import TextWriter
from embedstore.errors import InputError
from embedstore.storage.gate import staged
from embedstore.storage.records import CorpusPart
from embedstore.tables import Source
from embedstore.tables.boundary import refused
from embedstore.tables.columns import notes_on
from embedstore.tables.widening import large_integers

__all__ = ["Chosen", "write_part"]

logger = logging.getLogger(__name__)

Chosen = npt.NDArray[np.int64] | None
"""Numbers of the rows to take; None for all."""


def write_part(
    root: Path,
    source: Source,
    schema: pa.Schema,
    chosen: Chosen,
    template: Template,
    writer: TextWriter,
    fingerprint: str,
) -> CorpusPart:
    """Read a source, give its texts their positions, and write its rows to a file.

    Parameters
    ----------
    root : Path
        The store.
    source : Source
        The table.
    schema : Schema
        Its columns, from its survey.
    chosen : ndarray of shape (rows,), int64, or None
        Numbers of the rows to take, ascending; None for all.
    template : Template
        How a row becomes a text.
    writer : TextWriter
        What gives texts their positions.
    fingerprint : str
        The fingerprint to record.

    Raises
    ------
    InputError
        If the source can't be read, or all of its texts are blank.
    """
    rows = empty = seen = 0
    words: Counter[str] = Counter()
    large: set[str] = set()
    stored = schema.append(pa.field(POSITION, pa.int64()))
    with staged(root, "corpora", ".parquet") as temp:
        with parquet.ParquetWriter(temp.stream, stored, compression="zstd", write_page_checksum=True) as out:
            for raw, typed in source.batches(schema):
                if chosen is not None:
                    low, high = np.searchsorted(chosen, [seen, seen + raw.num_rows])
                    here = pa.array(chosen[low:high] - seen)
                    seen += raw.num_rows
                    raw, typed = raw.take(here), typed.take(here)
                if not raw.num_rows:
                    continue
                with refused(source.name, passing=(OSError,)):  # the disk's errors are not the table's
                    texts = template.fill(raw)
                    positions = pa.array(writer.positions(texts))
                    out.write_table(pa.table([*typed.columns, positions], schema=stored))
                    empty += sum(map(is_blank, texts))
                    words += _missing_words(typed, template)
                    large |= large_integers(typed)
                rows += raw.num_rows
                del raw, typed, texts  # not kept while the next batch is read
            if large:
                out.add_key_value_metadata({LARGE: json.dumps(sorted(large))})
        if rows and empty == rows:
            raise InputError(
                f"{source.name}: found no text in {counted(rows, 'row')}: is {', '.join(template.columns)} the right "
                "column, or are its texts words such as NA (--keep-missing-words)?"
            )
        file = temp.publish(".parquet")
    if words:
        logger.warning(
            "%s: words that mean a missing value are no texts: %s; --keep-missing-words takes them as texts, --missing "
            "WORD names others",
            source.name,
            ", ".join(f"{word} ({count:,})" for word, count in words.most_common()),
        )
    return CorpusPart(file, rows, empty, source.origin, fingerprint)


def _missing_words(table: pa.Table, template: Template) -> Counter[str]:
    """Return how often each word that means a missing value is in the columns of a template."""
    import pyarrow.compute as pc

    found: Counter[str] = Counter()
    for name in set(template.columns):
        words = notes_on(table.schema.field(name)).missing
        if words:
            held = table.column(name).filter(pc.is_in(table.column(name), value_set=pa.array(words)))
            found.update(held.to_pylist())
    return found
