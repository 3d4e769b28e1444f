"""A table of PostgreSQL with pgvector: over a connection, or as a file for COPY and the SQL that takes it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from embedstore.core.counts import counted
from embedstore.core.parsing import first_line
from embedstore.errors import EmbedstoreError, OutputError, UsageError
from embedstore.exports.base import TargetOptions, Written, as_part, needed
from embedstore.exports.connecting import next_step
from embedstore.exports.copying import HEADER, TRAILER, copied, sql_type
from embedstore.exports.rows import Rows
from embedstore.tables.outputs import check_place, published_together

__all__ = ["PGVECTOR"]

_INDEXED = {"vector": 2000, "halfvec": 4000}  # most dimensions of an HNSW index
_COLUMNS = (
    "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
    "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
)
_STEPS = {  # by what the server says
    'to create extension "vector"': "let an administrator run CREATE EXTENSION vector in it once",
    'extension "vector" is not available': "install pgvector on the server",
    "does not exist": "create it, or name another database or user in the address",
    "pg_hba.conf": "let the server take connections from here (pg_hba.conf)",
    "permission denied": "let an administrator give the user the right to write there",
}
_LOCK = 0x656D6265  # of the exports into one table, beside a hash of its name


class _Pgvector:
    """Columns as in `Rows`, the primary key `id`, and the description as the comment on the table.

    A batch is one transaction. So an export that was stopped leaves whole batches, and running it again adds the rows
    whose ids are not there.
    """

    def check(self, place: str, options: TargetOptions) -> None:
        """Check the address, or that the file can be written."""
        if _is_address(place):
            psycopg = needed("psycopg", "pgvector", "pgvector")
            try:
                given = psycopg.conninfo.conninfo_to_dict(place)
            except psycopg.Error:
                given = {"password": ""}  # what can't be read may hold one
            if any("password" in key for key in given):
                raise UsageError(
                    "expected an address such as postgresql://user@host/database without a password: set PGPASSWORD in "
                    "the environment, or use ~/.pgpass"
                )
        else:
            check_place(Path(place))

    def write(self, rows: Rows, place: str, options: TargetOptions) -> Written:
        """Add the rows to the table, which is made if it is not there; or write the files."""
        if options.index:
            _check_index(rows)
        return _load(rows, place, options) if _is_address(place) else _write_files(rows, Path(place), options)


def _is_address(place: str) -> bool:
    return place.startswith(("postgresql://", "postgres://")) or "=" in place


def _check_index(rows: Rows) -> None:
    kind = sql_type(rows.schema.field("vector").type).partition("(")[0]
    if rows.space.dimension > _INDEXED[kind]:
        raise UsageError(
            f"an index of pgvector takes at most {counted(_INDEXED[kind], 'dimension')} of {kind}, found "
            f"{rows.space.dimension:,}: leave --index out, or take --dtype float16"
        )


def _load(rows: Rows, place: str, options: TargetOptions) -> Written:
    """Copy rows into the table, a transaction for each batch."""
    written = 0
    statement = f"COPY {_quoted(options.name)} FROM STDIN (FORMAT binary)"
    with _connection(place) as connection:
        connection.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", (_LOCK, options.name))
        known = _prepared(connection, rows, options.name, place)
        for batch in as_part(rows.batches(), known):
            with connection.transaction(), connection.cursor() as cursor, cursor.copy(statement) as copy:
                copy.write(HEADER + copied(batch) + TRAILER)
            written += len(batch)
        if options.index:
            connection.execute(_index(rows, options.name))
    return Written(written, len(known))


def _prepared(connection: Any, rows: Rows, name: str, place: str) -> pa.Array:
    """Make the table if it is not there; return the ids that it has."""
    table = _quoted(name)
    asked = "SELECT obj_description(to_regclass(%s), 'pg_class'), to_regclass(%s)"
    found = connection.execute(asked, (table, table)).fetchone()
    if found[1] is None:
        with connection.transaction():
            if connection.execute("SELECT to_regtype('vector')").fetchone()[0] is None:
                connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            for line in _made(rows, name):
                connection.execute(line)
        return pa.array([], rows.schema.field("id").type)
    rows.description.check_same(found[0], f"the table {name!r} of the database")
    columns = [" ".join(row) for row in connection.execute(_COLUMNS, (table,))]
    mine = [f"{field.name} {sql_type(field.type)}" for field in rows.schema]
    if columns != mine:
        raise OutputError(
            f"can't add to the table {name!r}: expected its columns {', '.join(columns)}, found {', '.join(mine)}; "
            "choose another --name"
        )
    type_ = rows.schema.field("id").type
    parts = []
    with connection.transaction(), connection.cursor("embedstore_ids") as cursor:
        cursor.itersize = 10_000
        cursor.execute(f"SELECT id FROM {table}")  # noqa: S608
        while part := cursor.fetchmany(10_000):
            parts.append(pa.array([row[0] for row in part], type_))
    return pa.concat_arrays(parts) if parts else pa.array([], type_)


def _made(rows: Rows, name: str) -> list[str]:
    """Return the SQL that makes the table."""
    columns = [f"{_quoted(field.name)} {sql_type(field.type)}" for field in rows.schema]
    columns[0] += " PRIMARY KEY"
    told = rows.description.json().replace("'", "''")
    comment = f"E'{told.replace(chr(92), chr(92) * 2)}'"
    return [f"CREATE TABLE {_quoted(name)} ({', '.join(columns)})", f"COMMENT ON TABLE {_quoted(name)} IS {comment}"]


def _index(rows: Rows, name: str) -> str:
    """Return the SQL that makes an HNSW index for cosines, unless it is there."""
    kind = sql_type(rows.schema.field("vector").type).partition("(")[0]
    index = _quoted(f"{name}_vector")
    return f"CREATE INDEX IF NOT EXISTS {index} ON {_quoted(name)} USING hnsw (vector {kind}_cosine_ops)"


def _write_files(rows: Rows, path: Path, options: TargetOptions) -> Written:
    """Write the rows for COPY, and beside them the SQL for psql."""
    beside = path.with_name(path.name + ".sql")
    copy = f"\\copy {_quoted(options.name)} FROM '{path.name.replace(chr(39), chr(39) * 2)}' WITH (FORMAT binary)"
    lines = ["CREATE EXTENSION IF NOT EXISTS vector", *_made(rows, options.name)]
    end = [_index(rows, options.name)] if options.index else []
    with published_together(path, beside, wait=rows.now.wait) as (temp, temp_of_sql):
        with temp.open("wb") as stream:
            stream.write(HEADER)
            for batch in rows.batches():
                stream.write(copied(batch))
            stream.write(TRAILER)
        text = "".join(f"{line};\n" for line in lines) + f"{copy}\n" + "".join(f"{line};\n" for line in end)
        temp_of_sql.write_text(text, encoding="utf-8")
    return Written(len(rows), files=(str(beside),))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def _connection(place: str) -> Iterator[Any]:
    """Connect; libpq takes the password from the environment or ~/.pgpass, and what it raises becomes our error."""
    psycopg = needed("psycopg", "pgvector", "pgvector")
    try:
        with psycopg.connect(place, autocommit=True, application_name="embedstore") as connection:
            yield connection
    except EmbedstoreError:
        raise
    except psycopg.Error as error:
        raise OutputError(_told(error, psycopg.conninfo.conninfo_to_dict(place))) from error


def _told(error: Exception, given: dict[str, Any]) -> str:
    """Return the message for an error of a database: where it is, what it said, and what to do."""
    host, port = (given.get(name) or os.environ.get(f"PG{name.upper()}") for name in ("host", "port"))
    where = f"{host or 'this machine'}{f':{port}' if port else ''}"
    said = first_line(error)
    step = next((step for words, step in _STEPS.items() if words in said), "")
    step = step or next_step(
        said, "PostgreSQL", "set PGPASSWORD in the environment, or use ~/.pgpass, and check the user"
    )
    return f"can't write to the database {given.get('dbname') or ''!r} at {where}: {said}{step and f'; {step}'}"


PGVECTOR = _Pgvector()
