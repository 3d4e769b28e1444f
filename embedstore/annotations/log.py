"""The log of annotations: answers are appended to the store, never changed, and folded when they are read.

Every answer is committed before the next question is asked. An answer is bound to its text, so it stays valid if the
corpus is read again. Only a person's last answer to a text is current; "undo" takes an answer back.

The order is that of the commits, never that of clocks. Each answer and each undo has an id, so the same one counts once
even if it is stored twice; an undo names the answer that it takes back.
"""

import json
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any

from embedstore.annotations.annotation import Annotation, fresh_id, present
from embedstore.core.counts import counted
from embedstore.core.guards import Lock
from embedstore.core.spec import canonical_json
from embedstore.errors import DamagedStoreError, EmbedstoreError, StoreFormatError
from embedstore.labels.label_set import LabelSet
from embedstore.storage.gate import staged
from embedstore.storage.listed import read_file
from embedstore.storage.manifest import commit
from embedstore.storage.records import AnnotationPart
from embedstore.storage.state import Manifest
from embedstore.vectors.snapshot import Snapshot

__all__ = [
    "MERGED_AFTER",
    "all_answers",
    "answers_to",
    "current_answers",
    "fold_answers",
    "identified",
    "keep",
    "majority_labels",
    "read_part",
    "renamed_part",
    "undo_of",
]

logger = logging.getLogger(__name__)

_FORMAT_VERSION = 3  # since 2, answers have ids and undos name what they take back; since 3, there are several labels
_OF_ONE_LABEL = 2  # what is written where no answer is of several labels

MERGED_AFTER = 64
"""Number of answer files above which the small ones are merged into one."""

_Stacks = dict[tuple[str, str, Any], dict[str, tuple[int, Annotation]]]


def identified(answers: Iterable[Annotation]) -> list[Annotation]:
    """Return the answers, with the current time and a new id where they have none."""
    when = present()
    return [
        one if one.when and one.id else replace(one, when=one.when or when, id=one.id or fresh_id()) for one in answers
    ]


def undo_of(one: Annotation, *, when: str = "") -> Annotation:
    """Return an annotation that takes an answer back, by default now."""
    return Annotation(
        text=one.text,
        label="",
        choice=one.choice,
        action="undo",
        who=one.who,
        when=when or present(),
        id=fresh_id(),
        takes_back=one.id,
    )


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
    large = _large(parts)
    whole = _write(root, [one for part in parts[large:] for one in read_part(root, part)])

    def change(base: Manifest) -> Manifest:
        if base.annotations[: len(parts)] != parts:
            return base  # another process merged first
        return replace(base, annotations=(*parts[:large], whole, *base.annotations[len(parts) :]))

    commit(root, change)


def renamed_part(root: Path, part: AnnotationPart, old: str, new: str) -> AnnotationPart:
    """Return the file of the same answers, those to rows of the corpus `old` as answers to rows of `new`.

    Answers keep their ids and their order, so each counts as it did. If none is of `old`, the file is the same.
    """
    answers = read_part(root, part)
    if not any(one.corpus == old for one in answers):
        return part
    return _write(root, [replace(one, corpus=new) if one.corpus == old else one for one in answers])


def _large(parts: Sequence[AnnotationPart]) -> int:
    """Return how many of the first files stay as they are: each has more answers than all that follow together.

    So an answer is written again a few times at most, however many there are.
    """
    after = sum(part.count for part in parts)
    for number, part in enumerate(parts):
        after -= part.count
        if part.count <= after:
            return number
    return len(parts)


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
    return now.kept(_ReadLog).answers(now.root, now.manifest)


def current_answers(now: Snapshot) -> list[Annotation]:
    """Return the current answers of a store, in the order in which they were given; see `fold_answers`.

    Raises
    ------
    DamagedStoreError
        If a file of answers is missing or altered.
    """
    return now.cached(_current)


def _current(now: Snapshot) -> list[Annotation]:
    return now.kept(_ReadLog).current(now.root, now.manifest)


class _ReadLog:
    """The log as an open store has read it: answers by the hash of their file, and the first files folded."""

    def __init__(self) -> None:
        self._read: dict[str, list[Annotation]] = {}
        self._lock = Lock()
        self._begin()

    def _begin(self) -> None:
        self._folded: tuple[AnnotationPart, ...] = ()
        self._stacks: _Stacks = {}
        self._seen: set[str] = set()
        self._count = 0

    def answers(self, root: Path, manifest: Manifest) -> list[Annotation]:
        """Return the whole log of a state; only files that are new in it are read."""
        with self._lock.held():
            return [one for part in self._parts(root, manifest) for one in part]

    def current(self, root: Path, manifest: Manifest) -> list[Annotation]:
        """Return the current answers of a state; only files after those that are folded are folded."""
        with self._lock.held():
            parts = self._parts(root, manifest)
            if not self._folded or manifest.annotations[: len(self._folded)] != self._folded:
                self._begin()
            new, self._folded = parts[len(self._folded) :], ()  # folded again from the beginning if this is interrupted
            for part in new:
                _fold(self._stacks, self._seen, part, self._count)
                self._count += len(part)
            self._folded = manifest.annotations
            return _latest(self._stacks)

    def _parts(self, root: Path, manifest: Manifest) -> list[list[Annotation]]:
        known = self._read
        self._read = {}
        for part in manifest.annotations:
            name = part.file.sha256
            self._read[name] = known[name] if name in known else read_part(root, part)
        return [self._read[part.file.sha256] for part in manifest.annotations]


def fold_answers(answers: Iterable[Annotation]) -> list[Annotation]:
    """Return the current answers: each person's last answer to a text, without answers taken back.

    They are in the order in which they were given.

    Parameters
    ----------
    answers : iterable of Annotation
        A whole log, from its beginning: an answer without an id is known by its place.
    """
    stacks: _Stacks = {}
    _fold(stacks, set(), answers, 0)
    return _latest(stacks)


def _fold(stacks: _Stacks, seen: set[str], answers: Iterable[Annotation], first: int) -> None:
    """Put answers on the stacks of their questions, and take answers off; the first answer has the number `first`."""
    for number, one in enumerate(answers, first):
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


def _latest(stacks: _Stacks) -> list[Annotation]:
    latest = [next(reversed(stack.values())) for stack in stacks.values() if stack]
    return [one for _, one in sorted(latest, key=itemgetter(0))]


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
