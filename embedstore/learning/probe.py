"""Probes: linear classifiers on frozen vectors, kept in the store and bound to one space."""

import io
import json
import math
import re
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy_format

from embedstore.core.blocks import row_blocks
from embedstore.core.cells import array_of
from embedstore.core.counts import counted
from embedstore.core.parsing import first_line
from embedstore.core.spec import canonical_json
from embedstore.errors import DamagedStoreError, SpaceMismatchError, StoreFormatError
from embedstore.storage.derived import ProbeRecord
from embedstore.storage.gate import staged
from embedstore.storage.listed import read_file
from embedstore.storage.manifest import commit
from embedstore.vectors.snapshot import Snapshot
from embedstore.vectors.space import Space

__all__ = ["Probe", "load_probe", "named_after", "read_probe", "save_probe"]

_FORMAT_VERSION = 2  # since 2, a row can have several of the classes
_HEADER = 2048  # upper limit for the header of an array, in bytes


@dataclass(frozen=True, slots=True)
class Probe:
    """A trained linear classifier.

    Attributes
    ----------
    classes : tuple
        The target's values, sorted.
    coef : ndarray of shape (1 or classes, dim), float64
        Weights; one row for two classes, as in scikit-learn, unless a row can have several.
    intercept : ndarray of shape (1 or classes,), float64
    space : str
        Encoder key of the training vectors.
    description : dict
        Target, corpora, options, figures.
    several : bool
        Whether a row can have several of the classes, or none: each has a classifier against the rest.
    """

    classes: tuple[Any, ...]
    coef: npt.NDArray[np.float64]
    intercept: npt.NDArray[np.float64]
    space: str
    description: dict[str, Any]
    several: bool = False

    def best(self, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
        """Return the number of the most probable class of each row, shape (n,)."""
        blocks = row_blocks(len(vectors), len(self.classes))
        return np.concatenate(
            [np.empty(0, dtype=np.intp), *(self.probabilities(vectors[here]).argmax(axis=1) for here in blocks)]
        )

    def probabilities(self, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the probability of each class for each row, shape (n, classes)."""
        decision = vectors @ self.coef.T + self.intercept
        if self.several:
            return np.asarray(1 / (1 + np.exp(-np.clip(decision, -700, 700))))
        if len(self.classes) == 2:
            positive = 1 / (1 + np.exp(-np.clip(decision[:, 0], -700, 700)))
            return np.stack([1 - positive, positive], axis=1)
        odds = np.exp(decision - decision.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def named_after(target: str) -> str:
    """Return the name that the probe of a column gets.

    Examples
    --------
    >>> named_after("Department Name")
    'Department_Name'
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "_", target).strip("._-") or "probe"


def save_probe(now: Snapshot, name: str, probe: Probe) -> None:
    """Save a probe in the store; a probe with the same name is replaced."""
    # Earlier releases look for "classes" alone: they refuse a probe of several labels a row, and do not misread it.
    description = {
        "format_version": 2 if probe.several else 1,
        "labels" if probe.several else "classes": list(probe.classes),
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
    StoreFormatError
        If a newer release wrote them.
    """
    path, content = described
    try:
        description = json.loads(content)
        version = description.get("format_version", 1)
        if type(version) is int and version > _FORMAT_VERSION:
            raise StoreFormatError(f"{path} was written by a newer release (format {version}): upgrade embedstore")
        several = "labels" in description
        classes = _labels(description) if several else _classes(description.pop("classes"))
        path, content = arrays
        rows = 1 if len(classes) == 2 and not several else len(classes)
        coef, intercept = _arrays(content, rows, dimension)
    except StoreFormatError:
        raise
    except Exception as error:  # of JSON, zipfile, zlib, NumPy and Arrow
        raise DamagedStoreError(f"{path} is damaged ({first_line(error)}): train the probe again") from error
    return Probe(classes, coef, intercept, space, description, several)


def _classes(values: Any) -> tuple[Any, ...]:
    """Return the classes of a description, after a check that they are at least two values of one type."""
    if len(values) < 2 or len({type(value) for value in values}) > 1 or type(values[0]) not in (str, int, float, bool):
        raise ValueError("expected classes of one type")
    if len(set(values)) < len(values) or len(array_of(values)) < len(values):
        raise ValueError("expected each class once")
    return tuple(values)


def _labels(description: dict[str, Any]) -> tuple[str, ...]:
    """Take the labels out of a description, after a check that they are texts and that there is a threshold."""
    values, threshold = description.pop("labels"), description["threshold"]
    if not values or not all(type(value) is str and value for value in values) or len(set(values)) < len(values):
        raise ValueError("expected each label once")
    if type(threshold) is not float or not 0 < threshold < 1:
        raise ValueError("expected a threshold between 0 and 1")
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
