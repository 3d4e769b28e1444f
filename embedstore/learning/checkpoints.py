"""Label rows with finetuned checkpoints, from cached logits."""

from collections.abc import Callable
from itertools import compress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.core.blank import Blank, blank_notes
from embedstore.core.blocks import row_blocks
from embedstore.core.cells import shared_values
from embedstore.core.heads import Head
from embedstore.corpora.rows import Corpus
from embedstore.encoders import EncoderOptions, Precision
from embedstore.errors import InputError, NotFoundError, UsageError
from embedstore.reports.gold import GoldMap, map_gold, missing_notes, parse_map
from embedstore.reports.multilabel import above, check_threshold, given_labels, members_report
from embedstore.reports.predictions import Predictions, coded, member_columns, member_shares, shares_of
from embedstore.vectors.encoding import EncodeProgress, encode
from embedstore.vectors.snapshot import Snapshot
from embedstore.vectors.space import Space

__all__ = ["classify", "predicted_names"]


def predicted_names(space: Space, head: Head, positions: npt.NDArray[np.int64]) -> list[str]:
    """Return the most probable name for each text position."""
    best = (
        head.probabilities(space.at(positions[here])).argmax(axis=1)
        for here in row_blocks(len(positions), len(head.labels))
    )
    return [head.names[i] for numbers in best for i in numbers]


def classify(
    now: Snapshot,
    model: str | Path | None = None,
    *,
    corpus: str | None = None,
    space: str | None = None,
    gold: str | None = None,
    mapping: GoldMap = (),
    scores: bool = False,
    threshold: float = 0.5,
    multi: bool = False,
    separator: str | None = None,
    max_seq_length: int | None = None,
    revision: str | None = None,
    blank: Blank = "skip",
    backend: str = "auto",
    device: str | None = None,
    batch_size: int | None = None,
    precision: Precision = "auto",
    no_encode: bool = False,
    on_progress: Callable[[EncodeProgress], None] | None = None,
) -> Predictions:
    """Label every row with a finetuned sequence-classification checkpoint and keep its logits.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    model : str or Path, optional
        A folder or a Hugging Face name; by default the store's only space of logits is used.
    corpus : str, optional
        Name of the corpus; by default the only corpus, or ``train``.
    space : str, optional
        Start of the key of a stored space of logits.
    gold : str, optional
        Column to compare with.
    mapping : mapping, or sequence of str
        The label that a value of the column stands for: a dict, or ``VALUE=LABEL`` pairs.
    scores : bool
        Add a column with the probability of each label.
    threshold : float
        Lowest probability at which a sigmoid head gives a label.
    multi : bool
        For a sigmoid head: give the labels of a row as a list, with a column of booleans for each label.
    separator : str, optional
        With `multi`, what stands between the labels in a text of the gold column; by default ``;``.
    max_seq_length : int, optional
        Number of tokens at which a text is cut off.
    blank : {"skip", "answer"}
        Whether rows with a blank text get null in the new columns and count nowhere, or are labelled like others.
    revision, backend, device, batch_size, precision, no_encode, on_progress
        As in `encode`.

    Returns
    -------
    Predictions
        The rows and columns of the corpus, then ``Predicted_Labels`` and ``probability``; a regression head gives
        ``Predicted_Value`` instead. With `multi`, ``Predicted_Labels`` is a list, a column of booleans for each label
        follows, and `scores` adds ``confidence LABEL``.

    Raises
    ------
    CheckpointError
        If the checkpoint has no classification head, or weights are missing.
    NotFoundError
        If no space of logits matches, or more than one does.
    UsageError
        If the threshold is not between 0 and 1, or both `model` and `space` are given.
    InputError
        If `gold` is given and the head does not choose one label, without `multi`.
    """
    if model is not None and space is not None:
        raise UsageError("expected a model or a space of logits, found both")
    table = now.corpus(corpus)
    if model is not None:
        encoded = encode(
            now,
            model,
            corpus=table.name,
            options=EncoderOptions(output="logits", max_seq_length=max_seq_length),
            revision=revision,
            backend=backend,
            device=device,
            batch_size=batch_size,
            precision=precision,
            no_encode=no_encode,
            on_progress=on_progress,
        )
        now, space = now.reload(), encoded.space  # for its logits; rows added meanwhile have none
    vectors, head = _logits(now, space)
    check_threshold(threshold)
    if multi:
        return _several(now, table, vectors, head, threshold, gold, mapping, separator, blank, scores=scores)
    if separator is not None:
        raise UsageError("a separator goes with several labels a row: give --multi too")
    return _one(now, table, vectors, head, threshold, gold, mapping, blank, scores=scores)


def _one(
    now: Snapshot,
    table: Corpus,
    vectors: Space,
    head: Head,
    threshold: float,
    gold: str | None,
    mapping: GoldMap,
    blank: Blank,
    *,
    scores: bool,
) -> Predictions:
    """Return the rows with the most probable label of each, or a number; see `classify`."""
    answered = now.texts.answerable(table.positions(), blank)
    gold_values = shared_values(table.column(gold).filter(pa.array(answered))) if gold else None
    gold_map = parse_map(mapping, head.names)
    if gold and (head.is_multilabel or head.activation == "identity"):
        kind = "any number of labels" if head.is_multilabel else "a number"
        advice = ": give --multi too" if head.is_multilabel else ""
        raise InputError(
            f"this checkpoint gives a row {kind}: expected one label of several to compare with {gold!r}{advice}"
        )
    vectors.require(table.positions(), table.name)
    unique, row_of = np.unique(table.positions()[answered], return_inverse=True)
    columns, share, best = _columns(head, vectors, unique, row_of, threshold, scores=scores)
    report = None
    if gold and gold_values and best is not None:
        report = map_gold(gold_values, [head.names[i] for i in best], head.names, gold_map, column=gold)
    notes = blank_notes(len(table) - len(row_of), len(table), given="label")
    notes += missing_notes(table.missing_words(gold), gold) if gold else ()
    title = f"{now.name}: {table.name} by {vectors.record.model}"
    return Predictions(table, columns, share, report, notes=notes, title=title, answered=answered)


def _several(
    now: Snapshot,
    table: Corpus,
    space: Space,
    head: Head,
    threshold: float,
    gold: str | None,
    mapping: GoldMap,
    separator: str | None,
    blank: Blank,
    *,
    scores: bool,
) -> Predictions:
    """Return the rows with a list of labels each, and a column for each label; see `classify`."""
    if head.activation != "sigmoid":
        kind = "one label of several" if head.activation == "softmax" else "a number"
        raise UsageError(f"this checkpoint gives a row {kind}, not any number of labels: leave --multi out")
    answered = now.texts.answerable(table.positions(), blank)
    space.require(table.positions(), table.name)
    given = None
    if gold:
        values, named = table.column(gold).filter(pa.array(answered)), parse_map(mapping, head.labels, grouped=False)
        given = given_labels(values, head.labels, named, name=gold, separator=separator)
    positions = table.positions()[answered]
    probability = np.empty((len(positions), len(head.labels)), dtype=np.float32)
    for here in row_blocks(len(positions), len(head.names)):
        probability[here] = head.probabilities(space.at(positions[here]))[:, -len(head.labels) :]
    members, more = above(probability, threshold)
    notes = blank_notes(len(table) - len(positions), len(table), given="label")
    notes += missing_notes(table.missing_words(gold), gold) if gold else ()
    return Predictions(
        table,
        member_columns(members, head.labels, confidence=probability if scores else None),
        member_shares(members, head.labels),
        members_report(given, members, head.labels) if given else None,
        notes=notes + more,
        title=f"{now.name}: {table.name} by {space.record.model}",
        answered=answered,
    )


def _logits(now: Snapshot, selector: str | None) -> tuple[Space, Head]:
    """Return the space of logits whose key starts with `selector`, and its head."""
    found = [space for space in now.spaces if space.record.head and space.key.startswith(selector or "")]
    if not found:
        raise NotFoundError(f"{now.root} has no such logits yet: run `embedstore classify STORE -m CHECKPOINT`")
    if len(found) > 1:
        shown = ", ".join(f"{space.key[:12]} ({space.record.model})" for space in found)
        raise NotFoundError(f"expected one space of logits, found {len(found)}: choose one of {shown}")
    head = found[0].record.head
    assert head is not None
    return found[0], head


def _columns(
    head: Head,
    space: Space,
    unique: npt.NDArray[np.int64],
    text_of_row: npt.NDArray[np.int64],
    threshold: float,
    *,
    scores: bool,
) -> tuple[dict[str, pa.Array], dict[str, float], npt.NDArray[np.int64] | None]:
    """Return the new columns, the share of each label, and each row's label if the head chooses one of several.

    `unique` has the position of each distinct text; its logits are read and turned into answers a block at a time.
    """
    if head.activation == "identity":
        return {"Predicted_Value": pa.array(space.at(unique)[text_of_row, 0])}, {}, None
    blocks = list(row_blocks(len(unique), len(head.names)))
    probability = np.empty(len(unique), dtype=np.float32)
    of_text = np.empty(0 if head.is_multilabel else len(unique), dtype=np.int64)
    chosen: list[str] = []
    known: dict[str, str] = {}  # equal texts are one object
    hits = np.zeros(len(head.names), dtype=np.int64)
    of_labels = np.empty((len(head.names) if scores else 0, len(unique)), dtype=np.float32)
    rows_of = np.bincount(text_of_row, minlength=len(unique))
    for here in blocks:
        probabilities = head.probabilities(space.at(unique[here]))
        of_labels[:, here] = probabilities.T[: len(of_labels)]
        if head.is_multilabel:
            above = probabilities >= threshold
            texts = ("|".join(compress(head.names, row)) for row in above)
            chosen += (known.setdefault(text, text) for text in texts)
            hits += rows_of[here] @ above
            probability[here] = probabilities.max(axis=1)
            continue
        best = probabilities.argmax(axis=1)
        if len(head.labels) == 1:
            best = (probabilities[:, 1] >= threshold).astype(np.int64)
        of_text[here] = best
        probability[here] = probabilities[np.arange(len(best)), best]
    if head.is_multilabel:
        labels = pa.array(chosen, type=pa.string()).take(pa.array(text_of_row))
        shares = dict(zip(head.names, (hits / max(1, len(text_of_row))).tolist(), strict=True))
        of_rows = None
    else:
        of_rows = of_text[text_of_row]
        labels, shares = coded(of_rows, head.names), shares_of(of_rows, head.names)
    columns: dict[str, pa.Array] = {"Predicted_Labels": labels, "probability": pa.array(probability[text_of_row])}
    columns |= {
        f"probability_{name}": pa.array(of[text_of_row]) for name, of in zip(head.names, of_labels, strict=False)
    }
    return columns, shares, of_rows
