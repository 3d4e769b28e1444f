"""The log of annotations: answers are appended to the store, never changed, and folded when they are read.

Every answer is committed before the next question is asked. An answer is bound to its text, so it stays valid if the
corpus is read again. Only a person's last answer to a text is current; "undo" takes an answer back.

The order is that of the commits, never that of clocks. Each answer and each undo has an id, so the same one counts once
even if it is stored twice; an undo names the answer that it takes back.
"""

import json
import logging
import re
import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from embedstore.core.checks import shown
from embedstore.core.counts import counted
from embedstore.core.spec import canonical_json
from embedstore.errors import DamagedStoreError, EmbedstoreError, StoreFormatError, UsageError
from embedstore.labels.choice import Choice, labels_in
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
    "all_answers",
    "answers_to",
    "current_answers",
    "fold_answers",
    "identified",
    "keep",
    "majority_labels",
    "read_part",
    "undo_of",
]

logger = logging.getLogger(__name__)

Action = Literal["label", "skip", "undo"]

_UNKNOWN = Choice()
_FORMAT_VERSION = 3  # since 2, answers have ids and undos name what they take back; since 3, there are several labels
_OF_ONE_LABEL = 2  # what is written where no answer is of several labels
_KEY = re.compile(r"[0-9a-f]{32}")
_ID = re.compile(r"[0-9a-f]{32}|#[0-9]{1,18}|")

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
        Chosen label, or several labels as `joined_labels` joins them; "" for a skip or an undo.
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
    id : str
        Identity of this answer or undo: 32 random hexadecimal digits. Answers of earlier releases have "" on the disk;
        `fold_answers` gives them ``#`` and their place in the log.
    takes_back : str
        For an undo, the id of the answer that it takes back; "" means the last one.

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
    id: str = ""
    takes_back: str = ""

    def __post_init__(self) -> None:
        for name, value in self.to_json().items():
            try:
                good = isinstance(value, str) and value.encode() is not None
            except UnicodeEncodeError:
                good = False
            if not good:
                raise UsageError(f"expected {name} of an annotation to be a text, found {shown(value)}")

    @property
    def labels(self) -> tuple[str, ...]:
        """The chosen labels: one, or any number if the choice is one of several."""
        if not self.label:
            return ()
        return (labels_in(self.label) or ()) if self.choice.several else (self.label,)

    @property
    def question(self) -> tuple[str, str, Any]:
        """The text, the person, and the labels to choose from; each question has at most one current answer."""
        return self.text, self.who, self.choice.key

    def to_json(self) -> dict[str, str]:
        """Return the answer as a JSON object."""
        said = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "choice"}
        return {**said, "label_set": self.choice.text}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Annotation":
        """Return the annotation in a JSON object of `to_json`.

        Raises
        ------
        ValueError, TypeError, KeyError
            If it is no such object.
        """
        if not isinstance(value, dict) or not isinstance(value["label_set"], str):
            raise ValueError("an annotation of another form")
        old = {"id": "", "takes_back": "", **value}
        said = {field.name: old[field.name] for field in fields(cls) if field.name != "choice"}
        choice = Choice.read(value["label_set"])
        if choice.several and said["label"] and labels_in(str(said["label"])) is None:
            choice = Choice.read(value["label_set"], several=False)  # a name of an earlier release that begins so
        made = cls(choice=choice, **said)
        sound = made.action in get_args(Action) and bool(made.label) == (made.action == "label")
        if not sound or not _KEY.fullmatch(made.text) or not all(map(_ID.fullmatch, (made.id, made.takes_back))):
            raise ValueError("an annotation of another form")
        return made


def identified(answers: Iterable[Annotation]) -> list[Annotation]:
    """Return the answers, with the current time and a new id where they have none."""
    present = datetime.now(UTC).isoformat(timespec="seconds")
    return [replace(one, when=one.when or present, id=one.id or secrets.token_hex(16)) for one in answers]


def undo_of(one: Annotation) -> Annotation:
    """Return an annotation that takes an answer back."""
    return Annotation(text=one.text, label="", choice=one.choice, action="undo", who=one.who, takes_back=one.id)


def keep(now: Snapshot, answers: Iterable[Annotation]) -> None:
    """Commit answers to a store, with the current time and a new id where they have none."""
    listed = identified(answers)
    if not listed:
        return
    root = now.root
    with now.writing():
        part = _write(root, listed)
        manifest = commit(root, lambda base: replace(base, annotations=(*base.annotations, part)))
        if len(manifest.annotations) > MERGED_AFTER:
            try:
                _merge(root, manifest)
            except (EmbedstoreError, OSError) as error:  # the answers are on the disk: it must not look as if not
                logger.info("files of answers are merged another time: %s", error)


def _write(root: Path, answers: Sequence[Annotation]) -> AnnotationPart:
    version = _FORMAT_VERSION if any(one.choice.several for one in answers) else _OF_ONE_LABEL
    content = canonical_json({"format_version": version, "annotations": [one.to_json() for one in answers]})
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
    StoreFormatError
        If a newer release wrote it.
    """
    content = read_file(root, part.file, "restore it from a backup; people gave what it holds")
    path = root / part.file.path
    try:
        value = json.loads(content)
        version = value["format_version"]
        if type(version) is not int or version < 1 or type(value["annotations"]) is not list:
            raise ValueError("a file of another form")
        if version > _FORMAT_VERSION:
            raise StoreFormatError(f"{path} was written by a newer release (format {version}): upgrade embedstore")
        listed = [Annotation.from_json(one) for one in value["annotations"]]
    except StoreFormatError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedStoreError(f"{path} holds no annotations ({error})") from error
    if len(listed) != part.count:
        raise DamagedStoreError(f"{path} holds {counted(len(listed), 'annotation')}, expected {part.count}")
    return listed


def all_answers(now: Snapshot) -> list[Annotation]:
    """Return the whole log of a store in the order of the commits: answers, skips, and undos.

    Raises
    ------
    DamagedStoreError
        If a file of answers is missing or altered.
    """
    return now.cached(_all)


def _all(now: Snapshot) -> list[Annotation]:
    return _read(now.root, now.manifest)


def current_answers(now: Snapshot) -> list[Annotation]:
    """Return the current answers of a store, in the order in which they were given; see `fold_answers`.

    Raises
    ------
    DamagedStoreError
        If a file of answers is missing or altered.
    """
    return now.cached(_current)


def _current(now: Snapshot) -> list[Annotation]:
    return fold_answers(all_answers(now))


def fold_answers(answers: Iterable[Annotation]) -> list[Annotation]:
    """Return the current answers: each person's last answer to a text, without answers taken back.

    They are in the order in which they were given.

    Parameters
    ----------
    answers : iterable of Annotation
        A whole log, from its beginning: an answer without an id is known by its place.
    """
    stacks: dict[tuple[str, str, Any], dict[str, tuple[int, Annotation]]] = {}
    seen: set[str] = set()
    for number, one in enumerate(answers):
        known_as = one.id or f"#{number}"
        if known_as in seen:
            continue
        seen.add(known_as)
        stack = stacks.setdefault(one.question, {})
        if one.action != "undo":
            stack[known_as] = number, one if one.id else replace(one, id=known_as)
        elif one.takes_back:
            stack.pop(one.takes_back, None)
        elif stack:
            stack.popitem()
    latest = [next(reversed(stack.values())) for stack in stacks.values() if stack]
    return [one for _, one in sorted(latest, key=lambda pair: pair[0])]


def answers_to(answers: Iterable[Annotation], labels: LabelSet) -> list[Annotation]:
    """Return the answers that chose from these labels; "Negative" of two labels differs from "Negative" of five.

    If the labels of an answer's set are no longer known, the answer counts if its label is one of these.
    """
    return [
        one
        for one in answers
        if one.choice.could_choose_from(labels, one.label) and set(labels.names).issuperset(one.labels)
    ]


def majority_labels(answers: Iterable[Annotation]) -> tuple[dict[str, str], list[str]]:
    """Return the most frequent label of each text, and the texts where two labels tie.

    Several labels are one answer: they agree with the same ones alone.

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
