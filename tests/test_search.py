import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import HashEncoder

import embedstore
from embedstore import Settings
from embedstore.errors import DamagedStoreError, ModelRequiredError, NotFoundError, UsageError
from embedstore.storage.places import FileRecord
from embedstore.vectors.index import OpenIndex

KINDS = [None, "flat", "hnsw", "ivf"]
AT_ONCE = Settings(smallest_segment=64, index_after=1)  # several segments; an index is asked from the first query on


@pytest.fixture
def library(tmp_path, encoder):
    """Two corpora, 300 and 100 rows over 250 and 50 more texts, in several segments."""
    store = embedstore.create(tmp_path / "s", encoder=encoder, settings=AT_ONCE)
    store.add(pd.DataFrame({"t": [f"text {i % 250}" for i in range(300)]}), text="t")
    store.add(
        pd.DataFrame({"t": [f"text {i}" for i in range(299, 199, -1)], "n": range(100)}),
        text="t",
        corpus="test",
        id="n",
    )
    store.encode()
    return store


def oracle(store, query: np.ndarray, k: int, corpora=("train", "test"), without=None) -> list[tuple[str, int]]:
    found = []
    for order, name in enumerate(corpora):
        vectors = store.space().vectors(store.corpus(name)).astype(np.float64)
        scores = np.float32(np.einsum("ij,j->i", vectors, query.astype(np.float64)))
        found += [(-score, order, row, name) for row, score in enumerate(scores) if (name, row) != without]
    return [(name, row) for _, _, row, name in sorted(found)[:k]]


def answers(frame) -> list[tuple[str, int]]:
    return list(zip(frame["corpus"], frame["id"], strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [1, 10, 57])
def test_search_equals_brute_force(library, encoder, kind, k):
    if kind:
        library.index(kind)
    found = library.search("some query", k=k, exact=kind == "ivf").to_pandas()
    assert answers(found) == oracle(library, encoder.vector("some query"), k)
    assert found["rank"].tolist() == list(range(1, k + 1))
    assert found["score"].is_monotonic_decreasing


@pytest.mark.parametrize("kind", [None, "flat", "hnsw"])
def test_a_row_does_not_find_itself_and_finds_its_duplicates_first(library, encoder, kind):
    if kind:
        library.index(kind)
    found = library.search(row=260, k=5, corpus="train").to_pandas()
    assert answers(found) == oracle(library, encoder.vector("text 10"), 5, ["train"], ("train", 260))
    assert found["id"][0] == 10
    assert found["score"][0] == pytest.approx(1)


@pytest.mark.parametrize("kind", [None, "flat", "hnsw"])
def test_a_corpus_can_be_searched_alone(library, encoder, kind):
    if kind:
        library.index(kind)
    found = library.search("some query", k=20, corpus="test").to_pandas()
    assert answers(found) == oracle(library, encoder.vector("some query"), 20, ["test"])


def test_equal_scores_come_in_the_order_of_rows(tmp_path):
    class Same(HashEncoder):
        def vector(self, text, prompt=""):
            return super().vector("the same")

    store = embedstore.create(tmp_path / "s", encoder=Same(), settings=Settings(smallest_segment=10))
    store.add(pd.DataFrame({"t": [f"text {i}" for i in range(50)]}), text="t")
    store.add(pd.DataFrame({"t": [f"text {i}" for i in range(49, -1, -1)]}), text="t", corpus="other")
    store.encode()
    assert answers(store.search("q", k=3).to_pandas()) == [("train", 0), ("train", 1), ("train", 2)]
    assert answers(store.search("q", k=3, corpus="other").to_pandas()) == [("other", 0), ("other", 1), ("other", 2)]


def test_many_queries_keep_their_order(library, encoder):
    found = library.search(["one", "two"], k=3).to_pandas()
    assert found["query"].tolist() == ["one"] * 3 + ["two"] * 3
    assert answers(found)[3:] == oracle(library, encoder.vector("two"), 3)


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf"])
def test_rows_added_after_the_index_was_built_are_found(library, encoder, kind):
    library.index(kind)
    library.add(pd.DataFrame({"t": ["some query"]}), text="t", corpus="later")
    library.encode()
    found = library.search("some query", k=4).to_pandas()
    assert answers(found)[0] == ("later", 0)
    if kind != "ivf":
        assert answers(found) == oracle(library, encoder.vector("some query"), 4, ["train", "test", "later"])


def groups(count, width):
    """Return unit vectors in groups, as those of texts are."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((50, width))[rng.integers(0, 50, count)] + rng.standard_normal((count, width))
    return np.float32(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


class Grouped(HashEncoder):
    """Vectors in groups; the text ``"row N"`` has the N-th. Without unit length if `longer` is set."""

    def __init__(self, count, width, *, longer=False, dtype="float32"):
        super().__init__(width, dtype=dtype)
        self._vectors = groups(count, width) * (3 if longer else 1)
        self.spec = replace(self.spec, normalized=not longer)

    def vector(self, text, prompt=""):
        return self._vectors[int(text.split()[1])]


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(
    ("width", "longer", "dtype"), [(48, False, "float32"), (33, True, "float32"), (50, False, "float16")]
)
def test_an_ivf_index_finds_nearly_all_with_exact_scores(tmp_path, monkeypatch, compiled, width, longer, dtype):
    if not compiled:
        monkeypatch.setattr("embedstore.vectors.native.binding.best_kernel", lambda: 0)
    encoder = Grouped(5000, width, longer=longer, dtype=dtype)
    store = embedstore.create(tmp_path / "s", encoder=encoder, settings=Settings(smallest_segment=2000, index_after=1))
    store.add([{"t": f"row {number}"} for number in range(4900)], text="t")
    store.encode()
    queries = [f"row {number}" for number in range(4900, 5000)]
    exact = store.search(queries, k=10).to_pandas()
    size = store.index("ivf").file.size
    assert size < 0.2 * store.space().vectors(store.corpus()).nbytes
    found = store.search(queries, k=10).to_pandas()
    kept = exact.merge(found, on=["query", "id"])
    assert len(kept) > 0.9 * len(exact)
    assert (kept["score_x"] == kept["score_y"]).all()
    assert (found.groupby("query")["score"].apply(lambda scores: scores.is_monotonic_decreasing)).all()


def test_an_ivf_index_of_other_vectors_is_refused(tmp_path):
    store = embedstore.create(tmp_path / "s", encoder=Grouped(2000, 32))
    store.add([{"t": f"row {number}"} for number in range(2000)], text="t")
    store.encode()
    record = store.index("ivf")
    OpenIndex(record, store.space())
    other = embedstore.create(tmp_path / "other", encoder=HashEncoder(32))
    other.add([{"t": f"text {number}"} for number in range(2000)], text="t")
    other.encode()
    file = other.index("ivf").file
    shutil.copy(other.path / file.path, store.path / file.path)
    with pytest.raises(DamagedStoreError, match="holds other vectors than the store: rebuild it"):
        OpenIndex(replace(record, file=file), store.space())


def test_an_ivf_index_that_holds_whole_vectors_is_read(tmp_path):
    """As releases before codes wrote it."""
    import faiss

    store = embedstore.create(tmp_path / "s", encoder=Grouped(2000, 32))
    store.add([{"t": f"row {number}"} for number in range(2000)], text="t")
    store.encode()
    record, vectors = store.index("ivf"), np.concatenate([block.vectors for block in store.space().blocks()])
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(32), 32, 20, faiss.METRIC_INNER_PRODUCT)
    index.train(vectors)
    index.add(vectors)
    faiss.write_index(index, str(tmp_path / "whole.faiss"))
    content = (tmp_path / "whole.faiss").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    (store.path / f"index/{digest}.faiss").write_bytes(content)
    file = FileRecord(f"index/{digest}.faiss", len(content), digest)
    (found,) = OpenIndex(replace(record, file=file), store.space()).search(vectors[:1], 10, effort=20)
    assert set(found) == set(np.argsort(-(vectors @ vectors[0]))[:10])


def test_rows_of_a_replaced_corpus_are_not_found(library):
    library.index("flat")
    library.add(pd.DataFrame({"t": ["text 5"]}), text="t", replace=True)
    assert set(answers(library.search("x", k=101).to_pandas())) == {("train", 0), *(("test", n) for n in range(100))}


@pytest.mark.parametrize("k", [0, -1])
def test_a_k_below_one_is_refused(library, k):
    with pytest.raises(UsageError, match="expected a k of 1 or more"):
        library.search("x", k=k)


@pytest.mark.parametrize(("row", "says"), [("300", "numbered 0 to 299"), ("-1", "no row"), ("x", "no row")])
def test_an_unknown_row_is_refused(library, row, says):
    with pytest.raises(NotFoundError, match=says):
        library.search(row=row, corpus="train")


@pytest.mark.parametrize("query", ["", " ", [], ["a", ""]])
def test_a_blank_query_is_refused(library, query):
    with pytest.raises(UsageError, match="expected a text to search for"):
        library.search(query)


def test_an_index_of_altered_vectors_is_refused(library):
    import faiss

    record = library.index("hnsw")
    path = library.path / record.file.path
    index = faiss.read_index(str(path))
    other = faiss.IndexHNSWFlat(index.d, 32, faiss.METRIC_INNER_PRODUCT)
    other.add(-index.storage.reconstruct_n(0, index.ntotal))
    faiss.write_index(other, str(path))
    with pytest.raises(DamagedStoreError, match=r"was altered: rebuild it with `embedstore index STORE`"):
        library.search("x")
    assert len(library.search("x", exact=True)) == 10
    library.index("hnsw")
    assert len(library.search("x")) == 10


def test_an_index_is_opened_when_it_pays_and_once(library, encoder, monkeypatch):
    from embedstore.vectors import index

    opened = []
    open_index = index.OpenIndex

    class Counted(open_index):
        def __init__(self, *words):
            opened.append(words)
            super().__init__(*words)

    monkeypatch.setattr(index, "OpenIndex", Counted)
    library = embedstore.open(library.path, encoder=encoder, settings=Settings(index_after=4))
    library.index("hnsw")
    for number in range(3):
        found = library.search(f"query {number}", k=5).to_pandas()
        assert answers(found) == oracle(library, encoder.vector(f"query {number}"), 5)
    assert not opened
    library.search(["one", "two"], k=5)
    library.search("three", k=5)
    assert len(opened) == 1
    library.index("flat")
    library.search(["one"] * 9, k=5)
    assert len(opened) == 1


def test_an_index_file_cut_short_is_refused(library):
    path = library.path / library.index("hnsw").file.path
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DamagedStoreError, match=path.name):
        library.search("x")


def test_auto_is_flat_for_a_small_store(library):
    assert library.index().kind == "flat"


def test_indexing_needs_vectors_and_enough_of_them(tmp_path, encoder):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    store.add([{"t": "a"}], text="t")
    with pytest.raises(ModelRequiredError, match="no vectors yet"):
        store.index()
    store.encode()
    with pytest.raises(UsageError, match="at least 40"):
        store.index("ivf")
    with pytest.raises(UsageError, match="index kind"):
        store.index("tree")


def test_searching_rows_without_vectors_says_what_to_run(library):
    library.add(pd.DataFrame({"t": ["never seen"]}), text="t", corpus="later")
    with pytest.raises(ModelRequiredError, match="corpus 'later'"):
        library.search("x")
    assert len(library.search("x", corpus="train")) == 10


def test_an_index_is_a_file_that_the_manifest_lists(library):
    record = library.index("hnsw")
    assert hashlib.sha256((library.path / record.file.path).read_bytes()).hexdigest() == record.file.sha256
    assert record in library.manifest.indexes.values()


def test_threads_ask_one_store_for_new_texts_and_labels_at_once(store):
    def ask(number):
        near = store.search(f"new text {number}", k=3).to_pandas()
        tags = store.tag([f"label {number}", f"other {number}"]).to_pandas()
        return near, tags

    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(ask, range(48)))
    again = embedstore.open(store.path)
    for number, (near, tags) in enumerate(together):
        alone = again.search(f"new text {number}", k=3, no_encode=True).to_pandas()
        pd.testing.assert_frame_equal(near, alone)
        kept = again.tag([f"label {number}", f"other {number}"], no_encode=True).to_pandas()
        pd.testing.assert_frame_equal(tags, kept)
    assert store.verify().faults == ()


@pytest.mark.parametrize(("asked", "rows", "found"), [({}, 3, 3), ({}, 12, 10), ({"k": 2}, 3, 2), ({"k": 7}, 3, 3)])
def test_there_are_never_more_answers_than_rows(tmp_path, encoder, asked, rows, found):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    store.add([{"t": f"text {i}"} for i in range(rows)], text="t")
    store.encode()
    answer = store.search("text 0", **asked)
    assert len(answer) == found
    wanted = asked.get("k", 0)
    assert answer.notes == ((f"{wanted} rows were asked for; there are {rows} to be found",) if wanted > rows else ())
    assert len(store.search(row=1, **asked)) == min(found, rows - 1)


def test_a_store_without_rows_says_what_to_run(tmp_path, encoder):
    with pytest.raises(NotFoundError, match="has no rows yet: run `embedstore encode STORE FILE --text COLUMN`"):
        embedstore.create(tmp_path / "s", encoder=encoder).search("x")


def test_a_row_alone_has_no_neighbours(tmp_path, encoder):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    store.add([{"t": "text"}], text="t")
    store.encode()
    with pytest.raises(UsageError, match="found none but the row itself"):
        store.search(row=0)
