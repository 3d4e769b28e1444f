"""From columns to texts, and from texts to positions: templates, deduplication, text segments."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.errors import InputError
from embedstore.storage.records import TextSegment
from embedstore.storage.segments import KEY_DTYPE, segment_keys, text_key, write_texts

__all__ = ["TextWriter", "keys_of", "render", "template_columns", "to_template"]

_FIELD = re.compile(r"\{([^{}]+)\}")
_SMALLEST, _LARGEST, _SHARE = 1024, 16_384, 16
_BYTES = 1 << 26


def to_template(text: str | Sequence[str], columns: Sequence[str], template: str | None = None) -> str:
    """Return the template that the user's choice of columns means.

    Parameters
    ----------
    text : str or sequence of str
        Column names, or one template such as ``"{title}: {text}"``.
    columns : sequence of str
        The table's columns: a name that is one of them is never a template.
    template : str, optional
        Given beside column names; it may use these alone.

    Examples
    --------
    >>> to_template("review", ["review"])
    '{review}'
    >>> to_template(["title", "text"], ["title", "text"])
    '{title} {text}'
    """
    names = [text] if isinstance(text, str) else list(text)
    if template is None and len(names) == 1 and names[0] not in columns and _FIELD.search(names[0]):
        return names[0]
    if template is None:
        return " ".join(f"{{{name}}}" for name in names)
    if unknown := [name for name in template_columns(template) if name not in names]:
        raise InputError(f"the template uses {{{unknown[0]}}}, which is not among the text columns {', '.join(names)}")
    if not template_columns(template):
        raise InputError(f"the template {template!r} names no column: expected one such as {{{names[0]}}}")
    return template


def template_columns(template: str) -> list[str]:
    """Return the columns that a template names, in order.

    Examples
    --------
    >>> template_columns("{title}: {text}")
    ['title', 'text']
    """
    return list(dict.fromkeys(_FIELD.findall(template)))


def render(template: str, table: pa.Table) -> list[str]:
    """Return one text per row: the template filled in, missing values as '', all missing as ''."""
    names = template_columns(template)
    columns = {name: table.column(name).to_pylist() for name in names}
    if template == f"{{{names[0]}}}":
        return ["" if value is None else str(value) for value in columns[names[0]]]
    pieces = _FIELD.split(template)
    texts = []
    for row in range(table.num_rows):
        values = {name: "" if columns[name][row] is None else str(columns[name][row]) for name in names}
        filled = [values[piece] if number % 2 else piece for number, piece in enumerate(pieces)]
        texts.append("".join(filled) if any(values.values()) else "")
    return texts


def keys_of(texts: Sequence[str]) -> npt.NDArray[np.bytes_]:
    """Return the key of each text: shape (n,), dtype S16.

    Raises
    ------
    InputError
        If a text is not Unicode text (half of a surrogate pair).
    """
    try:
        return np.frombuffer(b"".join([text_key(text) for text in texts]), dtype=KEY_DTYPE)
    except UnicodeEncodeError as error:
        raise InputError(
            f"a text holds half of a surrogate pair ({error.object[error.start]!r}), which is no Unicode text: "
            "remove it, for example with text.encode('utf-8', 'replace').decode()"
        ) from error


class TextWriter:
    """Gives every text its position, and writes texts not seen before as new segments.

    Holds 24 bytes for each distinct text of the store, and the texts of one segment.

    Parameters
    ----------
    root : Path
        The store.
    segments : sequence of TextSegment
        Its text segments, in position order.
    """

    def __init__(self, root: Path, segments: Sequence[TextSegment]) -> None:
        self._root = root
        self._total = sum(segment.count for segment in segments)
        self._runs: list[tuple[npt.NDArray[np.bytes_], npt.NDArray[np.int64]]] = []
        if segments:
            keys = np.concatenate([segment_keys(root, segment) for segment in segments])
            self._add_run(keys, np.arange(len(keys)))
        self._pending: list[str] = []
        self._pending_bytes = 0
        self.written: list[TextSegment] = []
        """Segments written so far, in position order."""

    @property
    def added(self) -> int:
        """Number of texts that were new."""
        return sum(segment.count for segment in self.written) + len(self._pending)

    def positions(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the position of each text, shape (n,); new texts get the next positions in order."""
        unique, first, inverse = np.unique(keys_of(texts), return_index=True, return_inverse=True)
        found = self._find(unique)
        new = np.flatnonzero(found < 0)
        new = new[np.argsort(first[new])]
        found[new] = self._total + np.arange(len(new))
        self._total += len(new)
        if len(new):
            self._add_run(unique[new], found[new])
        for row in first[new]:
            self._append(texts[row])
        return found[inverse]

    def finish(self) -> list[TextSegment]:
        """Write what is pending and return all segments written."""
        if self._pending:
            self._flush()
        return self.written

    def _append(self, text: str) -> None:
        self._pending.append(text)
        self._pending_bytes += len(text)
        # Segments grow with the store: little is lost to a kill early, and their number stays small later.
        size = min(max(self._total // _SHARE, _SMALLEST), _LARGEST)
        if len(self._pending) >= size or self._pending_bytes >= _BYTES:
            self._flush()

    def _flush(self) -> None:
        self.written.append(write_texts(self._root, self._pending))
        self._pending, self._pending_bytes = [], 0

    def _find(self, keys: npt.NDArray[np.bytes_]) -> npt.NDArray[np.int64]:
        found = np.full(len(keys), -1, dtype=np.int64)
        for run_keys, run_positions in self._runs:
            place = np.minimum(np.searchsorted(run_keys, keys), len(run_keys) - 1)
            hit = run_keys[place] == keys
            found[hit] = run_positions[place[hit]]
        return found

    def _add_run(self, keys: npt.NDArray[np.bytes_], positions: npt.NDArray[np.int64]) -> None:
        # Sorted runs, merged while the last two are of like size: few runs, and each key moves log(n) times.
        while self._runs and len(self._runs[-1][0]) <= 2 * len(keys):
            run_keys, run_positions = self._runs.pop()
            keys, positions = np.concatenate([run_keys, keys]), np.concatenate([run_positions, positions])
        order = np.argsort(keys, kind="stable")
        self._runs.append((keys[order], positions[order]))
