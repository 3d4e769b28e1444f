"""Tagging: each row's nearest label by cosine similarity, plain or refined, with what it is worth."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.calibration import Reliability, calibrate, reliability
from embedstore.corpus import Corpus, value_text
from embedstore.errors import InputError, UsageError
from embedstore.fewshot import blend
from embedstore.joined import Joined, choices, shares
from embedstore.labels import LabelSet
from embedstore.metrics import map_gold, ordinal_report, parse_map
from embedstore.scan import best_labels
from embedstore.space import Space
from embedstore.vectors import unit_rows
from embedstore.zeroshot import own_bias, refine

__all__ = ["Method", "TagOptions", "Tags", "tag", "tag_positions"]

Method = Literal["cosine", "best"]

_COLUMNS = ("Predicted_Labels", "score", "margin", "confidence")
_SHARPNESS = {"cosine": 20.0, "best": 2.0}  # of a softmax where no label is known; reported as uncalibrated


@dataclass(frozen=True, slots=True, kw_only=True)
class TagOptions:
    """How rows are tagged.

    Parameters
    ----------
    method : {"cosine", "best"}
        "cosine" takes the nearest label as it is. "best" looks at the whole corpus; see `embedstore.zeroshot`.
    shares : mapping of str to float, optional
        Known share of each label, for "best"; by default they are estimated.
    scores : bool
        A column per label.
    confidence : bool
        A column with the probability of the tag, calibrated where labels are known.
    min_confidence : float, optional
        Rows below it are left untagged.
    examples : bool
        Blend in what people said of some rows (annotations).
    gold : str, optional
        A column to compare with.
    mapping : sequence of str
        ``VALUE=LABEL`` pairs: what the column's values stand for.
    """

    method: Method = "cosine"
    shares: Mapping[str, float] | None = None
    scores: bool = False
    confidence: bool = False
    min_confidence: float | None = None
    examples: bool = False
    gold: str | None = None
    mapping: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise UsageError(f"expected a method of {', '.join(get_args(Method))}, found {self.method!r}")
        if self.min_confidence is not None and not 0 <= self.min_confidence <= 1:
            raise UsageError(f"expected a least confidence between 0 and 1, found {self.min_confidence}")
        if self.shares is not None and self.method != "best":
            raise UsageError("shares of labels are used by --method best: give it too")

    def shares_of(self, names: Sequence[str]) -> list[float] | None:
        """Return the known shares in the order of the labels, or None."""
        if self.shares is None:
            return None
        unknown = [name for name in self.shares if name not in names]
        missing = [name for name in names if name not in self.shares]
        if unknown or missing:
            raise UsageError(
                f"expected a share for each of {', '.join(names)}, found "
                + (f"the unknown {unknown[0]!r}" if unknown else f"none for {missing[0]!r}")
            )
        found = [float(self.shares[name]) for name in names]
        if not (min(found) > 0 and abs(sum(found) - 1) <= 0.02):  # NaN is neither
            raise UsageError(
                f"expected shares above 0 that add up to 1, such as 0.2 and 0.8, found {', '.join(map(str, found))}"
            )
        return found


@dataclass(frozen=True, slots=True)
class Tags:
    """The tags of rows.

    Attributes
    ----------
    label : ndarray of shape (rows,), int32
        Number of the best label; of equals the first.
    score : ndarray of shape (rows,), float32
        Its cosine similarity, from -1 to 1; or its refined score.
    margin : ndarray of shape (rows,), float32
        Best minus second best.
    scores : ndarray of shape (rows, labels), float32, or None
        All of them, where they were asked for.
    confidence : ndarray of shape (rows,), float32, or None
        Probability that the label is right.
    """

    label: npt.NDArray[np.int32]
    score: npt.NDArray[np.float32]
    margin: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32] | None
    confidence: npt.NDArray[np.float32] | None = None

    @classmethod
    def of(cls, scores: npt.NDArray[np.floating]) -> "Tags":
        """Return the tags that scores of shape (rows, labels) give."""
        scores = scores.astype(np.float32)
        label = scores.argmax(axis=1).astype(np.int32)
        ordered = np.sort(scores, axis=1)
        return cls(label, ordered[:, -1], ordered[:, -1] - ordered[:, -2], scores)

    def columns(
        self, names: tuple[str, ...], tagged: npt.NDArray[np.bool_] | None, *, scores: bool
    ) -> dict[str, pa.Array]:
        """Return the columns that go beside the rows; the label is null where a row is not `tagged`."""
        found: dict[str, pa.Array] = {
            "Predicted_Labels": choices(self.label, names, tagged),
            "score": pa.array(self.score),
            "margin": pa.array(self.margin),
        }
        if self.confidence is not None:
            found["confidence"] = pa.array(self.confidence)
        if scores and self.scores is not None:
            found |= {name: pa.array(self.scores[:, i]) for i, name in enumerate(names)}
        return found


def tag(
    space: Space,
    table: Corpus,
    labels: LabelSet,
    options: TagOptions,
    *,
    texts: int,
    texts_at: Callable[[npt.NDArray[np.int64]], list[str]],
    vectors_of: Callable[[Sequence[str]], npt.NDArray[np.float32]],
    known: pa.ChunkedArray | None = None,
) -> Joined:
    """Tag every row of a corpus.

    Parameters
    ----------
    space : Space
        The vectors.
    table : Corpus
        The rows.
    labels : LabelSet
        Their names, and whether they are in order.
    options : TagOptions
        Method and columns.
    texts : int
        Number of texts in the store.
    texts_at : callable
        Returns the texts at positions.
    vectors_of : callable
        Returns the unit vectors of texts that are no rows.
    known : ChunkedArray of str, optional
        Labels that people gave to rows (null where they gave none), to fit the confidence on where there is no gold.
    """
    names = labels.names
    wanted_shares = options.shares_of(names)
    taken = [name for name in names if name in _COLUMNS]
    if options.scores and taken:
        raise UsageError(f"a column of scores can't be called {taken[0]!r}, as another column is: rename the label")
    gold_map = parse_map(options.mapping, names)
    gold = table.column(options.gold).to_pylist() if options.gold else None
    doubt = options.confidence or options.min_confidence is not None or options.method == "best"
    positions = table.positions()
    looked = doubt or options.examples
    prototypes = labels.prototypes(vectors_of)
    tags = tag_positions(space, prototypes, positions, texts, all_scores=options.scores or looked)
    notes: list[str] = []
    if len(positions) and (options.method == "best" or options.examples):
        if known is None and options.examples:
            raise InputError(
                f"no row of corpus {table.name!r} was given one of the labels {', '.join(names)} by a person: run "
                "`embedstore annotate`, or leave --examples out"
            )
        examples = known.to_pylist() if known is not None and options.examples else None

        def bias_on(corpus: Sequence[str], vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float64] | None:
            return own_bias(labels, prototypes, corpus, vectors, vectors_of)

        tags = _refined(space, table, tags, names, texts_at, bias_on, options, wanted_shares, examples, notes)
    tagged: npt.NDArray[np.bool_] | None = None
    curve: Reliability | None = None
    if doubt:
        values = gold if gold is not None else known.to_pylist() if known is not None else None
        tags, fitted, curve = _with_confidence(tags, options.method, values, names, gold_map)
        notes.append(
            f"confidence is calibrated on {fitted:,} rows whose label is known"
            if fitted
            else "confidence is uncalibrated: give labels to fit it on (--gold COL, or annotations)"
        )
        if options.min_confidence is not None and tags.confidence is not None:
            tagged = tags.confidence >= options.min_confidence
            notes.append(_said_of(tagged, options.min_confidence))
    report = None
    if gold is not None:
        held = set(map(value_text, gold))
        notes += [
            f"no row of {options.gold!r} holds {value!r}, which --map names" for value in gold_map if value not in held
        ]
    if gold is not None and (tagged is None or tagged.any()):
        rows = range(len(gold)) if tagged is None else np.flatnonzero(tagged).tolist()
        values, predicted = [gold[row] for row in rows], [names[tags.label[row]] for row in rows]
        report = map_gold(values, predicted, names, gold_map)
        if labels.ordinal and len(names) > 2:
            report = replace(report, ordinal=ordinal_report(values, predicted, names, gold_map))
    kept = tags.label if tagged is None else tags.label[tagged]
    columns = tags.columns(names, tagged, scores=options.scores)
    return Joined(table, columns, shares(kept, names), report, notes=tuple(notes), reliability=curve)


def _said_of(tagged: npt.NDArray[np.bool_], least: float) -> str:
    left = int(np.count_nonzero(~tagged))
    if not left:
        return f"every row has a confidence of {least:g} or more"
    rest = "shares and report are those of the others" if left < len(tagged) else "there is nothing to report on"
    return f"{left:,} of {len(tagged):,} rows have less confidence than {least:g}: they are untagged, and {rest}"


def _refined(
    space: Space,
    table: Corpus,
    tags: Tags,
    names: tuple[str, ...],
    texts_at: Callable[[npt.NDArray[np.int64]], list[str]],
    bias_on: Callable[[Sequence[str], npt.NDArray[np.float32]], npt.NDArray[np.float64] | None],
    options: TagOptions,
    wanted: list[float] | None,
    examples: list[str | None] | None,
    notes: list[str],
) -> Tags:
    distinct, first, inverse = np.unique(table.positions(), return_index=True, return_inverse=True)
    assert tags.scores is not None
    scores = tags.scores[first]
    vectors = space.at(distinct)
    if not space.spec.normalized:
        vectors = unit_rows(vectors)
    if options.method == "best":
        corpus = texts_at(distinct)
        refined = refine(scores, corpus, bias=bias_on(corpus, vectors), shares=wanted)
        notes += refined.notes
        found = refined.scores
    else:
        spread = float(np.std(scores - scores.mean(axis=1, keepdims=True)))
        found = scores.astype(np.float64) / max(spread, 1e-9)
    if examples is not None:
        given = {int(place): label for place, label in zip(inverse, examples, strict=True) if label in names}
        rows = np.array(sorted(given), dtype=np.int64)
        labels = np.array([names.index(given[row]) for row in rows.tolist()], dtype=np.int64)
        notes.append(f"{len(rows):,} annotated texts are blended in")
        found = blend(found, vectors, rows, labels)
    return Tags.of(found[inverse])


def _with_confidence(
    tags: Tags, method: Method, values: list[Any] | None, names: tuple[str, ...], gold_map: dict[str, list[str]]
) -> tuple[Tags, int, Reliability | None]:
    assert tags.scores is not None
    if values is None:
        confidence, fitted = calibrate(tags.scores, _SHARPNESS[method])
        return replace(tags, confidence=confidence), fitted, None
    members = {name: [name] for name in names} | gold_map
    allowed_of: dict[str, npt.NDArray[np.bool_]] = {}
    for value in set(map(value_text, values)):
        allowed_of[value] = np.array([name in members.get(value, ()) for name in names], dtype=bool)
    allowed = np.stack([allowed_of[value_text(value)] for value in values])
    known = np.asarray(allowed.any(axis=1), dtype=bool)
    confidence, fitted = calibrate(tags.scores, _SHARPNESS[method], allowed, known)
    right = allowed[np.arange(len(allowed)), tags.label]
    curve = reliability(confidence[known], right[known]) if known.any() else None
    return replace(tags, confidence=confidence), fitted, curve


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
