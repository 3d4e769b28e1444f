"""Labels given by people: kept in the store as they are given, never changed, folded when they are read.

Every answer is committed before the next question is asked. An answer is bound to its text, so it outlives a
corpus that is read anew. Of the answers of one person to one text the last counts; "undo" takes the last one back.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.corpus import Corpus
from embedstore.errors import DamagedStoreError, UsageError
from embedstore.labels import SHIPPED, LabelSet
from embedstore.space import text_starts
from embedstore.spec import canonical_json
from embedstore.storage import files
from embedstore.storage.manifest import commit, load
from embedstore.storage.records import AnnotationPart, Manifest
from embedstore.storage.segments import check_hash, segment_keys

__all__ = [
    "ANNOTATIONS",
    "Annotation",
    "agreed",
    "annotated_rows",
    "answers_to",
    "choices",
    "current",
    "is_annotations",
    "is_called",
    "keep",
    "keys_at",
    "positions_of",
    "read_annotations",
    "read_part",
    "set_name",
]

ANNOTATIONS = "annotations"
"""The column that stands for what people said, wherever a column of given labels is asked for; "annotations:NAME" is
what they said with one of several label sets."""

Action = Literal["label", "skip", "undo"]

_PARTS = 64  # files of answers that are merged into one


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """One answer.

    Attributes
    ----------
    text : str
        Key of the text, 32 hexadecimal digits.
    label : str
        What it was called; "" where it was skipped or an answer was taken back.
    label_set : str
        The label set's name.
    action : {"label", "skip", "undo"}
        What was done.
    who : str
        Who answered; may be "".
    when : str
        UTC, ISO 8601.
    corpus, row : str
        Where the text was found: a corpus, and the row's id as text.
    """

    text: str
    label: str
    label_set: str = ""
    action: Action = "label"
    who: str = ""
    when: str = ""
    corpus: str = ""
    row: str = ""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            try:
                good = isinstance(value, str) and value.encode() is not None
            except UnicodeEncodeError:
                good = False
            if not good:
                raise UsageError(f"expected {field.name} of an annotation to be a text, found {value!r}")

    @property
    def question(self) -> tuple[str, str, frozenset[str] | str]:
        """The text, who was asked, and the choices: one answer of each stands."""
        return self.text, self.who, choices(self.label_set)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Annotation":
        """Read what `dataclasses.asdict` returned."""
        if not isinstance(value, dict):
            raise ValueError("an annotation of another form")
        made = cls(**{field.name: value[field.name] for field in fields(cls)})
        if made.action not in get_args(Action) or len(bytes.fromhex(made.text)) != 16:
            raise ValueError("an annotation of another form")
        return made


def keep(root: Path, answers: Iterable[Annotation]) -> None:
    """Commit answers to a store; those without a time get the present one."""
    dated = [one if one.when else replace(one, when=_now()) for one in answers]
    if not dated:
        return
    with files.lock(root / ".lock", exclusive=False):
        part = _write(root, dated)
        manifest = commit(root, lambda base: replace(base, annotations=(*base.annotations, part)))
        if len(manifest.annotations) > _PARTS:
            _merge(root, manifest)


def _write(root: Path, answers: Sequence[Annotation]) -> AnnotationPart:
    content = canonical_json({"format_version": 1, "annotations": [asdict(one) for one in answers]})
    with files.staged(root / "annotations", ".json") as temp:
        temp.write_bytes(content)
        return AnnotationPart(files.publish(temp, root, ".json"), len(answers))


def _merge(root: Path, manifest: Manifest) -> None:
    parts = manifest.annotations
    whole = _write(root, read_annotations(root, manifest))

    def change(base: Manifest) -> Manifest:
        if base.annotations[: len(parts)] != parts:
            return base  # another process was first
        return replace(base, annotations=(whole, *base.annotations[len(parts) :]))

    commit(root, change)


def read_annotations(root: Path, manifest: Manifest | None = None) -> list[Annotation]:
    """Return every answer ever given, in the order in which they were committed.

    Raises
    ------
    DamagedStoreError
        If a file of them is missing or altered.
    """
    return [one for part in (manifest or load(root)).annotations for one in read_part(root, part)]


def read_part(root: Path, part: AnnotationPart) -> list[Annotation]:
    """Return the answers in one file; see `read_annotations`."""
    path = check_hash(root, part.file, "restore it from a backup; people gave what it holds")
    try:
        listed = [Annotation.from_json(value) for value in json.loads(path.read_bytes())["annotations"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedStoreError(f"{path} holds no annotations ({error})") from error
    if len(listed) != part.count:
        raise DamagedStoreError(f"{path} holds {len(listed)} annotations, expected {part.count}")
    return listed


def is_annotations(target: str) -> bool:
    """Return whether a column's name stands for what people said: "annotations", or "annotations:LABEL SET"."""
    return target.partition(":")[0] == ANNOTATIONS


def set_name(labels: LabelSet) -> str:
    r"""Return what an answer is kept under: a shipped set's name, or the labels after the name of the set, if any.

    Examples
    --------
    >>> print(set_name(LabelSet.of(["a|b", "x = 1"])))
    a\|b|x \= 1
    """
    if labels.name in SHIPPED and frozenset(labels.names) == choices(labels.name):
        return labels.name
    joined = "|".join(map(_escaped, labels.names))
    return f"{_escaped(labels.name)} = {joined}" if labels.name else joined


def choices(label_set: str) -> frozenset[str] | str:
    """Return the labels that there were to choose from, where a label set's name tells them, or else its name.

    Examples
    --------
    >>> choices("polarity") == choices("Positive|Negative") == choices("mine = Negative|Positive")
    True
    """
    if label_set in SHIPPED:
        return frozenset(LabelSet.shipped(label_set).names)
    names = [_plain(one) for one in re.findall(r"(?:\\[\\|=]|[^|])+", label_set.partition(" = ")[2] or label_set)]
    return frozenset(names) if len(names) > 1 else label_set


def is_called(label_set: str, name: str) -> bool:
    """Return whether a user who writes `name` may mean a label set: by its own name, or by its labels."""
    return name in (label_set, _plain(label_set.partition(" = ")[0])) or choices(label_set) == choices(name)


def _escaped(name: str) -> str:
    return re.sub(r"([\\|=])", r"\\\1", name)


def _plain(name: str) -> str:
    return re.sub(r"\\([\\|=])", r"\1", name)


def answers_to(answers: Iterable[Annotation], labels: LabelSet) -> list[Annotation]:
    """Return the answers that were choices between these labels: "Negative" of two is another than of five.

    Of a label set whose labels are not known any more, the answers count that are one of these labels.
    """
    wanted = frozenset(labels.names)
    found = []
    for one in answers:
        among = choices(one.label_set)
        same = among == wanted if isinstance(among, frozenset) else among in ("", labels.name) or one.label in wanted
        if same and (one.label in wanted or one.action != "label"):
            found.append(one)
    return found


def current(answers: Iterable[Annotation]) -> list[Annotation]:
    """Return the answers that stand: of each person's to a text the last, without those that were taken back.

    They come in the order in which they were given.
    """
    stacks: dict[tuple[str, str, frozenset[str] | str], list[tuple[int, Annotation]]] = {}
    for number, one in enumerate(answers):
        stack = stacks.setdefault(one.question, [])
        if one.action != "undo":
            stack.append((number, one))
        elif stack:
            stack.pop()
    return [one for _, one in sorted((stack[-1] for stack in stacks.values() if stack), key=lambda pair: pair[0])]


def agreed(answers: Iterable[Annotation]) -> tuple[dict[str, str], list[str]]:
    """Return what each text was called by most, and the texts on which as many said otherwise.

    Parameters
    ----------
    answers : iterable of Annotation
        As `current` returns them.

    Returns
    -------
    labels : dict of str to str
        Text key to label.
    split : list of str
        Keys of the texts that have no most frequent label.
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


def keys_at(root: Path, manifest: Manifest, positions: npt.NDArray[np.int64]) -> list[str]:
    """Return the key (32 hexadecimal digits) of the text at each position."""
    starts = text_starts(manifest)
    owners = np.searchsorted(starts, positions, side="right") - 1
    found = []
    for position, owner in zip(positions.tolist(), owners.tolist(), strict=True):
        keys = segment_keys(root, manifest.texts[owner]).view("V16")
        found.append(bytes(keys[position - starts[owner]]).hex())
    return found


def positions_of(root: Path, manifest: Manifest, keys: Iterable[str]) -> dict[str, int]:
    """Return the position of each text key that a corpus text has."""
    wanted = sorted({bytes.fromhex(key) for key in keys})
    if not wanted:
        return {}
    sought = np.frombuffer(b"".join(wanted), dtype="<u8").reshape(-1, 2)[:, 0]
    found: dict[str, int] = {}
    for start, segment in zip(text_starts(manifest), manifest.texts, strict=False):
        keys_here = segment_keys(root, segment)
        near = np.ascontiguousarray(keys_here).view("<u8").reshape(-1, 2)[:, 0]
        for row in np.flatnonzero(np.isin(near, sought)):
            found[bytes(keys_here.view("V16")[row]).hex()] = int(start) + int(row)
    return {key.hex(): found[key.hex()] for key in wanted if key.hex() in found}


def annotated_rows(root: Path, manifest: Manifest, corpus: Corpus, labels: dict[str, str]) -> pa.ChunkedArray:
    """Return a column with the label of each row's text, null where it has none: shape (rows,).

    Parameters
    ----------
    root, manifest
        The store and its state.
    corpus : Corpus
        The rows.
    labels : dict of str to str
        Text key to label, as `agreed` returns it.
    """
    places = positions_of(root, manifest, labels)
    names = sorted({labels[key] for key in places})
    code_of = {name: number for number, name in enumerate(names)}
    codes = np.full(int(text_starts(manifest)[-1]), -1, dtype=np.int32)
    for key, position in places.items():
        codes[position] = code_of[labels[key]]
    of_rows = codes[corpus.positions()]
    column = pa.DictionaryArray.from_arrays(pa.array(of_rows, mask=of_rows < 0), pa.array(names, pa.string()))
    return pa.chunked_array([column.dictionary_decode()])
