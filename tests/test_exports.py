"""Exports: one contract for every target, read back by the program that it is for."""

import dataclasses
import datetime
import fcntl
import json
import os
import struct
import sys
import threading
import weakref
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import duckdb
import faiss
import h5py
import numpy as np
import polars
import pyarrow as pa
import pytest
from conftest import LABELS, HashEncoder
from databases import PASSWORD, postgres, programs
from pyarrow import dataset, parquet

import embedstore
from embedstore.errors import InputError, MissingExtraError, OutputError, UsageError
from embedstore.exports import TARGETS
from embedstore.exports import rows as rows_module
from embedstore.exports.targets import find_target

DIMENSION = 8
DAY = datetime.date(2024, 2, 29)
TEXTS = [
    "good tea",
    "bad tea",
    "",
    "good tea",
    "naïve 鸭 🦆",
    "a \t tab\nand a line",
    "seven",
    'eight\'s "end"',
    "nine",
]
ROWS = [
    {
        "key": f"k{number}é",
        "review": text,
        "stars": None if number == 3 else number,
        "name": [None, "", "x", "Łódź"][number % 4],
        "vector": f"v{number}",
        "good": number % 2 == 0,
        "weight": number / 10,
        "day": DAY,
        "parts": [{"a": number}],
    }
    for number, text in enumerate(TEXTS)
]
NAMES = ["id", "text", "stars", "name", "vector_input", "good", "weight", "day", "parts", "vector"]
EXPECTED = [
    {"id": row["key"], "text": row["review"]}
    | {{"vector": "vector_input"}.get(name, name): row[name] for name in list(row)[2:]}
    for row in ROWS
    if row["review"]
]
PLAIN = [name for name, entry in TARGETS.items() if entry.plain]
FILES = [name for name, entry in TARGETS.items() if entry.a_file and name != "lance"]
ADDING = ["lance", "qdrant", "pgvector"]


@pytest.fixture(scope="module")
def server():
    folder = programs()
    if folder is None:
        pytest.skip("there is no PostgreSQL with pgvector that this user can start")
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    with postgres(folder) as address:
        os.environ["PGPASSWORD"] = PASSWORD
        yield address
        del os.environ["PGPASSWORD"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store that no test changes."""
    return make(tmp_path_factory.mktemp("made") / "store")


def make(place, encoder=None, rows=ROWS):
    store = embedstore.create(place, encoder=encoder or HashEncoder(DIMENSION))
    store.add(pa.Table.from_pylist(rows), text="review", id="key")
    store.encode()
    return store


def place_of(to, folder, request):
    """Return the target of an export; skip if the packages for it are missing."""
    package = {"lance": "lance", "qdrant": "qdrant_client"}.get(to)
    if package:
        pytest.importorskip(package, reason=f"{package} is not installed")
    if to != "pgvector":
        return str(folder / {"npy": "v.npy", "hdf5": "v.h5"}.get(to, f"out.{to}"))
    address = request.getfixturevalue("server")
    import psycopg

    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS store")
    return address


def read(to, place, count=None):
    """Return the rows, the vectors and the description of an export, as the program that it is for reads them."""
    return READERS[to](place)


def of_table(table):
    vectors = np.stack(table.column("vector").to_numpy(zero_copy_only=False))
    told = (table.schema.metadata or {}).get(b"embedstore")
    return table.drop_columns(["vector"]).to_pylist(), vectors, told


def read_hub(place):
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    datasets.disable_progress_bars()
    found = datasets.load_dataset(place, split="train", cache_dir=f"{place}.cache")
    rows, vectors, _ = of_table(found.with_format("arrow")[:])
    return rows, vectors, parquet.read_schema(next(parts_of(place))).metadata[b"embedstore"]


def parts_of(place):
    return Path(place).rglob("*.parquet")


def read_lance(place):
    import lance

    return of_table(lance.dataset(place).to_table())


def read_faiss(place):
    told = json.loads(Path(f"{place}.json").read_text())
    index = faiss.read_index(place)
    ids = told.pop("ids")
    return [{"id": id_} for id_ in ids], index.reconstruct_n(0, index.ntotal), json.dumps(told)


def read_npy(place):
    ids = duckdb.sql(f"SELECT * FROM read_csv('{place[:-4]}.ids.csv', all_varchar=true, header=true)").fetchall()
    return [{"id": id_} for (id_,) in ids], np.load(place), None


def read_hdf5(place):
    with h5py.File(place) as container:
        ids = container["id"]
        ids = (ids if ids.dtype.kind == "i" else ids.asstr())[:].tolist()
        return [{"id": id_} for id_ in ids], container["vectors"][:], container.attrs["embedstore"]


def read_milvus(place):
    table = parquet.read_table(place)
    rows = [
        {"id": row["id"], "text": row["text"], **json.loads(row.get("$meta", "{}"))}
        for row in table.drop_columns(["vector"]).to_pylist()
    ]
    for row in rows:
        if "day" in row:
            row["day"] = datetime.date.fromisoformat(row["day"])
    lists = table.column("vector").to_pylist()
    halves = table.schema.field("vector").type.value_type == pa.uint8()
    vectors = (
        np.array([np.array(one, np.uint8).view("<f2") for one in lists]) if halves else np.array(lists, np.float32)
    )
    return rows, vectors, table.schema.metadata[b"embedstore"]


def read_atlas(place):
    table = parquet.read_table(place)
    return table.drop_columns(["x", "y", "neighbors"]).to_pylist(), None, table.schema.metadata[b"embedstore"]


def read_qdrant(place):
    from qdrant_client import QdrantClient

    client = QdrantClient(path=place)
    points, _ = client.scroll("store", limit=100, with_vectors=True)
    told = client.get_collection("store").config.metadata["embedstore"]
    client.close()
    assert [point.id for point in points] == list(range(len(points)))
    rows = [dict(point.payload) for point in points]
    for row in rows:
        if "day" in row:
            row["day"] = datetime.date.fromisoformat(row["day"])
    return rows, np.array([point.vector for point in points], np.float32), told


def read_pgvector(place):
    import psycopg

    with psycopg.connect(place) as connection:
        told = connection.execute("SELECT obj_description('store'::regclass)").fetchone()[0]
        found = connection.execute("SELECT * FROM store ORDER BY ctid")
        names = [column.name for column in found.description]
        rows = [dict(zip(names, row, strict=True)) for row in found]
    dtype = np.dtype(json.loads(told)["dtype"])
    return rows, np.array([json.loads(row.pop("vector")) for row in rows], dtype), told


READERS = {
    "parquet": lambda place: of_table(dataset.dataset(place).to_table()),
    "hf": read_hub,
    "lance": read_lance,
    "faiss": read_faiss,
    "npy": read_npy,
    "hdf5": read_hdf5,
    "milvus": read_milvus,
    "atlas": read_atlas,
    "qdrant": read_qdrant,
    "pgvector": read_pgvector,
}


def expected_vectors(rows, dtype):
    encoder = HashEncoder(DIMENSION)
    return np.stack([encoder.vector(row["text"]) for row in rows]).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("to", TARGETS)
def test_a_target_has_the_rows_in_order_and_the_vectors_to_the_bit(made, tmp_path, request, to, dtype):
    place = place_of(to, tmp_path, request)
    report = made.export(place, to=to, dtype=dtype)
    assert (report.to, report.rows, report.before) == (to, len(EXPECTED), 0)
    assert report.notes == ("1 of 9 rows has no text and is left out (--blank answer takes it in)",)
    rows, vectors, told = read(to, place)
    assert rows == ([{"id": row["id"]} for row in EXPECTED] if to in PLAIN else EXPECTED)
    if vectors is not None:
        wanted = expected_vectors(EXPECTED, dtype)
        if to == "qdrant":  # it stores them with a unit length of its own
            np.testing.assert_allclose(vectors, wanted, atol=1e-3 if dtype == "float16" else 1e-6)
        else:
            assert vectors.tobytes() == wanted.astype(vectors.dtype).tobytes()
            assert vectors.dtype == ("float32" if to == "faiss" else dtype)
    if told is not None:
        description = json.loads(told)
        space = made.space()
        assert description["encoder_key"] == space.key
        assert (description["model"], description["metric"], description["dtype"]) == ("hash", "cosine", dtype)
        assert (description["id_column"], description["text"]) == ("key", "{review}")
        assert description["checkpoint_digest"] == space.spec.digest
        assert "revision" not in description  # the test's encoder has none


@pytest.mark.parametrize("to", TARGETS)
def test_a_target_takes_rows_without_a_text_and_integer_ids_if_asked(made, tmp_path, request, to):
    store = embedstore.create(tmp_path / "store", encoder=HashEncoder(DIMENSION))
    store.add([{"t": "one"}, {"t": ""}, {"t": "three"}], text="t")
    store.encode()
    place = place_of(to, tmp_path, request)
    assert store.export(place, to=to, blank="answer").notes == ()
    rows, vectors, _ = read(to, place)
    assert [int(row["id"]) for row in rows] == [0, 1, 2]
    if to not in PLAIN:
        assert [row["text"] for row in rows] == ["one", "", "three"]
    assert vectors is None or len(vectors) == 3


class StopError(Exception):
    pass


@pytest.mark.parametrize("to", TARGETS)
def test_a_target_is_whole_or_goes_on_after_a_stop(made, tmp_path, request, monkeypatch, to):
    monkeypatch.setattr(rows_module, "_MOST", 3)
    monkeypatch.setattr(rows_module, "_LEAST", 3)
    place = place_of(to, tmp_path, request)

    def late(done, total):
        if done > 4:
            raise StopError

    with pytest.raises(StopError):
        made.export(place, to=to, on_progress=late)
    if to in FILES:
        assert list(tmp_path.iterdir()) == []
    report = made.export(place, to=to)
    assert report.rows + report.before == len(EXPECTED)
    assert (report.before > 0) == (to in ("qdrant", "pgvector"))
    rows, _, _ = read(to, place)
    assert [row["id"] for row in rows] == [row["id"] for row in EXPECTED]


@pytest.mark.parametrize("to", FILES)
def test_a_file_is_replaced_and_a_folder_is_refused(made, tmp_path, request, to):
    place = place_of(to, tmp_path, request)
    made.export(place, to=to)
    before = sorted(tmp_path.rglob("*"))
    if to == "hf":
        with pytest.raises(OutputError, match="it is there already"):
            made.export(place, to=to)
    else:
        made.export(place, to=to)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("to", ADDING)
def test_a_second_export_adds_new_rows_and_refuses_another_encoder(tmp_path, request, to):
    store = make(tmp_path / "store")
    place = place_of(to, tmp_path, request)
    store.export(place, to=to)
    assert store.export(place, to=to).rows == 0
    more = [{**ROWS[0], "key": "new", "review": "a new one"}]
    store.add(pa.Table.from_pylist(more), text="review", id="key")
    store.encode()
    report = store.export(place, to=to)
    assert (report.rows, report.before) == (1, len(EXPECTED))
    rows, vectors, _ = read(to, place)
    assert [row["id"] for row in rows] == [*(row["id"] for row in EXPECTED), "new"]
    np.testing.assert_allclose(vectors[-1], HashEncoder(DIMENSION).vector("a new one"), atol=1e-6)
    other = make(tmp_path / "other" / "store", HashEncoder(DIMENSION, prompt="p: "))
    with pytest.raises(OutputError, match="encoder key"):
        other.export(place, to=to, name="store") if to != "lance" else other.export(place, to=to)
    with pytest.raises(OutputError, match="dtype float32"):
        store.export(place, to=to, dtype="float16")
    assert len(read(to, place)[0]) == len(EXPECTED) + 1


@pytest.mark.parametrize("to", [name for name in TARGETS if name not in PLAIN])
def test_tags_are_columns(made, tmp_path, request, to):
    tagged = made.tag(LABELS).to_arrow().to_pylist()
    place = place_of(to, tmp_path, request)
    made.export(place, to=to, labels=LABELS, method="cosine")
    rows, _, _ = read(to, place)
    kept = [row for row in tagged if row["review"]]
    assert [row["Predicted_Labels"] for row in rows] == [row["Predicted_Labels"] for row in kept]
    np.testing.assert_allclose([row["margin"] for row in rows], [row["margin"] for row in kept], atol=1e-6)


@pytest.mark.parametrize("to", TARGETS)
def test_a_target_holds_few_batches_at_once(made, tmp_path, request, monkeypatch, to):
    monkeypatch.setattr(rows_module, "_MOST", 1)
    monkeypatch.setattr(rows_module, "_LEAST", 1)
    alive, most = [], []
    yielded = rows_module.Rows.batches

    def watched(self):
        for batch in yielded(self):
            alive.append(weakref.ref(batch))
            yield batch
            del batch
            most.append(sum(one() is not None for one in alive))

    monkeypatch.setattr(rows_module.Rows, "batches", watched)
    made.export(place_of(to, tmp_path, request), to=to)
    assert len(most) == len(EXPECTED)
    assert max(most) <= 2


@pytest.mark.parametrize(
    ("to", "module", "extra"),
    [("lance", "lance", "lance"), ("qdrant", "qdrant_client", "qdrant"), ("pgvector", "psycopg", "pgvector")],
)
def test_a_missing_package_is_told_before_any_work(made, tmp_path, monkeypatch, to, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    place = "postgresql://nowhere/db" if to == "pgvector" else tmp_path / "out"
    with pytest.raises(MissingExtraError, match=rf"pip install 'embedstore\[{extra}\]'"):
        made.export(place, to=to)
    assert list(tmp_path.iterdir()) == []


def test_rows_go_to_several_files(made, tmp_path):
    for to in ("parquet", "milvus", "hf"):
        made.export(tmp_path / to, to=to, rows_per_file=3)
        sizes = [parquet.read_metadata(path).num_rows for path in sorted(parts_of(tmp_path / to))]
        assert sizes == [3, 3, 2]
        assert [row["id"] for row in read(to, str(tmp_path / to))[0]] == [row["id"] for row in EXPECTED]
    names = sorted(path.name for path in (tmp_path / "parquet").iterdir())
    assert names[0] == "part-00000-of-00003.parquet"
    with pytest.raises(UsageError, match="--rows-per-file goes with --to parquet, hf, lance, milvus, found --to npy"):
        made.export(tmp_path / "v.npy", to="npy", rows_per_file=3)


def test_polars_and_duckdb_read_parquet(made, tmp_path):
    place = str(tmp_path / "out.parquet")
    made.export(place, to="parquet")
    query = f"SELECT id, list_cosine_similarity(vector, vector::FLOAT[{DIMENSION}]) FROM '{place}'"
    assert [id_ for id_, _ in duckdb.sql(query).fetchall()] == [row["id"] for row in EXPECTED]
    nearest = f"""
        SELECT b.id FROM '{place}' a, '{place}' b WHERE a.id = 'k1é' AND b.id <> 'k1é'
        ORDER BY array_cosine_distance(a.vector::FLOAT[{DIMENSION}], b.vector::FLOAT[{DIMENSION}]) LIMIT 1"""
    ours = made.where("review <> ''").search(row="k1é", k=1).to_arrow().column("id").to_pylist()
    assert [id_ for (id_,) in duckdb.sql(nearest).fetchall()] == ours
    frame = polars.read_parquet(place)
    assert frame["vector"].dtype == polars.Array(polars.Float32, DIMENSION)
    assert frame["name"].to_list() == [row["name"] for row in EXPECTED]


def ours_nearest(store, k=3):
    return store.where("review <> ''").search("a question", k=k, exact=True).to_arrow().column("id").to_pylist()


@pytest.mark.parametrize("to", ["lance", "qdrant", "faiss", "pgvector"])
def test_a_search_there_finds_what_ours_finds(made, tmp_path, request, to):
    place = place_of(to, tmp_path, request)
    more = {"index": True} if to == "pgvector" else {}
    made.export(place, to=to, **more)
    query = HashEncoder(DIMENSION).vector("a question")
    if to == "lance":
        import lance

        nearest = {"column": "vector", "q": query, "k": 3, "metric": "cosine"}
        found = lance.dataset(place).to_table(columns=["id"], nearest=nearest).column("id").to_pylist()
    elif to == "qdrant":
        from qdrant_client import QdrantClient

        client = QdrantClient(path=place)
        found = [point.payload["id"] for point in client.query_points("store", query=query.tolist(), limit=3).points]
        client.close()
    elif to == "faiss":
        ids = [row["id"] for row in read_faiss(place)[0]]
        found = [ids[number] for number in faiss.read_index(place).search(query[None], 3)[1][0]]
    else:
        import psycopg

        with psycopg.connect(place) as connection:
            asked = "SELECT id FROM store ORDER BY vector <=> %s::vector LIMIT 3"
            found = [row[0] for row in connection.execute(asked, (str(query.tolist()),))]
            index = connection.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'store_vector'").fetchone()
            assert "hnsw (vector vector_cosine_ops)" in index[0]
    assert set(found) == set(ours_nearest(made))  # two rows have one text


def test_the_vectors_of_a_faiss_index_have_unit_length(tmp_path):
    store = make(tmp_path / "store", Scaled(3))
    store.export(tmp_path / "x.faiss", to="faiss")
    index = faiss.read_index(str(tmp_path / "x.faiss"))
    np.testing.assert_allclose(np.linalg.norm(index.reconstruct_n(0, index.ntotal), axis=1), 1, atol=1e-6)
    store.export(tmp_path / "x.parquet", to="parquet")
    assert np.linalg.norm(read("parquet", str(tmp_path / "x.parquet"))[1][0]) == pytest.approx(3, abs=1e-5)


def test_neighbours_on_the_atlas_are_the_nearest_rows(made, tmp_path):
    made.export(tmp_path / "a.parquet", to="atlas", neighbours=4)
    table = parquet.read_table(tmp_path / "a.parquet")
    vectors = expected_vectors(EXPECTED, np.float32)
    cosines = vectors @ vectors.T
    for row, near in enumerate(table.column("neighbors").to_pylist()):
        assert near["ids"][0] == row
        assert near["distances"][0] == 0
        assert near["distances"] == sorted(near["distances"])
        np.testing.assert_allclose(near["distances"][1:], 1 - cosines[row][near["ids"][1:]], atol=1e-6)
        best = np.sort(1 - np.delete(cosines[row], row))[:3]
        np.testing.assert_allclose(near["distances"][1:], best, atol=1e-6)
    assert np.isfinite(table.column("x").to_numpy()).all()
    same = [row for row, one in enumerate(EXPECTED) if one["text"] == "good tea"]
    places = table.select(["x", "y"]).to_pylist()
    assert places[same[0]] == places[same[1]]


def test_the_file_for_copy_is_what_postgresql_takes(made, tmp_path):
    made.export(tmp_path / "out.copy", to="pgvector", name='odd "name', index=True)
    content = (tmp_path / "out.copy").read_bytes()
    assert content.startswith(b"PGCOPY\n\xff\r\n\x00" + bytes(8))
    at, rows = 19, []
    while (count := struct.unpack_from("!h", content, at)[0]) != -1:
        at += 2
        fields = []
        for _ in range(count):
            size = struct.unpack_from("!i", content, at)[0]
            at += 4
            fields.append(None if size < 0 else content[at : at + size])
            at += max(0, size)
        rows.append(fields)
    assert at + 2 == len(content)
    assert [row[0].decode() for row in rows] == [row["id"] for row in EXPECTED]
    assert [row[3] if row[3] is None else row[3].decode() for row in rows] == [row["name"] for row in EXPECTED]
    vectors = np.stack([np.frombuffer(row[-1], ">f4", offset=4) for row in rows])
    assert np.array_equal(vectors, expected_vectors(EXPECTED, np.float32))
    sql = (tmp_path / "out.copy.sql").read_text()
    assert 'CREATE TABLE "odd ""name" ("id" text PRIMARY KEY, "text" text, "stars" bigint,' in sql
    assert f'"vector" vector({DIMENSION}))' in sql
    assert "USING hnsw (vector vector_cosine_ops)" in sql


def test_a_text_that_postgresql_can_not_hold_is_refused(tmp_path):
    store = make(tmp_path / "store", rows=[{**ROWS[0], "name": "a\0b"}, ROWS[1]])
    with pytest.raises(InputError, match=r"U\+0000, which is in the column 'name' of the row 'k0é'"):
        store.export(tmp_path / "out.copy", to="pgvector")


@pytest.mark.parametrize(
    ("to", "place"),
    [
        ("pgvector", "postgresql://me:hidden@host/db"),
        ("pgvector", "host=x password=hidden"),
        ("pgvector", "host=x password='hidden"),
        ("qdrant", "https://me:hidden@host"),
    ],
)
def test_a_password_in_an_address_is_refused_and_not_shown(made, to, place):
    pytest.importorskip({"pgvector": "psycopg", "qdrant": "qdrant_client"}[to])
    with pytest.raises(UsageError, match="in the environment") as caught:
        made.export(place, to=to)
    assert "hidden" not in str(caught.value)


UNREACHABLE = {
    "closed port": (
        "postgresql://me@127.0.0.1:1/db",
        "the database 'db' at 127.0.0.1:1: .*refused; check the host and the port, and that PostgreSQL runs there",
    ),
    "no socket": ("host=/nowhere dbname=db", "the database 'db' at /nowhere: .*; check the host and the port"),
    "no host": (
        "postgresql://me@none.invalid/db",
        "the database .* at none.invalid: .*; check the name of the host in the address",
    ),
    "closed port of qdrant": (
        "http://127.0.0.1:1/base?key=hidden",
        r"Qdrant at http://127.0.0.1:1/base: .*refused; check the host and the port, and that Qdrant runs there",
    ),
    "no host of qdrant": (
        "http://none.invalid:6333",
        "Qdrant at http://none.invalid:6333: .*; check the name of",
    ),
}


@pytest.mark.parametrize("fault", UNREACHABLE)
@pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")
def test_a_database_that_can_not_be_reached_is_one_line_with_its_address_and_what_to_do(made, monkeypatch, fault):
    place, told = UNREACHABLE[fault]
    to = "qdrant" if place.startswith("http") else "pgvector"
    pytest.importorskip({"pgvector": "psycopg", "qdrant": "qdrant_client"}[to])
    monkeypatch.setenv("PGPASSWORD", "hidden")
    monkeypatch.setenv("QDRANT_API_KEY", "hidden")
    with pytest.raises(OutputError, match=f"can't write to {told}") as caught:
        made.export(place, to=to)
    assert "hidden" not in str(caught.value)
    assert "me@" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "password", "told"),
    [
        ({}, "", "set PGPASSWORD in the environment, or use ~/.pgpass"),
        ({}, "wrong", "set PGPASSWORD in the environment, or use ~/.pgpass"),
        ({"/postgres?": "/none?"}, PASSWORD, "create it, or name another database or user in the address"),
    ],
)
def test_a_server_that_refuses_the_user_says_what_to_do(made, server, monkeypatch, change, password, told):
    monkeypatch.setenv("PGPASSWORD", password)
    for old, new in change.items():
        server = server.replace(old, new)
    with pytest.raises(OutputError, match=f"can't write to the database '.*' at /tmp/.*; {told}") as caught:
        made.export(server, to="pgvector")
    assert "\n" not in str(caught.value)


def test_a_user_who_may_not_make_the_extension_is_told_who_can(made, server, monkeypatch):
    import psycopg

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE plain")
        connection.execute("CREATE ROLE reader LOGIN PASSWORD 'its own'")
    monkeypatch.setenv("PGPASSWORD", "its own")
    place = server.replace("tester@", "reader@").replace("/postgres?", "/plain?")
    with pytest.raises(OutputError, match="let an administrator run CREATE EXTENSION vector in it once"):
        made.export(place, to="pgvector")


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (401, r"401 \(Unauthorized\); set QDRANT_API_KEY in the environment to a key that may write"),
        (403, "set QDRANT_API_KEY in the environment to a key that may write"),
        (404, "check the address: what answers there is no Qdrant"),
        (200, "check the address: what answers there is no Qdrant"),
    ],
)
def test_a_server_that_refuses_the_key_or_is_no_qdrant_says_what_to_do(made, status, told, recwarn):
    pytest.importorskip("qdrant_client")

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        with pytest.raises(OutputError, match=rf"can't write to Qdrant at http://127.0.0.1:\d+: .*{told}"):
            made.export(f"http://127.0.0.1:{http.server_port}", to="qdrant")
        http.shutdown()
        thread.join()
    assert not list(recwarn)


def test_a_table_that_is_no_export_is_refused(made, tmp_path, request):
    place = place_of("pgvector", tmp_path, request)
    import psycopg

    with psycopg.connect(place, autocommit=True) as connection:
        connection.execute("CREATE TABLE store (id text)")
    with pytest.raises(OutputError, match="is no export of embedstore"):
        made.export(place, to="pgvector")


@pytest.mark.parametrize("to", ["lance", "pgvector"])
def test_rows_with_other_columns_are_not_added(made, tmp_path, request, to):
    place = place_of(to, tmp_path, request)
    made.export(place, to=to)
    other = make(tmp_path / "other" / "store", rows=[{**row, "stars": "many"} for row in ROWS])
    for store, options in ((made, {"labels": LABELS}), (other, {})):
        with pytest.raises(OutputError, match="expected its columns"):
            store.export(place, to=to, **options)
    assert [row["id"] for row in read(to, place)[0]] == [row["id"] for row in EXPECTED]


def test_the_shell_writes_what_python_writes(cli, store):
    done = cli(
        "export", "small", "out.parquet", "--to", "parquet", "-l", "Negative", "-l", "Positive", "--where", "stars = 1"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "4 vectors written to out.parquet\n"
    assert "1 of 5 rows has no text" in done.stderr
    table = parquet.read_table(cli.home.parent / "out.parquet")
    assert table.column_names == ["id", "text", "stars", "Predicted_Labels", "score", "margin", "vector"]
    done = cli("export", "small", "v.npy")
    assert done.stdout == "10 vectors written to v.npy, their ids to v.ids.csv\n"
    told = json.loads(cli("export", "small", "f.faiss", "--to", "faiss", "--json").stdout)
    assert (told["rows"], told["to"], told["files"]) == (9, "faiss", ["f.faiss.json"])
    assert "expected TARGET or -o FILE, found both" in cli.fails(2, "export", "small", "a.npy", "-o", "b.npy")
    assert "--name goes with --to pgvector, qdrant" in cli.fails(
        2, "export", "small", "a.npy", "--to", "npy", "--name", "x"
    )


def test_every_target_is_a_line_in_the_table():
    for name in TARGETS:
        target = find_target(name)
        assert callable(target.check)
        assert callable(target.write)


def test_a_folder_that_was_left_behind_is_removed_unless_it_is_being_written(made, tmp_path, caplog):
    left, busy = (tmp_path / f".embedstore-{digit * 12}.folder" for digit in "01")
    for folder in (left, busy):
        folder.mkdir()
        (folder / "part").write_text("")
    held = os.open(busy, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    made.export(tmp_path / "hub", to="hf")
    os.close(held)
    assert sorted(path.name for path in tmp_path.iterdir()) == [busy.name, "hub"]
    assert "a killed run had left: removed" in caplog.text


class Scaled(HashEncoder):
    """An encoder of vectors of another length than 1."""

    def __init__(self, scale):
        super().__init__(DIMENSION)
        self.spec = dataclasses.replace(self.spec, normalized=False)
        self.scale = scale

    def vector(self, text, prompt=""):
        return np.float32(self.scale) * super().vector(text, prompt)


def test_float16_that_overflows_is_refused(tmp_path):
    store = make(tmp_path / "store", Scaled(1e6))
    with pytest.raises(OutputError, match="above 65,504; export float32"):
        store.export(tmp_path / "out.parquet", to="parquet", dtype="float16")
    assert not (tmp_path / "out.parquet").exists()


def test_a_long_text_is_refused_for_milvus(tmp_path):
    store = make(tmp_path / "store", rows=[ROWS[0], {**ROWS[1], "review": "é" * 32_768}])
    with pytest.raises(InputError, match="at most 65,535 bytes of a text, found 65,536 bytes in the row 'k1é'"):
        store.export(tmp_path / "out.parquet", to="milvus")


def test_a_revision_is_told_where_there_is_one_and_unproven_vectors_have_no_digest(made, tmp_path):
    encoder = HashEncoder(DIMENSION)
    encoder.provenance = dataclasses.replace(encoder.provenance, revision="0123abcd")
    make(tmp_path / "store", encoder).export(tmp_path / "x.parquet", to="parquet")
    described = json.loads(parquet.read_schema(tmp_path / "x.parquet").metadata[b"embedstore"])
    assert (described["revision"], described["checkpoint_digest"]) == ("0123abcd", encoder.spec.digest)
    made.export(tmp_path / "given.parquet", to="parquet")
    apart = embedstore.create(tmp_path / "apart")
    options = {"text": "text", "id": "id", "vector": "vector", "model": "acme/one", "no_encode": True}
    apart.import_vectors(tmp_path / "given.parquet", **options)
    apart.export(tmp_path / "apart.parquet", to="parquet")
    described = json.loads(parquet.read_schema(tmp_path / "apart.parquet").metadata[b"embedstore"])
    assert described["model"] == "unproven: acme/one"
    assert described.keys().isdisjoint({"revision", "checkpoint_digest"})


def test_what_is_on_an_atlas_is_told_as_it_is(made, tmp_path):
    report = made.export(tmp_path / "a.parquet", to="atlas")
    assert str(report) == f"8 rows written to {tmp_path}/a.parquet with x, y, neighbors in place of vectors"
    assert "vector" not in parquet.read_schema(tmp_path / "a.parquet").names
    assert str(made.export(tmp_path / "b.parquet", to="parquet")) == f"8 vectors written to {tmp_path}/b.parquet"


def test_a_row_that_equal_texts_pushed_out_is_its_own_neighbour(tmp_path):
    store = make(tmp_path / "store", rows=[{**ROWS[0], "key": f"k{number}"} for number in range(6)])
    store.export(tmp_path / "a.parquet", to="atlas", neighbours=2)
    near = parquet.read_table(tmp_path / "a.parquet").column("neighbors").to_pylist()
    assert [one["ids"][0] for one in near] == list(range(6))
    assert all(one["ids"][1] != row for row, one in enumerate(near))


def test_logits_go_to_files_and_to_no_search(tmp_path):
    encoder = HashEncoder(DIMENSION)
    encoder.spec = dataclasses.replace(encoder.spec, output="logits", normalized=False)
    store = make(tmp_path / "store", encoder)
    key = store.info()["spaces"][0]["key"]
    with pytest.raises(UsageError, match="expected a space of embeddings, found the logits"):
        store.export(tmp_path / "x.faiss", to="faiss", space=key)
    store.export(tmp_path / "x.parquet", to="parquet", space=key)
    assert json.loads(parquet.read_schema(tmp_path / "x.parquet").metadata[b"embedstore"])["metric"] == ""
