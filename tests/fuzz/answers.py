"""Tables of answers, as `embedstore annotations --import` reads them: twice, and the second time adds nothing."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from fuzz import Target
from stores import LABELS, base, body, opened, seal

_PLACE = Path(tempfile.mkdtemp())


def _importer(suffix: str) -> Callable[[bytes], object]:
    def read(content: bytes) -> object:
        path = _PLACE / f"answers{suffix}"
        path.write_bytes(content)
        seal(body())
        book = opened(base()).annotations
        count = book.import_table(path, LABELS[:2], who="bea")
        again = book.import_table(path, LABELS[:2], who="bea")
        assert again == 0, f"imported again, {again} of {count} answers are new"
        return book.export_table().to_pandas()

    return read


def _rows() -> list[dict[str, str]]:
    table = opened(base()).annotations.export_table().table.to_pylist()
    bare = [{"id": row["id"], "label": row["label"]} for row in table]
    return [*table, *({**row, "who": "", "answer_id": ""} for row in table), *bare]


def _csv_seeds() -> list[bytes]:
    import csv
    import io

    found = []
    for rows in (_rows()[:2], _rows()[2:4], _rows()[4:]):
        stream = io.StringIO()
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        found.append(stream.getvalue().encode())
    return found


def _json_seeds() -> list[bytes]:
    import json

    return ["\n".join(map(json.dumps, rows)).encode() for rows in (_rows()[:2], _rows()[2:4], _rows()[4:])]


_WORDS = [b"label_set", b"answer_id", b"2036-01-01T00:00:00+00:00", b"Negative|Positive", b"polarity", b"k1", b"when"]

TARGETS = {
    "import_csv": Target(_csv_seeds, _importer(".csv"), words=[*_WORDS, b"\xff", b'"', b"\r"]),
    "import_jsonl": Target(_json_seeds, _importer(".jsonl"), words=[*_WORDS, b"null", b"1e999", b"[]", b"\\ud800"]),
}
