"""Compare methods that predict a column: baselines, cached vectors, finetuned checkpoints."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from embedstore.core.blank import Blank
from embedstore.core.counts import counted
from embedstore.core.progress import task
from embedstore.core.values import is_blank, value_text
from embedstore.corpora.rows import Corpus
from embedstore.encoders import EncoderOptions, Precision
from embedstore.errors import InputError, ModelRequiredError
from embedstore.labels.label_set import Labels, LabelSet
from embedstore.learning.fitting import MOST_TESTED, TrainOptions, rows_that_fit
from embedstore.learning.scoring import Score, Scoring
from embedstore.learning.splits import Split, split_rows
from embedstore.learning.targets import Target, as_number
from embedstore.reports.gold import GoldMap, as_pairs
from embedstore.tables.result import TableResult
from embedstore.vectors.encoding import EncodeProgress, encode
from embedstore.vectors.plan import EncodeReport
from embedstore.vectors.snapshot import Snapshot
from embedstore.vectors.space import Space

__all__ = ["Comparison", "compare"]


class Comparison(TableResult):
    """The scores of all methods that predict a column; its table has one row per method with the fields of `Score`.

    Attributes
    ----------
    target, tested_on : str
        The column, and a description of the test rows.
    scores : tuple of Score
        One score per method.
    verdict : str
        The gain in accuracy of the best LogReg on vectors over TF-IDF + LogReg; "" if no vectors were used.
    """

    def __init__(
        self, target: str, tested_on: str, scores: tuple[Score, ...], verdict: str, notes: tuple[str, ...]
    ) -> None:
        super().__init__(pa.Table.from_pylist([asdict(score) for score in scores]), notes)
        self.target = target
        self.tested_on = tested_on
        self.scores = scores
        self.verdict = verdict

    def summary(self) -> dict[str, Any]:
        """Return all fields as a JSON object."""
        return {
            "target": self.target,
            "tested_on": self.tested_on,
            "scores": [asdict(score) for score in self.scores],
            "verdict": self.verdict,
            "notes": list(self.notes),
        }

    def plot(self, path: str | Path) -> None:
        """Draw the accuracies with their intervals to a .png, .svg or .html file."""
        from embedstore.reports.pictures import Bars, draw

        names = [f"{one.method} ({one.space[:8]})" if one.space else one.method for one in self.scores]
        columns = self.table.to_pydict()
        accuracy, low, high = (np.array(columns[name]) for name in ("accuracy", "accuracy_low", "accuracy_high"))
        bars = Bars(names, accuracy, low, high, "accuracy, with 95% intervals")
        draw(Path(path), [bars], f"{self.target}, tested on {self.tested_on}")


def compare(
    now: Snapshot,
    target: str,
    *,
    corpus: str | None = None,
    test_corpus: str | None = None,
    labels: Labels | None = None,
    mapping: GoldMap = (),
    classify: Sequence[str] = (),
    max_seq_length: int | None = None,
    options: TrainOptions | None = None,
    blank: Blank = "skip",
    backend: str = "auto",
    device: str | None = None,
    batch_size: int | None = None,
    precision: Precision = "auto",
    no_encode: bool = False,
    on_progress: Callable[[EncodeProgress], None] | None = None,
) -> Comparison:
    """Compare methods that predict a column, all on the same test rows.

    "cosine labels" and "best labels" learn from no class: they are the tags of the two methods of `tag`. "best labels +
    answers" blends in what people said of other texts than the test rows. "topics" finds as many groups of vectors as
    there are classes; each group has the class of most of its training rows.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    target : str
        The column to predict, or "annotations".
    corpus, test_corpus : str, optional
        Corpora to train and to test on; without a test corpus a stratified share of the rows is held out.
    labels : sequence of str, or LabelSet, optional
        Labels to tag with; by default the classes, if they are names.
    mapping : mapping, or sequence of str
        The label, of the label set or of a checkpoint, that a class stands for: a dict, or ``VALUE=LABEL`` pairs. Rows
        of a class without a label (``VALUE=``) are left out for every method.
    classify : sequence of str
        Finetuned checkpoints to add to those with logits in the store; stored logits are not computed again.
    max_seq_length : int, optional
        Number of tokens at which a text is cut off for `classify`.
    options : TrainOptions, optional
        Penalty, iterations, split, seed.
    blank : {"skip", "answer"}
        Whether rows with a blank text are left out, or used like others.
    backend, device, batch_size, precision, no_encode, on_progress
        As in `encode`.

    Raises
    ------
    InputError
        If a pair names an unknown label, or if the given labels or a checkpoint of `classify` do not cover the
        classes.
    """
    options = options or TrainOptions()
    learnt, tested = Target.pair(now, target, corpus, test_corpus, options, blank)
    pairs = as_pairs(mapping)
    split = split_rows(learnt, tested, options).without(_left_out(pairs))
    targets = [one for one in (learnt, tested) if one]
    table = targets[-1].table
    asked: dict[str, EncodeReport | None] = {}
    for model in classify:
        if max_seq_length is None and (held := _held_logits(now, model, table)):
            asked = dict.fromkeys(held) | asked
            continue
        encoded = encode(
            now,
            model,
            corpus=table.name,
            options=EncoderOptions(output="logits", max_seq_length=max_seq_length),
            backend=backend,
            device=device,
            batch_size=batch_size,
            precision=precision,
            no_encode=no_encode,
            on_progress=on_progress,
        )
        asked.setdefault(encoded.space, encoded)  # the first report counts what was encoded
        now = now.reload()
    return _compared(now, target, split, targets, asked, labels, pairs, options, no_encode=no_encode)


def _left_out(mapping: Sequence[str]) -> list[str]:
    """Return the values that a mapping has no label for."""
    return [value for value, _, label in (pair.partition("=") for pair in mapping) if not label]


def _held_logits(now: Snapshot, model: str, table: Corpus) -> list[str]:
    """Return the keys of the spaces that have a checkpoint's logits for every row of a corpus."""
    name = str(Path(model).resolve()) if Path(model).is_dir() else model
    return [s.key for s in now.spaces if s.record.head and s.record.model == name and s.covers([table])]


def _compared(
    now: Snapshot,
    target: str,
    split: Split,
    targets: Sequence[Target],
    asked: dict[str, EncodeReport | None],
    labels: Labels | None,
    mapping: Sequence[str],
    options: TrainOptions,
    *,
    no_encode: bool,
) -> Comparison:
    """Score every method; `asked` has the spaces of the requested checkpoints, with their encode reports."""
    label_set, note = (LabelSet.of(labels), ()) if labels is not None else _named_classes(split)
    classifiers = [space for space in now.spaces if space.record.head]
    heads = [space.record.head.names for space in classifiers if space.record.head]
    _check_mapping(mapping, [*([label_set.names] if label_set else []), *heads])
    split, more = _sampled(split, now.spaces, options)
    run = Scoring(split, options, mapping, split.notes + note + more)
    spaces = [space for space in now.spaces if space.spec.output == "embedding"]
    tell = task("methods", 1 + 2 * len(spaces) + len(classifiers))
    run.score("majority class", None, run.majority)
    run.score("TF-IDF + LogReg", None, partial(run.tfidf, now.texts))
    tell(1)
    for space in spaces:
        try:
            test = space.at(split.test_positions)
            train, y = space.at(split.train_positions), split.y
        except ModelRequiredError as error:
            run.notes += (f"{space.record.model} ({space.key[:12]}) is left out: {error}",)
            tell(2)
            continue
        if label_set:
            queries = now.queries(space, no_encode=no_encode)
            run.score_tags(space, test, label_set, queries, asked=labels is not None)
            run.score_best(now, space, targets, label_set, queries)
        tell(1)
        run.score("topics", space, partial(run.topics, space, train, y, test))
        run.score("class centroids", space, partial(run.centroids, train, y, test))
        run.score("LogReg", space, partial(run.logreg, train, y, test))
        tell(1)
    for space in classifiers:
        run.score_checkpoint(space, asked.get(space.key), asked=space.key in asked)
        tell(1)
    return Comparison(target, split.tested_on, tuple(run.scores), run.verdict(), tuple(dict.fromkeys(run.notes)))


def _sampled(split: Split, spaces: Sequence[Space], options: TrainOptions) -> tuple[Split, tuple[str, ...]]:
    """Return the rows that fit in memory, the same for every method, and notes on the others."""
    dimension = max([1, *(space.dimension for space in spaces if space.spec.output == "embedding")])
    learnt, notes = rows_that_fit(split.y, dimension, options)
    count = len(split.given)
    tested = np.arange(count)
    if count > MOST_TESTED:
        tested = np.sort(np.random.default_rng(options.random_state).choice(count, MOST_TESTED, replace=False))
        notes += (f"tested on a random sample of {MOST_TESTED:,} of {counted(count, 'test row')}",)
    return (split.some(learnt, tested) if notes else split), notes


def _named_classes(split: Split) -> tuple[LabelSet | None, tuple[str, ...]]:
    """Return the classes as labels, or None and a note if they are not names."""
    if all(isinstance(value, str) and not is_blank(value) and as_number(value) is None for value in split.classes):
        return LabelSet.of([value_text(value) for value in split.classes]), ()
    note = "the classes have no names to tag with: give labels (-l, --labels) and --map VALUE=LABEL for that line"
    return None, (note,)


def _check_mapping(mapping: Sequence[str], vocabularies: Sequence[Sequence[str]]) -> None:
    known = sorted({name for names in vocabularies for name in names})
    for pair in mapping:
        _, equals, label = pair.partition("=")
        if not equals or (label and label not in known):
            raise InputError(
                f"expected --map VALUE=LABEL with a label of {', '.join(known) or 'none given'}, found {pair!r}"
            )
