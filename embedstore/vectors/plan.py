"""Plan an encode run: which text segments lack vectors in a space; and count what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from embedstore.core.counts import counted
from embedstore.core.masks import mask_of
from embedstore.corpora.rows import Corpus
from embedstore.corpora.texts import Texts
from embedstore.storage.records import TextSegment
from embedstore.storage.state import Manifest
from embedstore.vectors.shares import Share

__all__ = ["EncodeReport", "Plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeReport:
    """The result of an encode run.

    `rows` and `empty` count rows (`empty` those with a blank text); `distinct_texts`, `cached`, `encoded` and
    `truncated` count texts; for a `shard`, those of its share. `space` is the key of the filled space. If
    `truncated_exact` is False, `truncated` is an upper bound, because the segments also hold texts of other corpora.
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

    def __str__(self) -> str:
        truncated = f"{'' if self.truncated_exact else 'at most '}{self.truncated:,}"
        share = f"shard {self.shard} of " if self.shard else ""
        return (
            f"{share}{counted(self.rows, 'row')}, {counted(self.distinct_texts, 'distinct text')}: "
            f"{self.cached:,} already cached, "
            f"{self.encoded:,} encoded now; {truncated} truncated, {self.empty:,} empty; {self.seconds:.1f} s"
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
        told = sum(int(np.count_nonzero(texts.answerable(corpus.positions()))) for corpus in corpora)
        return EncodeReport(
            rows=sum(map(len, corpora)),
            distinct_texts=self.distinct,
            cached=self.distinct - self.left,
            encoded=self.total,
            truncated=sum(min(count, self.used[text][0]) for text, count in cut.items()),
            truncated_exact=not any(count and self.used[text][0] < self.used[text][1] for text, count in cut.items()),
            empty=sum(map(len, corpora)) - told,
            seconds=seconds,
            space=self.key,
        )
