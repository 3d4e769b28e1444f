"""Probes: linear classifiers on frozen vectors, kept in the store and bound to one space."""

import io
import json
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.core.blank import Blank, blank_notes
from embedstore.core.counts import counted
from embedstore.core.masks import mask_of
from embedstore.core.names import nearest_hint
from embedstore.core.spec import canonical_json
from embedstore.errors import DamagedStoreError, NotFoundError, SpaceMismatchError
from embedstore.reports.predictions import Predictions, coded, shares_of
from embedstore.storage.gate import staged
from embedstore.storage.listed import read_file
from embedstore.storage.manifest import commit
from embedstore.storage.records import ProbeRecord
from embedstore.vectors.snapshot import Snapshot
from embedstore.vectors.space import Space

__all__ = ["Probe", "load_probe", "predict", "save_probe"]

_HEADERS = 4096  # upper limit for the headers of two arrays, in bytes


@dataclass(frozen=True, slots=True)
class Probe:
    """A trained linear classifier.

    Attributes
    ----------
    classes : tuple
        The target's values, sorted.
    coef : ndarray of shape (1 or classes, dim), float64
        Weights; one row for two classes, as in scikit-learn.
    intercept : ndarray of shape (1 or classes,), float64
    space : str
        Encoder key of the training vectors.
    description : dict
        Target, corpora, options, figures.
    """

    classes: tuple[Any, ...]
    coef: npt.NDArray[np.float64]
    intercept: npt.NDArray[np.float64]
    space: str
    description: dict[str, Any]

    def probabilities(self, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the probability of each class for each row, shape (n, classes)."""
        decision = vectors @ self.coef.T + self.intercept
        if len(self.classes) == 2:
            positive = 1 / (1 + np.exp(-np.clip(decision[:, 0], -700, 700)))
            return np.stack([1 - positive, positive], axis=1)
        odds = np.exp(decision - decision.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def predict(
    now: Snapshot,
    probe: str,
    *,
    corpus: str | None = None,
    space: str | None = None,
    scores: bool = False,
    blank: Blank = "skip",
) -> Predictions:
    """Apply a probe to every row of a corpus.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    probe : str
        Name of the probe.
    corpus : str, optional
        Name of the corpus; by default the only corpus, or ``train``.
    space : str, optional
        Key or model of the vectors; by default the probe's own space.
    scores : bool
        Add a column with the probability of each class.
    blank : {"skip", "answer"}
        Whether rows with a blank text get null in the new columns, or are predicted like others.

    Returns
    -------
    Predictions
        The rows and columns of the corpus, then ``Predicted_Labels`` and ``probability``.

    Raises
    ------
    NotFoundError
        If no probe has this name.
    SpaceMismatchError
        If the probe was trained in another space than `space`.
    """
    known = now.manifest.probes
    if probe not in known:
        raise NotFoundError(f"{now.root} has no probe {probe!r}: {nearest_hint(probe, list(known))}")
    vectors = now.space(space or known[probe].space)
    trained = load_probe(now.root, known[probe], vectors)
    table = now.corpus(corpus)
    vectors.require(table.positions(), table.name)
    answered = now.texts.answerable(table.positions(), blank)
    of_rows = _probabilities(trained, vectors, table.positions()[answered])
    label = of_rows.argmax(axis=1)
    columns: dict[str, pa.Array] = {
        "Predicted_Labels": coded(label, trained.classes),
        "probability": pa.array(of_rows.max(axis=1)),
    }
    if scores:
        columns |= {f"probability_{name}": pa.array(of_rows[:, i]) for i, name in enumerate(trained.classes)}
    title = f"{now.name}: {table.name} by probe {probe}"
    notes = blank_notes(len(table) - len(of_rows), len(table), labelled=True)
    shares = shares_of(label, trained.classes)
    return Predictions(table, columns, shares, notes=notes, title=title, answered=answered)


def _probabilities(probe: Probe, space: Space, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return the probability of each class at each position, shape (n, classes); each distinct text is scored once."""
    wanted = mask_of(positions, len(space.texts))
    probabilities = np.zeros((len(space.texts), len(probe.classes)), dtype=np.float32)
    for block in space.blocks(wanted):
        vectors = block.vectors.astype(np.float32, copy=False)
        probabilities[block.start : block.start + len(vectors)] = probe.probabilities(vectors)
    return probabilities[positions]


def save_probe(now: Snapshot, name: str, probe: Probe) -> None:
    """Save a probe in the store; a probe with the same name is replaced."""
    description = {
        "format_version": 1,
        "classes": list(probe.classes),
        "space": probe.space,
        **probe.description,
    }
    root = now.root
    with now.writing():
        with staged(root, "probes", ".npz") as temp:
            np.savez(temp.stream, coef=probe.coef, intercept=probe.intercept)
            arrays = temp.publish(".npz")
        with staged(root, "probes", ".json") as temp:
            temp.stream.write(canonical_json(description))
            described = temp.publish(".json")
        record = ProbeRecord(arrays, described, probe.space)
        commit(root, lambda base: replace(base, probes={**base.probes, name: record}))


def load_probe(root: Path, record: ProbeRecord, space: Space) -> Probe:
    """Read a probe for use with a space.

    Raises
    ------
    SpaceMismatchError
        If the probe was trained in another space.
    DamagedStoreError
        If the probe's files were altered.
    """
    if record.space != space.key:
        raise SpaceMismatchError(
            f"the probe was trained in space {record.space[:12]}, and this is space {space.key[:12]}: choose the space "
            f"with --space {record.space[:12]}, or train a probe here"
        )
    path = root / record.arrays.path
    content = read_file(root, record.arrays, "train the probe again")
    try:
        description = json.loads(read_file(root, record.description, "train the probe again"))
        with zipfile.ZipFile(io.BytesIO(content)) as members:
            claimed = sum(member.file_size for member in members.infolist())
        most = 8 * len(description["classes"]) * (space.dimension + 1) + _HEADERS
        if claimed > most:
            raise ValueError(f"its arrays claim {counted(claimed, 'byte')}, expected at most {most:,}")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            coef, intercept = arrays["coef"], arrays["intercept"]
        classes = tuple(description.pop("classes"))
        expected = 1 if len(classes) == 2 else len(classes)
        if coef.shape != (expected, space.dimension) or intercept.shape != (expected,):
            raise ValueError(f"shapes {coef.shape} and {intercept.shape}")
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DamagedStoreError(f"{path} is damaged ({error}): train the probe again") from error
    return Probe(classes, coef, intercept, record.space, description)
