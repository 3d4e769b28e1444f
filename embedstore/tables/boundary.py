"""The boundary of the readers: whatever a parser raises because of the data leaves as an `InputError` of one line."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from embedstore.core.counts import counted
from embedstore.core.parsing import caused_by_data, first_line
from embedstore.core.values import clip
from embedstore.errors import EmbedstoreError, InputError
from embedstore.tables.base import ReadOptions, Source, Survey, too_much

__all__ = ["GuardedSource", "refused"]

_SHOWN = 300  # characters of what a parser says


@contextmanager
def refused(
    name: str, source: Source | None = None, *, passing: tuple[type[BaseException], ...] = ()
) -> Iterator[None]:
    """Turn each error of the block into an `InputError`; ours, `passing`, and those that end the process go through.

    Parameters
    ----------
    name : str
        The name of the table.
    source : Source, optional
        The source that is being read; its attribute `place`, if it has one, says where it is.
    passing : tuple of exception types
        Errors of which the table is not the reason.
    """
    try:
        yield
    except BaseException as error:
        if not caused_by_data(error) or isinstance(error, (EmbedstoreError, *passing)):
            raise
        place = getattr(source, "place", "")
        what = "it needs more memory than there is" if isinstance(error, MemoryError) else first_line(error)
        where = f"{name}, {place}" if place else name
        raise InputError(
            f"{where}: the table can't be read ({clip(what, _SHOWN)}): copy or make the file again, or name its format "
            "(--format)"
        ) from error


class GuardedSource:
    """A source behind the boundary; it also refuses equal names, and too many columns.

    Parameters
    ----------
    source : Source
        The reader.
    options : ReadOptions
        What is allowed.
    """

    def __init__(self, source: Source, options: ReadOptions) -> None:
        self.name = source.name
        self.origin = source.origin
        self._source = source
        self._options = options
        self._rows: int | None = None

    def digest(self) -> str:
        """Return the SHA-256 of the content, as 64 hex digits."""
        return self._source.digest()

    def survey(self) -> Survey:
        """Read all rows once; return the row count and the column types."""
        with refused(self.name, self._source):
            survey = self._source.survey()
            names = survey.schema.names
            if len(names) > self._options.max_columns:
                raise too_much(self.name, counted(self._options.max_columns, "column"), f"{len(names):,}", "columns")
            seen: set[str] = set()
            for name in names:
                if name in seen:
                    raise InputError(f"{self.name} has two columns named {clip(name, _SHOWN)!r}: rename one")
                seen.add(name)
            self._rows = survey.rows
            return survey

    def batches(self, schema: pa.Schema) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Yield each batch of rows as two tables: as written in the file (for texts), and typed as `schema`."""
        rows = 0
        with refused(self.name, self._source):
            for raw, typed in self._source.batches(schema):
                rows += raw.num_rows
                yield raw, typed
            if self._rows not in (None, rows):
                raise InputError(
                    f"{self.name}: expected {counted(self._rows or 0, 'row')} as counted before, found {rows:,}: the "
                    "file is damaged, or was changed meanwhile"
                )
