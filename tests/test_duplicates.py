from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from conftest import HashEncoder

import embedstore
from embedstore.errors import ModelRequiredError, UsageError
from embedstore.vectors import PairSearch


class NearEncoder(HashEncoder):
    """A text's vector is that of its first word, turned a little by the whole text."""

    def vector(self, text: str, prompt: str = "") -> np.ndarray:
        vector = super().vector(text.split()[0] if text else "") + 0.2 * super().vector(text)
        return (vector / np.linalg.norm(vector)).astype(np.float32)


class LongEncoder(NearEncoder):
    """The same directions, without unit length."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = replace(self.spec, normalized=False)

    def vector(self, text: str, prompt: str = "") -> np.ndarray:
        return (super().vector(text) * (1 + len(text))).astype(np.float32)


class ArcEncoder(HashEncoder):
    """The text "20" is the unit vector at 20 degrees."""

    def vector(self, text: str, prompt: str = "") -> np.ndarray:
        vector = np.zeros(self.dimension, dtype=np.float32)
        vector[:2] = np.cos(np.deg2rad(float(text))), np.sin(np.deg2rad(float(text)))
        return vector


def library(path, encoder):
    """Two corpora: 240 texts about 40 words in 260 rows, three of them empty; 30 rows, half of them of the first."""
    store = embedstore.create(path, encoder=encoder)
    rows = [{"key": f"k{i}", "text": "" if i % 100 == 7 else f"word{i % 40} {i % 240}"} for i in range(260)]
    store.add(rows, text="text", id="key", corpus="train")
    other = [{"n": i, "text": "" if i == 3 else f"word{i + 25} {i + 25 if i < 15 else 1000 + i}"} for i in range(30)]
    store.add(other, text="text", id="n", corpus="test")
    store.encode()
    return store


def expected(store, threshold, *, leaks=False):
    """Return the groups as lists of (corpus, row, similarity to the first): every pair of rows, in float64."""
    places, vectors, texts = [], [], []
    for corpus in store.corpora():
        for row, (vector, position) in enumerate(
            zip(store.space().vectors(corpus), corpus.positions().tolist(), strict=True)
        ):
            text = corpus.column("text")[row].as_py()
            if text:
                places.append((corpus.name, row))
                vectors.append(vector.astype(np.float64) / np.linalg.norm(vector.astype(np.float64)))
                texts.append(position)
    cosines = np.array(vectors) @ np.array(vectors).T
    near = (cosines >= threshold) | np.equal.outer(texts, texts)
    left, groups = set(range(len(places))), []
    while left:
        group = {min(left)}
        while (wider := set(np.flatnonzero(near[sorted(group)].any(axis=0)).tolist())) != group:
            group = wider
        left -= group
        members = sorted(group)
        if len(members) > 1 and (not leaks or len({places[i][0] for i in members}) > 1):
            groups.append([(*places[i], cosines[members[0], i]) for i in members])
    return sorted(groups, key=lambda group: -len(group))  # stable: they are in the order of their first rows


def agrees(found, wanted):
    assert [[(row.corpus, row.row) for row in group] for group in found.groups] == [
        [(corpus, row) for corpus, row, _ in group] for group in wanted
    ]
    similarities = [row.similarity for group in found.groups for row in group]
    assert np.allclose(similarities, [similarity for group in wanted for *_, similarity in group], atol=1e-6)
    assert {group[0].similarity for group in found.groups} == {1.0}


@pytest.mark.parametrize("encoder", [NearEncoder, LongEncoder])
@pytest.mark.parametrize("threshold", [0.8, 0.95, 0.97, 0.999])
@pytest.mark.parametrize("leaks", [False, True])
def test_groups_are_those_of_a_comparison_of_every_pair(tmp_path, encoder, threshold, leaks):
    store = library(tmp_path / "s", encoder())
    found = store.duplicates(threshold, leaks=leaks)
    wanted = expected(store, threshold, leaks=leaks)
    assert wanted
    agrees(found, wanted)
    assert found.rows_in_groups == sum(map(len, wanted))
    assert found.spanning == sum(len({corpus for corpus, *_ in group}) == 2 for group in wanted)
    assert found.notes == ("4 of 290 rows have no text and are left out (--blank answer takes them in)",)


def test_blocks_threads_and_pairs_joined_on_the_way_change_nothing(tmp_path):
    store = library(tmp_path / "s", NearEncoder())
    how = PairSearch(block=7, pairs=1, threads_from=0)
    for threshold in (0.3, 0.8, 0.95):
        agrees(store.duplicates(threshold, how=how), expected(store, threshold))


@pytest.mark.parametrize("encoder", [NearEncoder, LongEncoder])
def test_many_texts_are_searched_with_faiss_and_a_note_says_so(tmp_path, encoder):
    store = library(tmp_path / "s", encoder())
    found = store.duplicates(0.95, how=PairSearch(exact_up_to=100))
    agrees(found, expected(store, 0.95))  # of so few texts all lists are looked through
    assert "253 distinct texts: each was compared with those in the 8 nearest of 31 lists" in found.notes[1]


def test_a_chain_is_one_group_though_its_ends_are_far_apart(tmp_path):
    store = embedstore.create(tmp_path / "s", encoder=ArcEncoder())
    store.add([{"t": str(degrees)} for degrees in (90, 0, 10, 20, 30, 60)], text="t")
    store.encode()
    found = store.duplicates(np.cos(np.deg2rad(11)))
    assert [[row.row for row in group] for group in found.groups] == [[1, 2, 3, 4]]
    similarities = [row.similarity for row in found.groups[0]]
    assert np.allclose(similarities, np.cos(np.deg2rad([0, 10, 20, 30])), atol=1e-6)
    assert similarities[0] == 1.0


def test_no_similarity_is_above_one(tmp_path):
    store = embedstore.create(tmp_path / "s", encoder=ArcEncoder())
    store.add([{"t": f"{degrees}{end}"} for degrees in range(90) for end in ("", ".0")], text="t")
    store.encode()
    vectors = store.space().vectors(store.corpus())
    assert np.einsum("ij,ij->i", vectors, vectors).max() > 1  # rounded up
    found = store.duplicates(0.9999)
    assert [len(group) for group in found.groups] == [2] * 90
    assert max(row.similarity for group in found.groups for row in group) == 1.0


def test_rows_of_one_text_are_duplicates_and_empty_ones_are_not(store):
    found = store.duplicates()
    assert [[tuple(row) for row in group] for group in found.groups] == [
        [("train", 0, "k0", 1.0), ("train", 3, "k3", 1.0)]
    ]
    store.add([{"t": ""}, {"t": ""}, {"t": "only"}], text="t", corpus="empty")
    store.encode()
    nothing = store.duplicates(corpora=["empty"])
    assert (nothing.groups, nothing.rows_in_groups, nothing.spanning) == ([], 0, 0)
    assert nothing.notes == ("2 of 3 rows have no text and are left out (--blank answer takes them in)",)
    assert nothing.table.num_rows == 0


def test_the_table_has_a_line_for_each_row_of_a_group(store):
    store.add([{"t": "bad tea"}, {"t": "good tea"}, {"t": "other"}], text="t", corpus="test")
    store.encode()
    table = store.duplicates().table
    assert table.to_pydict() == {
        "group": [1, 1, 1, 2, 2],
        "size": [3, 3, 3, 2, 2],
        "corpus": ["train", "train", "test", "train", "test"],
        "id": ["k0", "k3", "1", "k1", "0"],
        "similarity": [1.0] * 5,
        "text": ["good tea"] * 3 + ["bad tea"] * 2,
    }
    assert [field.type for field in table.schema] == [
        pa.int64(),
        pa.int64(),
        pa.string(),
        pa.string(),
        pa.float32(),
        pa.string(),
    ]
    assert store.duplicates(corpora=["test"]).table.schema == table.schema


def test_ids_of_one_type_keep_it(store):
    store.add([{"t": "tea"}, {"t": "milk"}, {"t": "tea"}], text="t", corpus="numbered")
    store.encode()
    assert store.duplicates(corpora=["numbered"]).table.column("id").to_pylist() == [0, 2]


@pytest.mark.parametrize("threshold", [0, -0.5, 1.01, float("nan")])
def test_a_threshold_out_of_range_is_refused(store, threshold):
    with pytest.raises(UsageError, match="threshold above 0 and at most 1, found"):
        store.duplicates(threshold)


def test_a_corpus_counts_once(store):
    assert store.duplicates(corpora=["train", "train"]).groups == store.duplicates(corpora=["train"]).groups
    with pytest.raises(UsageError, match="at least two corpora"):
        store.duplicates(corpora=["train", "train"], leaks=True)


def test_leaks_need_two_corpora(store):
    with pytest.raises(UsageError, match="at least two corpora to look for leaks between, found 1"):
        store.duplicates(leaks=True)


def test_rows_without_vectors_are_refused(store):
    store.add([{"t": "new"}], text="t", corpus="later")
    with pytest.raises(ModelRequiredError, match="1 of 1 row of corpus 'later' has no vector"):
        store.duplicates()
