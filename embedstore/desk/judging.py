"""Judge tags and answers: against a column, against other labels, and by what models doubt. All as JSON values."""

from collections.abc import Mapping, Sequence
from typing import Any

from embedstore.annotations.column import ANNOTATIONS
from embedstore.core.values import value_text
from embedstore.desk.carrying import count_carried
from embedstore.desk.changing import changes
from embedstore.desk.kept import Kept
from embedstore.desk.learners import load_learners
from embedstore.desk.lens import Lens
from embedstore.desk.showing import LONGEST
from embedstore.desk.tagged import learnable
from embedstore.desk.thresholds import Compared, threshold_table
from embedstore.learning.curve import learning_curve
from embedstore.learning.fitting import TrainOptions
from embedstore.reports.calibration import Reliability
from embedstore.reports.metrics import Report
from embedstore.store import EmbeddingStore
from embedstore.vectors.snapshot import Snapshot

__all__ = ["Judge"]

_MOST = 500  # doubts and groups of duplicates that are listed
_MOST_MEMBERS = 100  # of a group


class Judge:
    """What tags and answers of a corpus are worth.

    Parameters
    ----------
    store : EmbeddingStore
        The store.
    corpus, space : str
        Name of the corpus; key of the vectors.
    kept : Kept
        Tags that are kept.
    """

    def __init__(self, store: EmbeddingStore, corpus: str, space: str, kept: Kept) -> None:
        self._store = store
        self._kept = kept
        self._corpus = corpus
        self._rows: dict[str, Any] = {"corpus": corpus, "space": space}

    @property
    def _ready(self) -> EmbeddingStore:
        """The store, when what its questions need is imported."""
        load_learners()
        return self._store

    def report(self, lens: Lens, column: str, mapping: Mapping[str, str]) -> dict[str, Any]:
        """Compare tags with the values of a column, or with "annotations".

        Parameters
        ----------
        lens : Lens
            The labels.
        column : str
            The column.
        mapping : mapping of str to str
            The label that a value stands for; "" leaves its rows out.

        Returns
        -------
        dict
            ``accuracy``, ``macro_f1``, ``rows``, ``left_out``, ``classes``, ``confusion`` (given by tagged), ``table``
            (a dict for each class), ``reliability`` (dicts with ``confidence``, ``accuracy`` and ``count`` of rows of
            like confidence), ``calibration_error`` and ``notes``. If the lens has a least confidence, the report is on
            the rows that keep a tag, and the confidence is that of the lens.
        """
        if lens.min_confidence is not None:
            with self._ready.snapshot() as now:
                report, curve, notes = self._compared(now, lens, column, mapping).report(lens.min_confidence)
                return _reported(report, curve, (*self._kept.tagged(now, lens).notes, *notes))
        with self._ready.snapshot() as now:
            lens, notes = learnable(now, now.corpus(self._corpus), lens)
        tagged = self._ready.tag(
            lens.chosen,
            method=lens.method,
            examples=lens.examples,
            confidence=True,
            gold=column,
            mapping=mapping,
            **self._rows,
        )
        assert isinstance(tagged.report, Report), "tags with a gold column have a report"
        return _reported(tagged.report, tagged.reliability, (*tagged.notes, *notes))

    def thresholds(
        self, lens: Lens, column: str = ANNOTATIONS, mapping: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Count what stays tagged at each least confidence; see `embedstore.desk.thresholds.threshold_table`.

        Parameters
        ----------
        lens : Lens
            The labels; any least confidence counts for nothing here.
        column : str
            What says whether a tag is right: a column, or by default what people said.
        mapping : mapping of str to str, optional
            As in `report`.
        """
        with self._ready.snapshot() as now:
            return threshold_table(self._compared(now, lens, column, mapping or {}))

    def _compared(self, now: Snapshot, lens: Lens, column: str, mapping: Mapping[str, str]) -> Compared:
        """Return a column beside the tags of all rows, whatever their confidence is."""
        return Compared(now, now.corpus(self._corpus), self._kept.tagged(now, lens.with_confidence(0)), column, mapping)

    def changes(self, before: Lens, lens: Lens, renamed: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Say how many tags change from one lens to another; see `embedstore.desk.changing.changes`.

        ``answers`` is the number of texts whose answers `Desk.carry_over` would take over.
        """
        renamed = renamed or {}
        with self._ready.snapshot() as now:
            found = changes(self._kept.tagged(now, before), self._kept.tagged(now, lens), renamed)
            return found | {"answers": count_carried(now, before.choice, lens.choice, renamed)}

    def advice(self, lens: Lens, who: str = "") -> dict[str, Any]:
        """Return what the answers so far are worth.

        Returns
        -------
        dict
            ``text``, and from ten answers on ``answers``, ``accuracy``, ``low``, ``high``, ``gain`` and ``pays``; see
            `embedstore.annotations.advice.Advice`.
        """
        found = self._ready.annotations.session(lens.chosen, who=who, **self._rows).advice()
        if found is None:
            return {"text": "after ten answers, this line says what they are worth"}
        names = ("answers", "accuracy", "low", "high", "gain", "pays")
        return {name: getattr(found, name) for name in names} | {"text": str(found)}

    def doubts(self, column: str) -> dict[str, Any]:
        """List rows whose given label is likely wrong, the most doubtful first.

        Returns
        -------
        dict
            ``doubts``: at most 500 dicts with ``row`` (its number), ``id``, ``given``, ``suggested``, ``confidence``
            and ``text`` (at most 2,000 characters). ``notes``, and the figures of
            `embedstore.learning.Doubts.summary`.
        """
        found = self._ready.doubts(column, drop_missing=True, **self._rows)
        listed = zip(found.rows.tolist(), found.table.slice(0, _MOST).to_pylist(), strict=False)
        doubts = [{**doubt, **_shown(doubt, row)} for row, doubt in listed]
        return found.summary() | {"doubts": doubts, "notes": list(found.notes)}

    def duplicates(self, threshold: float) -> dict[str, Any]:
        """List groups of rows with nearly the same text.

        Returns
        -------
        dict
            ``total``: number of groups. ``groups``: at most 500 lists of at most 100 dicts with ``row`` (its number),
            ``id``, ``similarity`` and ``text`` (at most 2,000 characters). ``sizes``: number of rows of each group.
        """
        found = self._ready.duplicates(threshold=threshold, corpora=[self._corpus], space=self._rows["space"])
        groups, start = [], 0
        for group in found.groups[:_MOST]:
            first = group[:_MOST_MEMBERS]
            rows = found.table.slice(start, len(first)).to_pylist()
            both = zip(rows, first, strict=True)
            groups.append([{**_shown(row, one.row), "similarity": row["similarity"]} for row, one in both])
            start += len(group)
        sizes = [len(group) for group in found.groups[:_MOST]]
        return {"total": len(found.groups), "groups": groups, "sizes": sizes}

    def compare(self, lens: Lens, column: str, mapping: Mapping[str, str]) -> dict[str, Any]:
        """Say what each method is worth on a column: ``methods`` (a dict for each) and ``notes``."""
        options = TrainOptions(drop_missing=True)
        found = self._ready.compare(column, corpus=self._corpus, labels=lens.labels, mapping=mapping, options=options)
        return {"methods": found.table.to_pylist(), "notes": list(found.notes)}

    def learning_curve(
        self, lens: Lens, column: str = ANNOTATIONS, mapping: Mapping[str, str] | None = None, *, seed: int = 42
    ) -> dict[str, Any]:
        """Say how good a classifier is with 10, 20, 40, … values of a column, or answers.

        Parameters
        ----------
        lens : Lens
            The labels whose answers count; without labels, those of the only label set.
        column : str
            The column, or by default what people said.
        mapping : mapping of str to str, optional
            The label that a value stands for; "" leaves its rows out.
        seed : int
            Seed of the folds and of the draws.

        Returns
        -------
        dict
            See `embedstore.learning.LearningCurve.to_json`.
        """
        how: dict[str, Any] = {"labels": lens.labels, "mapping": mapping, "random_state": seed, **self._rows}
        with self._ready.snapshot() as now:
            return learning_curve(now, column, **how).to_json()

    def topics(self, count: int | None = None) -> dict[str, Any]:
        """Propose labels: ``topics`` (dicts of ``name``, ``words``, ``share`` and ``typical`` texts) and ``notes``."""
        found = self._ready.topics(count or "auto", **self._rows)
        listed = [
            {"name": one.name, "words": list(one.words), "share": one.share, "typical": list(one.typical)}
            for one in found.topics
        ]
        return {"topics": listed, "notes": list(found.notes)}


def _reported(report: Report, curve: Reliability | None, notes: Sequence[str]) -> dict[str, Any]:
    """Return a report and the reliability of the confidence as JSON values."""
    said = report.to_json() | {"table": report.table().to_pylist(), "notes": list(notes)}
    if curve is None:
        return said | {"reliability": [], "calibration_error": None}
    steps = zip(curve.confidence.tolist(), curve.accuracy.tolist(), curve.count.tolist(), strict=True)
    return said | {
        "reliability": [{"confidence": c, "accuracy": a, "count": n} for c, a, n in steps],
        "calibration_error": curve.error,
    }


def _shown(listed: Mapping[str, Any], row: int) -> dict[str, Any]:
    """Return number, id and text of a row in a list."""
    return {"row": row, "id": value_text(listed["id"]), "text": listed["text"][:LONGEST]}
