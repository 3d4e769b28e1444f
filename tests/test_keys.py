"""Texts are found by their keys, in runs of sorted keys on the disk and among those that are in none."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from conftest import LABELS, HashEncoder
from hypothesis import given, settings
from hypothesis import strategies as st

import embedstore
from embedstore.core.settings import Home
from embedstore.corpora import ids, writer
from embedstore.corpora.keyed import KnownKeys, keys_of
from embedstore.corpora.writer import TextWriter
from embedstore.errors import DamagedStoreError, InputError
from embedstore.storage import keys
from embedstore.storage.derived import KeyRun
from embedstore.storage.gate import Folder
from embedstore.storage.keys import SortedKeys, find_in_run, halves, merged, once, read_run, write_run
from embedstore.storage.manifest import commit, load
from embedstore.storage.state import Manifest

SMALL = embedstore.Settings(smallest_segment=3, largest_segment=3, index_after=1)


@pytest.fixture(autouse=True, scope="module")
def few_in_memory():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"HELD": 20, "LEAST": 7, "SEGMENTS": 5}.items():
            patch.setattr(writer, name, value)
        for name, value in {"HELD": 9, "LEAST": 4}.items():
            patch.setattr(ids, name, value)
        patch.setattr(keys, "AT_ONCE", 8)
        patch.setattr(keys, "LARGEST", 200)
        yield


def rows(first, last):
    return [{"key": f"k{n}", "t": f"text {n}"} for n in range(first, last)]


@pytest.fixture(scope="module")
def made_once(few_in_memory, tmp_path_factory):
    """The folder of a store of 62 texts, added ten at a time; a few of them are in no run."""
    made = embedstore.create(tmp_path_factory.mktemp("once") / "store", settings=SMALL)
    for first in range(0, 60, 10):
        made.add(rows(first, first + 10), text="t")
    made.add(rows(60, 62), text="t")
    assert (sum(run.count for run in load(made.path).keys), len(load(made.path).keys) > 1) == (60, True)
    return made.path


@pytest.fixture
def store(made_once, tmp_path, encoder):
    """A copy of that store."""
    shutil.copytree(made_once, tmp_path / "store")
    return embedstore.open(tmp_path / "store", encoder=encoder, settings=SMALL)


def check_runs(manifest: Manifest, root) -> None:
    """Runs follow each other, few of each size, and have the right texts in them."""
    assert [run.start for run in manifest.keys] == [0, *np.cumsum([run.count for run in manifest.keys])][:-1]
    sizes = [(run.count.bit_length() - 1) // 2 for run in manifest.keys if run.count < keys.LARGEST / 4]
    assert all(sizes.count(size) <= 3 for size in sizes)
    assert sizes == sorted(sizes, reverse=True) or any(run.count >= keys.LARGEST / 4 for run in manifest.keys)
    uncovered = manifest.texts.rows - sum(run.count for run in manifest.keys)
    assert uncovered < writer.LEAST
    assert embedstore.open(root).verify().faults == ()


@given(st.lists(st.lists(st.integers(0, 400), min_size=1, max_size=60), min_size=1, max_size=12))
@settings(max_examples=40)
def test_a_text_keeps_the_position_that_it_had_first(tmp_path_factory, several):
    root = tmp_path_factory.mktemp("positions") / "store"
    home = Home(root, SMALL)
    expected: dict[str, int] = {}
    embedstore.create(root, settings=SMALL).add(["text -1"], text="text")
    expected["text -1"] = 0
    for numbers in several:
        texts = [f"text {number}" for number in numbers]
        made = TextWriter(home, load(root))
        for at in range(0, len(texts), 17):
            found = made.positions(texts[at : at + 17])
            for text, position in zip(texts[at : at + 17], found.tolist(), strict=True):
                assert expected.setdefault(text, len(expected)) == position
        written, runs = made.finish()
        commit(root, lambda base, w=written, r=runs: replace(base, texts=base.texts.plus(w), keys=r))
    now = load(root)
    check_runs(now, root)
    known = KnownKeys(root, now.texts, now.keys)
    asked = [*expected, "nothing", *expected]
    assert known.find(keys_of(asked)).tolist() == [expected.get(text, -1) for text in asked]


def test_runs_are_written_a_few_times_each(tmp_path, monkeypatch):
    monkeypatch.setattr(keys, "LARGEST", 1 << 26)
    runs, sizes = (), []
    for number in range(400):
        start = 5 * number
        key = keys_of([f"text {n}" for n in range(start, start + 5)])
        run = write_run(tmp_path, SortedKeys.of(key, np.arange(start, start + 5)), start)
        runs = merged(tmp_path, [*runs, run])
        sizes.append(len(runs))
    written = sum(path.stat().st_size for path in (tmp_path / "keys").iterdir())
    assert written <= 20 * 2_000 * 6  # 400 runs are four to the power of 4.3
    assert max(sizes) <= 15
    found = np.concatenate([find_in_run(tmp_path, run, *halves(keys_of(["text 3", "text 1999"]))) for run in runs])
    assert sorted(found[found >= 0].tolist()) == [3, 1999]


def test_equal_beginnings_of_keys_are_told_apart(tmp_path):
    alike = np.array([b"12345678" + bytes([n]) * 8 for n in (65, 66, 67)], dtype="S16")
    run = write_run(tmp_path, SortedKeys.of(alike, np.arange(10, 13)), 10)
    asked = np.array([b"12345678CCCCCCCC", b"12345678DDDDDDDD", b"12345678AAAAAAAA"], dtype="S16")
    assert find_in_run(tmp_path, run, *halves(asked)).tolist() == [12, -1, 10]
    found, places = once(asked[[0, 1, 0]])
    assert (found.position[places].tolist(), len(places)) == ([0, 1, 0], 3)


def test_made_up_keys_are_refused_and_do_not_take_for_ever(tmp_path):
    many = np.array([b"12345678%08d" % n for n in range(1_000)], dtype="S16")
    run = write_run(tmp_path, SortedKeys.of(many, np.arange(1_000)), 0)
    with pytest.raises(DamagedStoreError, match=r"was altered\. Run `embedstore verify STORE --repair`"):
        find_in_run(tmp_path, run, *halves(many[-1:]))
    few = SortedKeys.of(many[:3], np.array([0, 1, 7]))
    run = write_run(tmp_path, few, 0)
    with pytest.raises(DamagedStoreError, match="was altered"):
        find_in_run(tmp_path, run, *halves(many[:3]))


def test_a_store_of_before_gets_its_runs_with_its_next_rows(store):
    commit(store.path, lambda base: replace(base, keys=()))
    store.add(rows(30, 70), text="t", corpus="more")
    now = load(store.path)
    check_runs(now, store.path)
    assert now.texts.rows == 70
    assert store.corpus("more").positions().tolist() == list(range(30, 70))


def test_a_row_more_reads_no_key_that_is_in_a_run(store, monkeypatch):
    read = []
    segment_keys = embedstore.corpora.keyed.segment_keys
    monkeypatch.setattr("embedstore.corpora.keyed.segment_keys", lambda *of: read.append(of) or segment_keys(*of))
    store.add(rows(62, 63), text="t")
    assert len(read) == 1  # of the two texts without a run


def test_queries_and_answers_are_found_among_the_texts(store, encoder):
    store.encode()
    encoder.encoded.clear()
    for text in ("text 5", "text 61", "text 59"):
        assert store.search(text, k=1).to_pandas()["text"].tolist() == [text]
    assert encoder.encoded == []
    for position in (3, 61):
        store.annotations.add(position, LABELS[0], LABELS)
    kept = store.annotations.export_table().to_pandas()
    assert kept["text"].tolist() == ["text 3", "text 61"]


def damaged(store, number, change):
    run = load(store.path).keys[number]
    path = store.path / run.file.path
    content = bytearray(path.read_bytes())
    path.write_bytes(change(content))
    return run


@pytest.mark.parametrize("number", [0, -1])
@pytest.mark.parametrize("how", ["missing", "cut", "altered"])
def test_damaged_runs_are_told_of_and_made_again(store, how, number):
    if how == "missing":
        run = load(store.path).keys[number]
        (store.path / run.file.path).unlink()
    else:
        run = damaged(store, number, lambda content: content[:-1] if how == "cut" else bytes(len(content)))
    if how != "altered":  # whose size is right
        with pytest.raises(DamagedStoreError, match=r"next `add` makes it again"):
            store.add(rows(0, 70), text="t", corpus="more")
    assert store.verify().damaged == (run.file.path,)
    assert store.repair() == (run.file.path,)
    store.add(rows(0, 70), text="t", corpus="more")
    assert store.corpus("more").positions().tolist() == list(range(70))
    check_runs(load(store.path), store.path)


def test_verify_finds_a_run_of_other_texts(store, tmp_path):
    """The file is whole, and the manifest names it: what it says is wrong."""
    now = load(store.path)
    *others, last = now.keys
    stored = read_run(store.path, last)
    wrong = write_run(store.path, SortedKeys(stored.first, stored.rest, stored.position[::-1].astype(int)), 0)
    commit(store.path, lambda base: replace(base, keys=(*others, replace(wrong, start=last.start))))
    assert store.verify().damaged == (wrong.file.path,)
    assert store.repair() == (wrong.file.path,)
    assert store.verify().faults == ()


def test_a_damaged_text_segment_is_told_of_once(store):
    segment = load(store.path).texts[0]
    (store.path / segment.file.path).unlink()
    assert store.verify().damaged == (segment.file.path,)


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said.append(said[-1]),
        lambda said: said[0].__setitem__(1, 0),
        lambda said: said[0].__setitem__(1, said[0][1] + 1),
        lambda said: said[0][0].__setitem__(0, said[0][0][0].replace("keys/", "../")),
        lambda said: said[0].append(1),
        lambda said: said.__setitem__(0, 3),
    ],
)
def test_runs_that_do_not_fit_are_refused(store, change):
    value = json.loads(json.dumps(load(store.path).to_json()))
    change(value["keys"])
    with pytest.raises(DamagedStoreError):
        Manifest.from_json(value, store.path)


def test_gc_removes_the_runs_that_were_merged(store):
    there = {f"keys/{path.name}" for path in (store.path / "keys").iterdir()}
    listed = {run.file.path for run in load(store.path).keys}
    assert listed < there
    for number in range(4):  # the last manifests still name them
        store.annotations.add(number, LABELS[0], LABELS)
    assert set(store.gc().removed) >= there - listed
    assert {f"keys/{path.name}" for path in (store.path / "keys").iterdir()} == listed


def test_a_first_add_that_fails_leaves_no_run(tmp_path, monkeypatch):
    def refuse(*words):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Folder, "link", refuse)
    with pytest.raises(OSError, match="No space left"):
        embedstore.EmbeddingStore(tmp_path / "new", settings=SMALL).add(rows(0, 50), text="t")
    assert not (tmp_path / "new").exists()


def test_runs_are_of_their_own_store(store, tmp_path):
    shutil.copytree(store.path, tmp_path / "copy")
    other = embedstore.open(tmp_path / "copy", encoder=HashEncoder(), settings=SMALL)
    other.add(rows(55, 80), text="t", corpus="more")
    assert other.corpus("more").positions()[:7].tolist() == list(range(55, 62))
    assert load(store.path).texts.rows == 62
    assert isinstance(load(other.path).keys[0], KeyRun)


# Ids.

KINDS = {
    "text": str,
    "mixed text": lambda n: f"ä{n}" if n % 2 else f"{n:03}",
    "number": int,
    "float": float,
    "NA": lambda n: "NA" if n == 7 else str(n),
}


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(KINDS)), st.sets(st.integers(0, 150), min_size=1, max_size=20)),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=30, deadline=None)
def test_ids_are_refused_exactly_when_the_whole_column_has_one_twice(tmp_path_factory, parts):
    """Compared with the ids of all rows, as they are given back where nothing is checked."""
    folder = tmp_path_factory.mktemp("ids")
    store = embedstore.create(folder / "store", settings=SMALL)
    for number, (kind, numbers) in enumerate(parts):
        given_ids = [KINDS[kind](one) for one in sorted(numbers)]
        table = {"id": given_ids, "t": [f"{number} {one}" for one in given_ids]}
        shutil.copytree(store.path, folder / f"unchecked-{number}")
        unchecked = embedstore.open(folder / f"unchecked-{number}", settings=SMALL)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("embedstore.corpora.ingest.with_checked_ids", lambda corpus, _: corpus.record)
            unchecked.add(table, text="t", id="id")
        found = unchecked.corpus().ids()
        if found.null_count or len(found.unique()) < len(found):
            with pytest.raises(InputError, match=r"expected an id in every row|expected ids to be unique"):
                store.add(table, text="t", id="id")
        else:
            store.add(table, text="t", id="id")
            assert store.corpus().ids().equals(found)
    assert store.verify().faults == ()


@pytest.mark.parametrize("where", [0, 25, 39])
def test_an_id_that_is_there_is_refused(tmp_path, where):
    store = embedstore.create(tmp_path / "store", settings=SMALL)
    store.add(rows(0, 40), text="t", id="key")
    store.add(rows(50, 53), text="t", id="key")  # a small part, without a run
    assert [part.ids is not None for part in load(store.path).corpora["train"].parts] == [True, False]
    for some in (rows(100, 140), rows(100, 102)):
        with pytest.raises(InputError, match=f"found 'k{where}' twice in column 'key'"):
            store.add([*some, {"key": f"k{where}", "t": "new"}], text="t", id="key")
    with pytest.raises(InputError, match="found 'k51' twice"):
        store.add([*rows(100, 140), {"key": "k51", "t": "new"}], text="t", id="key")
    with pytest.raises(InputError, match="found 'k107' twice"):
        store.add([*rows(100, 140), {"key": "k107", "t": "new"}], text="t", id="key")
    store.add(rows(100, 140), text="t", id="key")
    assert store.verify().faults == ()
    check_ids_of(store)


def check_ids_of(store):
    """Each large part has a run, and it is right."""
    parts = load(store.path).corpora["train"].parts
    assert all((part.ids is not None) == (part.rows >= ids.LEAST) for part in parts)


def test_parts_of_before_get_their_runs(tmp_path):
    store = embedstore.create(tmp_path / "store", settings=SMALL)
    store.add(rows(0, 40), text="t", id="key")

    def before(base: Manifest) -> Manifest:
        corpus = base.corpora["train"]
        return replace(
            base, corpora={"train": replace(corpus, parts=tuple(replace(part, ids=None) for part in corpus.parts))}
        )

    commit(store.path, before)
    with pytest.raises(InputError, match="found 'k3' twice"):
        store.add(rows(3, 4), text="t", id="key")
    store.add(rows(60, 70), text="t", id="key")
    check_ids_of(store)


def test_a_file_read_again_takes_the_place_of_its_ids(tmp_path):
    store = embedstore.create(tmp_path / "store", settings=SMALL)
    file = tmp_path / "rows.csv"
    for count in (30, 45):
        file.write_text("key,t\n" + "".join(f"k{n},text {n}\n" for n in range(count)))
        store.add(file, text="t", id="key")
        assert store.corpus().ids().to_pylist() == [f"k{n}" for n in range(count)]
    with pytest.raises(InputError, match="found 'k44' twice"):
        store.add(rows(44, 45), text="t", id="key")


@pytest.mark.parametrize("how", ["missing", "altered", "wrong"])
def test_damaged_runs_of_ids_are_told_of_and_made_again(tmp_path, how):
    store = embedstore.create(tmp_path / "store", settings=SMALL)
    store.add(rows(0, 40), text="t", id="key")
    corpus = load(store.path).corpora["train"]
    (part,) = corpus.parts
    if how == "wrong":
        run = write_run(store.path, SortedKeys.of(keys_of([f"other {n}" for n in range(40)]), np.arange(40)), 0)
        part = replace(part, ids=run.file)
        commit(store.path, lambda base: replace(base, corpora={"train": replace(corpus, parts=(part,))}))
    elif how == "missing":
        (store.path / part.ids.path).unlink()
        with pytest.raises(DamagedStoreError, match=r"next `add` makes it again"):
            store.add(rows(50, 51), text="t", id="key")
    else:
        (store.path / part.ids.path).write_bytes(bytes(part.ids.size))
    assert store.verify().damaged == (part.ids.path,)
    assert store.repair() == (part.ids.path,)
    with pytest.raises(InputError, match="twice"):
        store.add(rows(39, 51), text="t", id="key")
    store.add(rows(40, 51), text="t", id="key")
    check_ids_of(store)
    assert store.verify().faults == ()


@pytest.mark.parametrize("count", [3, 30])
@pytest.mark.parametrize("key", ["k1", "k0"])
def test_an_id_that_is_twice_in_a_table_is_refused(tmp_path, count, key):
    store = embedstore.create(tmp_path / "store", settings=SMALL)
    with pytest.raises(InputError, match=f"found '{key}' twice"):
        store.add([*rows(0, count), {"key": key, "t": "again"}], text="t", id="key")
    assert "train" not in load(store.path).corpora


def test_numbers_beside_texts_are_compared_as_texts(tmp_path):
    """Numbers have a run, floats none: what they are as text depends on the parts beside them."""
    store = embedstore.create(tmp_path / "store", settings=SMALL)
    store.add({"id": list(range(9)), "t": [f"one {n}" for n in range(9)]}, text="t", id="id")
    store.add({"id": [n + 0.5 for n in range(9)], "t": [f"two {n}" for n in range(9)]}, text="t", id="id")
    store.add({"id": [f"k{n}" for n in range(9)], "t": [f"three {n}" for n in range(9)]}, text="t", id="id")
    for taken in ("7", "7.5", "k7"):
        with pytest.raises(InputError, match=f"found '{taken}' twice"):
            store.add({"id": ["new", taken], "t": ["a", "b"]}, text="t", id="id")
    assert [part.ids is not None for part in load(store.path).corpora["train"].parts] == [True, False, True]
    assert store.verify().faults == ()


def test_ids_are_not_compared_with_an_altered_run(tmp_path):
    """Its size is right, and no run has so many keys with one beginning."""
    store = embedstore.create(tmp_path / "store", settings=SMALL)
    store.add(rows(0, 100), text="t", id="key")
    (part,) = load(store.path).corpora["train"].parts
    first, rest = halves(keys_of(["k500"]))
    columns = (np.repeat(first, 100), np.repeat(rest + 1, 100), np.zeros(100, dtype="<u4"))
    (store.path / part.ids.path).write_bytes(b"".join(column.tobytes() for column in columns))
    with pytest.raises(DamagedStoreError, match=r"was altered\. .*next `add` makes it again"):
        store.add(rows(500, 501), text="t", id="key")


def test_nothing_is_read_to_find_nothing(store, monkeypatch):
    monkeypatch.setattr("embedstore.corpora.keyed.segment_keys", lambda *_: pytest.fail("read keys"))
    with store.snapshot() as now:
        assert now.texts.positions_of([]) == {}
        assert list(now.texts.owners(np.array([-1, -1]))) == []
        assert "starts" not in now.texts.__dict__


# Runs and ids that are altered, with the size that they had.

ALTERED = r"keys/\w+\.sorted was altered\. Run `embedstore verify STORE --repair` .*next `add` makes it again"


def altered_run(store, number, column, place, change):
    """Change one number of a run in its file: column 0 and 1 are the halves of keys, 2 has positions."""
    run = load(store.path).keys[number]
    width, dtype = ((8, "<u8"), (8, "<u8"), (4, "<u4"))[column]
    start = run.count * (0, 8, 16)[column]

    def written(content: bytearray) -> bytes:
        numbers = np.frombuffer(content, dtype, run.count, start).copy()
        numbers[place] = change(numbers[place], run)
        content[start : start + width * run.count] = numbers.tobytes()
        return bytes(content)

    return damaged(store, number, written)


def of_place(store, run, place):
    """Return the text whose key stands at a place of a run."""
    return f"text {run.start + int(read_run(store.path, run).position[place])}"


def ask(store, text, how):
    """Look a text up as an `add`, and as a query or an answer."""
    if how == "add":
        store.add([{"t": text}], text="t", corpus="more")
    else:
        with store.snapshot() as now:
            now.texts.find(keys_of([text]))


@pytest.mark.parametrize("how", ["add", "find"])
@pytest.mark.parametrize("number", [0, -1])
def test_a_text_does_not_get_the_position_of_another(store, how, number):
    """Two positions of a run are swapped, so the file has its size and all of its positions."""
    run = load(store.path).keys[number]
    text = of_place(store, run, 0)
    position = read_run(store.path, run).position.copy()
    damaged(store, number, lambda content: content[: -4 * run.count] + position[[1, 0, *range(2, run.count)]].tobytes())
    before = load(store.path).texts.rows
    with pytest.raises(DamagedStoreError, match=ALTERED) as told:
        ask(store, text, how)
    assert run.file.path in str(told.value)
    assert load(store.path).texts.rows == before
    assert store.repair() == (run.file.path,)
    store.add([{"t": text}], text="t", corpus="more")
    assert store.corpus("more").positions().tolist() == [int(text.split()[1])]
    check_runs(load(store.path), store.path)


@pytest.mark.parametrize("how", ["add", "find"])
@pytest.mark.parametrize("bit", [0, 1, 31, 62, 63])
@pytest.mark.parametrize("column", [0, 1])
@pytest.mark.parametrize("place", [0, 7, -1])
def test_a_text_whose_key_is_altered_is_not_counted_twice(store, how, column, bit, place):
    run = load(store.path).keys[0]
    text = of_place(store, run, place)
    altered_run(store, 0, column, place, lambda number, _: number ^ np.uint64(1 << bit))
    with pytest.raises(DamagedStoreError, match=ALTERED):
        ask(store, text, how)


@pytest.mark.parametrize("column", [0, 1, 2])
@pytest.mark.parametrize("byte", [0x00, 0xFF])
def test_a_lost_block_of_a_run_is_found(store, column, byte):
    """As a disk leaves it that has lost a page: all zeros, or all ones. Each text that was there is looked up."""
    run = load(store.path).keys[0]
    texts = [of_place(store, run, place) for place in range(5, 10)]
    altered_run(store, 0, column, slice(5, 10), lambda numbers, _: ~(numbers & 0) if byte else numbers & 0)
    for text in texts:
        if (int(text.split()[1]), byte, column) != (0, 0, 2):  # its position is 0
            with pytest.raises(DamagedStoreError, match=ALTERED):
                ask(store, text, "find")


def test_keys_out_of_order_hide_no_other_key(store):
    """The middle key of a run is altered: a binary search for half of the others begins with it."""
    run = load(store.path).keys[0]
    stored = read_run(store.path, run)
    texts = [of_place(store, run, place) for place in range(run.count)]
    expected = [run.start + int(place) for place in stored.position]
    altered_run(store, 0, 0, run.count // 2, lambda number, _: np.uint64(2**64 - 1))
    hidden = 0
    with store.snapshot() as now:
        for text, position in zip(texts, expected, strict=True):
            try:
                assert now.texts.find(keys_of([text])).tolist() == [position]
            except DamagedStoreError:
                hidden += 1
    assert hidden > 1


def test_an_altered_run_is_not_merged(store):
    """Nothing that is looked up shows the fault, but the new run would have it, with a hash that is right."""
    run = altered_run(store, -1, 1, 3, lambda number, _: number ^ np.uint64(4))
    with pytest.raises(DamagedStoreError, match=ALTERED):
        store.add(rows(100, 160), text="t", corpus="more")
    assert store.verify().damaged == (run.file.path,)


def test_an_altered_text_segment_is_named_and_not_the_run(store):
    segment = load(store.path).texts[0]
    path = store.path / segment.file.path
    content = bytearray(path.read_bytes())
    content[segment.key.offset] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedStoreError, match=rf"{segment.file.path} was altered\. Restore it from a backup"):
        ask(store, "text 0", "find")


def test_keys_are_checked_where_they_are_and_nowhere_else(store, monkeypatch):
    read = []
    segment_keys = embedstore.corpora.keyed.segment_keys
    monkeypatch.setattr("embedstore.corpora.keyed.segment_keys", lambda *of: read.append(of[1]) or segment_keys(*of))
    segments = load(store.path).texts
    with store.snapshot() as now:
        asked = keys_of(["text 0", "text 20", "text 2", "text 1"])
        assert now.texts.find(asked).tolist() == [0, 20, 2, 1]
    newest = [one for one in segments if one in read][-1]
    assert read[:2] == [segments[0], next(one for start, one in starts_of(segments) if start <= 20 < start + one.count)]
    assert newest == segments[-1]
    assert len(read) == 3  # two that have the texts, and the one that is in no run


def starts_of(segments):
    """Yield each segment after the position of its first text."""
    start = 0
    for segment in segments:
        yield start, segment
        start += segment.count


def test_texts_that_wait_for_their_segment_are_checked_too(tmp_path):
    """One `add` has more new texts than keys are held, and less than a segment takes, and then has them again."""
    root, large = tmp_path / "store", embedstore.Settings(smallest_segment=100, largest_segment=100)
    embedstore.create(root, settings=large).add(rows(0, 5), text="t")
    writing = TextWriter(Home(root, large), load(root))
    texts = [f"text {number}" for number in range(30)]
    assert writing.positions(texts).tolist() == list(range(30))
    assert (len(writing.written), len(list((root / "keys").iterdir()))) == (0, 1)
    assert writing.positions(texts[::-1]).tolist() == list(range(30))[::-1]
    (path,) = (root / "keys").iterdir()
    content = path.read_bytes()
    position = np.roll(np.frombuffer(content[16 * 30 :], "<u4"), 1)
    path.write_bytes(content[: 16 * 30] + position.tobytes())
    with pytest.raises(DamagedStoreError, match=ALTERED):
        writing.positions(texts[-1:])


@pytest.mark.parametrize("which", ["the run", "the new ids"])
def test_an_id_of_an_altered_run_is_not_taken_for_another(tmp_path, which):
    """The row of an id in a run points to another row, or past the last one."""
    store = embedstore.create(tmp_path / "store", settings=SMALL)
    store.add(rows(0, 40), text="t", id="key")
    (part,) = load(store.path).corpora["train"].parts
    stored = read_run(store.path, KeyRun(part.ids, 0, 40))
    path = store.path / part.ids.path
    content = path.read_bytes()
    moved = np.roll(stored.position, 1) if which == "the run" else stored.position + np.uint32(40)
    path.write_bytes(content[: 16 * 40] + moved.astype("<u4").tobytes())
    for count in (1, 60):  # the run is the larger part, and the smaller one
        with pytest.raises(DamagedStoreError, match=ALTERED):
            store.add([{"key": "k3", "t": "new"}, *rows(100, 100 + count)], text="t", id="key")
    store.repair()
    with pytest.raises(InputError, match="found 'k3' twice"):
        store.add([{"key": "k3", "t": "new"}], text="t", id="key")
