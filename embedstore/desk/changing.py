"""Which rows have another tag when labels change, and how many."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.desk.tagged import Tagged

__all__ = ["changed_rows", "changes"]


def changed_rows(before: Tagged, after: Tagged, renamed: Mapping[str, str]) -> npt.NDArray[np.bool_]:
    """Return which rows have another tag than before, shape (rows,); a row without a text has none.

    A row that is untagged because of its confidence counts as if that were a label.

    Parameters
    ----------
    before, after : Tagged
        The tags of the same rows by two label sets.
    renamed : mapping of str to str
        The present name of an earlier label; "" for one that is gone. Other labels keep their names.
    """
    found: npt.NDArray[np.bool_] = ~_same_tag(before, after, renamed)[before.codes, after.codes]  # -1 is the last
    return found & before.has_text & after.has_text


def changes(before: Tagged, after: Tagged, renamed: Mapping[str, str]) -> dict[str, Any]:
    """Count the rows for each pair of tags.

    Parameters
    ----------
    before, after, renamed
        As in `changed_rows`.

    Returns
    -------
    dict
        ``before``, ``after`` (labels), ``counts`` (before by after; the last line and column are rows without a tag),
        ``rows`` (with a text) and ``moved`` (with another tag).
    """
    names, present = before.labels.names, after.labels.names
    lines, columns = len(names) + 1, len(present) + 1
    texts = before.has_text & after.has_text
    cells = (before.codes[texts].astype(np.int64) % lines) * columns + after.codes[texts] % columns
    counts = np.bincount(cells, minlength=lines * columns).reshape(lines, columns)
    moved = int(counts[~_same_tag(before, after, renamed)].sum())
    return {
        "before": list(names),
        "after": list(present),
        "counts": counts.tolist(),
        "rows": int(counts.sum()),
        "moved": moved,
    }


def _same_tag(before: Tagged, after: Tagged, renamed: Mapping[str, str]) -> npt.NDArray[np.bool_]:
    """Return whether each earlier label is each present one, shape (before + 1, after + 1); the last ones are none."""
    earlier = [*(renamed.get(name, name) for name in before.labels.names), None]
    present = np.array([*after.labels.names, None], dtype=object)
    found: npt.NDArray[np.bool_] = np.array(earlier, dtype=object)[:, None] == present
    return found
