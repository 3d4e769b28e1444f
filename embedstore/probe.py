"""Probes: linear classifiers of frozen vectors, kept in the store, bound to their space."""

import io
import json
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.corpus import Corpus
from embedstore.errors import DamagedStoreError, SpaceMismatchError
from embedstore.joined import Joined, choices, shares
from embedstore.space import Space
from embedstore.spec import canonical_json
from embedstore.storage import files
from embedstore.storage.manifest import commit
from embedstore.storage.records import ProbeRecord
from embedstore.storage.segments import check_hash

__all__ = ["Probe", "apply", "load_probe", "save_probe"]

_HEADERS = 4096  # bytes that the headers of two arrays take at most


@dataclass(frozen=True, slots=True)
class Probe:
    """A trained linear classifier.

    Attributes
    ----------
    classes : tuple
        The target's values, sorted.
    coef : ndarray of shape (1 or classes, dim), float64
        One row for two classes, as in scikit-learn.
    intercept : ndarray of shape (1 or classes,), float64
    space : str
        Encoder key of the vectors that it was trained on.
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


def apply(probe: Probe, space: Space, corpus: Corpus, texts: int, *, all_classes: bool) -> Joined:
    """Predict every row of a corpus: each distinct text is looked at once.

    Parameters
    ----------
    probe : Probe
        Trained in `space`.
    space : Space
        The vectors.
    corpus : Corpus
        The rows.
    texts : int
        Number of texts in the store.
    all_classes : bool
        Whether to add a column with the probability of each class.
    """
    positions = corpus.positions()
    space.require(positions, corpus.name)
    wanted = np.zeros(texts, dtype=bool)
    wanted[positions] = True
    probabilities = np.zeros((texts, len(probe.classes)), dtype=np.float32)
    for block in space.blocks(wanted):
        vectors = block.vectors.astype(np.float32, copy=False)
        probabilities[block.start : block.start + len(vectors)] = probe.probabilities(vectors)
    of_rows = probabilities[positions]
    label = of_rows.argmax(axis=1)
    columns: dict[str, pa.Array] = {
        "Predicted_Labels": choices(label, probe.classes),
        "probability": pa.array(of_rows.max(axis=1)),
    }
    if all_classes:
        columns |= {f"probability_{name}": pa.array(of_rows[:, i]) for i, name in enumerate(probe.classes)}
    return Joined(corpus, columns, shares(label, probe.classes))


def save_probe(root: Path, name: str, probe: Probe) -> None:
    """Keep a probe in the store under a name, in the place of any of that name."""
    description = {
        "format_version": 1,
        "classes": list(probe.classes),
        "space": probe.space,
        **probe.description,
    }
    with files.lock(root / ".lock", exclusive=False):
        with files.staged(root / "probes", ".npz") as temp:
            np.savez(temp, coef=probe.coef, intercept=probe.intercept)
            arrays = files.publish(temp, root, ".npz")
        with files.staged(root / "probes", ".json") as temp:
            temp.write_bytes(canonical_json(description))
            described = files.publish(temp, root, ".json")
        record = ProbeRecord(arrays, described, probe.space)
        commit(root, lambda base: replace(base, probes={**base.probes, name: record}))


def load_probe(root: Path, record: ProbeRecord, space: Space) -> Probe:
    """Read a probe for use with a space.

    Raises
    ------
    SpaceMismatchError
        If it was trained on vectors of another space.
    DamagedStoreError
        If its files are not what was written.
    """
    if record.space != space.key:
        raise SpaceMismatchError(
            f"the probe was trained in space {record.space[:12]}, and this is space {space.key[:12]}: choose the space "
            f"with --space {record.space[:12]}, or train a probe here"
        )
    path = check_hash(root, record.arrays, "train the probe again")
    try:
        description = json.loads(check_hash(root, record.description, "train the probe again").read_bytes())
        content = path.read_bytes()
        with zipfile.ZipFile(io.BytesIO(content)) as members:
            claimed = sum(member.file_size for member in members.infolist())
        most = 8 * len(description["classes"]) * (space.dimension + 1) + _HEADERS
        if claimed > most:
            raise ValueError(f"its arrays claim {claimed:,} bytes, expected at most {most:,}")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            coef, intercept = arrays["coef"], arrays["intercept"]
        classes = tuple(description.pop("classes"))
        expected = 1 if len(classes) == 2 else len(classes)
        if coef.shape != (expected, space.dimension) or intercept.shape != (expected,):
            raise ValueError(f"shapes {coef.shape} and {intercept.shape}")
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DamagedStoreError(f"{path} is damaged ({error}): train the probe again") from error
    return Probe(classes, coef, intercept, record.space, description)
