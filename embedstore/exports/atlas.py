"""Parquet for Embedding Atlas: texts, columns, a place on the map and the nearest rows of each row."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.core.counts import counted
from embedstore.exports.base import TargetOptions, Written
from embedstore.exports.parquet import write_file
from embedstore.exports.rows import Rows
from embedstore.tables.outputs import check_place, published

__all__ = ["ATLAS"]

_MOST = 100_000  # rows up to which each is compared with all others
_QUERIES = 1024  # rows that are compared at once

Found = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]


class _Atlas:
    """The columns of `Rows` without the vector; then ``x``, ``y`` and ``neighbors``, a struct of ids and distances."""

    def check(self, place: str, options: TargetOptions) -> None:
        """Check that the file can be written."""
        check_place(Path(place))

    def write(self, rows: Rows, place: str, options: TargetOptions) -> Written:
        """Lay the rows out, find their neighbours and write the file."""
        near = len(rows) <= _MOST
        fields = [*list(rows.schema)[:-1], pa.field("x", pa.float32()), pa.field("y", pa.float32())]
        if near:
            fields.append(pa.field("neighbors", _neighbours_type()))
        schema = pa.schema(fields, metadata=rows.schema.metadata)
        points = _places(rows)
        found = _neighbours(rows, min(options.neighbours, len(rows))) if near else None
        with published(Path(place)) as temp:
            write_file(_batches(rows, schema, points, found), schema, temp)
        note = f"the column neighbors is left out: above {counted(_MOST, 'row')} it would take too long"
        instead = [field.name for field in list(schema)[len(rows.schema) - 1 :]]
        return Written(len(rows), notes=() if near else (note,), instead=tuple(instead))


def _batches(
    rows: Rows, schema: pa.Schema, points: npt.NDArray[np.float32], found: Iterator[Found] | None
) -> Iterator[pa.RecordBatch]:
    start = 0
    left: Found = (np.empty((0, 0), np.int64), np.empty((0, 0), np.float32))
    for batch in rows.batches():
        end = start + len(batch)
        columns: list[Any] = [*batch.columns[:-1], pa.array(points[start:end, 0]), pa.array(points[start:end, 1])]
        if found is not None:
            parts = [left] if len(left[0]) else []
            while sum(len(ids) for ids, _ in parts) < len(batch):
                parts.append(next(found))
            ids, distances = (np.concatenate(one) for one in zip(*parts, strict=True))
            left = ids[len(batch) :], distances[len(batch) :]
            columns.append(_struct(ids[: len(batch)], distances[: len(batch)]))
        yield pa.record_batch(columns, schema=schema)
        start = end


def _neighbours_type() -> pa.DataType:
    return pa.struct([("ids", pa.list_(pa.int64())), ("distances", pa.list_(pa.float32()))])


def _struct(ids: npt.NDArray[np.int64], distances: npt.NDArray[np.float32]) -> pa.Array:
    ends = pa.array(np.arange(0, ids.size + 1, ids.shape[1], dtype=np.int32))
    lists = [pa.ListArray.from_arrays(ends, pa.array(values.ravel())) for values in (ids, distances)]
    return pa.StructArray.from_arrays(lists, fields=list(_neighbours_type()))


def _places(rows: Rows) -> npt.NDArray[np.float32]:
    """Return the place of each row, shape (rows, 2): those of the map that the store keeps, or of a new one."""
    from embedstore.maps.plane import FEWEST, kept_plane, lay_out, principal_plane

    distinct, inverse = np.unique(rows.positions, return_inverse=True)
    record = rows.now.manifest.maps.get((rows.space.key, rows.table.name))
    if record is not None:
        points = kept_plane(rows.now, record).with_texts(rows.space, distinct).places(distinct)
    elif len(distinct) < FEWEST:
        points = principal_plane(rows.space, distinct)
    else:
        points = lay_out(rows.space, distinct).places(distinct)
    return np.asarray(points[inverse], np.float32)


def _neighbours(rows: Rows, k: int) -> Iterator[Found]:
    """Yield the numbers of the `k` nearest rows of some rows, itself first, and their cosine distances."""
    import faiss

    for start in range(0, len(rows), _QUERIES):
        own = np.arange(start, min(start + _QUERIES, len(rows)))
        queries = rows.space.unit_at(rows.positions[own])
        ids = np.empty((len(own), 0), np.int64)
        scores = np.empty((len(own), 0), np.float32)
        for here, _ in _parts(rows):
            vectors = rows.space.unit_at(rows.positions[here])
            near, numbers = faiss.knn(queries, vectors, min(k, len(vectors)), metric=faiss.METRIC_INNER_PRODUCT)
            ids, scores = np.hstack([ids, numbers + here.start]), np.hstack([scores, near])
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        yield _itself_first(np.take_along_axis(ids, best, axis=1), np.take_along_axis(scores, best, axis=1), own)


def _parts(rows: Rows) -> Iterator[tuple[slice, int]]:
    step = 16_384
    for start in range(0, len(rows), step):
        yield slice(start, min(start + step, len(rows))), step


def _itself_first(ids: npt.NDArray[np.int64], scores: npt.NDArray[np.float32], own: npt.NDArray[np.int64]) -> Found:
    """Return neighbours and their distances, with each row at the beginning of its own list."""
    lacking = ~(ids == own[:, None]).any(axis=1)  # pushed out by equal texts
    ids[lacking, -1] = own[lacking]
    scores = np.where(ids == own[:, None], np.float32(np.inf), scores)
    order = np.argsort(-scores, axis=1, kind="stable")
    ids, scores = np.take_along_axis(ids, order, axis=1), np.take_along_axis(scores, order, axis=1)
    distances = np.maximum(np.float32(0), 1 - scores)
    return ids, np.where(np.isfinite(scores), distances, np.float32(0)).astype(np.float32)


ATLAS = _Atlas()
