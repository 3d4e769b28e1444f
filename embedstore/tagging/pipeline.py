"""Tag the rows of a corpus: score, refine, blend examples, calibrate, threshold, report.

Each step is a function of `embedstore.tagging.steps`; its result is the input of the next step.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.annotations.column import answered_rows, no_answers, with_annotations
from embedstore.core.blank import Blank, blank_notes
from embedstore.core.cells import shared_values
from embedstore.core.masks import numbered
from embedstore.corpora.rows import Corpus
from embedstore.errors import UsageError
from embedstore.labels.label_set import Labels, LabelSet
from embedstore.labels.language import language_notes
from embedstore.labels.likeness import alike_notes
from embedstore.labels.shares import known_shares
from embedstore.reports.gold import GoldMap, missing_notes, parse_map
from embedstore.reports.predictions import Predictions, shares_of
from embedstore.tagging.methods import TaggingMethod, find_method
from embedstore.tagging.steps import (
    Tags,
    all_refined,
    answers_given,
    confident_rows,
    report_on,
    require_for_scores,
    score,
    with_confidence,
)
from embedstore.vectors.snapshot import Snapshot
from embedstore.vectors.space import Space

if TYPE_CHECKING:
    from embedstore.vectors.queries import QueryEncoder

__all__ = ["tag"]

_COLUMNS = ("Predicted_Labels", "score", "margin", "confidence")


def tag(
    now: Snapshot,
    labels: Labels,
    *,
    corpus: str | None = None,
    space: str | None = None,
    method: str = "cosine",
    shares: Mapping[str, float] | None = None,
    scores: bool = False,
    confidence: bool = False,
    min_confidence: float | None = None,
    examples: bool = False,
    gold: str | None = None,
    mapping: GoldMap = (),
    blank: Blank = "skip",
    no_encode: bool = False,
    multi: bool = False,
    threshold: float | None = None,
    separator: str | None = None,
) -> Predictions:
    """Tag every row of a corpus by cosine similarity to the labels.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    labels : sequence of str, mapping of str to descriptions, or LabelSet
        At least two labels, or one with `multi`. Label texts without a vector are encoded once, and their vectors are
        kept.
    corpus : str, optional
        Name of the corpus; by default the only corpus, or ``train``.
    space : str, optional
        Key or model of the vectors.
    method : {"cosine", "best", "scale", "topics"}
        "cosine" takes the nearest label. "best" refines the scores with statistics of the whole corpus;
        see `embedstore.labels.zeroshot`.
    shares : mapping of str to float, optional
        Known shares of labels, for all methods but "cosine", instead of those of the label set. Labels without one
        divide the rest as their tags without known shares do.
    scores : bool
        Add a column per label.
    confidence : bool
        Add a column with the probability that the tag is right, calibrated if labels are known.
    min_confidence : float, optional
        Rows with less confidence stay untagged.
    examples : bool
        Learn from the annotations of some rows.
    gold : str, optional
        Column to compare with, or "annotations".
    mapping : mapping, or sequence of str
        The label that a value of the column stands for: a dict, or ``VALUE=LABEL`` pairs. In a dict, a list gives a
        value several labels, and "" or None leaves its rows out.
    blank : {"skip", "answer"}
        Whether rows with a blank text get null in the new columns and count nowhere, or are tagged like others.
    no_encode : bool
        Raise an error instead of loading a model.
    multi : bool
        Give a row each label that applies, or none, instead of the best one.
    threshold : float, optional
        With `multi`, the least probability of a label; by default the one at which micro-F1 is expected to be highest.
    separator : str, optional
        With `multi`, what stands between the labels in a text of the gold column; by default ``;``.

    Returns
    -------
    Predictions
        The rows and columns of the corpus, then ``Predicted_Labels``, ``score`` and ``margin``. With `multi`,
        ``Predicted_Labels`` is a list, and a column of booleans for each label follows; `scores` and `confidence` add
        ``score LABEL`` and ``confidence LABEL``.

    Raises
    ------
    UsageError
        If there are fewer than two labels, or a label is blank or repeated.
    ModelRequiredError
        If a row has no vector, or if a label has no vector and `no_encode` is set.

    Examples
    --------
    >>> import embedstore
    >>> store = embedstore.open("reviews")
    >>> tagged = store.tag(["Negative", "Positive"])
    >>> {label: round(share, 1) for label, share in tagged.shares.items()}
    {'Negative': 0.2, 'Positive': 0.8}
    >>> tagged.save("tagged.csv")
    """
    if multi:
        from embedstore.tagging.multilabel import GoldChoice, RowChoice, tag_several

        _check_several(shares, min_confidence)
        return tag_several(
            now,
            labels,
            RowChoice(corpus, space, blank, no_encode),
            GoldChoice(gold, mapping, separator) if gold else None,
            method=method,
            threshold=threshold,
            scores=scores,
            confidence=confidence,
            examples=examples,
        )
    _check_one(min_confidence, threshold, separator)
    asked = _check_request(now, labels, corpus, space, method, shares, gold, mapping, blank, no_encode=no_encode)
    _check_columns(asked.labels.names, scores=scores)
    confident = confidence or min_confidence is not None or asked.method.refines
    return _tagged(now, asked, method, gold, min_confidence, scores=scores, doubtful=confident, examples=examples)


def _tagged(
    now: Snapshot,
    asked: "_TagRequest",
    method: str,
    gold: str | None,
    min_confidence: float | None,
    *,
    scores: bool,
    doubtful: bool,
    examples: bool,
) -> Predictions:
    """Return the rows with the best label of each; see `tag`. `doubtful` says whether to add the confidence."""
    names = asked.labels.names
    if scores or doubtful or examples:
        require_for_scores(len(asked.positions), len(names))
    answers = _annotated(now, asked) if doubtful or examples else None

    prototypes = asked.labels.prototypes(asked.queries)
    notes = blank_notes(len(asked.table) - len(asked.positions), len(asked.table), given="label")
    notes += alike_notes(asked.labels, prototypes)
    if any(asked.labels.shares) and not asked.method.takes_shares:
        notes += (f"known shares of labels are not used by the method {method}: best, scale and topics use them",)
    notes += language_notes(asked.labels, asked.positions, now.texts.at)
    curve = tagged = report = None
    if (asked.method.refines or examples) and len(asked.positions):
        tags, more = _refined(now, asked, prototypes, answers, examples=examples)
        notes += more
    else:
        tags = score(asked.space, prototypes, asked.positions, all_scores=scores or doubtful or examples)
    if doubtful:
        given = answers if asked.gold is None else asked.gold
        tags, curve, more = with_confidence(tags, asked.method.sharpness, names, given, asked.gold_map)
        notes += more
    if min_confidence is not None and tags.confidence is not None:
        tagged, more = confident_rows(tags.confidence, min_confidence)
        notes += more
    if gold and asked.gold is not None:
        notes += missing_notes(asked.table.missing_words(gold), gold)
        report, more = report_on(tags.label, tagged, asked.gold, asked.labels, asked.gold_map, column=gold)
        notes += more
    return Predictions(
        asked.table,
        tags.columns(names, tagged, scores=scores),
        shares_of(tags.label if tagged is None else tags.label[tagged], names),
        report,
        notes=notes,
        reliability=curve,
        title=f"{now.name}: {asked.table.name} by {asked.labels.name or ', '.join(names)} ({method})",
        answered=asked.answered,
    )


def _check_several(shares: Mapping[str, float] | None, min_confidence: float | None) -> None:
    if shares is not None:
        raise UsageError("shares are those of labels that exclude each other: leave --share or --multi out")
    if min_confidence is not None:
        raise UsageError("with several labels a text, --threshold is the least probability: leave --min-confidence out")


def _check_one(min_confidence: float | None, threshold: float | None, separator: str | None) -> None:
    if threshold is not None or separator is not None:
        raise UsageError("a threshold and a separator go with several labels a text: give --multi too")
    if min_confidence is not None and not 0 <= min_confidence <= 1:
        raise UsageError(f"expected a least confidence between 0 and 1, found {min_confidence}")


def _check_columns(names: Sequence[str], *, scores: bool) -> None:
    if scores and (taken := [name for name in names if name in _COLUMNS]):
        raise UsageError(f"a column of scores can't be called {taken[0]!r}, as another column is: rename the label")


class _TagRequest(NamedTuple):
    """The checked arguments of `tag`.

    `answered` is a mask of the rows to tag, and `positions` has the positions of their texts. `gold` holds their values
    of the gold column (None if no column was named), `gold_map` the labels that each value stands for, and `shares` the
    known shares in the order of the labels.
    """

    table: Corpus
    answered: npt.NDArray[np.bool_]
    positions: npt.NDArray[np.int64]
    space: Space
    labels: LabelSet
    method: TaggingMethod
    queries: "QueryEncoder"
    shares: Sequence[float | None] | None
    gold: list[Any] | None
    gold_map: dict[str, list[str]]


def _check_request(
    now: Snapshot,
    labels: Labels,
    corpus: str | None,
    space: str | None,
    method: str,
    shares: Mapping[str, float] | None,
    gold: str | None,
    mapping: GoldMap,
    blank: Blank,
    *,
    no_encode: bool,
) -> _TagRequest:
    how = find_method(method)
    if shares is not None and not how.takes_shares:
        raise UsageError("shares of labels are used by the methods best, scale and topics: give one of them too")
    label_set = how.describe(LabelSet.of(labels))
    table = with_annotations(now, now.corpus(corpus), gold, label_set)
    vectors = now.embeddings(space, [table])
    vectors.require(table.positions(), table.name)
    answered = now.texts.answerable(table.positions(), blank)
    return _TagRequest(
        table=table,
        answered=answered,
        positions=table.positions() if answered.all() else table.positions()[answered],
        space=vectors,
        labels=label_set,
        method=how,
        queries=now.queries(vectors, no_encode=no_encode),
        shares=(known_shares(shares or {}, label_set.names) or label_set.shares or None) if how.takes_shares else None,
        gold=_values(table.column(gold), answered) if gold else None,
        gold_map=parse_map(mapping, label_set.names),
    )


def _values(column: pa.ChunkedArray, answered: npt.NDArray[np.bool_]) -> list[Any]:
    """Return a column's values in the rows to tag."""
    return shared_values(column if answered.all() else column.filter(pa.array(answered)))


def _annotated(now: Snapshot, asked: _TagRequest) -> list[str | None] | None:
    """Return the annotated label of each row to tag, None for a row without; None if none of them has one."""
    column = answered_rows(now, asked.table, asked.labels)
    answers = None if column is None else _values(column, asked.answered)
    return answers if answers and any(answers) else None


def _refined(
    now: Snapshot,
    asked: _TagRequest,
    prototypes: npt.NDArray[np.float32],
    answers: list[str | None] | None,
    *,
    examples: bool,
) -> tuple[Tags, tuple[str, ...]]:
    """Return tags from the method's refined scores of all distinct texts and from annotations, with notes."""
    if answers is None and examples:
        raise no_answers(now, asked.table, asked.labels, otherwise="leave --examples out")
    from embedstore.tagging.scored import AllTexts

    distinct, text_of_row = numbered(asked.positions, len(now.texts))
    texts = AllTexts(
        labels=asked.labels,
        prototypes=prototypes,
        positions=distinct,
        space=asked.space,
        vectors_of=asked.queries,
        cosines=score(asked.space, prototypes, distinct, all_scores=True).scores,
        shares=asked.shares,
        answers=answers_given(text_of_row, answers, asked.labels.names) if examples and answers else None,
    )
    found = all_refined(asked.method, texts)
    return Tags.of(found.scores, text_of_row), found.notes
