"""A Qdrant collection, on a server or in a local folder; running again goes on where an export ended."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from embedstore.core.cells import json_values
from embedstore.core.parsing import first_line
from embedstore.errors import EmbedstoreError, OutputError, UsageError
from embedstore.exports.base import DESCRIPTION, TargetOptions, Written, as_part, needed, vectors_of
from embedstore.exports.connecting import address_of, next_step
from embedstore.exports.rows import Rows
from embedstore.tables.folders import check_folder_place

__all__ = ["QDRANT"]

_KEY = "QDRANT_API_KEY"
_NUMBERS = 1_000_000  # of the vectors that are sent at once
_SCROLLED = 10_000  # ids that are read at once


class _Qdrant:
    """Points with numbers from 0 as their ids; the payload has our `id`, the text, the columns and tags."""

    def check(self, place: str, options: TargetOptions) -> None:
        """Check the address, or that the folder can be made or is one of Qdrant."""
        needed("qdrant_client", "qdrant", "qdrant")
        if "://" in place:
            if "@" in place or "api_key" in place:
                raise UsageError(f"expected an address without a key: set {_KEY} in the environment")
        elif not (Path(place) / "meta.json").exists():
            check_folder_place(Path(place))

    def write(self, rows: Rows, place: str, options: TargetOptions) -> Written:
        """Make the collection, or add the points with other ids than those that are there."""
        with _client(place) as client:
            with _told(place):
                known, last = _prepared(client, rows, options.name, place)
            written = 0
            for batch in as_part(rows.batches(), known):
                for piece in _pieces(batch):
                    with _told(place):
                        _upsert(client, options.name, piece, last + 1 + written)
                    written += len(piece)
        return Written(written, len(known))


def _prepared(client: Any, rows: Rows, name: str, place: str) -> tuple[pa.Array, int]:
    """Make the collection if it is not there; return our ids of its points, and the highest number of a point."""
    from qdrant_client import models

    half = rows.description.dtype == "float16"
    if not client.collection_exists(name):
        client.create_collection(
            name,
            vectors_config=models.VectorParams(
                size=rows.space.dimension,
                distance=models.Distance.COSINE,
                datatype=models.Datatype.FLOAT16 if half else models.Datatype.FLOAT32,
            ),
            metadata={DESCRIPTION: rows.description.json()},
        )
        return pa.array([], rows.schema.field("id").type), -1
    told = client.get_collection(name).config.metadata or {}
    rows.description.check_same(told.get(DESCRIPTION), f"the collection {name!r} of {place}")
    ids: list[Any] = []
    last, offset = -1, None
    while True:
        points, offset = client.scroll(name, limit=_SCROLLED, offset=offset, with_payload=["id"], with_vectors=False)
        ids += [point.payload["id"] for point in points]
        last = max([last, *(point.id for point in points)])
        if offset is None:
            return pa.array(ids, rows.schema.field("id").type), last


def _upsert(client: Any, name: str, batch: pa.RecordBatch, first: int) -> None:
    from qdrant_client import models

    names = batch.schema.names[:-1]
    cells = zip(*(json_values(batch.column(column)) for column in names), strict=True)
    points = models.Batch(
        ids=list(range(first, first + len(batch))),
        vectors=vectors_of(batch).astype(np.float32).tolist(),
        payloads=[dict(zip(names, row, strict=True)) for row in cells],
    )
    client.upsert(name, points=points, wait=True)


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    step = max(1, _NUMBERS // batch.schema.field("vector").type.list_size)
    for start in range(0, len(batch), step):
        yield batch.slice(start, step)


@contextmanager
def _client(place: str) -> Iterator[Any]:
    package = needed("qdrant_client", "qdrant", "qdrant")
    with _told(place):
        if "://" in place:
            key = os.environ.get(_KEY)
            client = package.QdrantClient(url=place, api_key=key, timeout=60, check_compatibility=False)
        else:
            client = package.QdrantClient(path=place)
    try:
        yield client
    finally:
        client.close()


@contextmanager
def _told(place: str) -> Iterator[None]:
    """Turn what a client raises into an error that shows no key."""
    try:
        yield
    except EmbedstoreError:
        raise
    except Exception as error:  # of HTTP, gRPC, SQLite and its own
        key = os.environ.get(_KEY)
        said = first_line(error)
        said = said.replace(key, "***") if key else said
        if "://" not in place:
            raise OutputError(f"can't write {place}: {said}") from error
        missing = "collection exists" in said.lower() or getattr(error, "status_code", 0) == 404
        step = "check the address: what answers there is no Qdrant" if missing else ""
        step = step or next_step(said, "Qdrant", f"set {_KEY} in the environment to a key that may write")
        raise OutputError(f"can't write to Qdrant at {address_of(place)}: {said}{step and f'; {step}'}") from error


QDRANT = _Qdrant()
