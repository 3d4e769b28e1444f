"""One share of an encode run, for a machine that knows nothing of the others."""

import re
from pathlib import Path
from typing import NamedTuple

from embedstore.core.checks import shown
from embedstore.errors import UsageError
from embedstore.storage.state import Manifest
from embedstore.vectors.waiting import waiting, with_waiting

__all__ = ["Share", "as_collected"]

_FORM = re.compile(r"([1-9]\d{0,6})/([1-9]\d{0,6})", re.ASCII)


class Share(NamedTuple):
    """Share `number` of `of` equal ones, from 1: every `of`-th text segment of the store.

    Segments are appended and never renumbered, so a share stays the same, whatever is encoded or committed meanwhile.
    """

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> "Share":
        """Return the share of a text such as "2/8".

        Raises
        ------
        UsageError
            If it is none.
        """
        match = _FORM.fullmatch(text)
        if match is None or int(match[1]) > int(match[2]):
            raise UsageError(f"expected a shard as i/n with i from 1 to n, such as 2/8, found {shown(text)}")
        return cls(int(match[1]), int(match[2]))

    def has(self, segment: int) -> bool:
        """Return whether a text segment, by its number from 0, is in the share."""
        return segment % self.of == self.number - 1


def as_collected(root: Path, manifest: Manifest, key: str, share: Share) -> Manifest:
    """Return a manifest as if what waits in a space were committed; only files of the share are read whole."""
    own = {text.file.sha256 for number, text in enumerate(manifest.texts) if share.has(number)}
    mine = [one for one in waiting(root) if one.key == key]
    return with_waiting(
        manifest, [one for one in mine if (one.is_whole(root) if one.receipt.text in own else one.is_there(root))]
    )
