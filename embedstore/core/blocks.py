"""Slices of rows whose scores are computed together, so that memory does not grow with rows times labels."""

from collections.abc import Iterator

__all__ = ["row_blocks"]

_BYTES = 1 << 25  # of one float64 matrix of scores; a few of them exist at a time
_STEP = 64  # a BLAS computes rows in groups: with whole groups a row has the same result in any block


def row_blocks(rows: int, columns: int) -> Iterator[slice]:
    """Yield consecutive slices of rows; a matrix of float64 with a block's rows has at most 32 MB, or 64 rows.

    Parameters
    ----------
    rows : int
        The number of all rows.
    columns : int
        The number of scores of each row.

    Examples
    --------
    >>> list(row_blocks(200_000, 50_000))[-1]
    slice(199936, 200000, None)
    """
    size = max(_STEP, _BYTES // (8 * max(1, columns)) // _STEP * _STEP)
    yield from (slice(start, min(start + size, rows)) for start in range(0, rows, size))
