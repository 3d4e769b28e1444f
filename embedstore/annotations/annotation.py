"""One answer of a person to a text, and its form in files."""

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from embedstore.core.checks import shown
from embedstore.core.values import is_unicode
from embedstore.errors import UsageError
from embedstore.labels.choice import Choice, labels_in

__all__ = ["Action", "Annotation", "fresh_id", "present"]

Action = Literal["label", "skip", "undo"]

_UNKNOWN = Choice()
_ACTIONS = frozenset(get_args(Action))
_KEY = re.compile(r"[0-9a-f]{32}")
_ID = re.compile(r"[0-9a-f]{32}|#[0-9]{1,18}|")
_TEXTS = ("text", "label", "action", "who", "when", "corpus", "row", "id", "takes_back")  # fields but the choice


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
        for name in _TEXTS:
            if not is_unicode(getattr(self, name)):
                raise UsageError(f"expected {name} of an annotation to be a text, found {shown(getattr(self, name))}")
        if not is_unicode(self.choice.text):
            raise UsageError(f"expected label_set of an annotation to be a text, found {shown(self.choice.text)}")

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
        said = {name: getattr(self, name) for name in _TEXTS}
        said["label_set"] = self.choice.text
        return said

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
        said = {name: old[name] for name in _TEXTS}
        choice = Choice.read(value["label_set"])
        if choice.several and said["label"] and labels_in(str(said["label"])) is None:
            choice = Choice.read(value["label_set"], several=False)  # a name of an earlier release that begins so
        made = cls(choice=choice, **said)
        sound = made.action in _ACTIONS and bool(made.label) == (made.action == "label")
        if not sound or not _KEY.fullmatch(made.text) or not all(map(_ID.fullmatch, (made.id, made.takes_back))):
            raise ValueError("an annotation of another form")
        return made


def present() -> str:
    """Return the current time as answers have it: UTC, ISO 8601, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def fresh_id() -> str:
    """Return a new id: 32 random hexadecimal digits."""
    return os.urandom(16).hex()
