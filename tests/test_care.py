import fcntl
import threading

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import LABELS, HashEncoder, locked_elsewhere, query_vectors
from pyarrow import parquet

import embedstore
from embedstore.errors import DamagedStoreError, OutputError
from embedstore.storage import manifest
from embedstore.tables.write import write_table


def flip(path, where):
    content = bytearray(path.read_bytes())
    content[where] ^= 1
    path.write_bytes(content)


def test_a_sound_store_verifies(store):
    store.index("flat")
    store.train("stars")
    report = store.verify()
    assert report.faults == ()
    assert report.files == len(store.manifest.files()) == 8


def test_every_kind_of_damaged_file_is_named(store):
    store.index("flat")
    store.train("stars")
    for record in store.manifest.files():
        path = store.path / record.path
        whole = path.read_bytes()
        flip(path, len(whole) // 2)
        assert [path.name in fault for fault in store.verify().faults] == [True]
        path.write_bytes(whole[:-1])
        assert [path.name in fault for fault in store.verify().faults] == [True]
        path.unlink()
        assert [path.name in fault for fault in store.verify().faults] == [True]
        path.write_bytes(whole)
    assert store.verify().faults == ()


@pytest.mark.parametrize("wrong", [np.nan, 3.0])
def test_vectors_that_were_wrong_when_they_were_written_are_found(store, encoder, wrong, monkeypatch):
    monkeypatch.setattr("embedstore.vectors.executors.check_vectors", lambda vectors, spec: None)
    encoder.vector = lambda text, prompt="": np.full(16, wrong, np.float32)
    store.add([{"t": "unseen"}], text="t", corpus="more")
    store.encode()
    assert len(store.verify().faults) == 1


def test_gc_removes_what_no_manifest_lists_and_nothing_else(store):
    strays = [
        store.path / "texts" / ("0" * 64 + ".h5"),
        store.path / "vectors" / ".tmp-1-x.h5",
        store.path / ".tmp-1-y",
    ]
    for stray in strays:
        stray.write_bytes(b"left by a killed writer")
    (store.path / "notes.txt").write_text("the user's")
    dry = store.gc(dry_run=True)
    assert all(stray.exists() for stray in strays)
    assert set(dry.removed) >= {str(stray.relative_to(store.path)) for stray in strays}
    done = store.gc()
    assert not any(stray.exists() for stray in strays)
    assert (store.path / "notes.txt").exists()
    assert set(done.removed) == set(dry.removed)
    assert len(manifest.manifest_files(store.path)) == 1
    assert store.verify().faults == ()
    assert len(store.tag(LABELS, no_encode=True)) == 10


@pytest.mark.parametrize("what", ["gc", "repair"])
def test_gc_and_repair_wait_for_writers(store, what):
    unlisted = store.path / "vectors" / "about-to-be-committed.h5"
    unlisted.write_bytes(b"vectors")
    collector = threading.Thread(target=getattr(store, what))
    with locked_elsewhere(store.path, kind=fcntl.LOCK_SH):
        collector.start()
        collector.join(0.5)
        assert collector.is_alive()
        assert unlisted.exists()
    collector.join()
    assert unlisted.exists() == (what == "repair")


def test_gc_leaves_the_files_of_readers_and_does_not_wait_for_them(store, encoder):
    with store.snapshot() as now:
        before = {file.path for file in now.manifest.files()}
        store.add([{"key": "new", "review": "another text"}], text="review", id="key", replace=True)
        store.index("flat")
        report = embedstore.open(store.path, encoder=encoder).gc()  # in the thread of the reader
        assert report.spared > 0
        assert not before & set(report.removed)
        assert len(now.corpus()) == 10
        assert len(now.space().vectors(now.corpus())) == 10
    gone = set(store.gc().removed)
    assert gone & before
    assert len(manifest.manifest_files(store.path)) == 1
    assert store.verify().faults == ()


def test_a_reader_that_opens_a_manifest_as_it_goes_takes_the_newer_one(store, monkeypatch):
    """Between opening the newest manifest and marking it, commits replace it and `gc` removes it."""
    opened = manifest._open_newest
    calls = []

    def overtaken(root):
        found = opened(root)
        calls.append(found[1])
        if len(calls) == 1:
            store.index("flat")
            store.gc()
        return found

    monkeypatch.setattr(manifest, "_open_newest", overtaken)
    with store.snapshot() as now:
        assert now.manifest.sequence == calls[-1] > calls[0]
        assert now.manifest.indexes


def test_gc_merges_small_query_segments(store, encoder):
    for number in range(5):
        store.search(f"query {number}", k=1)
    store.search("query 1 with a prompt", k=1)
    query_vectors(store, ["prompted"], prompt="p: ")
    assert len(store.manifest.queries) == 8
    encoder.encoded.clear()
    report = store.gc()
    assert report.merged == 7
    assert len(store.manifest.queries) == 2
    expected = np.stack([encoder.vector(f"query {number}") for number in range(5)])
    found = query_vectors(store, [f"query {number}" for number in range(5)], no_encode=True)
    assert np.allclose(found, expected, atol=1e-7)
    assert encoder.encoded == []
    assert store.verify().faults == ()
    assert store.gc().removed == ()


@pytest.mark.parametrize("suffix", [".npy", ".parquet", ".h5"])
def test_exported_vectors_equal_the_stored(store, tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    assert store.export(path).rows == 10
    ids = [f"k{i}" for i in range(10)]
    if suffix == ".npy":
        vectors = np.load(path)
        found = pd.read_csv(tmp_path / "out.ids.csv")["id"].tolist()
    elif suffix == ".parquet":
        table = parquet.read_table(path)
        vectors, found = np.array(table.column("vector").to_pylist(), np.float32), table.column("id").to_pylist()
    else:
        with h5py.File(path) as container:
            vectors, found = container["vectors"][:], container["id"].asstr()[:].tolist()
    assert np.array_equal(vectors, store.space().vectors(store.corpus()))
    assert found == ids


@pytest.mark.parametrize("ids", [[1.5, 2.5], [7, 8], ["x", "y"]])
def test_ids_of_every_kind_are_exported_and_found(store, tmp_path, ids):
    store.add(pd.DataFrame({"t": ["good tea", "bad tea"], "n": ids}), text="t", id="n", corpus="ids")
    store.export(tmp_path / "out.h5", corpus="ids")
    with h5py.File(tmp_path / "out.h5") as container:
        found = container["id"].asstr()[:] if isinstance(ids[0], str) else container["id"][:]
        assert found.tolist() == ids
    assert store.search(row=ids[0], corpus="ids", k=1).to_pandas()["id"].tolist() == [ids[1]]


@pytest.mark.parametrize("name", ["out.csv", "nowhere/out.npy"])
def test_an_export_to_a_wrong_place_is_refused(store, tmp_path, name):
    with pytest.raises(OutputError):
        store.export(tmp_path / name)


def test_info_tells_what_there_is(store):
    store.index("flat")
    store.train("stars")
    info = store.info()
    assert info["texts"] == 9
    assert info["corpora"] == [
        {
            "name": "train",
            "rows": 10,
            "distinct_texts": 9,
            "empty": 1,
            "text": "{review}",
            "id": "key",
            "columns": ["key", "review", "stars"],
        }
    ]
    (space,) = info["spaces"]
    assert (space["texts"], space["queries"], space["coverage"], space["dimension"]) == (9, 2, 1.0, 16)
    assert space["key"] == store.space().key
    assert [index["kind"] for index in info["indexes"]] == ["flat"]
    assert [probe["name"] for probe in info["probes"]] == ["stars"]


TABLE = pa.table(
    {
        "s": ['a "quoted", cell', "line\nbreak", None],
        "f": [1.0, None, 0.1],
        "g": pa.array([0.1, 0.2, None], pa.float32()),
        "b": [True, False, None],
        "i": pa.array([1, None, 3], pa.int64()),
    }
)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_tables_come_back_from_every_format(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    write_table([TABLE.slice(0, 1), TABLE.slice(1)], TABLE.schema, path)
    if suffix == ".parquet":
        assert parquet.read_table(path) == TABLE
        return
    frame = (
        pd.read_json(path, lines=True)
        if suffix == ".jsonl"
        else pd.read_csv(path, sep="\t" if suffix == ".tsv" else ",")
    )
    assert frame["s"].tolist()[:2] == TABLE.column("s").to_pylist()[:2]
    assert frame["f"].fillna(-1).tolist() == [1.0, -1, 0.1]
    assert frame["g"].fillna(-1).tolist() == [0.1, 0.2, -1]
    assert frame["i"].fillna(-1).tolist() == [1, -1, 3]


def test_a_failed_write_leaves_the_earlier_file(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("before")

    def tables():
        yield TABLE
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        write_table(tables(), TABLE.schema, path)
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_what_the_messages_advise_repairs_the_store(cli, tmp_path, damage):
    encoder = HashEncoder()
    store = embedstore.create(cli.home / "hurt", encoder=encoder)
    store.add([{"review": f"text {i}", "stars": i % 2} for i in range(20)], text="review")
    store.encode()
    store.tag(["a", "b"])
    store.index("flat")
    store.train("stars")
    expected = store.space().vectors(store.corpus())
    for file in store.manifest.files():
        if not file.path.startswith(("vectors/", "index/", "probes/")):
            continue
        path = store.path / file.path
        if damage == "flip":
            flip(path, path.stat().st_size // 2)
        elif damage == "cut":
            path.write_bytes(path.read_bytes()[:-10])
        else:
            path.unlink()
    assert "verify STORE --repair` forgets damaged vectors" in cli.fails(4, "verify", "hurt")
    if damage != "flip":
        assert "Run `embedstore verify STORE --repair`" in cli.fails(4, "tag", "hurt", "-l", "a", "-l", "b")
    repaired = cli("verify", "hurt", "--repair")
    assert repaired.returncode == 0, repaired.stderr
    assert "forgotten: vectors/" in repaired.stderr
    assert store.encode().encoded == 20
    np.testing.assert_array_equal(store.space().vectors(store.corpus()), expected)
    store.index("flat")
    store.train("stars")
    store.tag(["a", "b"])
    assert not store.verify().faults
    assert len(store.search(row="3", k=3)) == 3


def test_a_damaged_text_is_not_forgotten(store, cli):
    path = store.path / store.manifest.texts[0].file.path
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert "restore texts, tables and annotations from a backup" in cli.fails(4, "verify", store.path, "--repair")
    path.write_bytes(whole)
    assert cli("verify", store.path).returncode == 0


def test_the_advice_for_an_index_and_a_probe_repairs_them(store, encoder):
    store.index("hnsw")
    store.train("stars", corpus="train")
    for folder, ask, advice, again in (
        (
            "index",
            lambda: store.search(["good tea"] * 32, k=2),
            "rebuild it with `embedstore index STORE`",
            lambda: store.index("hnsw"),
        ),
        ("probes", lambda: store.predict("stars"), "train the probe again", lambda: store.train("stars")),
    ):
        path = max((store.path / folder).iterdir(), key=lambda p: p.stat().st_size)
        flip(path, path.stat().st_size // 2)
        with pytest.raises(DamagedStoreError, match=advice):
            ask()
        path.unlink()
        again()
        assert len(ask())


def test_open_snapshots_keep_their_own_rows(store):
    with store.snapshot() as before:
        rows = len(before.corpus())
        store.add([{"key": "new", "review": "one more"}], text="review", id="key")
        with store.snapshot() as after:
            assert [len(one.corpus()) for one in (before, after, before)] == [rows, rows + 1, rows]
