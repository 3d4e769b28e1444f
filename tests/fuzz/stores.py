"""What a store says of itself, with a right hash: manifests, records, tables of corpora, files of answers."""

import copy
import hashlib
import io
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "faults"))

import numpy as np
import pyarrow as pa
from fuzz import Target
from pyarrow import parquet
from scenarios import LABELS, opened, prepare

from embedstore.core.cells import spelled
from embedstore.core.heads import Head
from embedstore.core.spec import EncoderSpec, Provenance, canonical_json
from embedstore.corpora.rows import POSITION, Corpus
from embedstore.errors import EmbedstoreError
from embedstore.storage import derived, lists, manifest, records
from embedstore.storage.state import Manifest

pa.set_cpu_count(1)
pa.set_io_thread_count(1)

_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 7, 2**31, 2**53 + 1, 2**63, 10**400, 0.5, 1e308, float("nan"), "", "3", "\ud800"),
    *("a\nb", "train", "0" * 64, "x" * 300, [], {}, [[]], [None], ["a", 1], {"a": 1}, [0, 0], "<f4", "|u1", "logits"),
)


class Dice:
    """Choices that the bytes of an input make."""

    def __init__(self, content: bytes) -> None:
        self._stream = io.BytesIO(content)

    def pick(self, many: Sequence[Any]) -> Any:
        """Return one of several."""
        return many[int.from_bytes(self._stream.read(2), "big") % len(many)] if many else None

    def left(self) -> bool:
        """Return whether bytes are left."""
        return bool(self._stream.getbuffer()[self._stream.tell() :])


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return every container below a value, with each of its keys."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [(value, key) for key, _ in inside]
    return found + [place for _, one in list(inside) for place in _places(one)]


def changed(value: Any, content: bytes) -> Any:
    """Return a copy of a JSON value with the changes that some bytes stand for."""
    dice, whole = Dice(content), json.loads(json.dumps({"root": value}))
    for _ in range(4):
        if not dice.left():
            break
        container, key = dice.pick(_places(whole))
        other, at = dice.pick(_places(whole))
        what = dice.pick(["set", "set", "delete", "copy", "repeat", "near"])
        if what == "delete":
            container.pop(key)
        elif what == "copy":
            container[key] = copy.deepcopy(other[at])
        elif what == "repeat" and isinstance(container, list):
            container.insert(key, copy.deepcopy(container[key]))
        elif what == "near" and type(container[key]) is int:
            container[key] += dice.pick([-1, 1, 2, 1000])
        else:
            container[key] = copy.deepcopy(dice.pick(_ODD))
        if "root" not in whole:
            return None
    return whole["root"]


@cache
def base() -> Path:
    """Return a store with all that a store can have."""
    root = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)) / "store"
    prepare(root)
    store = opened(root)
    store.encode()
    for position in range(3):
        store.annotations.add(position, LABELS[position % 2], LABELS[:2], who="ann")
    store.annotations.undo(2, LABELS[:2], who="ann")
    return root


@cache
def _newest() -> Path:
    return manifest.manifest_files(base())[-1][1]


@cache
def body() -> dict[str, Any]:
    """Return the body of the store's manifest."""
    found: dict[str, Any] = json.loads(_newest().read_bytes())["body"]
    return found


def seal(body: Any) -> None:
    """Make a body the newest manifest of the store."""
    content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=True).encode()
    digest = hashlib.sha256(content).hexdigest().encode()
    _newest().write_bytes(b'{"body":' + content + b',"sha256":"' + digest + b'"}\n')
    for _, path in manifest.manifest_files(base()):
        if path > _newest():
            path.unlink()


def _asked(*questions: Callable[[Any], object]) -> None:
    """Ask a store everything, whatever the answers are; the last error of ours is raised."""
    failed: EmbedstoreError | None = None
    for question in questions:
        try:
            question(opened(base()))
        except EmbedstoreError as error:
            assert len(str(error).splitlines()) == 1, str(error)
            failed = error
    if failed:
        raise failed


def _manifest(content: bytes) -> object:
    """Read a manifest: bytes that begin with ``{`` are its body, others are changes of a valid one."""
    seal(content if content[:1] == b"{" else changed(body(), content))
    return _asked(
        lambda store: json.dumps(store.info()).encode(),
        lambda store: store.verify().faults,
        lambda store: store.tag(LABELS[:2]).to_pandas(),
        lambda store: store.search(row="k1", k=3).to_pandas(),
        lambda store: store.predict("stars").to_pandas(),
        lambda store: store.annotations.export_table().to_pandas(),
    )


@cache
def _record_seeds() -> list[tuple[Callable[[Any], object], Any]]:
    """Return the readers of records, each with a valid record."""
    whole = body()
    space = whole["spaces"][0]
    file = records.FileRecord.from_json(whole["texts"][0][0])
    one = next(iter(space["segments"].values()))
    count = sum(segment[3][1][0] for segment in whole["texts"])
    return [
        (Manifest.from_json, whole),
        (records.SpaceRecord.from_json, space),
        (records.TextSegment.from_json, whole["texts"][0]),
        (records.VectorSegment.from_json, one),
        (lambda value: records.CorpusRecord.from_json(value, count), whole["corpora"][0][1]),
        (records.CorpusPart.from_json, whole["corpora"][0][1]["parts"][0]),
        (derived.IndexRecord.from_json, whole["indexes"][0][1]),
        (derived.MapRecord.from_json, whole["maps"][0][2]),
        (derived.ProbeRecord.from_json, whole["probes"][0][1]),
        (records.AnnotationPart.from_json, whole["annotations"][0]),
        (records.FileRecord.from_json, whole["texts"][0][0]),
        (lambda value: records.DatasetRecord.from_json(value, file), whole["texts"][0][1]),
        (EncoderSpec.from_json, space["spec"]),
        (Provenance.from_json, space["provenance"][0]),
        (Head.from_json, {"labels": ["no", "yes"], "activation": "softmax"}),
    ]


def _record(content: bytes) -> object:
    """Read a record alone: within a manifest, a missing key is that manifest's fault."""
    read, value = _record_seeds()[content[0] % len(_record_seeds())] if content else _record_seeds()[0]
    try:
        made = read(changed(value, content[1:]))
    except KeyError:
        return None
    if hasattr(made, "to_json"):
        assert json.dumps(made.to_json(), allow_nan=False)
    return made


def _cells() -> list[pa.Array]:
    """Return columns of three cells of many types."""
    return [
        pa.array(["k0", "k1", "k2"]),
        pa.array(["", None, "NA"]),
        pa.array([1, 2, 3]),
        pa.array([2**63, 0, None], pa.uint64()),
        pa.array([0.5, None, float("nan")]),
        pa.array([1.5, 2, None], pa.float16()),
        pa.array([True, None, False]),
        pa.array([None, None, None]),
        pa.array(["a", "b", "a"]).dictionary_encode(),
        pa.array([[1], None, []]),
        pa.array([{"x": 1, "y": ["a"]}, None, {}]),
        pa.array([0, 2**60, -(2**62)], pa.timestamp("ns", "UTC")),
        pa.array([0, 1, None], pa.date32()),
        pa.array([0, 1, None], pa.duration("us")),
        pa.array([b"\xff", b"", None]),
        pa.array(["a", b"\xff".decode("latin-1"), None], pa.large_string()),
        pa.array([b"\xff\xfe", b"a", b"b"]).view(pa.string()),  # no UTF-8
    ]


def _parquet(dice: Dice) -> bytes:
    """Return a table of a corpus, or one that is none."""
    positions = [[0, 1, 2], [15, 0, 0], [16, 0, 0], [-1, 0, 0], [2**62, 1, 2], [0, None, 1]]
    types = [pa.int64(), pa.int64(), pa.float64(), pa.uint32(), pa.string()]
    columns = [(POSITION, pa.array(dice.pick(positions)).cast(dice.pick(types), safe=False))]
    names = ["key", "review", "n", "a.b", "", "\ud7ff\n", POSITION, "embedstore_large_integers"]
    columns += [(dice.pick(names), dice.pick(_cells())) for _ in range(dice.pick([2, 1, 3, 0]))]
    notes = [
        b"",
        b"{",
        b"[]",
        b'{"missing": 3}',
        b'{"null": 3}',
        b'{"null": "NA", "missing": ["NA", ""]}',
        b'{"json": 1}',
    ]
    fields = [pa.field(name, array.type, metadata={"embedstore": dice.pick(notes)}) for name, array in columns]
    large = dice.pick([b"[]", b'["key", 3]', b"{}", b"3", b"null", b"\xff", b"[" * 10_000])
    schema = pa.schema(fields, metadata={"embedstore_large_integers": large})
    table = pa.table([array for _, array in columns], schema=schema).slice(0, dice.pick([3, 3, 2, 0]))
    stream = io.BytesIO()
    kept = dice.pick([True, True, False])
    parquet.write_table(table, stream, compression="none", row_group_size=dice.pick([2, 3, 1]), store_schema=kept)
    return stream.getvalue()


def _corpus_part(content: bytes) -> object:
    """Read all columns, ids and positions of a corpus whose tables the bytes stand for, or are."""
    dice, parts, paths = Dice(content), [], []
    for _ in range(1 if content[:4] == b"PAR1" else dice.pick([2, 1])):
        table = content if content[:4] == b"PAR1" else _parquet(dice)
        paths.append(base() / "corpora" / f"{hashlib.sha256(table).hexdigest()}.parquet")
        paths[-1].write_bytes(table)
        try:
            rows = parquet.read_metadata(paths[-1]).num_rows
        except Exception:
            rows = 3
        name = paths[-1].relative_to(base()).as_posix()
        parts.append([[name, len(table)], max(0, min(rows, 2**53)), 0, "", ""])
    try:
        for id_column in ("key", ""):
            _read_corpus({"parts": parts, "template": "{review}", "id_column": id_column})
    finally:
        for path in paths:
            path.unlink(missing_ok=True)
    return None


def _read_corpus(said: dict[str, Any]) -> None:
    corpus = Corpus(base(), "train", records.CorpusRecord.from_json(said, 16))
    for read in (
        lambda: corpus.positions().tolist(),
        lambda: corpus.ids(),
        lambda: corpus.row_of("k1"),
        lambda: corpus.ids_at(np.array([1, 0])) if len(corpus) > 1 else None,
        lambda: corpus.table().to_pylist(),
        lambda: [spelled(corpus.column(one)) for one in corpus.schema.names],
        lambda: [corpus.missing_words(one) for one in corpus.schema.names],
    ):
        try:
            read()
        except EmbedstoreError as error:
            assert len(str(error).splitlines()) == 1, str(error)


def _annotation_part(content: bytes) -> object:
    """Read a file of answers: bytes that begin with ``{`` are its content, others are changes of a valid one."""
    valid = json.loads((base() / body()["annotations"][0][0][0]).read_bytes())
    value = content if content[:1] == b"{" else json.dumps(changed(valid, content)).encode()
    name = f"annotations/{hashlib.sha256(value).hexdigest()}.json"
    path = base() / name
    path.write_bytes(value)
    try:
        seal({**body(), "annotations": [*body()["annotations"], [[name, len(value)], 1]]})
        return _asked(
            lambda store: store.annotations.export_table().to_pandas(),
            lambda store: store.annotations.session(LABELS[:2], who="ann").question,
        )
    finally:
        if name not in [one[0][0] for one in body()["annotations"]]:
            path.unlink()


@cache
def _list() -> tuple[bytes, list[Any]]:
    """Return the content of a list of the store's text segments, and what a manifest says of it."""
    held = manifest.load(base()).texts
    listed = lists.write_list(base(), lists.TextForm(), list(held))
    return (base() / listed.file.path).read_bytes(), listed.to_json()


def _list_file(content: bytes) -> object:
    """Read a list of text segments: bytes that begin with ``{`` are its content, others are changed numbers of it."""
    valid, said = _list()
    made = bytearray(content if content[:1] == b"{" else valid)
    dice = Dice(b"" if content[:1] == b"{" else content)
    while dice.left():
        at = dice.pick(range(0, len(made) - 8))
        made[at : at + 8] = dice.pick([2**53, 2**62, -1, 0, 1, 2**40]).to_bytes(8, "little", signed=True)
    name = f"lists/{hashlib.sha256(made).hexdigest()}.texts"
    (base() / name).write_bytes(made)
    try:
        seal({**body(), "texts": [], "text_lists": [[[name, len(made)], *said[1:]]]})
        return _asked(
            lambda store: json.dumps(store.info()).encode(),
            lambda store: store.verify().faults,
            lambda store: store.tag(LABELS[:2]).to_pandas(),
            lambda store: store.search(row="k1", k=3).to_pandas(),
        )
    finally:
        if name != said[0][0]:
            (base() / name).unlink()


def changes() -> list[bytes]:
    """Return seeds for readers of changes: none, and some."""
    return [b"", *(bytes([n]) * 9 for n in range(0, 256, 16)), bytes(range(64))]


def _bodies() -> list[bytes]:
    return [canonical_json(body()), *changes()]


def _answers() -> list[bytes]:
    return [(base() / one[0][0]).read_bytes() for one in body()["annotations"]] + changes()


TARGETS = {
    "manifest": Target(_bodies, _manifest),
    "records": Target(lambda: [bytes([n]) + one for n in range(14) for one in changes()[:3]], _record),
    "corpus_part": Target(lambda: [bytes(20), bytes(range(40)), *changes()[1:]], _corpus_part),
    "list_file": Target(lambda: [_list()[0], *changes()], _list_file),
    "annotation_part": Target(_answers, _annotation_part, words=[b"takes_back", b"undo", b"skip", b"label_set"]),
}
