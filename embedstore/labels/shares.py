"""Known shares of labels: how many of the texts have each label, where somebody knows that."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from embedstore.core.checks import as_number
from embedstore.errors import UsageError

__all__ = ["completed_shares", "known_shares", "written_share"]

_OFF = 0.02  # how far the sum of all shares may be from 1
_LEAST = 1e-6  # estimated share of a label that no text seems to have


def known_shares(given: Mapping[str, float], names: Sequence[str]) -> tuple[float | None, ...]:
    """Return the known share of each label, None for an unknown one; an empty tuple if none is known.

    Parameters
    ----------
    given : mapping of str to float
        The share of some of the labels, or of all.
    names : sequence of str
        All labels.

    Raises
    ------
    UsageError
        If a label is unknown, a share is not above 0, or the shares can't add up to 1.

    Examples
    --------
    >>> known_shares({"Good": 0.8}, ["Bad", "Good", "Mixed"])
    (None, 0.8, None)
    """
    unknown = [name for name in given if name not in names]
    if unknown:
        raise UsageError(f"expected shares of the labels {', '.join(names)}, found the unknown {unknown[0]!r}")
    found = {name: as_number(f"the share of {name!r}", share) for name, share in given.items()}
    shown = ", ".join(map(str, found.values()))
    missing = [name for name in names if name not in found]
    total = sum(found.values())
    if found and not missing and not (min(found.values()) > 0 and abs(total - 1) <= _OFF):  # NaN fails both tests
        raise UsageError(f"expected shares above 0 that add up to 1, such as 0.2 and 0.8, found {shown}")
    if found and missing and not (min(found.values()) > 0 and total < 1):
        raise UsageError(
            f"expected shares above 0 that leave something for {missing[0]!r}, found {shown}: lower them, or give all"
        )
    return tuple(found.get(name) for name in names) if found else ()


def written_share(text: str) -> float:
    """Return a share as people write it; a `ValueError` if it is none.

    Examples
    --------
    >>> written_share("0.25"), written_share("25%")
    (0.25, 0.25)
    """
    return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)


def completed_shares(known: Sequence[float | None], estimated: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return a share for each label: labels of unknown share divide what is left as they do in an estimate.

    Parameters
    ----------
    known : sequence of float or None
        The known share of each label, as `known_shares` returns them.
    estimated : ndarray of shape (labels,), float64
        Estimated share of each label.

    Returns
    -------
    ndarray of shape (labels,), float64

    Examples
    --------
    >>> completed_shares((0.4, None, None), np.array([0.7, 0.2, 0.1])).round(3).tolist()
    [0.4, 0.4, 0.2]
    """
    found = np.array([np.nan if one is None else one for one in known], dtype=np.float64)
    unknown = np.isnan(found)
    if unknown.any():
        parts = np.maximum(estimated[unknown], _LEAST)
        found[unknown] = (1 - np.nansum(found)) * parts / parts.sum()
    return found
