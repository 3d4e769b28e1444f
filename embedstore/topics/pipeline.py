"""Find topics: learn centres from a sample, give every text the nearest one, name the groups."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from embedstore.core.blank import Blank, blank_notes, no_text
from embedstore.core.checks import at_least, shown
from embedstore.core.counts import counted
from embedstore.core.masks import mask_of
from embedstore.core.memory import require_memory
from embedstore.core.values import is_blank
from embedstore.errors import InputError, SpaceMismatchError, UsageError
from embedstore.labels.typical import first_apart
from embedstore.topics.choice import choose_count
from embedstore.topics.naming import topic_names, topic_words
from embedstore.topics.result import Topic, Topics
from embedstore.vectors.clustering import spherical_centres
from embedstore.vectors.scan import Best, best_labels
from embedstore.vectors.snapshot import Snapshot
from embedstore.vectors.space import Space

__all__ = ["MOST_TOPICS", "find_topics"]

_LEARNT = 20_000  # distinct texts that centres are learnt from at most
_NAMED = 10_000  # distinct texts whose words are counted at most, the same number of each topic
MOST_TOPICS = 1_000
_A_ROW = 80  # bytes that are held of a row
_CANDIDATES = 10  # texts looked at for each typical one, because some are nearly the same


def find_topics(
    now: Snapshot,
    count: Literal["auto"] | int = "auto",
    *,
    corpus: str | None = None,
    space: str | None = None,
    like: Topics | None = None,
    typical: int = 5,
    random_state: int = 42,
    blank: Blank = "skip",
) -> Topics:
    """Find groups of texts with similar vectors, and name each one by the words that tell it from the others.

    Only cached vectors are read: nothing is encoded. The same store, arguments and seed give the same topics. A text is
    counted once, however many rows have it, and all of these rows have the same topic.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    count : "auto" or int
        Number of topics, from 2 to 1,000. "auto" takes the one that the vectors suggest; see
        `embedstore.topics.choice`.
    corpus, space : str, optional
        Name of the corpus; key or model of the vectors.
    like : Topics, optional
        Topics that were found before. Each row gets the one with the nearest centre, instead of a new one.
    typical : int
        Number of typical texts of a topic.
    random_state : int
        Seed of the samples and of the starts.
    blank : {"skip", "answer"}
        Whether rows with a blank text get null and count nowhere, or are grouped like others.

    Raises
    ------
    UsageError
        If there are fewer distinct texts than topics.
    ModelRequiredError
        If a row's text has no vector yet.
    SpaceMismatchError
        If `like` has topics of another space.
    """
    at_least("typical", typical, 1)
    at_least("random_state", random_state, 0)
    table = now.corpus(corpus)
    vectors = now.embeddings(like.space if isinstance(like, Topics) and space is None else space, [table])
    require_memory(_A_ROW * len(table), f"the topics of {counted(len(table), 'row')}", "take fewer rows (--where)")
    vectors.require(table.positions(), table.name)
    answered = now.texts.answerable(table.positions(), blank)
    positions = table.positions()[answered]
    if not len(positions):
        raise no_text(table.name, len(table))
    notes = blank_notes(len(table) - len(positions), len(table), given="topic")
    wanted = mask_of(positions, len(now.texts))
    if like is None:
        learnt = _learn(vectors, np.flatnonzero(wanted), count, random_state)
        nearest = best_labels(vectors, learnt.centres, wanted)
        nearest, centres = _largest_first(nearest, learnt.centres, positions)
        groups = _Groups(now, vectors, nearest, np.flatnonzero(wanted), random_state)
        words = groups.words(len(centres))
        names, examples = topic_names(words), groups.typical(len(centres), typical)
        notes += learnt.notes
    else:
        _check_like(like, count, vectors)
        centres, nearest = like.centres, best_labels(vectors, like.centres, wanted)
        words = [list(topic.words) for topic in like.topics]
        names, examples = [topic.name for topic in like.topics], [topic.typical[:typical] for topic in like.topics]
    of_rows = Best(nearest.label[positions], nearest.score[positions], nearest.margin[positions], None)
    return Topics(
        table,
        _described(names, words, examples, of_rows),
        centres,
        of_rows,
        space=vectors.key,
        answered=answered,
        notes=notes,
        title=f"{now.name}: {counted(len(centres), 'topic')} of {table.name}",
    )


@dataclass(frozen=True, slots=True)
class _Learnt:
    """Unit vectors of centres, shape (topics, dim), and notes on how they were learnt."""

    centres: npt.NDArray[np.float32]
    notes: tuple[str, ...]


def _learn(space: Space, texts: npt.NDArray[np.int64], count: Literal["auto"] | int, random_state: int) -> _Learnt:
    """Return centres learnt from the texts at some positions, or from a random sample of them."""
    if isinstance(count, str):
        if count != "auto":
            raise UsageError(f"expected a number of topics or 'auto', found {shown(count)}")
    elif not 2 <= count <= MOST_TOPICS:
        raise UsageError(f"expected a number of topics from 2 to {MOST_TOPICS:,}, found {count}")
    if len(texts) < (2 if count == "auto" else count):
        raise UsageError(
            f"expected at least as many distinct texts as topics, found {counted(len(texts), 'distinct text')} for "
            f"{2 if count == 'auto' else count} topics: ask for fewer topics, or add rows first"
        )
    chosen = _some(texts, _LEARNT, np.random.default_rng(random_state))
    vectors = space.unit_at(chosen)
    notes: tuple[str, ...] = ()
    if len(chosen) < len(texts):
        all_texts = counted(len(texts), "distinct text")
        notes = (f"the topics are learnt from a random sample of {len(chosen):,} of {all_texts}",)
    asked = choose_count(vectors, random_state=random_state) if count == "auto" else int(count)
    return _Learnt(spherical_centres(vectors, asked, random_state=random_state), notes)


def _some(positions: npt.NDArray[np.int64], most: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return a random sample of the positions in their order, or all if there are no more than `most`."""
    return positions if len(positions) <= most else np.sort(rng.choice(positions, most, replace=False))


def _largest_first(
    nearest: Best, centres: npt.NDArray[np.float32], positions: npt.NDArray[np.int64]
) -> tuple[Best, npt.NDArray[np.float32]]:
    """Return the answers with topics numbered by their rows, and the centres in this order; topics without rows go."""
    rows = np.bincount(nearest.label[positions], minlength=len(centres))
    order = np.argsort(-rows, kind="stable")[: np.count_nonzero(rows)]
    if len(order) < 2:
        raise InputError("expected texts that can be told apart, found equal vectors: there are no topics in them")
    number_of = np.zeros(len(centres), dtype=np.int32)
    number_of[order] = np.arange(len(order), dtype=np.int32)
    return Best(number_of[nearest.label], nearest.score, nearest.margin, None), centres[order]


@dataclass(frozen=True, slots=True)
class _Groups:
    """The distinct texts of each topic: `nearest` has an answer for each text of the store, `texts` lists positions."""

    now: Snapshot
    space: Space
    nearest: Best
    texts: npt.NDArray[np.int64]
    random_state: int

    def words(self, groups: int) -> list[list[str]]:
        """Return the words of each topic, from a random sample of its texts."""
        rng = np.random.default_rng(self.random_state)
        label = self.nearest.label[self.texts]
        parts = [_some(self.texts[label == number], max(2, _NAMED // groups), rng) for number in range(groups)]
        chosen = np.concatenate(parts)
        of_group = np.repeat(np.arange(groups), list(map(len, parts)))
        return topic_words(self.now.texts.at(chosen), of_group, groups)

    def typical(self, groups: int, most: int) -> list[tuple[str, ...]]:
        """Return the texts nearest to the centre of each topic, without near-duplicates and blank texts."""
        label, found = self.nearest.label[self.texts], []
        for number in range(groups):
            mine = self.texts[label == number]
            order = np.argsort(-self.nearest.score[mine], kind="stable")[: _CANDIDATES * most]
            apart = first_apart(self.space.unit_at(mine[order]), np.arange(len(order)), most)
            found.append(tuple(text for text in self.now.texts.at(mine[order[apart]]) if not is_blank(text)))
        return found


def _check_like(like: Topics, count: Literal["auto"] | int, space: Space) -> None:
    """Raise an error unless the topics have centres in this space and no number of topics is asked for."""
    if not isinstance(like, Topics):
        raise UsageError(f"expected topics that store.topics returned for like, found {shown(like)}")
    if count != "auto":
        raise UsageError("expected a number of topics or topics to be like, found both: leave one of them out")
    if like.space != space.key:
        raise SpaceMismatchError(
            f"expected topics of the space {space.key[:12]}, found those of {like.space[:12]}: name that space"
        )


def _described(
    names: list[str], words: list[list[str]], typical: list[tuple[str, ...]], of_rows: Best
) -> tuple[Topic, ...]:
    """Return the topics with their shares and tightness among the rows."""
    rows = np.bincount(of_rows.label, minlength=len(names))
    total = np.bincount(of_rows.label, weights=of_rows.score, minlength=len(names))
    return tuple(
        Topic(
            number=number + 1,
            name=name,
            words=tuple(words[number]),
            typical=typical[number],
            rows=int(rows[number]),
            share=float(rows[number] / len(of_rows.label)),
            tightness=float(total[number] / rows[number]) if rows[number] else float("nan"),
        )
        for number, name in enumerate(names)
    )
