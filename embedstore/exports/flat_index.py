"""A flat FAISS index, written a batch at a time, and its ids beside it."""

import json
from pathlib import Path
from typing import IO, Any

import numpy as np

from embedstore.core.cells import json_values
from embedstore.core.unit import as_unit
from embedstore.exports.base import TargetOptions, Written, vectors_of
from embedstore.exports.rows import Rows
from embedstore.tables.outputs import check_place, published_together

__all__ = ["FAISS"]

_COUNT = slice(8, 16)  # bytes of a file with the number of vectors, after four letters and the dimension


class _Faiss:
    """An index file of unit vectors, compared by inner product: their cosines. The JSON beside it has the ids."""

    def check(self, place: str, options: TargetOptions) -> None:
        """Check that the file can be written."""
        check_place(Path(place))

    def write(self, rows: Rows, place: str, options: TargetOptions) -> Written:
        """Write the index and the JSON; both are of one export."""
        path = Path(place)
        beside = path.with_name(path.name + ".json")
        half = rows.description.dtype == "float16"
        unit = rows.space.spec.normalized
        with (
            published_together(path, beside, wait=rows.now.wait) as (temp, temp_of_json),
            temp.open("wb") as stream,
            temp_of_json.open("w", encoding="utf-8") as told,
        ):
            stream.write(_head(rows.space.dimension, len(rows), half=half))
            told.write(json.dumps(rows.description.to_json() | {"rows": len(rows)}, indent=1)[:-2] + ',\n "ids": [')
            mark = "\n  "
            for batch in rows.batches():
                vectors = as_unit(vectors_of(batch).astype(np.float32), normalized=unit)
                stream.write(np.ascontiguousarray(vectors, "<f2" if half else "<f4").data)
                mark = _write_ids(told, json_values(batch.column("id")), mark)
            told.write("\n ]\n}\n")
            stream.flush()
            told.flush()
        return Written(len(rows), files=(str(beside),))


def _write_ids(stream: IO[str], ids: list[Any], mark: str) -> str:
    """Write the elements of a JSON list, a line each; return what comes before the next one."""
    for id_ in ids:
        stream.write(mark + json.dumps(id_))
        mark = ",\n  "
    return mark


def _head(dimension: int, count: int, *, half: bool) -> bytes:
    """Return the beginning of an index file of so many vectors, up to the first one.

    FAISS itself would hold all vectors. Its files of one vector and of none say what the beginning is; a file of two
    vectors that is made in this way is compared with its own.
    """
    one, two = (_file(dimension, number, half=half) for number in (1, 2))
    width = dimension * (2 if half else 4)
    if _made(one, width, 2) + two[-2 * width :] != two:
        raise RuntimeError("this version of FAISS writes its index files in another way")
    return _made(one, width, count)


def _made(one: bytes, width: int, count: int) -> bytes:
    """Return the beginning of a file of `count` vectors, made of a file of one vector of `width` bytes."""
    head = bytearray(one[:-width])
    for place in (_COUNT, slice(-8, None)):  # the number of vectors, and that of their bytes or numbers
        head[place] = (count * int.from_bytes(head[place], "little")).to_bytes(8, "little")
    return bytes(head)


def _file(dimension: int, count: int, *, half: bool) -> bytes:
    import faiss

    index: Any = faiss.IndexFlatIP(dimension)
    if half:
        kind = faiss.ScalarQuantizer.QT_fp16
        index = faiss.IndexScalarQuantizer(dimension, kind, faiss.METRIC_INNER_PRODUCT)
    index.add(np.arange(count * dimension, dtype=np.float32).reshape(count, dimension) % 7)
    return bytes(faiss.serialize_index(index))


FAISS = _Faiss()
