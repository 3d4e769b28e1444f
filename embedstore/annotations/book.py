"""Annotations of a store: add, undo, import, export, and ask for more."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from embedstore.annotations.answers import answer_at, answers_in, standing_at
from embedstore.annotations.exchange import (
    AnswerTable,
    answer_rows,
    answer_table,
    check_contradictions,
    checked_rows,
    new_answers,
    without_guards,
)
from embedstore.annotations.log import all_answers, answers_to, current_answers, keep, majority_labels, undo_of
from embedstore.annotations.multilabel import MultilabelQuestions, MultilabelSession
from embedstore.annotations.order import Order, Questions
from embedstore.annotations.queue import Queue
from embedstore.annotations.session import AnnotationSession
from embedstore.core.blank import Blank, blank_notes, no_text
from embedstore.core.checks import at_least, checked
from embedstore.errors import UsageError
from embedstore.labels.choice import Choice, labels_in
from embedstore.labels.label_set import Labels, LabelSet
from embedstore.vectors.snapshot import Snapshot

__all__ = ["AnnotationBook"]


class AnnotationBook:
    """The annotations of a store, available as ``store.annotations``.

    Parameters
    ----------
    snapshot : callable
        Opens the newest state of the store.
    """

    def __init__(self, snapshot: Callable[[], AbstractContextManager[Snapshot]]) -> None:
        self._snapshot = snapshot

    @checked
    def add(self, position: int, label: str, labels: Labels, *, who: str = "", corpus: str | None = None) -> None:
        """Store an answer to the text at a position; it is on disk when this returns.

        Parameters
        ----------
        position : int
            Position of the text in the store.
        label : str
            One of the labels; "" for a skip.
        labels : LabelSet, sequence or mapping
            The labels to choose from.
        who : str
            Name of the person who answered.
        corpus : str, optional
            Corpus in which the text was found.

        Raises
        ------
        UsageError
            If there is no such text or label.
        """
        with self._snapshot() as now:
            keep(now, [answer_at(now, position, label, Choice.of(LabelSet.of(labels)), who, corpus)])

    @checked
    def undo(self, position: int, labels: Labels, *, who: str = "") -> None:
        """Take back a person's current answer or skip on the text at a position, if there is one; see `add`."""
        with self._snapshot() as now:
            standing = standing_at(now, position, Choice.of(LabelSet.of(labels)), who)
            keep(now, [undo_of(standing)] if standing else [])

    @checked
    def export_table(
        self, *, corpus: str | None = None, who: str | None = None, disagreements: bool = False
    ) -> AnswerTable:
        """Return the current answers as a table that `import_table` reads.

        Parameters
        ----------
        corpus, who : str, optional
            Only answers to texts found in this corpus; only answers of this person.
        disagreements : bool
            Only answers to texts that got different labels of one label set.
        """
        with self._snapshot() as now:
            return answer_table(now, corpus=corpus, who=who, disagreements=disagreements)

    @checked
    def import_table(
        self,
        table: Any,
        labels: Labels | None = None,
        *,
        corpus: str | None = None,
        who: str = "",
        multi: bool = False,
        separator: str | None = None,
    ) -> int:
        """Store the answers in a table, all or none; return the number of new answers.

        An answer that the store has, even one that was replaced or taken back since, is not stored again: importing an
        old table changes nothing. Any other answer is a correction, and the newest of its person, whatever time it has.
        A row without a time is an answer that is given now.

        Parameters
        ----------
        table : path, DataFrame, Table or sequence of dict
            Columns id and label; optional columns who, corpus, label_set, when, text and answer_id, as `export_table`
            gives them.
            A row with a text is an answer to that text, whatever the text's row is now. Rows without a label are
            skipped.
        labels : LabelSet, sequence or mapping, optional
            The labels to choose from; required if a row has no label_set.
        corpus, who : str, optional
            Values for rows without them.
        multi : bool
            A text can have several of the labels: a cell without a label_set is a list, a JSON list, or a text with a
            separator. An empty list says that no label applies.
        separator : str, optional
            With `multi`, what stands between the labels in a text; by default ``;``.

        Raises
        ------
        InputError
            If a column is missing, a label is unknown, a row is not in the store, or one person gives a text two
            labels.
        """
        rows = answer_rows(table)
        with self._snapshot() as now:
            rows = without_guards(now, rows)
        label_set = None if labels is None else LabelSet.of(labels, several=multi)
        rows = checked_rows(rows, label_set, several=multi, separator=separator)
        with self._snapshot() as now:
            answers = answers_in(now, rows, label_set, corpus, who)
            check_contradictions(answers)
            answers = new_answers(answers, all_answers(now))
            keep(now, answers)
        return len(answers)

    @checked
    def session(
        self,
        labels: Labels,
        *,
        corpus: str | None = None,
        space: str | None = None,
        order: Order = "typical",
        about: str | None = None,
        who: str = "",
        seed: int = 42,
        blank: Blank = "skip",
        no_encode: bool = False,
        multi: bool = False,
    ) -> AnnotationSession | MultilabelSession:
        """Return a session that asks a person about one text at a time.

        Parameters
        ----------
        labels : LabelSet, sequence or mapping
            The labels to choose from.
        corpus, space : str, optional
            Corpus of the texts, and space of the vectors that decide which text is next.
        order : {"typical", "uncertain", "random", "disagreement"}
            Which texts to ask about first; see `embedstore.annotations.order.Questions`.
        about : str, optional
            A label: ask about texts that get it, the least certain first, instead of an order.
        who : str
            Name of the person who answers.
        seed : int
            Seed of sampling and of the random order.
        blank : {"skip", "answer"}
            Whether blank texts are left out, or asked about like others.
        no_encode : bool
            Raise an error instead of loading a model.
        multi : bool
            Ask for all labels of a text. An answer is then a list of labels, which can be empty, and counts for such
            sessions alone.
        """
        at_least("seed", seed, 0)
        asked = LabelSet.of(labels, several=multi)
        described = asked.described()
        if about is not None:
            order = _order_about(about, asked.names, order)
        with self._snapshot() as now:
            table = now.corpus(corpus)
            vectors = now.embeddings(space, [table])
            vectors.require(table.positions(), table.name)
            positions = table.positions()[now.texts.answerable(table.positions(), blank)]
            if len(table) and not len(positions):
                raise no_text(table.name, len(table))
            answers = answers_to(current_answers(now), described)
            labels_of, _ = majority_labels(answers)
            own = [one for one in answers if one.who == who]
            places = now.texts.positions_of([*labels_of, *(one.text for one in own)])
            held = {places[one.text]: one for one in own if one.text in places}
            names = described.names
            said = {places[key]: label for key, label in labels_of.items() if key in places}
            prototypes = described.prototypes(now.queries(vectors, no_encode=no_encode))
            how: dict[str, Any] = {
                "skipped": held,
                "history": list(held),
                "order": order,
                "about": None if about is None else names.index(about),
                "random_state": [seed, *who.encode(errors="replace")],
            }
            queue: Queue[Any]
            if multi:
                several = {position: labels_in(label) or () for position, label in said.items()}
                queue = MultilabelQuestions(vectors, positions, prototypes, names, answers=several, **how)
            else:
                numbers = {position: names.index(label) for position, label in said.items()}
                queue = Questions(vectors, positions, described, prototypes, answers=numbers, **how)
        notes = blank_notes(len(table) - len(positions), len(table))
        kind = MultilabelSession if multi else AnnotationSession
        return kind(self._snapshot, queue, asked, held, who=who, corpus=corpus, notes=notes)


def _order_about(about: str, names: Sequence[str], order: Order) -> Order:
    """Return the order of questions about one label."""
    if about not in names:
        raise UsageError(f"expected a label of {', '.join(names)} to ask about, found {about!r}")
    if order not in ("typical", "uncertain"):
        raise UsageError(f"questions about one label are in the order uncertain, found {order}: leave one of them out")
    return "uncertain"
