"""Which rows have another tag when labels change, and how many."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.desk.tagged import Tagged

__all__ = ["changed_rows", "changes"]


def changed_rows(before: Tagged, after: Tagged, renamed: Mapping[str, str]) -> npt.NDArray[np.bool_]:
    """Return which rows have another tag than before, shape (rows,); a row without a text has none.

    Parameters
    ----------
    before, after : Tagged
        The tags of the same rows by two label sets.
    renamed : mapping of str to str
        The present name of an earlier label; "" for one that is gone. Other labels keep their names.
    """
    same = _same_label(before, after, renamed)
    tagged = (before.codes >= 0) & (after.codes >= 0)
    found: npt.NDArray[np.bool_] = tagged & ~same[before.codes, after.codes]
    return found


def changes(before: Tagged, after: Tagged, renamed: Mapping[str, str]) -> dict[str, Any]:
    """Count the rows for each pair of tags.

    Parameters
    ----------
    before, after, renamed
        As in `changed_rows`.

    Returns
    -------
    dict
        ``before``, ``after`` (labels), ``counts`` (before by after), ``rows`` (with a text) and ``moved`` (with another
        tag).
    """
    names, present = before.labels.names, after.labels.names
    tagged = (before.codes >= 0) & (after.codes >= 0)
    cells = before.codes[tagged].astype(np.int64) * len(present) + after.codes[tagged]
    counts = np.bincount(cells, minlength=len(names) * len(present)).reshape(len(names), len(present))
    moved = int(counts[~_same_label(before, after, renamed)].sum())
    return {
        "before": list(names),
        "after": list(present),
        "counts": counts.tolist(),
        "rows": int(counts.sum()),
        "moved": moved,
    }


def _same_label(before: Tagged, after: Tagged, renamed: Mapping[str, str]) -> npt.NDArray[np.bool_]:
    """Return whether each earlier label is each present one, shape (before, after)."""
    present = np.array([renamed.get(name, name) for name in before.labels.names], dtype=object)
    found: npt.NDArray[np.bool_] = present[:, None] == np.array(after.labels.names, dtype=object)
    return found
