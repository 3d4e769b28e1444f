"""The steps of tagging as functions of arrays: score, blend examples, calibrate, threshold, report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.core.arrays import array_from
from embedstore.core.blocks import row_blocks
from embedstore.core.counts import counted, form
from embedstore.core.masks import mask_of
from embedstore.core.memory import require_memory
from embedstore.core.values import same_value, value_text
from embedstore.labels.label_set import LabelSet
from embedstore.reports.gold import labels_of, map_gold, ordinal_report
from embedstore.reports.predictions import coded
from embedstore.vectors.scan import Best, best_labels
from embedstore.vectors.space import Space

if TYPE_CHECKING:
    from embedstore.labels.fewshot import Answers
    from embedstore.labels.zeroshot import Refined
    from embedstore.reports.calibration import Reliability
    from embedstore.reports.metrics import Report
    from embedstore.tagging.methods import TaggingMethod
    from embedstore.tagging.scored import AllTexts, Found, Scored

__all__ = [
    "Tags",
    "all_refined",
    "answers_given",
    "confident_rows",
    "refined",
    "report_on",
    "require_for_scores",
    "score",
    "with_confidence",
]

_A_SCORE = 16  # bytes: it is held of texts and of rows, before and after it is refined


@dataclass(frozen=True, slots=True)
class Tags(Best):
    """The tags of rows with their confidence; label, score, margin and scores are as in `Best`, one per row.

    Attributes
    ----------
    confidence : ndarray of shape (rows,), float32, or None
        Probability that the label is right.
    """

    confidence: npt.NDArray[np.float32] | None = None

    @classmethod
    def of(cls, scores: npt.NDArray[np.floating], text_of_row: npt.NDArray[np.int64]) -> "Tags":
        """Return the tags of rows for scores of shape (texts, labels): the label with the highest score wins."""
        rows, labels = len(text_of_row), scores.shape[1]
        label, top, lead = np.empty(rows, np.int32), np.empty(rows, np.float32), np.empty(rows, np.float32)
        every = np.empty((rows, labels), np.float32)
        for here in row_blocks(rows, labels):
            every[here] = scores[text_of_row[here]]
            label[here] = every[here].argmax(axis=1)
            ordered = np.sort(every[here], axis=1)
            top[here], lead[here] = ordered[:, -1], ordered[:, -1] - ordered[:, -2]
        return cls(label, top, lead, every)

    def columns(
        self, names: tuple[str, ...], tagged: npt.NDArray[np.bool_] | None, *, scores: bool
    ) -> dict[str, pa.Array]:
        """Return the columns to add to the rows; the label is null for a row that is not `tagged`."""
        found: dict[str, pa.Array] = {
            "Predicted_Labels": coded(self.label, names, tagged),
            "score": array_from(self.score),
            "margin": array_from(self.margin),
        }
        if self.confidence is not None:
            found["confidence"] = array_from(self.confidence)
        if scores and self.scores is not None:
            found |= {name: array_from(self.scores[:, i]) for i, name in enumerate(names)}
        return found


def score(
    space: Space, prototypes: npt.NDArray[np.float32], positions: npt.NDArray[np.int64], *, all_scores: bool
) -> Tags:
    """Tag the texts at `positions` by cosine similarity; each distinct text is scored once.

    Parameters
    ----------
    space, prototypes, all_scores
        The vectors, the unit vectors of the labels, and whether to keep all similarities; see `best_labels`.
    positions : ndarray of shape (rows,), int64
        Position of each row's text.
    """
    texts = len(space.texts)
    best = best_labels(space, prototypes, mask_of(positions, texts), all_scores=all_scores)
    if len(positions) == texts and np.array_equal(positions, np.arange(texts)):  # one row per text, in the same order
        return Tags(best.label, best.score, best.margin, best.scores)
    scores = None if best.scores is None else best.scores[positions]
    return Tags(best.label[positions], best.score[positions], best.margin[positions], scores)


def require_for_scores(rows: int, labels: int) -> None:
    """Raise an `InputError` if the scores of all labels for so many rows do not fit in the free memory."""
    what = f"the scores of {counted(labels, 'label')} for {counted(rows, 'row')}"
    require_memory(_A_SCORE * rows * labels, what, "tag with fewer labels, or fewer rows at a time (--where)")


def answers_given(
    text_of_row: npt.NDArray[np.int64], answers: Sequence[str | None], names: Sequence[str]
) -> "Answers | None":
    """Return the answers by distinct text; None if there is no answer.

    Parameters
    ----------
    text_of_row : ndarray of shape (rows,), int64
        Number of each row's text.
    answers : sequence of str or None
        The annotated label of each row; None if it has none.
    names : sequence of str
        The labels.
    """
    from embedstore.labels.fewshot import Answers

    given = {int(text): label for text, label in zip(text_of_row, answers, strict=True) if label in names}
    if not given:
        return None
    texts = sorted(given)
    return Answers(np.array(texts), np.array([names.index(given[text] or "") for text in texts]))


def refined(method: "TaggingMethod", scored: "Scored") -> "Refined":
    """Return the scores of a method, with the answers of people blended in if there are any."""
    found = method.refine(scored)
    if scored.answers is None:
        return found
    from embedstore.labels.fewshot import blend

    answers, count = scored.answers, len(scored.answers.rows)
    note = f"{counted(count, 'annotated text')} {form(count, 'is', 'are')} blended in"
    scores = blend(found.scores, scored.vectors, answers.rows, answers.labels, learnt=scored.learnt)
    return replace(found, scores=scores, notes=(*found.notes, note))


def all_refined(method: "TaggingMethod", texts: "AllTexts") -> "Found":
    """Return the scores of `refined` for all texts of a corpus."""
    known = np.empty(0, dtype=np.int64) if texts.answers is None else texts.answers.rows
    return texts.scores(partial(refined, method), known=known)


def with_confidence(
    tags: Tags,
    sharpness: float,
    names: Sequence[str],
    given: Sequence[Any] | None = None,
    gold_map: Mapping[str, list[str]] | None = None,
) -> "tuple[Tags, Reliability | None, tuple[str, ...]]":
    """Return the tags with confidence, the reliability on rows with a known label, and a note.

    Parameters
    ----------
    tags : Tags
        Tags with the scores of all labels.
    sharpness : float
        Inverse temperature to use if too few labels are known to fit one.
    names : sequence of str
        The labels.
    given : sequence of object, optional
        The known value of each row; None for a row without one.
    gold_map : mapping of str to list of str, optional
        The labels that a value stands for; a value without an entry stands for the label of the same name.
    """
    from embedstore.reports.calibration import calibrate, reliability

    if tags.scores is None:
        raise ValueError("expected tags with the scores of all labels")
    curve, rows = None, ""
    if given is None or not len(given):
        confidence, fitted = calibrate(tags.scores, sharpness)
    else:
        number_of: dict[str, int] = {}
        numbers = np.fromiter(
            (number_of.setdefault(value_text(v), len(number_of)) for v in given), np.int64, len(given)
        )
        allowed = np.stack([np.isin(names, labels_of(value, names, gold_map or {}) or []) for value in number_of])
        allowed = allowed[numbers]
        known = np.asarray(allowed.any(axis=1), dtype=bool)
        confidence, fitted = calibrate(tags.scores, sharpness, allowed, known)
        count = int(np.count_nonzero(known))
        rows = counted(count, "row") if fitted == count else f"a random sample of {fitted:,} of {counted(count, 'row')}"
        right = allowed[np.arange(len(allowed)), tags.label]
        curve = reliability(confidence[known], right[known]) if known.any() else None
    note = (
        f"confidence is calibrated on {rows} whose label is known"
        if fitted
        else "confidence is uncalibrated: give labels to fit it on (--gold COL, or annotations)"
    )
    return replace(tags, confidence=confidence), curve, (note,)


def confident_rows(confidence: npt.NDArray[np.float32], least: float) -> tuple[npt.NDArray[np.bool_], tuple[str, ...]]:
    """Return a mask of the rows with at least this confidence, shape (rows,), and a note on the others."""
    tagged = confidence >= least
    left = int(np.count_nonzero(~tagged))
    if not left:
        return tagged, (f"every row has a confidence of {least:g} or more",)
    rest = "shares and report are those of the others" if left < len(tagged) else "there is nothing to report on"
    note = (
        f"{left:,} of {counted(len(tagged), 'row')} {form(left, 'has', 'have')} less confidence than {least:g}: "
        f"{form(left, 'it is', 'they are')} untagged, and {rest}"
    )
    return tagged, (note,)


def report_on(
    label: npt.NDArray[np.int32],
    tagged: npt.NDArray[np.bool_] | None,
    given: Sequence[Any],
    labels: LabelSet,
    gold_map: dict[str, list[str]],
    *,
    column: str,
) -> "tuple[Report | None, tuple[str, ...]]":
    """Compare tags with the values of a column; the report is None if no row is tagged.

    The notes name the values of `gold_map` that no row has.

    Parameters
    ----------
    label : ndarray of shape (rows,), int32
        Number of each row's label.
    tagged : ndarray of bool, shape (rows,), optional
        The rows to compare; by default all.
    given : sequence of object
        The column's value in each row.
    labels : LabelSet
        The labels; for more than two ordered labels the report has ordinal figures too.
    gold_map : dict of str to list of str
        The labels that a value stands for.
    column : str
        Name of the column.
    """
    held = set(map(value_text, given))
    notes = tuple(
        f"no row of {column!r} holds {value!r}, which --map names"
        for value in gold_map
        if same_value(value, held) is None
    )
    if not len(given) or (tagged is not None and not tagged.any()):
        return None, notes
    values = given if tagged is None else [given[row] for row in np.flatnonzero(tagged).tolist()]
    predicted = [labels.names[number] for number in (label if tagged is None else label[tagged])]
    report = map_gold(values, predicted, labels.names, gold_map, column=column)
    if labels.ordinal and len(labels.names) > 2:
        report = replace(report, ordinal=ordinal_report(values, predicted, labels.names, gold_map))
    return report, notes
