"""Rows as the desk lists them, and as it colours them."""

from collections import Counter
from itertools import compress
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.core.cells import plain_values
from embedstore.core.values import value_text
from embedstore.corpora.rows import Corpus
from embedstore.corpora.selected import SelectedCorpus
from embedstore.desk.labelling import answers_of
from embedstore.desk.lens import Lens
from embedstore.desk.selecting import Selection
from embedstore.desk.tagged import Tagged
from embedstore.reports.map_page import groups_of
from embedstore.vectors.snapshot import Snapshot

__all__ = ["LONGEST", "groups", "listed"]

LONGEST = 2_000
"""Most characters of a text, and of a cell, in a list."""

_COLOURS = 11  # values of a column with a colour of their own; others share one


def listed(now: Snapshot, table: Corpus, part: Selection, lens: Lens, tags: Tagged | None) -> list[dict[str, Any]]:
    """Return rows as dicts of JSON values; see `Desk.rows`."""
    positions = table.positions()[part.rows]
    texts = now.texts.at(positions)
    keys = now.texts.keys_at(positions)
    answers = answers_of(now, keys, lens.choice) if lens.labels else {}
    order = np.argsort(part.rows)
    cells = SelectedCorpus(table, part.rows[order]).table()
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    columns = {name: [value_text(one) for one in plain_values(cells.column(name))] for name in cells.column_names}
    rows = []
    for number, (row, id_, text) in enumerate(zip(part.rows.tolist(), table.ids_at(part.rows), texts, strict=True)):
        one: dict[str, Any] = {"row": row, "id": value_text(id_), "text": text[:LONGEST], "length": len(text)}
        one["key"] = keys[number]
        one["columns"] = {name: values[place[number]][:LONGEST] for name, values in columns.items()}
        if part.scores is not None:
            one["similarity"] = round(float(part.scores[number]), 6)
        if tags is not None and tags.codes[row] >= 0:
            one["tag"] = tags.labels.names[tags.codes[row]]
            one |= {name: tags.columns[name][row].as_py() for name in ("score", "margin")}
        if keys[number] in answers:
            said = answers[keys[number]]
            one |= {"answers": said.by, "agreed": said.agreed}
        rows.append(one)
    return rows


def groups(column: pa.ChunkedArray) -> tuple[tuple[str, ...], npt.NDArray[np.int16]]:
    """Return the groups by which rows are coloured, and the number of each row's group; -1 for a row without a value.

    Numbers are in order, in ranges if there are many; of other columns the most frequent values have a group each.
    """
    missing = column.is_null().to_numpy()
    names, order = groups_of(column)
    if not order:
        counts = Counter(compress(names, ~missing))
        order = tuple(sorted(counts, key=lambda name: (-counts[name], name))[:_COLOURS])
    number = {name: place for place, name in enumerate(order)}
    rest = len(order)
    codes = np.array([number.get(name, rest) for name in names], dtype=np.int16)
    codes[missing] = -1
    return (*order, "(others)") if (codes == rest).any() else order, codes
