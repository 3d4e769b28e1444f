"""Count the values of a column in all rows and in those that are shown."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.core.cells import spelled
from embedstore.core.values import clip

__all__ = ["count_values"]

_MOST = 30  # values that are listed
_RANGES = 12  # of numbers
_TINY = 1e-300  # steps below it are not rounded
_EXACT = 1e15  # multiples of a step above it are not exact
_PLAIN = (1e-4, 1e10)  # numbers that are written without an exponent


def count_values(column: pa.ChunkedArray, rows: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Return how often each value of a column stands in all rows, and in some rows.

    Numbers of more than 30 values are counted in at most 13 ranges of equal width between round numbers, from the 1st
    to the 99th percentile; the first and the last hold what lies outside, and NaN is in none. Of other columns the 30
    most frequent values are listed.

    Parameters
    ----------
    column : ChunkedArray
        The column, one value for each row of the corpus.
    rows : ndarray of shape (n,), int64
        The rows that are shown.

    Returns
    -------
    dict
        ``kind``: "numbers" or "values". ``bins``: a list with ``name``, ``all``, ``shown``, and for numbers ``low`` and
        ``high`` (``low <= value < high``; None: no bound). ``missing`` and ``others``: counts in all rows and in those
        shown, of rows without a value and of rows with a value that is not listed.
    """
    import pyarrow.compute as pc

    mask = np.zeros(len(column), dtype=bool)
    mask[rows] = True
    gone = column.is_null().to_numpy()
    missing = {"all": int(gone.sum()), "shown": int((gone & mask).sum())}
    numeric = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    if numeric and len(pc.unique(column)) > _MOST:
        values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        unknown = np.isnan(values) & ~gone
        others = _pair(unknown.sum(), (unknown & mask).sum())
        return {"kind": "numbers", "bins": _ranges(values, mask), "missing": missing, "others": others}
    texts = column.combine_chunks() if pa.types.is_string(column.type) else spelled(column)
    coded = texts.dictionary_encode()
    names: list[str] = coded.dictionary.to_pylist()
    codes = coded.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)
    everything = np.bincount(codes, minlength=len(names) + 1)[: len(names)]
    here = np.bincount(codes[mask], minlength=len(names) + 1)[: len(names)]
    order = np.argsort(-everything, kind="stable")
    if numeric:
        order = np.array(sorted(order, key=lambda code: _in_order(names[code])), dtype=np.int64)
    first = order[:_MOST]
    bins = [{"name": clip(names[code], 200), **_pair(everything[code], here[code])} for code in first]
    others = _pair(everything[order[_MOST:]].sum(), here[order[_MOST:]].sum())
    return {"kind": "values", "bins": bins, "missing": missing, "others": others}


def _ranges(values: npt.NDArray[np.float64], mask: npt.NDArray[np.bool_]) -> list[dict[str, Any]]:
    finite = np.sort(values[np.isfinite(values)])
    low, high = finite[[len(finite) // 100, -1 - len(finite) // 100]] if len(finite) else (0.0, 1.0)
    high = high if high > low else low + 1
    edges = _edges(float(low), float(high))
    known = ~np.isnan(values)
    place = np.searchsorted(edges, values[known], side="right")
    everything = np.bincount(place, minlength=len(edges) + 1)
    here = np.bincount(place[mask[known]], minlength=len(edges) + 1)
    ends = [None, *edges.tolist(), None]
    return [
        {"name": _named(ends[i], ends[i + 1]), "low": ends[i], "high": ends[i + 1], **_pair(everything[i], here[i])}
        for i in range(len(edges) + 1)
    ]


def _edges(low: float, high: float) -> npt.NDArray[np.float64]:
    """Return the bounds of at most 12 ranges between two numbers: multiples of 1, 2 or 5 times a power of ten."""
    rough = high / _RANGES - low / _RANGES  # `high - low` can be infinite
    power = 10.0 ** math.floor(math.log10(rough)) if rough > _TINY else 0.0
    step = next((size * power for size in (1.0, 2.0, 5.0, 10.0) if size * power >= rough), 0.0)
    first, last = (math.floor(low / step) + 1, math.ceil(high / step) - 1) if step else (0, -1)
    if first > last or abs(first) + abs(last) > _EXACT:
        share = np.arange(1, _RANGES) / _RANGES
        return np.unique(low * (1 - share) + high * share)
    decimals = max(0, -math.floor(math.log10(power)))
    return np.unique(np.round(np.arange(first, last + 1) * step, min(decimals, 300)))


def _in_order(name: str) -> tuple[bool, float]:
    """Return what numbers are sorted by: their value, NaN last."""
    number = float(name)
    return math.isnan(number), number


def _named(low: float | None, high: float | None) -> str:
    if low is None:
        return f"below {_written(high)}"
    return f"{_written(low)} and more" if high is None else f"{_written(low)} to {_written(high)}"


def _written(number: float | None) -> str:
    assert number is not None, "a range has a bound"
    return f"{number:,.10g}" if _PLAIN[0] <= abs(number) < _PLAIN[1] or number == 0 else f"{number:.4g}"


def _pair(everything: Any, here: Any) -> dict[str, int]:
    return {"all": int(everything), "shown": int(here)}
