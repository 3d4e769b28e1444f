"""Read Lance datasets, which are folders; this needs the package pylance."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from embedstore.errors import MissingExtraError
from embedstore.tables.arrow import kept, kept_schema
from embedstore.tables.base import BATCH_ROWS, Survey
from embedstore.tables.batching import pieces

__all__ = ["LanceSource", "is_lance"]

_ROWS = BATCH_ROWS // 4  # of a batch, as vectors are large


def is_lance(path: Path) -> bool:
    """Return whether a folder is a Lance dataset."""
    return (path / "_versions").is_dir()


class LanceSource:
    """The newest version of a Lance dataset, read in batches."""

    def __init__(self, path: Path, name: str, origin: str) -> None:
        self.name = name
        self.origin = origin
        self._path = path

    def digest(self) -> str:
        """Return the SHA-256 of the names and bytes of all files, as 64 hex digits."""
        found = hashlib.sha256()
        for path in sorted(path for path in self._path.rglob("*") if path.is_file()):
            with path.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
            found.update(f"{path.relative_to(self._path)}\0{content}\n".encode())
        return found.hexdigest()

    def survey(self) -> Survey:
        """Return the row count and the column types."""
        opened = self._opened()
        return Survey(opened.count_rows(), kept_schema(opened.schema.remove_metadata(), self.name))

    def batches(self, schema: pa.Schema) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Yield each batch of rows as two tables, which are the same for Lance."""
        for batch in self._opened().to_batches(batch_size=_ROWS):
            for piece in pieces(pa.Table.from_batches([batch])):
                table = kept(piece, schema, self.name)
                yield table, table

    def _opened(self) -> Any:
        try:
            import lance
        except ImportError as error:
            raise MissingExtraError("Lance datasets need pylance: pip install 'embedstore[lance]'") from error
        return lance.dataset(str(self._path))
