"""Questions about unproven vectors: they are answered as with proven ones, and no answer mixes the two."""

import numpy as np
import pytest
from conftest import HashEncoder

import embedstore
from embedstore.errors import ModelRequiredError, SpaceMismatchError

ROWS = [{"key": f"k{n}", "text": f"text {n}", "two": ["bad", "good"][n % 2]} for n in range(80)]


class Sided(HashEncoder):
    """An encoder by which the two classes can be told apart, in all rows but every ninth."""

    def vector(self, text, prompt=""):
        number = int(text.split()[1])
        vector = super().vector(text, prompt)
        vector[0] += [-1, 1][(number % 2 == 1) != (number % 9 == 0)]
        return (vector / np.linalg.norm(vector)).astype(np.float32)


@pytest.fixture
def apart(tmp_path):
    """A store with unproven vectors: those of `Sided`."""
    store = embedstore.create(tmp_path / "apart")
    vectors = np.stack([Sided().vector(row["text"]) for row in ROWS])
    store.import_vectors(ROWS, text="text", id="key", vectors=vectors, model="acme/one", no_encode=True)
    return store


@pytest.fixture
def proven(tmp_path):
    """A store with the same rows and the same vectors, made by their model."""
    store = embedstore.create(tmp_path / "proven", encoder=Sided())
    store.add(ROWS, text="text", id="key")
    store.encode()
    return store


@pytest.fixture
def both(apart):
    """The store with unproven vectors, and with those of another model for the same texts."""
    store = embedstore.open(apart.path, encoder=HashEncoder(prompt="other: "))
    store.encode()
    assert [space.spec.proven for space in store.manifest.spaces.values()] == [False, True]
    return store


def asked(store, space=None):
    """Return what `train`, `predict`, `doubts` and `map` say of a store."""
    trained = store.train("two", space=space, name="probe")
    return {
        "accuracy": trained.report.accuracy,
        "tags": store.predict("probe", scores=True).to_pandas(),
        "doubts": store.doubts("two", space=space).to_pandas(),
        "map": store.map(by="two", space=space).to_pandas(),
        "topics": store.topics(3, space=space).to_pandas(),
        "duplicates": store.duplicates(0.6, space=space).to_pandas(),
    }


def same(one, other):
    assert one.keys() == other.keys()
    for name, found in one.items():
        equal = found.equals(other[name]) if name != "accuracy" else found == other[name]
        assert equal, f"{name}: {found}\n{other[name]}"


def test_unproven_vectors_are_answered_as_if_their_model_had_made_them(apart, proven):
    answers = asked(apart)
    assert answers["accuracy"] > 0.6
    assert len(answers["doubts"]) > 0
    same(answers, asked(proven))


def test_each_space_is_answered_by_its_own_vectors(both, proven, tmp_path):
    other = embedstore.create(tmp_path / "other", encoder=HashEncoder(prompt="other: "))
    other.add(ROWS, text="text", id="key")
    other.encode()
    same(asked(both, "acme/one"), asked(proven))
    same(asked(both, "hash"), asked(other))
    same(asked(both), asked(other))  # the default is the model's


def test_a_probe_of_unproven_vectors_is_asked_with_no_others(both):
    both.train("two", space="acme/one", name="probe")
    before = both.predict("probe").to_pandas()
    with pytest.raises(SpaceMismatchError):
        both.predict("probe", space="hash")
    more = [{"key": f"m{n}", "text": f"text {n}", "two": ["bad", "good"][n % 2]} for n in range(78, 84)]
    both.add(more, text="text", id="key", corpus="more")
    both.encode()  # into the space of the model
    told = "4 of 6 rows of corpus 'more' have no vector in the space 'unproven: acme/one': import their vectors too"
    for ask in (
        lambda: both.predict("probe", corpus="more"),
        lambda: both.doubts("two", corpus="more", space="acme/one", folds=2),
        lambda: both.map(corpus="more", space="acme/one"),
    ):
        with pytest.raises(ModelRequiredError, match=told):
            ask()
    assert both.predict("probe", corpus="train").to_pandas().equals(before)
    both.train("two", corpus="train", test_corpus="more", name="of-the-model")
    assert both.manifest.probes["of-the-model"].space == both.space("hash").key  # both corpora have its vectors
    with pytest.raises(ModelRequiredError, match="have no vector in the space 'unproven: acme/one'"):
        both.train("two", corpus="train", test_corpus="more", space="acme/one")


def test_two_corpora_whose_vectors_are_of_two_spaces_are_not_asked_together(apart):
    store = embedstore.open(apart.path, encoder=HashEncoder(prompt="other: "))
    store.add([{"key": "m0", "text": "text 90", "two": "good"}], text="text", id="key", corpus="more")
    store.encode(corpus="more")
    with pytest.raises(ModelRequiredError, match="80 of 80 rows of corpus 'train' have no vector in the space 'hash'"):
        store.search(row="m0", corpus=None)
    assert store.search(row="k1", corpus="train", k=1).to_pandas()["corpus"].tolist() == ["train"]
    assert len(store.search("text 3", corpus="more")) == 1
