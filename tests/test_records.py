"""What a manifest says is checked once: a record of another form, or records that do not fit, are damage."""

import copy
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from conftest import LABELS, HashEncoder
from pyarrow import parquet

import embedstore
from embedstore.corpora.rows import POSITION, Corpus
from embedstore.desk import Desk
from embedstore.errors import DamagedStoreError
from embedstore.storage.records import CorpusRecord
from embedstore.storage.state import Manifest

SHA = "0" * 64


@pytest.fixture(scope="module")
def body(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The manifest of a store with all kinds of records, as JSON."""
    store = embedstore.create(tmp_path_factory.mktemp("records") / "store", encoder=HashEncoder())
    store.add([{"key": f"k{i}", "review": f"text {i}", "stars": i % 2} for i in range(20)], text="review", id="key")
    store.encode()
    store.tag(LABELS)
    store.index("hnsw")
    store.train("stars")
    store.annotations.add(1, "Positive", LABELS)
    desk = Desk(store)
    desk.maps.begin()
    desk.maps.wait()
    return json.loads(json.dumps(store.manifest.to_json()))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value below a JSON value."""
    inside = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [place for key, one in inside for place in [(*path, key), *places(one, (*path, key))]]


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def changed(body: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    found = copy.deepcopy(body)
    at(found, path[:-1])[path[-1]] = value
    return found


def as_read(manifest: Manifest) -> Any:
    """Return the JSON of a manifest as it is read again: with lists for tuples."""
    return json.loads(json.dumps(manifest.to_json()))


def test_a_manifest_comes_back_from_its_json(body):
    assert as_read(Manifest.from_json(body)) == body
    old = {name: value for name, value in body.items() if name not in ("annotations", "lineage", "maps")}
    assert Manifest.from_json(old).annotations == ()


def test_every_value_has_its_own_type_and_no_other(body):
    """Each value in turn becomes one that equals it, or that Python would convert to it, and one of each other type."""
    for path in places(body):
        value = at(body, path)
        others = {
            int: [str(value), float(value) if type(value) is int else 0.5, bool(value), None, [value], -1, 10**400],
            str: [3, None, [value], {"a": 1}, "\ud800", True],
            bool: [int(value) if type(value) is bool else 0, str(value), None],
            list: [{}, "ab", None, 3, {"a": 1}],
            dict: [[], "ab", None, 3, [["a", 1]]],
            type(None): [{}, [], True],
        }[type(value)]
        for other in others:
            made = changed(body, path, other)
            try:
                found = Manifest.from_json(made)
            except DamagedStoreError as error:
                assert len(str(error).splitlines()) == 1
            else:  # another value of the same type, such as null for a head that is left out
                assert as_read(found) == made, (path, other)


@pytest.mark.parametrize("where", ["text_lists", "query_lists", "segment_lists"])
def test_a_list_in_the_manifest_has_values_of_exact_types(body, where):
    kind = "vectors" if where == "segment_lists" else "texts"
    valid = [[f"lists/{SHA}.{kind}", 900], 3, 20, 800, 1]

    def with_list(value: Any) -> dict[str, Any]:
        made = copy.deepcopy(body)
        (made["spaces"][0] if kind == "vectors" else made)[where] = [value]
        if kind == "vectors":  # as many texts
            made["text_lists"] = [[[f"lists/{SHA}.texts", 900], 3, 20, 800, 1]]
        return made

    assert as_read(Manifest.from_json(with_list(valid))) == with_list(valid)
    wrong = [[valid[0], *((other if place == at else one) for place, one in enumerate(valid[1:], 1))]
             for at in range(1, 5) for other in ("3", 3.0, True, None, [3], -2, 10**400)]  # fmt: skip
    wrong += [[[path, 900], *valid[1:]] for path in (f"lists/{SHA}.covers", f"texts/{SHA}.h5", "lists/x.texts", 3)]
    wrong += [valid[:4], [*valid, 1], {}, None, [valid[0], 0, 20, 800, 1], [valid[0], 3, 20, 800, 21]]
    for value in wrong:
        with pytest.raises(DamagedStoreError) as caught:
            Manifest.from_json(with_list(value))
        assert len(str(caught.value).splitlines()) == 1


SPACE = ("spaces", 0)


@pytest.mark.parametrize(
    ("path", "change", "says"),
    [
        ((*SPACE, "dimension"), lambda _: 17, r"the shape \(20, 16\)"),
        ((*SPACE, "spec", "dtype"), lambda _: "float16", "the type <f4 in a space of 16 dimensions of float16"),
        ((*SPACE, "spec", "max_seq_length"), lambda _: float("nan"), "a whole number as the max_seq_length"),
        ((*SPACE, "spec", "digest"), lambda _: "x", "digest of 64 hex digits"),
        ((*SPACE, "provenance"), lambda _: [], "the provenance 0 of 0"),
        ((*SPACE, "head"), lambda _: {"labels": ["a", "b"], "activation": "softmax"}, "a head of 2 labels"),
        ((*SPACE, "head"), lambda _: {"labels": ["a", "a"], "activation": "sigmoid"}, "activation 'sigmoid'"),
        (("spaces",), lambda value: value * 2, "two corpora, spaces"),
        (("texts",), lambda value: value * 2, "a text segment twice"),
        (("texts",), lambda _: [], "with 20 vectors for a text segment of another store"),
        (("texts", 0, 2, 2), lambda _: "|u1", "datasets that do not fit each other"),
        (("texts", 0, 4), lambda _: [3, 3], "the blank text 3 of 20"),
        (("corpora",), lambda value: value * 2, "two corpora"),
        (("corpora", 0, 0), lambda _: "a\nb", r"found 'a\\nb'"),
        (("corpora", 0, 1, "parts", 0, 1), lambda _: -1, "the rows of a part from 0"),
        (("corpora", 0, 1, "parts", 0, 2), lambda _: 21, "the empty rows of a part from 0 to 20, found 21"),
        (("corpora", 0, 1, "parts", 0, 0, 0), lambda _: f"texts/{SHA}.h5", r"expected corpora/HASH\.parquet"),
        (("indexes", 0, 0), lambda _: SHA, "of other vectors than it has"),
        (("indexes", 0, 1, 1), lambda _: "tree", "an index of the kind 'tree'"),
        (("indexes", 0, 1, 2), lambda value: value * 2, "of other vectors than it has"),
        (("indexes", 0, 1, 2), lambda _: [SHA], "of other vectors than it has"),
        (("indexes", 0, 1, 3), lambda value: value + 1, "of other vectors than it has"),
        (("maps", 0, 0), lambda _: SHA, "a map of 'train' in a space or corpus"),
        (("maps", 0, 1), lambda _: "other", "a map of 'other' in a space or corpus"),
        (("maps", 0, 2, 1, 2), lambda _: "<f4", "datasets that do not fit"),
        (("maps", 0, 2, 1, 1), lambda _: [3], "datasets that do not fit"),
        (("maps", 0, 2, 3), lambda _: "isomap", "a map by the method 'isomap'"),
        (("maps", 0, 2, 4), lambda _: 21, "the anchors of a map from 1 to 20, found 21"),
        (("maps",), lambda value: value * 2, "two corpora, spaces, indexes, maps"),
        (("probes", 0, 1, 2), lambda _: SHA, "a probe 'stars' of a space that it does not have"),
        (("annotations", 0, 1), lambda _: True, "a whole number as the number of annotations, found True"),
        (("sequence",), lambda _: "1", "a whole number as the number of the manifest"),
    ],
)
def test_records_that_do_not_fit_each_other_are_damage(body, path, change, says):
    with pytest.raises(DamagedStoreError, match=says) as caught:
        Manifest.from_json(changed(body, path, change(at(body, path))))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "positions",
    [[0, 1, 3], [-1, 0, 1], [0, None, 1], [2**62, 0, 1], [0.0, 1.0, 2.0], ["0", "1", "2"]],
    ids=lambda value: str(value[0]),
)
def test_a_row_has_a_text_that_is_there(tmp_path, positions):
    corpus = written_corpus(tmp_path, pa.table({"key": ["a", "b", "c"], POSITION: positions}))
    with pytest.raises(DamagedStoreError, match="was altered"):
        corpus.positions()


@pytest.mark.parametrize("notes", [b"{", b"3", b'["key", 3]', b"[" * 10_000])
def test_notes_of_another_form_do_no_harm(tmp_path, notes):
    table = pa.table({"key": ["a", "b", "c"], POSITION: [0, 1, 2]})
    corpus = written_corpus(tmp_path, table.replace_schema_metadata({"embedstore_large_integers": notes}))
    try:
        assert corpus.ids().to_pylist() == ["a", "b", "c"]
    except DamagedStoreError as error:
        assert "was altered" in str(error)


def test_a_corpus_has_its_id_column(tmp_path):
    corpus = written_corpus(tmp_path, pa.table({"other": ["a", "b", "c"], POSITION: [0, 1, 2]}))
    for ask in (lambda: corpus.ids_at(np.array([1])), corpus.ids, lambda: corpus.row_of("a")):
        with pytest.raises(DamagedStoreError, match="the id column 'key', which its table lacks"):
            ask()


def written_corpus(root: Any, table: pa.Table) -> Corpus:
    (root / "corpora").mkdir()
    name = f"corpora/{SHA}.parquet"
    parquet.write_table(table, root / name, write_page_checksum=True)
    part = [[name, (root / name).stat().st_size], 3, 0, "", ""]
    said = {"parts": [part], "template": "{key}", "id_column": "key"}
    return Corpus(root, "train", CorpusRecord.from_json(said, texts=3))
