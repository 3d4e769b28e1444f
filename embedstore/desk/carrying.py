"""Take the answers to one set of labels over to another set."""

from collections.abc import Mapping
from dataclasses import replace

from embedstore.annotations.annotation import Annotation, present
from embedstore.annotations.log import current_answers
from embedstore.desk.labelling import id_of_one, keep_once
from embedstore.errors import UsageError
from embedstore.labels.choice import Choice
from embedstore.vectors.snapshot import Snapshot

__all__ = ["carry_over", "count_carried"]


def carry_over(now: Snapshot, before: Choice, choice: Choice, renamed: Mapping[str, str], *, action: str) -> int:
    """Give the answers to one set of labels again with another set, all in one commit; return the number of texts.

    Each person's current label or skip is given again in that person's name. A label that is gone is left out. So is
    an answer of a person who has answered the same text with the new labels already. Nothing is taken over if no label
    is left. The earlier answers stay.

    The same action counts once, however often it is sent: the id of each answer is made of the action's name, the text
    and the person. `embedstore.desk.labelling.take_back` takes the whole action back.

    Parameters
    ----------
    now : Snapshot
        The state of the store. The answers of all its corpora are taken over.
    before, choice : Choice
        The labels that were answered with, and the new ones.
    renamed : mapping of str to str
        The present name of an earlier label; "" for one that is gone. Other labels keep their names.
    action : str
        Name of the action; no two actions have the same.

    Raises
    ------
    UsageError
        If the action has no name.
    """
    if not action:
        raise UsageError("expected a name for the action, found none")
    answers = _carried(now, before, choice, renamed, action)
    keep_once(now, answers)
    return _texts(answers)


def count_carried(now: Snapshot, before: Choice, choice: Choice, renamed: Mapping[str, str]) -> int:
    """Return the number of texts whose answers `carry_over` would take over."""
    return _texts(_carried(now, before, choice, renamed, ""))


def _carried(
    now: Snapshot, before: Choice, choice: Choice, renamed: Mapping[str, str], action: str
) -> list[Annotation]:
    """Return the answers to give; those that the same action has given are among them."""
    known = set(choice.labels)
    if before.same_as(choice) or known.isdisjoint(renamed.get(label, label) for label in before.labels):
        return []
    current, when = current_answers(now), present()
    there = {(one.text, one.who): one.id for one in current if one.choice.same_as(choice)}
    found = []
    for one in current:
        label = renamed.get(one.label, one.label) if one.label else ""
        if not one.choice.same_as(before) or (one.label and label not in known):
            continue
        made = replace(one, label=label, choice=choice, when=when, id=id_of_one(action, one.text, one.who))
        if there.get((one.text, one.who), made.id) == made.id:
            found.append(made)
    return found


def _texts(answers: list[Annotation]) -> int:
    return len({one.text for one in answers})
