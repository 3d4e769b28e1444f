"""The routes that judge tags and answers, and shape labels."""

from typing import Any

from embedstore.annotations.column import ANNOTATIONS
from embedstore.desk.desk import Desk
from embedstore.desk.lens import renamed_labels
from embedstore.topics.pipeline import MOST_TOPICS
from embedstore.web.given import LENS, MAPPING, RENAMED, SHARE, TEXT, WHOLE, Given, Route

__all__ = ["JUDGING"]


def _report(desk: Desk, given: Given) -> Any:
    return desk.judge.report(given.lens(), given.text("column"), given.mapping("mapping"))


def _changes(desk: Desk, given: Given) -> Any:
    renamed = dict(renamed_labels(given.values.get("renamed", [])))
    return desk.judge.changes(given.lens("before"), given.lens(), renamed)


def _thresholds(desk: Desk, given: Given) -> Any:
    return desk.judge.thresholds(given.lens(), given.text("column", ANNOTATIONS), given.mapping("mapping"))


def _advice(desk: Desk, given: Given) -> Any:
    return desk.judge.advice(given.lens(), given.text("who", ""))


def _doubts(desk: Desk, given: Given) -> Any:
    return desk.judge.doubts(given.text("column"))


def _duplicates(desk: Desk, given: Given) -> Any:
    return desk.judge.duplicates(given.share("threshold", 0.95))


def _compare(desk: Desk, given: Given) -> Any:
    return desk.judge.compare(given.lens(), given.text("column"), given.mapping("mapping"))


def _learning_curve(desk: Desk, given: Given) -> Any:
    column, mapping = given.text("column", ANNOTATIONS), given.mapping("mapping")
    return desk.judge.learning_curve(given.lens(), column, mapping, seed=given.whole("seed", 42))


def _topics(desk: Desk, given: Given) -> Any:
    return desk.judge.topics(min(given.whole("count", 0), MOST_TOPICS) or None)


def _yaml(desk: Desk, given: Given) -> Any:
    return {"yaml": given.lens().to_yaml()}


def _labels(desk: Desk, given: Given) -> Any:
    return given.lens().to_json()


_CHANGED = {"before": LENS, "lens": LENS, "renamed": RENAMED}
_JUDGED = {"lens": LENS, "column": TEXT, "mapping": MAPPING}

JUDGING = (
    Route("/api/report", "Tags against a column.", _report, _JUDGED, ("lens", "column")),
    Route("/api/thresholds", "What stays tagged at each least confidence.", _thresholds, _JUDGED, ("lens",)),
    Route("/api/changes", "Tags that change.", _changes, _CHANGED, ("before", "lens")),
    Route("/api/advice", "What the answers are worth.", _advice, {"lens": LENS, "who": TEXT}, ("lens",)),
    Route("/api/doubts", "Rows whose given label is likely wrong.", _doubts, {"column": TEXT}, ("column",)),
    Route("/api/duplicates", "Groups of rows with nearly the same text.", _duplicates, {"threshold": SHARE}),
    Route("/api/compare", "What each method is worth.", _compare, _JUDGED, ("column",)),
    Route(
        "/api/learning-curve",
        "How good a classifier is by the number of labelled texts.",
        _learning_curve,
        {**_JUDGED, "seed": WHOLE},
    ),
    Route("/api/topics", "Groups of similar texts, to start labels from.", _topics, {"count": WHOLE}),
    Route("/api/labels", "The labels with their descriptions.", _labels, {"lens": LENS}, ("lens",)),
    Route("/api/yaml", "The labels as a label set file.", _yaml, {"lens": LENS}, ("lens",)),
)
"""The routes that judge and shape."""
