"""Tag the rows of a corpus with any number of labels each: score, calibrate, threshold, report.

docs/labels.md says how labels are scored one against the rest, and measures it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.annotations.column import ANNOTATIONS, answered_rows, no_answers, with_annotations
from embedstore.core.blank import Blank, blank_notes
from embedstore.core.counts import counted, form
from embedstore.core.masks import numbered
from embedstore.core.registry import look_up
from embedstore.corpora.rows import Corpus
from embedstore.errors import UsageError
from embedstore.labels.label_set import Labels, LabelSet
from embedstore.labels.language import language_notes
from embedstore.labels.likeness import alike_notes
from embedstore.labels.odds import KnownLabels, expected_best, probabilities
from embedstore.reports.gold import GoldMap, missing_notes, parse_map
from embedstore.reports.multilabel import GivenLabels, above, check_threshold, given_labels, members_report
from embedstore.reports.predictions import Predictions, member_columns, member_shares
from embedstore.tagging.methods import METHODS
from embedstore.tagging.scored import AllTexts, Found, Scored, places_within
from embedstore.tagging.steps import require_for_scores
from embedstore.vectors.queries import QueryEncoder
from embedstore.vectors.snapshot import Snapshot
from embedstore.vectors.space import Space

__all__ = ["GoldChoice", "RowChoice", "tag_several"]

_METHODS = {
    "cosine": "embedstore.tagging.membership:by_cosine",
    "best": "embedstore.tagging.membership:by_topic",
    "topics": "embedstore.tagging.membership:by_topic",
}
_FEWEST = 20  # fewest rows with known labels to call a probability calibrated

Scores = npt.NDArray[np.float64]


class RowChoice(NamedTuple):
    """The corpus and space of the rows to tag, and what becomes of blank texts and of labels without a vector."""

    corpus: str | None
    space: str | None
    blank: Blank
    no_encode: bool


class GoldChoice(NamedTuple):
    """The column to compare with, the labels of its values, and what stands between them in a text."""

    column: str
    mapping: GoldMap
    separator: str | None


def tag_several(
    now: Snapshot,
    labels: Labels,
    rows: RowChoice,
    gold: GoldChoice | None,
    *,
    method: str,
    threshold: float | None,
    scores: bool,
    confidence: bool,
    examples: bool,
) -> Predictions:
    """Tag every row of a corpus with each label that applies; see `embedstore.tagging.tag` for the parameters."""
    scored_by = _method(method)
    check_threshold(threshold)
    asked = _check_request(now, LabelSet.of(labels, several=True), rows)
    names = asked.labels.names
    require_for_scores(len(asked.positions), len(names) * (2 if scores else 1))
    given = _given(now, asked, gold) if gold else None
    answers = _answers(now, asked, examples=examples)
    known = answers if examples or given is None else given
    notes = blank_notes(len(asked.table) - len(asked.positions), len(asked.table), given="label")
    notes += missing_notes(asked.table.missing_words(gold.column), gold.column) if gold else ()

    prototypes = asked.labels.prototypes(asked.queries)
    positions, text_of_row = numbered(asked.positions, len(now.texts))
    texts = AllTexts(
        labels=asked.labels,
        prototypes=prototypes,
        positions=positions,
        space=asked.space,
        vectors_of=asked.queries,
    )
    notes += alike_notes(asked.labels, prototypes)
    notes += language_notes(asked.labels, asked.positions, now.texts.at)
    shows = ("cosines" if method == "cosine" else "scores") if scores else ""
    found = _scores(texts, scored_by, known_texts(text_of_row, known), shows, examples=examples)
    probability = found.scores[:, : len(names)][text_of_row]
    notes += (*found.notes, _calibrated(known, examples=examples))
    if threshold is None:
        threshold = expected_best(probability)
        notes += (f"the threshold is {threshold:.2f}, where micro-F1 is expected to be highest (--threshold: another)",)
    members, more = above(probability, threshold)
    notes += more
    shown = found.scores[:, len(names) :][text_of_row] if scores else None
    return Predictions(
        asked.table,
        member_columns(members, names, scores=shown, confidence=probability if confidence else None),
        member_shares(members, names),
        members_report(given, members, names) if given else None,
        notes=notes,
        title=f"{now.name}: {asked.table.name} by {asked.labels.name or ', '.join(names)} ({method}, several a row)",
        answered=asked.answered,
    )


def known_texts(text_of_row: npt.NDArray[np.int64], given: GivenLabels | None) -> KnownLabels | None:
    """Return the known labels of distinct texts: those that at least half of a text's rows have."""
    if given is None:
        return None
    texts, which = numbered(text_of_row[given.known], 1 + text_of_row.max(initial=0))
    counts = np.zeros((len(texts), given.members.shape[1]), dtype=np.int32)
    np.add.at(counts, which, given.members[given.known])
    return KnownLabels(texts, 2 * counts >= np.bincount(which, minlength=len(texts))[:, None])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """The checked arguments: `answered` is a mask of the rows to tag, `positions` has the positions of their texts."""

    table: Corpus
    answered: npt.NDArray[np.bool_]
    positions: npt.NDArray[np.int64]
    space: Space
    labels: LabelSet
    queries: QueryEncoder


def _method(name: str) -> Callable[[Scored], tuple[Scores, tuple[str, ...]]]:
    if name in METHODS and name not in _METHODS:
        raise UsageError(
            f"expected a method of {', '.join(_METHODS)} for several labels a text, found {name!r}, which chooses one"
        )
    found: Callable[[Scored], tuple[Scores, tuple[str, ...]]] = look_up(_METHODS, name, "a method")
    return found


def _check_request(now: Snapshot, labels: LabelSet, rows: RowChoice) -> _Request:
    table = now.corpus(rows.corpus)
    vectors = now.embeddings(rows.space, [table])
    vectors.require(table.positions(), table.name)
    answered = now.texts.answerable(table.positions(), rows.blank)
    return _Request(
        table=table,
        answered=answered,
        positions=table.positions()[answered],
        space=vectors,
        labels=labels,
        queries=now.queries(vectors, no_encode=rows.no_encode),
    )


def _given(now: Snapshot, asked: _Request, gold: GoldChoice) -> GivenLabels:
    names = asked.labels.names
    table = with_annotations(now, asked.table, gold.column, asked.labels, several=True)
    values = table.column(gold.column).filter(pa.array(asked.answered))
    mapping = parse_map(gold.mapping, names, grouped=False)
    return given_labels(values, names, mapping, name=gold.column, separator=gold.separator)


def _answers(now: Snapshot, asked: _Request, *, examples: bool) -> GivenLabels | None:
    """Return the labels that people gave to the rows; None if there are none and they are not needed."""
    column = answered_rows(now, asked.table, asked.labels, several=True)
    values = None if column is None else column.filter(pa.array(asked.answered))
    if values is not None and values.null_count < len(values):
        return given_labels(values, asked.labels.names, {}, name=ANNOTATIONS)
    if examples:
        raise no_answers(now, asked.table, asked.labels, several=True, otherwise="leave --examples out")
    return None


def _scores(
    texts: AllTexts,
    scored_by: Callable[[Scored], tuple[Scores, tuple[str, ...]]],
    known: KnownLabels | None,
    more: str,
    *,
    examples: bool,
) -> Found:
    """Return the probability of each label for each text, and `more`: each label's "cosines" or "scores", or ""."""

    def scores_of(scored: Scored) -> Found:
        found, notes = scored_by(scored)
        here = known
        if known is not None:
            there, places = places_within(known.rows, scored.numbers)
            here = KnownLabels(places, known.members[there])
        vectors = scored.vectors if examples else None
        probability = probabilities(found, here, vectors, learnt=scored.learnt)
        shown = scored.cosines if more == "cosines" else found
        return Found(np.hstack([probability, shown]) if more else probability, notes)

    return texts.scores(scores_of, known=np.empty(0, dtype=np.int64) if known is None else known.rows)


def _calibrated(known: GivenLabels | None, *, examples: bool) -> str:
    count = 0 if known is None else int(np.count_nonzero(known.known))
    if examples:
        return f"{counted(count, 'annotated row')} {form(count, 'is', 'are')} learnt from"
    if count >= _FEWEST:
        return f"probabilities are calibrated on {counted(count, 'labelled row')}"
    if count:
        return (
            f"probabilities are corrected by {counted(count, 'labelled row')}, too few to call them calibrated: "
            f"{_FEWEST} are needed"
        )
    return (
        f"probabilities are uncalibrated: give {_FEWEST} rows or more with known labels (--gold COL, or `annotate "
        "--multi`)"
    )
