"""What a page has to know of a store first."""

from typing import Any

import numpy as np

from embedstore.annotations.log import current_answers
from embedstore.desk.commands import store_in_shell
from embedstore.labels.label_file import SHIPPED
from embedstore.labels.label_set import LabelSet
from embedstore.vectors.snapshot import Snapshot

__all__ = ["about"]


def about(now: Snapshot, corpus: str, space: str) -> dict[str, Any]:
    """Return the names, columns, label sets and people of a store, as JSON values.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    corpus, space : str
        Name of the corpus; key of the vectors.
    """
    table = now.corpus(corpus)
    answers = current_answers(now)
    sets = {one.choice.key: one.choice for one in answers if one.choice.labels and not one.choice.several}
    return {
        "store": now.name,
        "in_shell": store_in_shell(now),
        "corpus": table.name,
        "corpora": [{"name": one.name, "rows": len(one)} for one in now.corpora],
        "rows": len(table),
        "blank": int(np.count_nonzero(~now.texts.answerable(table.positions()))),
        "text": table.record.template,
        "id": table.record.id_column or None,
        "columns": [{"name": field.name, "type": str(field.type)} for field in table.schema],
        "model": now.embeddings(space).record.model,
        "answered": [{"name": one.name, "labels": list(one.labels)} for one in sets.values()],
        "people": sorted({one.who for one in answers if one.who}),
        "shipped": {name: list(LabelSet.shipped(name).names) for name in SHIPPED},
    }
