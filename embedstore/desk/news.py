"""What changes by itself while a page is open: the map, other people's answers, and rows that are added."""

import json

from embedstore.desk.layout import Maps
from embedstore.vectors.snapshot import Snapshot

__all__ = ["news_of"]


def news_of(now: Snapshot, corpus: str, space: str, maps: Maps) -> dict[str, str]:
    """Return the state of the ``map``, and marks of the ``answers`` and of the ``rows``, as JSON texts.

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
        "map": json.dumps(maps.state(now)),
        "answers": json.dumps([len(now.manifest.annotations), *answers]),
        "rows": json.dumps([len(table), covered, *last]),
    }
