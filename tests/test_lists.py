"""Records of segments in list files: read when they are needed, sealed before the manifest that names them."""

import hashlib
import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import LABELS, HashEncoder
from hypothesis import given
from hypothesis import strategies as st

import embedstore
from embedstore.core.spec import canonical_json
from embedstore.errors import DamagedStoreError
from embedstore.storage import manifest, sealed
from embedstore.storage.entries import TextSegment, VectorSegment
from embedstore.storage.gate import Folder, Staged
from embedstore.storage.lists import CoverForm, ListRecord, TextForm, VectorForm, read_list, write_list
from embedstore.storage.places import DatasetRecord, FileRecord
from embedstore.storage.sealed import Records, Vectors
from embedstore.storage.state import Manifest

SPACE = VectorForm("ab" * 32, 4, "<f4")
SMALL = embedstore.Settings(smallest_segment=2, largest_segment=2, index_after=1)


@pytest.fixture(autouse=True, scope="module")
def few_in_memory():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealed, "IN_MEMORY", 3)
        patch.setattr(sealed, "IN_LIST", 8)
        yield


@pytest.fixture(scope="module")
def made_once(few_in_memory, tmp_path_factory):
    """The folder of a store of 15 text segments with vectors, some queries and an index; most records are in lists."""
    store = embedstore.create(tmp_path_factory.mktemp("once") / "filled", encoder=HashEncoder(), settings=SMALL)
    texts = [{"key": f"k{n}", "t": "" if n == 3 else f"text {n}", "stars": n % 2} for n in range(29)]
    store.add(texts, text="t", id="key")
    store.encode()
    for number in range(4):
        store.search(f"query {number}", k=1)
    store.index("hnsw")
    return store.path


@pytest.fixture
def filled(made_once, tmp_path, encoder):
    """A copy of that store."""
    shutil.copytree(made_once, tmp_path / "filled")
    manifest.forget_parsed()
    return embedstore.open(tmp_path / "filled", encoder=encoder, settings=SMALL)


def digest(seed: int) -> str:
    return hashlib.sha256(str(seed).encode()).hexdigest()


def text_segment(seed: int, count: int, blank: tuple[int, ...] | None) -> TextSegment:
    file = FileRecord(f"texts/{digest(seed)}.h5", 1_000 + seed % 7 + 24 * count, digest(seed))
    text, offset = DatasetRecord(100, (seed % 50,), "|u1"), DatasetRecord(200, (count + 1,), "<u8")
    return TextSegment(file, text, offset, DatasetRecord(300, (count, 16), "|u1"), blank)


def vector_segment(seed: int, count: int, truncated: int) -> tuple[str, VectorSegment]:
    file = FileRecord(f"vectors/{digest(-seed)}.h5", 64 + 16 * count, digest(-seed))
    return digest(seed), VectorSegment(file, DatasetRecord(64, (count, 4), "<f4"), truncated, seed % 3)


@st.composite
def text_segments(draw):
    found = []
    for seed in draw(st.lists(st.integers(0, 10_000), unique=True, max_size=40)):
        count = draw(st.integers(0, 5))
        rows = st.sets(st.sampled_from(range(count))) if count else st.just(set())
        found.append(text_segment(seed, count, draw(st.none() | rows.map(lambda rows: tuple(sorted(rows))))))
    return found


@st.composite
def vector_segments(draw):
    seeds = draw(st.lists(st.integers(1, 10_000), unique=True, max_size=40))
    return [vector_segment(seed, count := draw(st.integers(0, 5)), draw(st.integers(0, count))) for seed in seeds]


covers = st.lists(st.integers().map(digest), unique=True, max_size=40)
kinds = st.one_of(
    st.tuples(st.just(TextForm()), text_segments()),
    st.tuples(st.just(SPACE), vector_segments()),
    st.tuples(st.just(CoverForm()), covers),
)


@given(kinds, st.lists(st.integers(1, 9)), st.randoms(use_true_random=False))
def test_sealed_records_are_those_that_were_added(tmp_path_factory, kind, steps, dice):
    """Records come in steps, as commits bring them; a list of Python is the oracle."""
    form, expected = kind
    root = tmp_path_factory.mktemp("sealed")
    found, rest = Records(form), list(expected)
    for step in steps:
        found, rest = found.plus(rest[:step]).sealed(root), rest[step:]
        assert len(found.newest) < sealed.IN_MEMORY
    found = found.plus(rest).sealed(root)
    read_list.cache_clear()
    again = Records.from_json(form, found.newest, json.loads(json.dumps(found.to_json())), root)
    assert again == found == tuple(expected)
    assert list(again) == [again[place] for place in range(len(again))] == expected
    assert again[1:-1] == tuple(expected[1:-1])
    assert all(one.length <= sealed.IN_LIST for one in again.lists)
    assert again.names == [form.name(one) for one in expected]
    assert [again.place(name) for name in again.names] == list(range(len(expected)))
    assert again.place("0" * 64) is None
    left = {form.name(one) for one in expected if dice.random() < 0.8}
    kept = again.kept(lambda one: form.name(one) in left).sealed(root)
    assert sorted(kept.names) == sorted(left)
    assert all(again[again.place(name)] == kept[kept.place(name)] for name in left)
    if form.kind == "covers":
        return
    rows = [form.row(one)[1] for one in expected]
    assert again.rows == sum(row[0] for row in rows)
    assert again.totals[1] == sum(row[1] for row in rows)
    assert again.counts.tolist() == [row[0] for row in rows]
    starts = np.cumsum([0, *(row[0] for row in rows)]).tolist()
    assert list(again.marked()) == [
        (start, one) for start, one, row in zip(starts, expected, rows, strict=False) if row[-1]
    ]


@given(vector_segments())
def test_vectors_are_a_mapping(tmp_path_factory, pairs):
    root = tmp_path_factory.mktemp("vectors")
    found = Vectors(Records(SPACE, pairs).sealed(root))
    assert dict(found) == dict(pairs) == found
    assert "0" * 64 not in found
    assert found.get("0" * 64) is None
    assert found.records.totals[2] == sum(one.truncated for _, one in pairs)


def test_lists_are_few_and_each_record_is_written_a_few_times(tmp_path, monkeypatch):
    monkeypatch.setattr(sealed, "IN_MEMORY", 64)
    monkeypatch.setattr(sealed, "IN_LIST", 1024)
    found, written = Records(CoverForm()), 0
    for number in range(6_000):
        grown = found.plus([digest(number)]).sealed(tmp_path)
        if grown.lists != found.lists:
            written += sum(one.length for one in set(grown.lists) - set(found.lists))
        found = grown
    assert len(found.lists) <= 6_000 // 1024 + 5
    assert written <= 5 * 6_000


# Stores with lists.


def test_a_store_with_lists_answers_as_one_without(filled, tmp_path, encoder, monkeypatch):
    monkeypatch.setattr(sealed, "IN_MEMORY", 1_000)
    plain = embedstore.create(tmp_path / "plain", encoder=encoder, settings=SMALL)
    plain.add(filled.corpus().table().to_pylist(), text="t", id="key")
    plain.encode()
    (space,) = filled.manifest.spaces.values()
    assert filled.manifest.texts.lists
    assert space.vectors.records.lists
    assert filled.manifest.queries.lists
    assert next(iter(filled.manifest.indexes.values())).listed.lists
    assert not plain.manifest.lists()
    assert filled.tag(LABELS).to_arrow().equals(plain.tag(LABELS).to_arrow())
    for exact in (True, False):
        found, other = (store.search(row="k7", k=5, exact=exact).to_arrow() for store in (filled, plain))
        assert found.equals(other)
    assert filled.verify().faults == ()
    described, other = filled.info(), plain.info()
    assert described["corpora"] == other["corpora"]
    assert [one["truncated"] for one in described["spaces"]] == [one["truncated"] for one in other["spaces"]]
    assert (described["texts"], described["segments"]) == (29, 15)
    assert described["bytes"] == sum(file.size for file in filled.manifest.files())
    assert (described["spaces"][0]["texts"], described["spaces"][0]["queries"]) == (29, 6)  # two labels, four queries
    assert described["corpora"][0]["empty"] == 1


def test_what_needs_no_list_reads_none(tmp_path, encoder):
    """Without any list file a store can be opened and described, and takes an answer."""
    store = embedstore.create(tmp_path / "s", encoder=encoder, settings=SMALL)
    store.add([{"t": f"text {n}"} for n in range(29)], text="t")
    store.encode()
    store.index("flat")
    described = store.info()
    shutil.rmtree(store.path / "lists")
    manifest.forget_parsed()
    assert embedstore.open(store.path, encoder=encoder).info() == described
    manifest.commit(store.path, lambda base: replace(base, probes={}, indexes={}))
    assert store.info()["indexes"] == []
    with pytest.raises(DamagedStoreError, match=r"lists/.* is missing"):
        store.tag(LABELS)


def test_empty_rows_are_counted_by_the_lists_that_have_blank_texts(filled):
    described = filled.info()["corpora"]
    of_blank = [one.file.path for one in filled.manifest.texts.lists if one.marked]
    for file in filled.manifest.lists():
        if file.path not in of_blank:
            (filled.path / file.path).unlink()
    manifest.forget_parsed()
    assert filled.info()["corpora"] == described
    (filled.path / of_blank[0]).unlink()
    manifest.forget_parsed()
    with pytest.raises(DamagedStoreError, match=r"lists/.*\.texts is missing: Restore it from a backup"):
        filled.info()


def test_a_commit_writes_little_however_many_segments_there_are(tmp_path, encoder):
    sizes = []
    for texts in (200, 1_000):
        store = embedstore.create(tmp_path / str(texts), encoder=encoder, settings=SMALL)
        store.add([{"t": f"text {n}"} for n in range(texts)], text="t")
        store.add([{"t": "one more"}], text="t", corpus="more")
        sizes.append(manifest.manifest_files(store.path)[-1][1].stat().st_size)
    records = 1_000 / 2 / sealed.IN_LIST * 110  # bytes of an entry for each list
    assert sizes[1] - sizes[0] < 1.5 * records


def test_a_list_is_on_the_disk_before_the_manifest_that_names_it(tmp_path, monkeypatch, encoder):
    store = embedstore.create(tmp_path / "s", encoder=encoder, settings=SMALL)
    calls = []
    fsync, rename, link = os.fsync, Folder.rename, Staged.link
    where = lambda descriptor: Path(f"/proc/self/fd/{descriptor}").readlink().name  # noqa: E731
    monkeypatch.setattr(os, "fsync", lambda d: (calls.append(f"sync {where(d)}"), fsync(d))[1])
    monkeypatch.setattr(Folder, "rename", lambda *words: (calls.append(f"rename to {words[2]}"), rename(*words))[1])
    monkeypatch.setattr(Staged, "link", lambda *words: (calls.append("link"), link(*words))[1])
    store.add([{"t": f"text {n}"} for n in range(9)], text="t")
    (named,) = [name for name in calls if name.endswith(".texts") and name.startswith("rename")]
    at = calls.index(named)
    assert calls[at - 1].startswith("sync .tmp-")
    assert calls[at + 1] == "sync lists"
    assert "link" in calls[at:]
    assert "link" not in calls[:at]


def test_an_earlier_format_is_read_and_carried_over_by_the_first_write(filled):
    expected, described = filled.tag(LABELS).to_arrow(), filled.info()
    as_format_2(filled.path)
    held = filled.manifest
    assert held.lists() == []
    assert len(held.texts.newest) == 15
    again = filled.info()
    assert {**again, "bytes": 0} == {**described, "bytes": 0}
    filled.annotations.add(0, LABELS[0], LABELS)
    assert len(filled.manifest.texts.newest) < sealed.IN_MEMORY
    assert filled.manifest.texts == held.texts
    assert filled.tag(LABELS).to_arrow().equals(expected)
    assert filled.verify().faults == ()
    assert json.loads(newest(filled.path).read_bytes())["body"]["format_version"] == 3


def test_a_commit_that_only_seals_does_not_look_like_other_rows(filled, monkeypatch):
    """An add that began on a store of format 2 goes on, though another commit has sealed its records meanwhile."""
    as_format_2(filled.path)
    base = filled.manifest
    filled.annotations.add(0, LABELS[0], LABELS)
    assert filled.manifest.texts.lists != base.texts.lists
    assert filled.manifest.texts == base.texts


def test_a_copy_of_a_store_reads_its_own_lists(filled):
    filled.tag(LABELS)
    copied = shutil.copytree(filled.path, filled.path.parent / "copied")
    shutil.rmtree(filled.path)
    read_list.cache_clear()
    other = embedstore.open(copied, encoder=HashEncoder(), settings=SMALL)
    assert len(other.tag(LABELS)) == 29


def test_gc_keeps_lists_and_removes_those_that_were_given_up(filled):
    for number in range(9):
        filled.add([{"t": f"more {number}", "key": f"m{number}", "stars": 1}], text="t", id="key", corpus="more")
    listed = {file.path for file in filled.manifest.lists()}
    there = {f"lists/{path.name}" for path in (filled.path / "lists").iterdir()}
    assert there > listed
    assert set(filled.gc().removed) >= there - listed
    assert {f"lists/{path.name}" for path in (filled.path / "lists").iterdir()} == {
        file.path for file in filled.manifest.lists()
    }
    assert filled.verify().faults == ()


def test_gc_keeps_the_lists_of_a_state_that_is_read(filled):
    with filled.snapshot() as now:
        for number in range(9):
            filled.add([{"t": f"more {number}", "key": f"m{number}", "stars": 1}], text="t", id="key", corpus="more")
        filled.gc()
        manifest.forget_parsed()
        assert len(list(now.manifest.texts)) == 15


def test_a_state_that_is_loaded_again_outlives_its_lists(filled):
    link = filled.path.parent / "link"  # as another process: what it has read is its own
    link.symlink_to(filled.path)
    other = embedstore.open(link, encoder=HashEncoder(), settings=SMALL)
    for number in range(3):
        filled.add([{"t": f"early {number}", "key": f"e{number}", "stars": 1}], text="t", id="key", corpus="early")
        filled.encode()
    with filled.snapshot() as now:
        filled.annotations.add(0, LABELS[0], LABELS)
        manifest.forget_parsed()
        newest_ = now.reload()
    for number in range(9):
        other.add([{"t": f"more {number}", "key": f"m{number}", "stars": 1}], text="t", id="key", corpus="more")
        other.encode()
    lists = {file.path for file in newest_.space().record.vectors.records.files()}
    assert lists & set(other.gc().removed)
    assert len(newest_.space().vectors("train")) == 29


def test_a_first_add_that_fails_leaves_no_list(tmp_path, monkeypatch, encoder):
    def refuse(*words):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Folder, "link", refuse)
    with pytest.raises(OSError, match="No space left"):
        embedstore.EmbeddingStore(tmp_path / "s", encoder=encoder, settings=SMALL).add(
            [{"t": f"text {n}"} for n in range(9)], text="t"
        )
    assert not (tmp_path / "s").exists()


# Damage.


def newest(root: Path) -> Path:
    return manifest.manifest_files(root)[-1][1]


def reseal(root: Path, body: dict) -> None:
    content = canonical_json(body)
    sha256 = hashlib.sha256(content).hexdigest()
    newest(root).write_bytes(b'{"body":' + content + b',"sha256":"' + sha256.encode() + b'"}\n')
    manifest.forget_parsed()


def as_format_2(root: Path) -> None:
    """Write the newest manifest as the earlier release did: all records in it, queries among the vectors."""
    held, body = manifest.load(root), json.loads(newest(root).read_bytes())["body"]
    body |= {"format_version": 2, "texts": [one.to_json() for one in held.texts]}
    body["queries"] = [one.to_json() for one in held.queries]
    for name in ("text_lists", "query_lists"):
        del body[name]
    for said, space in zip(body["spaces"], held.spaces.values(), strict=True):
        for name in ("segment_lists", "queries", "query_lists"):
            del said[name]
        said["segments"] = {text: one.to_json() for text, one in {**space.segments, **space.queries}.items()}
    for said, index in zip(body["indexes"], held.indexes.values(), strict=True):
        said[1][2:] = [list(index.covers), index.count]
    reseal(root, body)
    shutil.rmtree(root / "lists")


QUESTIONS = (
    lambda store: store.info(),
    lambda store: store.tag(LABELS),
    lambda store: store.search(row="k7", k=3).to_arrow(),
    lambda store: store.space().vectors(),
    lambda store: store.encode(),
)


def asked(store) -> list[str]:
    """Return what each question ends with: an answer, or the message of one line that the store is damaged."""
    ends = []
    for question in QUESTIONS:
        manifest.forget_parsed()
        try:
            question(embedstore.open(store.path, encoder=HashEncoder(), settings=SMALL))
            ends.append("answer")
        except DamagedStoreError as error:
            assert len(str(error).splitlines()) == 1
            ends.append(str(error))
    return ends


def list_of(store, kind: str) -> Path:
    return store.path / next(file.path for file in store.manifest.lists() if file.path.endswith(kind))


@pytest.mark.parametrize("kind", ["texts", "vectors", "covers"])
@pytest.mark.parametrize("harm", ["missing", "altered", "cut", "swapped"])
def test_a_damaged_list_is_named_and_found_by_verify(filled, kind, harm):
    path = list_of(filled, kind)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if harm == "missing":
        path.unlink()
    else:
        others = [one for one in path.parent.iterdir() if one != path]
        path.write_bytes({"altered": content, "cut": content[:-8], "swapped": others[0].read_bytes()}[harm])
    manifest.forget_parsed()
    report = filled.verify()
    assert f"lists/{path.name}" in report.damaged
    assert any(path.name in fault for fault in report.faults)
    ends = asked(filled)
    assert any(path.name in end for end in ends) or kind == "covers"
    if kind == "texts":
        manifest.forget_parsed()
        there = sorted(filled.path.rglob("*.h5"))
        with pytest.raises(DamagedStoreError, match=path.name):
            filled.gc()
        assert sorted(filled.path.rglob("*.h5")) == there


@pytest.mark.parametrize("kind", ["vectors", "covers", "queries", "vectors of queries"])
def test_repair_forgets_a_list_that_can_be_made_again(filled, kind):
    expected = filled.tag(LABELS).to_arrow()
    (space,) = filled.manifest.spaces.values()
    of_queries = {"queries": filled.manifest.queries, "vectors of queries": space.query_vectors.records}
    path = filled.path / of_queries[kind].files()[0].path if kind in of_queries else list_of(filled, kind)
    path.write_bytes(bytes(path.stat().st_size))
    manifest.forget_parsed()
    assert f"lists/{path.name}" in filled.repair()
    assert filled.verify().faults == ()
    filled.encode()
    filled.gc()
    assert filled.verify().faults == ()
    assert filled.tag(LABELS).to_arrow().equals(expected)


def test_repair_keeps_what_it_can_not_judge_without_a_list_of_texts(filled):
    path = list_of(filled, "texts")
    content = path.read_bytes()
    path.unlink()
    manifest.forget_parsed()
    assert filled.repair() == ()
    path.write_bytes(content)
    manifest.forget_parsed()
    assert filled.space().count == 29
    assert filled.verify().faults == ()


def planted(store, kind: str, change) -> None:
    """Change the numbers of a list, and name the result in the manifest under its own hash and sums."""
    body = json.loads(newest(store.path).read_bytes())["body"]
    body_lists = {"texts": body["text_lists"], "vectors": body["spaces"][0]["segment_lists"]}[kind]
    said = body_lists[0]
    content = (store.path / said[0][0]).read_bytes()
    head, rest = content[: content.index(b"\n") + 1], content[content.index(b"\n") + 1 :]
    count, width, hashes = said[1], {"texts": 7, "vectors": 5}[kind], {"texts": 1, "vectors": 2}[kind]
    at = 32 * hashes * count
    made = SimpleNamespace(
        head=head,
        hashes=bytearray(rest[:at]),
        numbers=np.frombuffer(rest[at : at + 8 * width * count], "<i8").reshape(count, width).copy(),
        more=np.frombuffer(rest[at + 8 * width * count :], "<i8").copy(),
        said=said,
        body=body,
    )
    change(made)
    content = made.head + bytes(made.hashes) + made.numbers.tobytes() + made.more.tobytes()
    name = f"lists/{hashlib.sha256(content).hexdigest()}.{kind}"
    (store.path / name).write_bytes(content)
    said[0] = [name, len(content)]
    reseal(store.path, body)


def put(row: int, column: int, value: int):
    def change(made: SimpleNamespace) -> None:
        made.numbers[row, column] = value

    return change


def summed(row: int, column: int, value: int):
    """Return a change of a number, with the sums of the manifest changed too."""

    def change(made: SimpleNamespace) -> None:
        made.numbers[row, column] = value
        made.said[2], made.said[3] = int(made.numbers[:, 0].sum()), int(made.numbers[:, 1].sum())

    return change


def headed(before: bytes, after: bytes):
    def change(made: SimpleNamespace) -> None:
        made.head = made.head.replace(before, after)

    return change


def twice(made: SimpleNamespace) -> None:
    made.hashes[:32] = made.hashes[32:64]


def all_blank(made: SimpleNamespace) -> None:
    made.numbers[0, -1] = 2
    made.more = np.array([1, 0, *made.more])
    made.said[4] += 2


MADE_UP = {
    "texts": {
        "rows below zero": put(0, 0, -1),
        "an offset below zero": put(0, 3, -8),
        "too large a number": put(0, 1, 2**60),
        "other sums": put(0, 1, 100_000),
        "other sums in the manifest": lambda made: made.said.__setitem__(3, made.said[3] + 1),
        "text past the file": put(0, 2, 100_000),
        "an offset past the file": put(0, 4, 100_000),
        "keys past the file": put(0, 5, 100_000),
        "more texts than the file has": summed(0, 0, 9_000),
        "more blank texts than there are": put(0, -1, 1),
        "blank texts that do not ascend": all_blank,
        "another kind": headed(b"texts", b"covers"),
        "a list that is longer": lambda made: setattr(made, "more", np.array([*made.more, 0])),
        "a list that is cut": lambda made: setattr(made, "hashes", made.hashes[:-3]),
        "a segment twice": twice,
        "more records": lambda made: made.said.__setitem__(1, made.said[1] + 1),
        "2^21 records": lambda made: made.said.__setitem__(1, 2**21),
        "2^60 texts": lambda made: made.said.__setitem__(2, 2**60),
        "fewer texts than vectors": lambda made: made.said.__setitem__(2, 1),
    },
    "vectors": {
        "rows below zero": put(0, 0, -1),
        "more vectors than the file has": summed(0, 0, 2**40),
        "vectors past the file": put(0, 2, 100_000),
        "more truncated than there are": put(0, -1, 3),
        "truncated below zero": put(0, -1, -1),
        "an unknown provenance": put(0, 3, 7),
        "fewer vectors than texts": summed(0, 0, 1),
        "another space": headed(HashEncoder().spec.key.encode(), b"0" * 64),
        "a text twice": twice,
    },
}


@pytest.mark.parametrize(("kind", "what"), [(kind, what) for kind, cases in MADE_UP.items() for what in cases])
def test_a_made_up_list_with_a_right_hash_is_refused(filled, kind, what):
    planted(filled, kind, MADE_UP[kind][what])
    ends = asked(filled)
    assert any(end != "answer" for end in ends), "all questions were answered"
    manifest.forget_parsed()
    try:
        faults = filled.verify().faults
    except DamagedStoreError as error:
        faults = (str(error),)
    assert faults


def test_too_few_vectors_are_never_an_answer(filled):
    manifest.commit(filled.path, lambda base: replace(base, indexes={}))  # which would not fit
    planted(filled, "vectors", summed(0, 0, 1))
    for end in asked(filled)[1:4]:
        assert re.search(r"lists vectors/\w+\.h5 with 1 vector for a text segment of 2", end)


def test_sums_that_overflow_are_not_those_of_the_manifest():
    """2,048 files of 2^53 bytes are 2^64 bytes, which is 0 in 64 bits."""
    segments = [replace(text_segment(n, 0, ()), file=FileRecord("", 2**53, digest(n))) for n in range(2_048)]
    form = TextForm()
    with pytest.raises(ValueError, match="other sums"):
        form.unpack(form.pack(segments), ListRecord(FileRecord("", 0, ""), len(segments), 0, 0, 0))


def test_vectors_of_a_query_do_not_count_for_a_text(filled):
    """A corpus segment with the texts of a query segment has vectors of its own."""
    filled.add([{"t": "query 0", "key": "q", "stars": 0}], text="t", id="key", corpus="more")
    assert filled.space().count == 29
    filled.encode()
    assert filled.space().count == 30
    assert filled.verify().faults == ()


def test_a_manifest_names_lists_of_its_own_kind(filled):
    body = json.loads(newest(filled.path).read_bytes())["body"]
    body["text_lists"] = body["spaces"][0]["segment_lists"]
    with pytest.raises(DamagedStoreError, match=r"expected lists/HASH\.texts and a size"):
        Manifest.from_json(body, filled.path)


def test_a_list_record_comes_back_from_its_json(tmp_path):
    made = write_list(tmp_path, CoverForm(), [digest(1), digest(2)])
    assert ListRecord.from_json(json.loads(json.dumps(made.to_json())), "covers") == made
    assert replace(Manifest(), sequence=1) != Manifest()
