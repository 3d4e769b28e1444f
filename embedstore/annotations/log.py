"""The log of annotations: answers are appended to the store, never changed, and folded when they are read.

Every answer is committed before the next question is asked. An answer is bound to its text, so it stays valid if the
corpus is read again. Only a person's last answer to a text is current; "undo" takes the last answer back.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from embedstore.core.counts import counted
from embedstore.core.spec import canonical_json
from embedstore.errors import DamagedStoreError, UsageError
from embedstore.labels.choice import Choice
from embedstore.labels.label_set import LabelSet
from embedstore.storage.gate import staged
from embedstore.storage.listed import read_file
from embedstore.storage.manifest import commit
from embedstore.storage.records import AnnotationPart
from embedstore.storage.state import Manifest
from embedstore.vectors.snapshot import Snapshot

__all__ = [
    "MERGED_AFTER",
    "Action",
    "Annotation",
    "answers_to",
    "current_answers",
    "fold_answers",
    "keep",
    "majority_labels",
    "read_part",
]

Action = Literal["label", "skip", "undo"]

_UNKNOWN = Choice()

MERGED_AFTER = 64
"""Number of answer files above which all are merged into one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """One answer of a person.

    Parameters
    ----------
    text : str
        Key of the text, 32 hexadecimal digits.
    label : str
        Chosen label; "" for a skip or an undo.
    choice : Choice
        The labels to choose from.
    action : {"label", "skip", "undo"}
        Kind of answer.
    who : str
        Name of the person who answered; can be "".
    when : str
        Time in UTC, ISO 8601.
    corpus, row : str
        Corpus in which the text was found, and the row's id as a string.

    Raises
    ------
    UsageError
        If a field is not a string that UTF-8 can encode.
    """

    text: str
    label: str
    choice: Choice = _UNKNOWN
    action: Action = "label"
    who: str = ""
    when: str = ""
    corpus: str = ""
    row: str = ""

    def __post_init__(self) -> None:
        for name, value in self.to_json().items():
            try:
                good = isinstance(value, str) and value.encode() is not None
            except UnicodeEncodeError:
                good = False
            if not good:
                raise UsageError(f"expected {name} of an annotation to be a text, found {value!r}")

    @property
    def question(self) -> tuple[str, str, frozenset[str] | str]:
        """The text, the person, and the labels to choose from; each question has at most one current answer."""
        return self.text, self.who, self.choice.key

    def to_json(self) -> dict[str, str]:
        """Return the answer as a JSON object."""
        said = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "choice"}
        return {**said, "label_set": self.choice.text}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Annotation":
        """Return the annotation in a JSON object of `to_json`."""
        if not isinstance(value, dict) or not isinstance(value["label_set"], str):
            raise ValueError("an annotation of another form")
        said = {field.name: value[field.name] for field in fields(cls) if field.name != "choice"}
        made = cls(choice=Choice.read(value["label_set"]), **said)
        if made.action not in get_args(Action) or len(bytes.fromhex(made.text)) != 16:
            raise ValueError("an annotation of another form")
        return made


def keep(now: Snapshot, answers: Iterable[Annotation]) -> None:
    """Commit answers to a store; answers without a time get the current time."""
    present = datetime.now(UTC).isoformat(timespec="seconds")
    dated = [one if one.when else replace(one, when=present) for one in answers]
    if not dated:
        return
    root = now.root
    with now.writing():
        part = _write(root, dated)
        manifest = commit(root, lambda base: replace(base, annotations=(*base.annotations, part)))
        if len(manifest.annotations) > MERGED_AFTER:
            _merge(root, manifest)


def _write(root: Path, answers: Sequence[Annotation]) -> AnnotationPart:
    content = canonical_json({"format_version": 1, "annotations": [one.to_json() for one in answers]})
    with staged(root, "annotations", ".json") as temp:
        temp.stream.write(content)
        return AnnotationPart(temp.publish(".json"), len(answers))


def _merge(root: Path, manifest: Manifest) -> None:
    parts = manifest.annotations
    whole = _write(root, _read(root, manifest))

    def change(base: Manifest) -> Manifest:
        if base.annotations[: len(parts)] != parts:
            return base  # another process merged first
        return replace(base, annotations=(whole, *base.annotations[len(parts) :]))

    commit(root, change)


def _read(root: Path, manifest: Manifest) -> list[Annotation]:
    return [one for part in manifest.annotations for one in read_part(root, part)]


def read_part(root: Path, part: AnnotationPart) -> list[Annotation]:
    """Return the answers in one file, in commit order.

    Raises
    ------
    DamagedStoreError
        If the file is missing or altered.
    """
    content = read_file(root, part.file, "restore it from a backup; people gave what it holds")
    path = root / part.file.path
    try:
        listed = [Annotation.from_json(value) for value in json.loads(content)["annotations"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedStoreError(f"{path} holds no annotations ({error})") from error
    if len(listed) != part.count:
        raise DamagedStoreError(f"{path} holds {counted(len(listed), 'annotation')}, expected {part.count}")
    return listed


def current_answers(now: Snapshot) -> list[Annotation]:
    """Return the current answers of a store, in the order in which they were given; see `fold_answers`.

    Raises
    ------
    DamagedStoreError
        If a file of answers is missing or altered.
    """
    return now.cached(_current)


def _current(now: Snapshot) -> list[Annotation]:
    return fold_answers(_read(now.root, now.manifest))


def fold_answers(answers: Iterable[Annotation]) -> list[Annotation]:
    """Return the current answers: each person's last answer to a text, without answers taken back.

    They are in the order in which they were given.
    """
    stacks: dict[tuple[str, str, frozenset[str] | str], list[tuple[int, Annotation]]] = {}
    for number, one in enumerate(answers):
        stack = stacks.setdefault(one.question, [])
        if one.action != "undo":
            stack.append((number, one))
        elif stack:
            stack.pop()
    return [one for _, one in sorted((stack[-1] for stack in stacks.values() if stack), key=lambda pair: pair[0])]


def answers_to(answers: Iterable[Annotation], labels: LabelSet) -> list[Annotation]:
    """Return the answers that chose from these labels; "Negative" of two labels differs from "Negative" of five.

    If the labels of an answer's set are no longer known, the answer counts if its label is one of these.
    """
    return [
        one
        for one in answers
        if one.choice.could_choose_from(labels, one.label) and (one.label in labels.names or one.action != "label")
    ]


def majority_labels(answers: Iterable[Annotation]) -> tuple[dict[str, str], list[str]]:
    """Return the most frequent label of each text, and the texts where two labels tie.

    Parameters
    ----------
    answers : iterable of Annotation
        Current answers, from `fold_answers`.

    Returns
    -------
    labels : dict of str to str
        Label of each text, by text key.
    split : list of str
        Keys of the texts with a tie.
    """
    votes: dict[str, Counter[str]] = {}
    for one in answers:
        if one.action == "label":
            votes.setdefault(one.text, Counter())[one.label] += 1
    labels, split = {}, []
    for text, counts in votes.items():
        (label, most), *rest = counts.most_common(2)
        if rest and rest[0][1] == most:
            split.append(text)
        else:
            labels[text] = label
    return labels, split
