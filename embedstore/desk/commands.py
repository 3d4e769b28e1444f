"""The shell command that gives the same rows as a view of the desk."""

import shlex

from embedstore.annotations.column import is_annotations
from embedstore.core.names import store_path
from embedstore.corpora.rows import Corpus
from embedstore.desk.lens import Lens
from embedstore.desk.query import Query
from embedstore.desk.tagged import learnable
from embedstore.errors import UsageError
from embedstore.labels.label_file import SHIPPED
from embedstore.tables.condition import Condition
from embedstore.vectors.snapshot import Snapshot

__all__ = ["command_for", "store_in_shell"]


def command_for(now: Snapshot, table: Corpus, query: Query, lens: Lens, total: int) -> str:
    """Return the command; "" if there is none: for a lasso, for filters by tags or answers, and for rows as they are.

    Parameters
    ----------
    now, table
        The state of the store and the corpus.
    query, lens
        The rows and the labels.
    total : int
        Number of the rows.
    """
    condition = query.condition(table)
    known = {name.casefold() for name in table.schema.names}
    names = Condition(condition).names if condition else ()
    filtered = all(name.casefold() in known or is_annotations(name) for name in names)
    if query.lasso or query.of_rows or query.sort != "rows" or query.least is not None or not filtered:
        return ""
    where = f"--where {shlex.quote(condition)}" if condition else ""
    corpus = f"--corpus {shlex.quote(table.name)}" if len(now.manifest.corpora) > 1 else ""
    if query.meaning == "-":
        return ""  # in the shell that is standard input
    if query.ranked:
        asked = shlex.quote(query.meaning) if query.meaning else f"--row={shlex.quote(query.like)}"
        options = _joined(f"-k {max(1, total)}", corpus, where)
        if query.meaning.startswith("-"):
            return _joined("embedstore search", options, "--", store_in_shell(now), asked)
        return _joined("embedstore search", store_in_shell(now), asked, options)
    if lens.labels is None:
        return ""
    labels = lens.labels.name if lens.labels.name in SHIPPED else "labels.yaml"
    method = "" if lens.method == "cosine" else f"--method {lens.method}"
    # The tags of the desk are those of all rows. A filter before would change what they learn or are calibrated on.
    if condition and (method or lens.hangs_on_answers):
        return ""
    examples = "--examples" if learnable(now, table, lens)[0].examples else ""
    shares = [f"--share {shlex.quote(f'{name}={share!r}')}" for name, share in lens.known_shares.items()]
    least = "" if lens.min_confidence is None else f"--min-confidence {lens.min_confidence!r}"
    return _joined(
        "embedstore tag", store_in_shell(now), f"--labels {labels}", method, *shares, examples, least, corpus, where
    )


def store_in_shell(now: Snapshot) -> str:
    """Return what the shell calls the store: its name, or its path if it is not where names are."""
    try:
        named = store_path(now.name).resolve() == now.root.resolve()
    except UsageError:
        named = False
    return shlex.quote(now.name if named else str(now.root.resolve()))


def _joined(*words: str) -> str:
    return " ".join(word for word in words if word)
