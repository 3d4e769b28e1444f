"""Label sets, and tagging: cosine similarity of each row to each label, and the best of them."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.corpus import Corpus
from embedstore.errors import InputError, UsageError
from embedstore.joined import Joined, choices, shares
from embedstore.metrics import Report
from embedstore.scan import best_labels
from embedstore.space import Space
from embedstore.vectors import unit_rows

__all__ = ["LabelSet", "Tags", "tag_positions"]


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Names of labels, and for each the texts that stand for it.

    Parameters
    ----------
    names : tuple of str
        At least two, distinct, not blank.
    texts : tuple of tuple of str
        For each label the texts whose mean vector is its prototype; by default its name alone.

    Raises
    ------
    UsageError
        If a name is blank or repeated, or there are fewer than two.

    Examples
    --------
    >>> LabelSet.of(["Negative", "Positive"]).texts
    (('Negative',), ('Positive',))
    """

    names: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        if any(not name.strip() for name in self.names):
            raise UsageError("expected every label to have a name, found a blank one")
        repeated = [name for name in self.names if self.names.count(name) > 1]
        if repeated:
            raise UsageError(f"expected every label once, found {repeated[0]!r} {self.names.count(repeated[0])} times")
        if len(self.names) < 2:
            raise UsageError(
                f"expected at least two labels to choose from, found {len(self.names)}: {', '.join(self.names)}"
            )
        if any(not texts or any(not text.strip() for text in texts) for texts in self.texts):
            raise UsageError("expected every label to have at least one text, and none blank")

    @classmethod
    def of(cls, names: Sequence[str]) -> "LabelSet":
        """Return the set in which every label stands for itself."""
        if isinstance(names, str):
            raise UsageError(f"expected a list of labels, found one text {names!r}")
        return cls(tuple(names), tuple((name,) for name in names))

    @classmethod
    def read(cls, path: Path) -> "LabelSet":
        """Read a label set from a file.

        Either a text file with one label per line (blank lines and those that begin with # are passed
        over), or JSON: a list of names, an object that maps names to a description or a list of
        them.

        Raises
        ------
        InputError
            If the file is missing or holds something else.
        """
        try:
            content = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise InputError(f"label file {path} can't be read: {reason}") from error
        if path.suffix.lower() != ".json":
            lines = [line.strip() for line in content.split("\n")]
            return cls.of([line for line in lines if line and not line.startswith("#")])
        try:
            value = json.loads(content)
        except ValueError as error:
            raise InputError(f"label file {path} is not JSON: {error}") from error
        if isinstance(value, list) and all(isinstance(name, str) for name in value):
            return cls.of(value)
        if isinstance(value, dict):
            texts = [(v,) if isinstance(v, str) else v for v in value.values()]
            if all(isinstance(t, (list, tuple)) and all(isinstance(x, str) for x in t) for t in texts):
                return cls(tuple(value), tuple(tuple(t) for t in texts))
        raise InputError(
            f'label file {path}: expected a JSON list of names, or an object such as {{"Happy": ["I love it"]}}'
        )

    def prototypes(self, vectors_of: Callable[[Sequence[str]], npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """Return one unit vector per label, shape (labels, dim): the normalised mean of its texts' vectors."""
        flat = [text for texts in self.texts for text in texts]
        vectors = vectors_of(flat)
        ends = np.cumsum([len(texts) for texts in self.texts])
        means = np.stack([part.mean(axis=0) for part in np.split(vectors, ends[:-1])])
        single = np.array([len(texts) == 1 for texts in self.texts])[:, None]
        # One text's vector is its label's prototype as it stands.
        return np.asarray(np.where(single, means, unit_rows(means)), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Tags:
    """The tags of rows.

    Attributes
    ----------
    label : ndarray of shape (rows,), int32
        Number of the best label; of equals the first.
    score : ndarray of shape (rows,), float32
        Its cosine similarity, from -1 to 1.
    margin : ndarray of shape (rows,), float32
        Best minus second best.
    scores : ndarray of shape (rows, labels), float32, or None
        All similarities, where they were asked for.
    """

    label: npt.NDArray[np.int32]
    score: npt.NDArray[np.float32]
    margin: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32] | None

    def joined(self, corpus: Corpus, names: tuple[str, ...], report: Report | None) -> Joined:
        """Return the rows of `corpus` with these tags beside them."""
        columns: dict[str, pa.Array] = {
            "Predicted_Labels": choices(self.label, names),
            "score": pa.array(self.score),
            "margin": pa.array(self.margin),
        }
        if self.scores is not None:
            columns |= {name: pa.array(self.scores[:, i]) for i, name in enumerate(names)}
        return Joined(corpus, columns, shares(self.label, names), report)


def tag_positions(
    space: Space,
    prototypes: npt.NDArray[np.float32],
    positions: npt.NDArray[np.int64],
    texts: int,
    *,
    all_scores: bool,
) -> Tags:
    """Tag the texts at `positions`: each distinct text is looked at once.

    Parameters
    ----------
    space : Space
        The vectors.
    prototypes : ndarray of shape (labels, dim), float32
        Unit vectors.
    positions : ndarray of shape (rows,), int64
        Where each row's text is.
    texts : int
        Number of texts in the store.
    all_scores : bool
        Whether to keep the similarity to every label.
    """
    wanted = np.zeros(texts, dtype=bool)
    wanted[positions] = True
    best = best_labels(space, prototypes, wanted, all_scores=all_scores)
    if len(positions) == texts and np.array_equal(positions, np.arange(texts)):  # one row a text, in their order
        return Tags(best.label, best.score, best.margin, best.scores)
    scores = None if best.scores is None else best.scores[positions]
    return Tags(best.label[positions], best.score[positions], best.margin[positions], scores)
