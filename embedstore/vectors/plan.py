"""Plan an encode run: which text segments lack vectors in a space; and count what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from embedstore.core.counts import counted, form
from embedstore.core.masks import mask_of
from embedstore.corpora.rows import Corpus
from embedstore.corpora.texts import Texts
from embedstore.storage.records import TextSegment
from embedstore.storage.state import Manifest
from embedstore.vectors.receipts import Receipt
from embedstore.vectors.shares import Share

__all__ = ["EncodeReport", "Plan", "WorkerFigures"]


@dataclass(frozen=True, slots=True)
class WorkerFigures:
    """What one worker of a cluster did: its host and process, texts and segments, and the seconds that these took."""

    name: str
    texts: int
    segments: int
    seconds: float

    @classmethod
    def of(cls, receipts: Sequence[Receipt]) -> "tuple[WorkerFigures, ...]":
        """Return the figures of all workers that receipts name, in the order of their names."""
        found = []
        for name in sorted({one.worker for one in receipts if one.worker}):
            mine = [one for one in receipts if one.worker == name]
            texts = sum(one.segment.vectors.shape[0] for one in mine)
            found.append(cls(name, texts, len(mine), sum(one.seconds for one in mine)))
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeReport:
    """The result of an encode run.

    `rows` and `empty` count rows (`empty` those with a blank text); `distinct_texts`, `cached`, `encoded` and
    `truncated` count texts; for a `shard`, those of its share. `space` is the key of the filled space. If
    `truncated_exact` is False, `truncated` is an upper bound, because the segments also hold texts of other corpora.
    `set_aside` has the numbers, from 1, of text segments that were not encoded because they ended worker after worker.
    `workers` are those of a cluster.
    """

    rows: int
    distinct_texts: int
    cached: int
    encoded: int
    truncated: int
    empty: int
    seconds: float
    space: str
    truncated_exact: bool = True
    shard: str = ""
    set_aside: tuple[int, ...] = ()
    workers: tuple[WorkerFigures, ...] = ()

    def __str__(self) -> str:
        others = "" if self.truncated_exact else " (with those of other corpora)"
        truncated = f"{self.truncated:,} truncated{others}"
        share = f"shard {self.shard} of " if self.shard else ""
        aside = f"; not encoded: {form(len(self.set_aside), 'segment', 'segments')} " if self.set_aside else ""
        aside += ", ".join(map(str, self.set_aside))
        return (
            f"{share}{counted(self.rows, 'row')}, {counted(self.distinct_texts, 'distinct text')}: "
            f"{self.cached:,} already cached, {self.encoded:,} encoded now; {truncated}, {self.empty:,} "
            f"empty; {self.seconds:.1f} s{aside}"
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """The texts that some corpora need in a space.

    `distinct` is the number of these texts, `left` the number without a vector, and `missing` the segments that hold
    the latter. `used` maps the hash of each segment to the number of its texts that are needed, and of all its texts.
    """

    key: str
    distinct: int
    left: int
    missing: tuple[TextSegment, ...]
    used: dict[str, tuple[int, int]]

    @classmethod
    def of(
        cls, texts: Texts, manifest: Manifest, corpora: Sequence[Corpus], key: str, share: Share | None = None
    ) -> "Plan":
        """Return the plan for some corpora in the space of a key, or for one share of it."""
        of_rows = [corpus.positions() for corpus in corpora]
        wanted = mask_of(np.concatenate([np.empty(0, dtype=np.int64), *of_rows]), len(texts))
        held = manifest.spaces[key].segments if key in manifest.spaces else {}
        left, missing, used = 0, [], {}
        for number, (start, segment) in enumerate(zip(texts.starts, texts.segments, strict=False)):
            if share and not share.has(number):
                continue
            if mine := int(np.count_nonzero(wanted[start : start + segment.count])):
                used[segment.file.sha256] = mine, segment.count
                if segment.file.sha256 not in held:
                    missing.append(segment)
                    left += mine
        return cls(key, sum(mine for mine, _ in used.values()), left, tuple(missing), used)

    @property
    def total(self) -> int:
        """Number of texts to encode; segments are encoded whole."""
        return sum(segment.count for segment in self.missing)

    def report(self, manifest: Manifest, texts: Texts, corpora: Sequence[Corpus], seconds: float) -> EncodeReport:
        """Return the report of the run, from the manifest after it."""
        segments = manifest.spaces[self.key].segments if self.key in manifest.spaces else {}
        cut = {text: segments[text].truncated for text in self.used if text in segments}
        left = [one for one in self.missing if one.file.sha256 not in segments]
        places = {text.file.sha256: number for number, text in enumerate(manifest.texts, 1)}
        told = sum(int(np.count_nonzero(texts.answerable(corpus.positions()))) for corpus in corpora)
        return EncodeReport(
            rows=sum(map(len, corpora)),
            distinct_texts=self.distinct,
            cached=self.distinct - self.left,
            encoded=self.total - sum(one.count for one in left),
            set_aside=tuple(places[one.file.sha256] for one in left),
            truncated=sum(min(count, self.used[text][0]) for text, count in cut.items()),
            truncated_exact=not any(count and self.used[text][0] < self.used[text][1] for text, count in cut.items()),
            empty=sum(map(len, corpora)) - told,
            seconds=seconds,
            space=self.key,
        )
