"""What changes by itself while a page is open: the map, other people's answers, and rows that are added."""

from typing import Any

from embedstore.desk.layout import Maps
from embedstore.vectors.snapshot import Snapshot

__all__ = ["news_of"]


def news_of(now: Snapshot, corpus: str, space: str, maps: Maps) -> dict[str, Any]:
    """Return the state of the ``map``, and marks of the ``answers`` and of the ``rows``, as JSON values.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    corpus, space : str
        Name of the corpus; key of the vectors.
    maps : Maps
        Its maps.
    """
    table = now.corpus(corpus)
    covered = now.embeddings(space).covers([table])
    last = [part.file.sha256[:16] for part in table.record.parts[-1:]]
    answers = [part.file.sha256[:16] for part in now.manifest.annotations[-1:]]
    return {
        "map": maps.state(now),
        "answers": [len(now.manifest.annotations), *answers],
        "rows": [len(table), covered, *last],
    }
