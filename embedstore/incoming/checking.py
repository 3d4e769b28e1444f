"""Compare given vectors with each other, with those of the store, and with what the model makes of their texts."""

import numpy as np
import numpy.typing as npt

from embedstore.core.counts import counted, form
from embedstore.core.unit import cosines
from embedstore.core.values import clip
from embedstore.encoders import Encoder
from embedstore.errors import InputError, ModelRequiredError, SpaceMismatchError
from embedstore.incoming.reading import Given
from embedstore.vectors.canaries import SAME_COSINE
from embedstore.vectors.snapshot import Snapshot
from embedstore.vectors.space import Space

__all__ = ["check_all_rows", "check_model", "check_repeats", "check_stored", "check_whole_segments"]

_AT_ONCE = 4096  # pairs of vectors
_SAME_LENGTH = 0.01  # bfloat16 has eight bits, so lengths differ by less
_SHOWN = 40  # characters of a text

Floats = npt.NDArray[np.float32]


def _differing(these: Floats, those: Floats) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return the cosine of each pair, and which are of different directions or lengths."""
    found = cosines(these, those)
    lengths = np.linalg.norm(these.astype(np.float64), axis=1), np.linalg.norm(those.astype(np.float64), axis=1)
    return found, ~(found >= SAME_COSINE) | (np.abs(lengths[0] - lengths[1]) > _SAME_LENGTH * lengths[1])


def check_repeats(given: Given, *, normalized: bool) -> None:
    """Raise an `InputError` if two rows have the same text, which is not blank, and different vectors."""
    firsts = given.texts.position[given.places]
    repeated = np.flatnonzero((firsts != np.arange(len(firsts))) & ~given.blank)
    for start in range(0, len(repeated), _AT_ONCE):
        rows = repeated[start : start + _AT_ONCE]
        these, those = given.at(rows, normalized=normalized), given.at(firsts[rows], normalized=normalized)
        found, wrong = _differing(these, those)
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            raise InputError(
                f"{given.named(int(firsts[rows[at]]), int(rows[at]))} have the same text and different vectors (cosine "
                f"{found[at]:.4f}): a text has one vector, so make them again or leave one row out"
            )


def check_stored(space: Space, given: Given, positions: npt.NDArray[np.int64]) -> int:
    """Compare given vectors with those that a space has already; return the number of texts that have one.

    Parameters
    ----------
    space : Space
        The space.
    given : Given
        The vectors.
    positions : ndarray of shape (n,), int64
        The position in the store of each distinct text, -1 if it is new.

    Raises
    ------
    SpaceMismatchError
        If a vector differs from the stored one of the same text.
    """
    known = np.flatnonzero(positions >= 0)
    known = known[space.holds(positions[known])]
    compared = known[~given.blank[given.texts.position[known]]]
    for start in range(0, len(compared), _AT_ONCE):
        some = compared[start : start + _AT_ONCE]
        rows = given.texts.position[some]
        found, wrong = _differing(given.at(rows, normalized=space.spec.normalized), space.at(positions[some]))
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            raise SpaceMismatchError(
                f"{given.named(int(rows[at]))} has another vector than the store has for the same text in the space "
                f"{space.record.model!r} (cosine {found[at]:.4f}, expected {SAME_COSINE}): nothing was imported; take "
                "a store of its own"
            )
    return len(known)


def check_all_rows(given: Given) -> None:
    """Raise a `ModelRequiredError` if a row has no vector, as no model is there to make it."""
    left = given.rows_read - len(given.places)
    if left:
        raise ModelRequiredError(
            f"{counted(left, 'row')} of {given.rows_read:,} {form(left, 'has', 'have')} no vector in {given.file}, and "
            f"no model is there to make {form(left, 'it', 'them')}: leave {form(left, 'this row', 'these rows')} out, "
            "or import where the model is; rows without a text have a vector in `export --blank answer`"
        )


def check_whole_segments(now: Snapshot, key: str, positions: npt.NDArray[np.int64]) -> None:
    """Raise a `ModelRequiredError` if vectors without a model would fill a text segment only in part.

    Parameters
    ----------
    now : Snapshot
        The state of the store before its rows are added.
    key : str
        The key of the space.
    positions : ndarray of shape (n,), int64
        The position of each distinct text, -1 if it is new.
    """
    held = now.manifest.spaces[key].segments if key in now.manifest.spaces else {}
    for segment, here, _ in now.texts.owners(positions):
        if segment.file.sha256 not in held and len(here) < segment.count:
            left = segment.count - len(here)
            raise ModelRequiredError(
                f"{counted(len(here), 'text')} of the file {form(len(here), 'is', 'are')} in the store already, "
                f"together with {counted(left, 'text')} for which there is no vector and no model: import into a "
                "store of its own"
            )


def check_model(given: Given, encoder: Encoder, model: str) -> float:
    """Encode the sample again, and return the lowest cosine to the given vectors.

    Raises
    ------
    SpaceMismatchError
        If a vector has another length or another direction.
    """
    advice = (
        "check --model and the options that the vectors were made with (--pooling, --prompt, --max-seq-length, "
        "--normalize, --truncate-dim), or import them unproven with --no-encode"
    )
    if given.vectors.shape[1] != encoder.dimension:
        raise SpaceMismatchError(
            f"the vectors{f' of {given.file}' if given.file else ''} have "
            f"{counted(given.vectors.shape[1], 'dimension')}, and those of {model} have {encoder.dimension:,}: {advice}"
        )
    if not given.sample:
        return 1.0
    rows = np.array([row for row, _ in given.sample])
    made = encoder.encode([text for _, text in given.sample])
    found, wrong = _differing(given.at(rows, normalized=encoder.spec.normalized), made)
    if wrong.any():
        worst = int(np.argmin(np.where(wrong, found, 2.0)))
        row, text = given.sample[worst]
        lengths = "" if found[worst] < SAME_COSINE else ", of another length"
        raise SpaceMismatchError(
            f"the vectors are not those of {model}: of {counted(len(rows), 'text')} encoded again, "
            f"{np.count_nonzero(wrong):,} {form(int(np.count_nonzero(wrong)), 'comes', 'come')} out otherwise, worst "
            f"{given.named(row)} ({clip(text, _SHOWN)!r}, cosine {found[worst]:.4f}{lengths}, expected {SAME_COSINE}); "
            f"nothing was imported: {advice}"
        )
    return float(found.min())
