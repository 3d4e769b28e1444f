"""Predictions of a finetuned checkpoint, from its cached logits."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.corpus import Corpus
from embedstore.errors import InputError, UsageError
from embedstore.heads import Head
from embedstore.joined import Joined, choices, shares
from embedstore.metrics import map_gold, parse_map
from embedstore.space import Space

__all__ = ["classify_rows", "predicted_names"]


def predicted_names(space: Space, head: Head, positions: npt.NDArray[np.int64]) -> list[str]:
    """Return the most probable name for each text position."""
    return [head.names[i] for i in head.probabilities(space.at(positions)).argmax(axis=1)]


def classify_rows(
    space: Space,
    head: Head,
    corpus: Corpus,
    *,
    gold: str | None = None,
    mapping: Sequence[str] = (),
    scores: bool = False,
    threshold: float = 0.5,
) -> Joined:
    """Give every row of a corpus its label and probability.

    Parameters
    ----------
    space : Space
        Logits.
    head : Head
        What they mean.
    corpus : Corpus
        The rows.
    gold : str, optional
        Column to compare with.
    mapping : sequence of str
        ``VALUE=LABEL`` pairs that say what its values stand for.
    scores : bool
        Whether to add a column with the probability of each label.
    threshold : float
        Probability from which a row has a label, for heads of sigmoids.

    Raises
    ------
    UsageError
        If the threshold is not between 0 and 1.
    InputError
        If `gold` is given, and the head does not choose one label.
    """
    if not 0 < threshold < 1:
        raise UsageError(f"expected a threshold between 0 and 1, found {threshold}")
    gold_values = corpus.column(gold).to_pylist() if gold else None
    gold_map = parse_map(mapping, head.names)
    if gold and (head.several or head.activation == "identity"):
        kind = "any number of labels" if head.several else "a number"
        raise InputError(f"this checkpoint gives a row {kind}: expected one label of several to compare with {gold!r}")
    positions = corpus.positions()
    unique, row_of = np.unique(positions, return_inverse=True)
    space.require(unique, corpus.name)
    logits = space.at(unique, corpus.name)
    if head.activation == "identity":
        return Joined(corpus, {"Predicted_Value": pa.array(logits[row_of, 0])}, {})
    probabilities = head.probabilities(logits)
    if head.several:
        return _several(corpus, head, probabilities[row_of], threshold, scores=scores)
    best = probabilities.argmax(axis=1)
    if len(head.labels) == 1:
        best = (probabilities[:, 1] >= threshold).astype(np.intp)
    of_rows = best[row_of]
    columns: dict[str, pa.Array] = {
        "Predicted_Labels": choices(of_rows, head.names),
        "probability": pa.array(probabilities[row_of, of_rows]),
    }
    if scores:
        columns |= _columns(head, probabilities[row_of])
    report = None
    if gold_values is not None:
        report = map_gold(gold_values, [head.names[i] for i in of_rows], head.names, gold_map)
    return Joined(corpus, columns, shares(of_rows, head.names), report)


def _several(
    corpus: Corpus, head: Head, probabilities: npt.NDArray[np.float32], threshold: float, *, scores: bool
) -> Joined:
    chosen = probabilities >= threshold
    names = np.array(head.names, dtype=object)
    columns: dict[str, pa.Array] = {
        "Predicted_Labels": pa.array(["|".join(names[row]) for row in chosen], type=pa.string()),
        "probability": pa.array(probabilities.max(axis=1)),
    }
    if scores:
        columns |= _columns(head, probabilities)
    share = chosen.mean(axis=0) if len(chosen) else np.zeros(len(names))
    return Joined(corpus, columns, dict(zip(head.names, share.tolist(), strict=True)))


def _columns(head: Head, probabilities: npt.NDArray[np.float32]) -> dict[str, pa.Array]:
    return {f"probability_{name}": pa.array(probabilities[:, i]) for i, name in enumerate(head.names)}
