"""The result of a search for topics: the rows of a corpus with their topics, and what each topic is about."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.core.layout import table
from embedstore.core.values import clip
from embedstore.corpora.rows import Corpus
from embedstore.labels.label_set import LabelSet
from embedstore.reports.predictions import Predictions, coded
from embedstore.vectors.scan import Best

__all__ = ["Topic", "Topics"]

_SHOWN = 5  # words of a topic in a table
_WIDEST, _LEAST = 44, 24  # most characters of them, and least beside a text
_BESIDE = 44  # characters of the other columns and of a short text


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """What a group of texts is about.

    Attributes
    ----------
    number : int
        From 1, the topic of most rows first.
    name : str
        Its first words; no two topics have the same name.
    words : tuple of str
        The words that tell its texts from those of other topics, the best first.
    typical : tuple of str
        The texts nearest to its centre, without near-duplicates.
    rows : int
        Number of rows.
    share : float
        Their share of the rows with a text.
    tightness : float
        Mean cosine similarity of the rows to the centre; NaN without rows.
    """

    number: int
    name: str
    words: tuple[str, ...]
    typical: tuple[str, ...]
    rows: int
    share: float
    tightness: float


class Topics(Predictions):
    """The rows and columns of a corpus, followed by the number and name of each row's topic, and a score.

    The columns are ``topic`` (int32, from 1), ``topic_name`` and ``score``, the cosine similarity to the topic's centre
    (float32). They are null in rows without a text.

    Attributes
    ----------
    topics : tuple of Topic
        The topics, that of most rows first.
    centres : ndarray of shape (topics, dim), float32
        The centre of each topic: a unit vector. The topic of a text is the one with the nearest centre.
    space : str
        Key of the space of the centres.
    """

    def __init__(
        self,
        corpus: Corpus,
        topics: tuple[Topic, ...],
        centres: npt.NDArray[np.float32],
        nearest: Best,
        *,
        space: str,
        answered: npt.NDArray[np.bool_],
        notes: tuple[str, ...],
        title: str,
    ) -> None:
        self.topics = topics
        self.centres = centres
        self.space = space
        columns = {
            "topic": pa.array((nearest.label + 1).astype(np.int32, copy=False)),
            "topic_name": coded(nearest.label, tuple(topic.name for topic in topics)),
            "score": pa.array(nearest.score),
        }
        shares = {topic.name: topic.share for topic in topics}
        super().__init__(corpus, columns, shares, notes=notes, title=title, answered=answered)

    def summary(self) -> dict[str, Any]:
        """Return what each topic is about, without the rows, as a JSON object."""
        found = super().summary()
        del found["shares"]
        return {**found, "space": self.space, "topics": [asdict(topic) for topic in self.topics]}

    def label_set(self) -> LabelSet:
        """Return the topics as labels: their names, described by their typical texts."""
        return LabelSet(
            tuple(topic.name for topic in self.topics),
            tuple(topic.typical or (topic.name,) for topic in self.topics),
            description=f"topics of {self.corpus.name}",
        )

    def plot(self, path: str | Path) -> None:
        """Draw the share and the tightness of each topic to a .png, .svg or .html file."""
        from embedstore.reports.pictures import Bars, Panel, Shares, draw

        names = [f"{topic.number}: {topic.name}" for topic in self.topics]
        none = np.full(len(names), np.nan)
        tightness = np.nan_to_num(np.array([topic.tightness for topic in self.topics]))
        panels: list[Panel] = [
            Shares(dict(zip(names, (topic.share for topic in self.topics), strict=True))),
            Bars(names, tightness, none, none, "tightness: mean cosine to the topic's centre"),
        ]
        draw(Path(path), panels, self.title)

    def lines(self, width: int = 100) -> list[str]:
        """Return a table as lines of text: number, share, tightness, words and a typical text of each topic.

        Parameters
        ----------
        width : int
            Columns of a line; where they are too few for a table, there is a line for each field.
        """
        widest = width - _BESIDE if width - _BESIDE >= _LEAST else _WIDEST
        rows = [("topic", " share", "tight", "words", "typical text")]
        for topic in self.topics:
            words = clip(", ".join(topic.words[:_SHOWN]) or topic.name, min(widest, _WIDEST))
            tight = "" if np.isnan(topic.tightness) else f"{topic.tightness:.2f}"
            text = topic.typical[0] if topic.typical else ""
            rows.append((f"{topic.number}", f"{topic.share:>6.1%}", tight, words, text))
        return table(rows, ">>><<", width=width, last=True)
