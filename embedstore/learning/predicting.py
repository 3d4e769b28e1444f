"""Apply a probe to the rows of a corpus."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.core.blank import Blank, blank_notes
from embedstore.core.blocks import row_blocks
from embedstore.core.counts import counted
from embedstore.core.masks import mask_of
from embedstore.core.memory import require_memory
from embedstore.core.names import nearest_hint
from embedstore.errors import NotFoundError, UsageError
from embedstore.learning.probe import Probe, load_probe, named_after
from embedstore.reports.multilabel import above, check_threshold
from embedstore.reports.predictions import Predictions, coded, member_columns, member_shares, shares_of
from embedstore.vectors.snapshot import Snapshot
from embedstore.vectors.space import Space

__all__ = ["predict"]

_A_ROW = 50  # bytes that are held of a row, besides its probabilities


def predict(
    now: Snapshot,
    probe: str,
    *,
    corpus: str | None = None,
    space: str | None = None,
    scores: bool = False,
    blank: Blank = "skip",
    threshold: float | None = None,
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
    threshold : float, optional
        Least probability of a label, for a probe of several labels a row; by default the one that `train` chose.

    Returns
    -------
    Predictions
        The rows and columns of the corpus, then ``Predicted_Labels`` and ``probability``. A probe of several labels a
        row gives a list, a column of booleans for each label, and, with `scores`, ``confidence LABEL``.

    Raises
    ------
    NotFoundError
        If no probe has this name.
    SpaceMismatchError
        If the probe was trained in another space than `space`.

    Examples
    --------
    >>> import embedstore
    >>> store = embedstore.open("reviews")
    >>> trained = store.train("product", name="kinds")
    >>> predicted = store.predict("kinds")
    >>> len(predicted), "Predicted_Labels" in predicted.schema.names
    (60, True)
    """
    known = now.manifest.probes
    if probe not in known and named_after(probe) in known:
        probe = named_after(probe)
    if probe not in known:
        hint = nearest_hint(probe, list(known)) if known else "make one with `embedstore train STORE --target COL`"
        raise NotFoundError(f"{now.root} has no probe {probe!r}: {hint}")
    vectors = now.space(space or known[probe].space)
    trained = load_probe(now.root, known[probe], vectors)
    table = now.corpus(corpus)
    vectors.require(table.positions(), table.name)
    answered = now.texts.answerable(table.positions(), blank)
    if threshold is not None and not trained.several:
        raise UsageError(f"a threshold is for a probe of several labels a row, and {probe!r} chooses one: leave it out")
    check_threshold(threshold)
    found = _predicted(trained, vectors, table.positions()[answered], scores=scores or trained.several)
    columns: dict[str, pa.Array] = {
        "Predicted_Labels": coded(found.label, trained.classes),
        "probability": pa.array(found.probability),
    }
    columns |= {f"probability_{name}": pa.array(of) for name, of in zip(trained.classes, found.scores, strict=False)}
    title = f"{now.name}: {table.name} by probe {probe}"
    notes = blank_notes(len(table) - len(found.label), len(table), given="label")
    shares = shares_of(found.label, trained.classes)
    if trained.several:
        chosen = trained.description["threshold"] if threshold is None else threshold
        members, more = above(found.scores.T, chosen)
        notes += () if threshold else (f"the threshold is {chosen:.2f}, which `train` chose (--threshold: another)",)
        notes += more
        columns = member_columns(members, trained.classes, confidence=found.scores.T if scores else None)
        shares = member_shares(members, trained.classes)
    return Predictions(table, columns, shares, notes=notes, title=title, answered=answered)


@dataclass(frozen=True, slots=True)
class _Predicted:
    """The best class of some rows, shape (n,), its probability, and a row for each class, shape (classes or 0, n)."""

    label: npt.NDArray[np.int32]
    probability: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]


def _predicted(probe: Probe, space: Space, positions: npt.NDArray[np.int64], *, scores: bool) -> _Predicted:
    """Predict the text at each position; each distinct text is scored once, a block at a time."""
    held = len(probe.classes) if scores else 0
    what = f"the probabilities of {counted(max(1, held), 'class')} for {counted(len(positions), 'row')}"
    require_memory((_A_ROW + 4 * held) * len(positions), what, "predict fewer rows at a time (--where)")
    order = np.argsort(positions, kind="stable")
    ordered, row = positions[order], 0
    found = _Predicted(
        np.empty(len(positions), dtype=np.int32),
        np.empty(len(positions), dtype=np.float32),
        np.empty((held, len(positions)), dtype=np.float32),
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
