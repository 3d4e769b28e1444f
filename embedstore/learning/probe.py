"""Probes: linear classifiers on frozen vectors, kept in the store and bound to one space."""

import io
import json
import math
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numpy.lib import format as npy_format

from embedstore.core.blank import Blank, blank_notes
from embedstore.core.blocks import row_blocks
from embedstore.core.cells import array_of
from embedstore.core.counts import counted
from embedstore.core.masks import mask_of
from embedstore.core.names import nearest_hint
from embedstore.core.parsing import first_line
from embedstore.core.spec import canonical_json
from embedstore.errors import DamagedStoreError, NotFoundError, SpaceMismatchError
from embedstore.reports.predictions import Predictions, coded, shares_of
from embedstore.storage.gate import staged
from embedstore.storage.listed import read_file
from embedstore.storage.manifest import commit
from embedstore.storage.records import ProbeRecord
from embedstore.vectors.snapshot import Snapshot
from embedstore.vectors.space import Space

__all__ = ["Probe", "load_probe", "predict", "read_probe", "save_probe"]

_HEADER = 2048  # upper limit for the header of an array, in bytes


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

    def best(self, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
        """Return the number of the most probable class of each row, shape (n,)."""
        blocks = row_blocks(len(vectors), len(self.classes))
        return np.concatenate(
            [np.empty(0, dtype=np.intp), *(self.probabilities(vectors[here]).argmax(axis=1) for here in blocks)]
        )

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
    found = _predicted(trained, vectors, table.positions()[answered], scores=scores)
    columns: dict[str, pa.Array] = {
        "Predicted_Labels": coded(found.label, trained.classes),
        "probability": pa.array(found.probability),
    }
    columns |= {f"probability_{name}": pa.array(of) for name, of in zip(trained.classes, found.scores, strict=False)}
    title = f"{now.name}: {table.name} by probe {probe}"
    notes = blank_notes(len(table) - len(found.label), len(table), given="label")
    shares = shares_of(found.label, trained.classes)
    return Predictions(table, columns, shares, notes=notes, title=title, answered=answered)


@dataclass(frozen=True, slots=True)
class _Predicted:
    """The best class of some rows, shape (n,), its probability, and a row for each class, shape (classes or 0, n)."""

    label: npt.NDArray[np.int32]
    probability: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]


def _predicted(probe: Probe, space: Space, positions: npt.NDArray[np.int64], *, scores: bool) -> _Predicted:
    """Predict the text at each position; each distinct text is scored once, a block at a time."""
    order = np.argsort(positions, kind="stable")
    ordered, row = positions[order], 0
    found = _Predicted(
        np.empty(len(positions), dtype=np.int32),
        np.empty(len(positions), dtype=np.float32),
        np.empty((len(probe.classes) if scores else 0, len(positions)), dtype=np.float32),
    )
    for block in space.blocks(mask_of(positions, len(space.texts))):
        for here in row_blocks(len(block.vectors), len(probe.classes)):
            end = int(np.searchsorted(ordered, block.start + here.stop))
            if end > row:
                vectors = block.vectors[here].astype(np.float32, copy=False)
                probabilities = probe.probabilities(vectors).astype(np.float32)
                rows, texts = order[row:end], ordered[row:end] - (block.start + here.start)
                best = probabilities.argmax(axis=1)
                found.label[rows] = best[texts]
                found.probability[rows] = probabilities.max(axis=1)[texts]
                for number, of_class in enumerate(found.scores):
                    of_class[rows] = probabilities[texts, number]
            row = end
    return found


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
    advice = "train the probe again"
    arrays, described = (
        (root / file.path, read_file(root, file, advice)) for file in (record.arrays, record.description)
    )
    return read_probe(arrays, described, space=space.key, dimension=space.dimension)


def read_probe(arrays: tuple[Path, bytes], described: tuple[Path, bytes], *, space: str, dimension: int) -> Probe:
    """Read a probe from its two files.

    Parameters
    ----------
    arrays, described : tuple of path and bytes
        The name and content of the npz file with its arrays, and of the JSON file with its description.
    space : str
        Encoder key of the training vectors.
    dimension : int
        The length of these vectors.

    Raises
    ------
    DamagedStoreError
        If the files are not those of a probe; nothing is read that is larger than its arrays can be.
    """
    path, content = described
    try:
        description = json.loads(content)
        classes = _classes(description.pop("classes"))
        path, content = arrays
        rows = 1 if len(classes) == 2 else len(classes)
        coef, intercept = _arrays(content, rows, dimension)
    except Exception as error:  # of JSON, zipfile, zlib, NumPy and Arrow
        raise DamagedStoreError(f"{path} is damaged ({first_line(error)}): train the probe again") from error
    return Probe(classes, coef, intercept, space, description)


def _classes(values: Any) -> tuple[Any, ...]:
    """Return the classes of a description, after a check that they are at least two values of one type."""
    if len(values) < 2 or len({type(value) for value in values}) > 1 or type(values[0]) not in (str, int, float, bool):
        raise ValueError("expected classes of one type")
    if len(set(values)) < len(values) or len(array_of(values)) < len(values):
        raise ValueError("expected each class once")
    return tuple(values)


def _arrays(content: bytes, rows: int, dimension: int) -> list[npt.NDArray[np.float64]]:
    """Return the weights, shape (rows, dimension), and the intercepts, shape (rows,), of an npz file.

    The headers are read before any array: NumPy itself makes an array as large as a header says, and then reads it.
    """
    found = []
    with zipfile.ZipFile(io.BytesIO(content)) as members:
        for name, expected in (("coef", (rows, dimension)), ("intercept", (rows,))):
            most = 8 * math.prod(expected) + _HEADER
            with members.open(f"{name}.npy") as stream:
                member = io.BytesIO(stream.read(most))
                if stream.read(1):
                    raise ValueError(f"its array {name} has more than {counted(most, 'byte')}")
            npy_format.read_magic(member)
            shape, fortran, dtype = npy_format.read_array_header_1_0(member)
            if shape != expected or dtype != np.float64:
                raise ValueError(f"its array {name} has the shape {shape} and dtype {dtype}")
            array = np.frombuffer(member.read(), dtype).reshape(shape, order="F" if fortran else "C")
            if not np.isfinite(array).all():
                raise ValueError(f"its array {name} has other values than numbers")
            found.append(array)
    return found
