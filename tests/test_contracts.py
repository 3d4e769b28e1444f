"""What every kind of a thing must do: each kind inherits the tests of its contract, and a toy kind is one file more.

The contracts are those of encoders (`Encoder`), table formats (`FileFormat`), executors (`Executor`) and tagging
methods (`TaggingMethod`).
"""

import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from clusters import for_workers, ray_here  # noqa: F401  fixtures
from conftest import HashEncoder, texts_of
from sheets import write_sheet

import embedstore
from embedstore import encoders
from embedstore.encoders import EncoderOptions, describe, load
from embedstore.encoders.native.binding import kernels
from embedstore.errors import ModelRequiredError, UsageError
from embedstore.labels import LabelSet
from embedstore.tables import FORMATS, ReadOptions, file_source
from embedstore.tables.formats import find_format
from embedstore.tagging.methods import METHODS, find_method
from embedstore.tagging.scored import Scored
from embedstore.vectors.executors import EXECUTORS, Idle, Job, find_executor
from embedstore.vectors.loader import Loader
from embedstore.vectors.models import Models
from embedstore.vectors.receipts import Receipt

TEXTS = ["good tea", "", "a much longer text that tells of the tea, of the pot and of the cup", "good tea", "héllo 😀"]


class EncoderContract:
    """Tests of every encoder; a subclass has a fixture `encoder`."""

    def test_each_text_has_its_vector_in_order(self, encoder):
        vectors = encoder.encode(TEXTS)
        assert (vectors.shape, vectors.dtype) == ((len(TEXTS), encoder.dimension), np.float32)
        assert np.isfinite(vectors).all()
        np.testing.assert_allclose(vectors[0], vectors[3], atol=1e-5)
        np.testing.assert_allclose(encoder.encode(TEXTS[::-1]), vectors[::-1], atol=1e-5)
        for row, text in enumerate(TEXTS):
            np.testing.assert_allclose(encoder.encode([text])[0], vectors[row], atol=1e-5)

    def test_vectors_have_the_length_that_the_spec_promises(self, encoder):
        if encoder.spec.normalized:
            np.testing.assert_allclose(np.linalg.norm(encoder.encode(TEXTS), axis=1), 1, atol=1e-5)

    def test_every_text_is_counted_once(self, encoder):
        counted = []
        encoder.encode(TEXTS, on_texts=lambda done, cut: counted.append((done, cut)))
        assert sum(done for done, _ in counted) == len(TEXTS)
        assert all(0 <= cut <= done for done, cut in counted)

    def test_a_prompt_goes_before_each_text(self, encoder):
        plain = encoder.encode(["query: good tea"], prompt="")
        np.testing.assert_allclose(encoder.encode(["good tea"], prompt="query: "), plain, atol=1e-5)

    def test_it_says_how_it_computes(self, encoder):
        assert encoder.provenance.backend
        assert encoder.provenance.device
        assert list(encoder.provenance.versions) == sorted(encoder.provenance.versions)


class TestHashEncoder(EncoderContract):
    @pytest.fixture
    def encoder(self):
        return HashEncoder()


class TestTorchEncoder(EncoderContract):
    @pytest.fixture(params=[{}, {"pooling": "cls", "normalize": True}, {"pooling": "max", "truncate_dim": 8}])
    def encoder(self, request, checkpoint):
        return load(describe(str(checkpoint("bert")), EncoderOptions(max_seq_length=16, **request.param)))


class TestLightEncoder(EncoderContract):
    @pytest.fixture
    def encoder(self, checkpoint):
        from embedstore.encoders.light import LightEncoder

        return LightEncoder(describe(str(checkpoint("bert")), EncoderOptions(max_seq_length=16)))


@pytest.mark.skipif(not kernels(), reason="this processor does not multiply bfloat16, or the kernels are not built")
class TestNativeEncoder(EncoderContract):
    @pytest.fixture
    def encoder(self, checkpoint):
        return load(describe(str(checkpoint("bert")), EncoderOptions(max_seq_length=16)), backend="native")


class TestSentenceEncoder(EncoderContract):
    @pytest.fixture
    def encoder(self):
        from embedstore.encoders.sentence import SentenceEncoder

        return SentenceEncoder(describe(None, EncoderOptions(max_seq_length=16)), device="cpu", batch_size=2)


TABLE = pa.table(
    {
        "text": ['a "quoted", cell', "line\nbreak\ttab", "'apostrophe", "=1+1", "\u2028 é 😀"],
        "number": pa.array([1, 2, None, 4, -5], pa.int64()),
        "share": [0.1, 2.5, None, 1e-9, 3.0],
        "yes": [True, False, None, True, True],
    }
)


class FormatContract:
    """Tests of every table format; a subclass has `name` and `suffix`, and `written` to write if it is only read."""

    name: str
    suffix: str
    written: str | None = None

    @pytest.fixture
    def path(self, tmp_path):
        path = tmp_path / f"table{self.suffix}"
        find_format(self.name).write([TABLE.slice(0, 2), TABLE.slice(2)], TABLE.schema, path)
        return path

    def test_what_goes_out_comes_in(self, path):
        source = file_source(path, ReadOptions(), name="table", origin=str(path))
        survey = source.survey()
        assert survey.rows == TABLE.num_rows
        typed = pa.concat_tables(table for _, table in source.batches(survey.schema))
        assert typed.to_pydict() == TABLE.to_pydict()

    def test_its_suffix_is_known_and_its_content_has_a_digest(self, path):
        assert self.suffix in FORMATS[self.name].reads
        assert (self.suffix in FORMATS[self.name].writes) == (self.written is None)
        source = file_source(path, ReadOptions(format=self.name), name="table", origin="")
        before = source.digest()
        assert len(before) == 64
        path.write_bytes(path.read_bytes()[:-1])
        assert source.digest() != before

    def test_a_store_takes_it_in_and_gives_it_out(self, path, tmp_path, encoder):
        store = embedstore.create(tmp_path / "store", encoder=encoder)
        assert store.add(path, text="text").rows == TABLE.num_rows
        assert texts_of(store) == TABLE.column("text").to_pylist()
        store.encode()
        tagged = store.tag(["a", "b"])
        out = tmp_path / f"out{self.written or self.suffix}"
        tagged.save(out)
        source = file_source(out, ReadOptions(), name="out", origin="out")
        back = pa.concat_tables(table for _, table in source.batches(source.survey().schema))
        assert back.select(TABLE.column_names).to_pydict() == TABLE.to_pydict()
        assert back.column("Predicted_Labels").to_pylist() == tagged.column("Predicted_Labels").to_pylist()


class TestCsv(FormatContract):
    name, suffix = "csv", ".csv"


class TestTsv(FormatContract):
    name, suffix = "tsv", ".tsv"


class TestJsonLines(FormatContract):
    name, suffix = "jsonl", ".jsonl"


class TestParquet(FormatContract):
    name, suffix = "parquet", ".parquet"


class TestExcel(FormatContract):
    name, suffix, written = "excel", ".xlsx", ".jsonl"

    @pytest.fixture
    def path(self, tmp_path):
        return write_sheet(
            tmp_path / "table.xlsx", [TABLE.column_names, *zip(*TABLE.to_pydict().values(), strict=True)]
        )


class ExecutorContract:
    """Tests of every executor; a subclass has `name`, and `encode` where it is more than one call."""

    name: str

    def encode(self, store, **options):
        return store.encode(executor=self.name, **options)

    @pytest.fixture
    def store(self, tmp_path, encoder):
        made = embedstore.create(tmp_path / "s", encoder=encoder, settings=embedstore.Settings(smallest_segment=10))
        made.add([{"t": f"text {i}"} for i in range(45)], text="t")
        return made

    def test_it_encodes_everything(self, store, encoder):
        seen = []
        report = self.encode(store, on_progress=seen.append)
        assert (report.encoded, report.cached) == (45, 0)
        assert sum(last.total for last in seen if last.done == last.total) == 45
        expected = np.stack([encoder.vector(f"text {i}") for i in range(45)])
        assert np.array_equal(store.space().vectors(), expected)
        assert self.encode(store).encoded == 0
        assert not store.verify().faults

    def test_it_gives_a_receipt_for_every_task_and_commits_nothing(self, store, encoder):
        described = encoders.Described(model="hash", folder=Path(), revision="", spec=encoder.spec, query_prompt="")
        before = store.manifest
        load = Loader(models=Models(encoder), described=described)
        job = Job(root=store.path, manifest=before, described=described, tasks=before.texts, load=load)
        counted = []
        yielded = list(find_executor(self.name).run(job, lambda done, cut: counted.append(done)))
        receipts = [one for one in yielded if not isinstance(one, Idle)]
        assert all(isinstance(receipt, Receipt) for receipt in receipts)
        assert sorted(one.text for one in receipts) == sorted(text.file.sha256 for text in before.texts)
        assert sum(counted) == 45
        assert store.manifest == before

    def test_no_model_no_vectors(self, store, encoder):
        with pytest.raises(ModelRequiredError):
            self.encode(store, no_encode=True)
        assert encoder.encoded == []

    def test_a_model_that_computes_otherwise_is_stopped(self, store):
        self.encode(store)
        store.add([{"t": "new"}], text="t", corpus="more")
        other = HashEncoder(backend="other")
        other.vector = lambda text, prompt="": HashEncoder.vector(other, text + "!")
        with pytest.raises(embedstore.SpaceMismatchError):
            self.encode(embedstore.open(store.path, encoder=other))


class TestLocalExecutor(ExecutorContract):
    name = "local"


@pytest.mark.usefixtures("ray_here")
class TestRayExecutor(ExecutorContract):
    name = "ray"


class TestShards(ExecutorContract):
    """Two processes without anything between them but the store's folder; then a third collects."""

    name = "local"

    def encode(self, store, **options):
        reports = [store.encode(shard=f"{number}/2", **options) for number in (1, 2)]
        store.collect()
        return replace(reports[0], encoded=sum(one.encoded for one in reports), shard="")


class MethodContract:
    """Tests of every tagging method; a subclass has `name`."""

    name: str

    @pytest.fixture
    def scored(self):
        rng = np.random.default_rng(0)
        vectors = rng.normal(size=(500, 16)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        prototypes = np.eye(3, 16, dtype=np.float32)
        labels = LabelSet.of(["red", "green", "blue"])
        return Scored(
            labels=labels,
            prototypes=prototypes,
            cosines=vectors @ prototypes.T,
            vectors=vectors,
            texts=lambda: [f"word{i % 7} word{i % 11} text {i}" for i in range(500)],
            vectors_of=lambda texts: np.ones((len(texts), 16), dtype=np.float32) / 4,
        )

    def test_scores_are_finite_and_one_a_label(self, scored):
        found = find_method(self.name).refine(scored)
        assert found.scores.shape == (500, 3)
        assert np.isfinite(found.scores).all()
        assert all(isinstance(note, str) for note in found.notes)

    def test_the_same_question_has_the_same_answer(self, scored):
        one, two = (find_method(self.name).refine(scored).scores for _ in range(2))
        assert np.array_equal(one, two)

    def test_texts_that_clearly_have_a_label_keep_it(self, scored):
        best = find_method(self.name).refine(scored).scores.argmax(axis=1)
        ordered = np.sort(scored.cosines, axis=1)
        clear = ordered[:, -1] - ordered[:, -2] > 0.4
        assert clear.sum() > 10
        assert np.mean(best[clear] == scored.cosines.argmax(axis=1)[clear]) > 0.9

    def test_names_of_labels_stay(self):
        labels = LabelSet.of(["Positive", "Negative"])
        assert find_method(self.name).describe(labels).names == labels.names

    def test_rows_are_tagged_with_it(self, store):
        tagged = store.tag(["Negative", "Positive"], method=self.name, scores=True)
        assert len(tagged) == 10
        frame = tagged.to_pandas()
        told = frame.drop(index=2)  # the third row has no text
        assert (told["Predicted_Labels"] == told[["Negative", "Positive"]].idxmax(axis=1)).all()
        assert frame.loc[2, "Predicted_Labels":].isna().all()
        assert tagged.shares == dict(frame["Predicted_Labels"].value_counts(normalize=True).reindex(tagged.shares))

    def test_known_shares_are_used_or_refused(self, store):
        shares = {"Negative": 0.5, "Positive": 0.5}
        if find_method(self.name).takes_shares:
            found = store.tag(["Negative", "Positive"], method=self.name, shares=shares, blank="answer").shares
            assert found == shares
        else:
            with pytest.raises(UsageError):
                store.tag(["Negative", "Positive"], method=self.name, shares=shares)


class TestCosine(MethodContract):
    name = "cosine"


class TestBest(MethodContract):
    name = "best"


class TestScale(MethodContract):
    name = "scale"


class TestTopics(MethodContract):
    name = "topics"


def test_every_kind_is_held_to_its_contract():
    def named(contract):
        return {one.name for one in contract.__subclasses__() if not one.__name__.startswith("TestToy")}

    assert named(FormatContract) == set(FORMATS)
    assert named(ExecutorContract) == set(EXECUTORS)
    assert named(MethodContract) == set(METHODS)
    assert set(encoders.BACKENDS) == {"auto", "native", "torch", "tensorflow"}


# A toy of each kind: one new file, and one line in one table.

TOYS = '''
import csv
import numpy as np
import pyarrow as pa
from embedstore.core.spec import Provenance
from embedstore.labels.zeroshot import Refined
from embedstore.tables.delimited import DelimitedSource
from embedstore.vectors.executors import LocalExecutor


class Bars:
    """Fields between bars."""

    def source(self, path, name, origin, options):
        return DelimitedSource(path, name, origin, options, "|")

    def write(self, tables, schema, path):
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, delimiter="|", lineterminator="\\n")
            writer.writerow(schema.names)
            for table in tables:
                writer.writerows(zip(*(column.to_pylist() for column in table.columns)))


BARS = Bars()


class Backwards(LocalExecutor):
    """The last task first."""

    def run(self, job, on_texts):
        return reversed(list(super().run(job, on_texts)))


class Halved:
    """Half of each similarity."""

    refines, takes_shares, sharpness = True, False, 20.0

    def describe(self, labels):
        return labels

    def refine(self, scored):
        return Refined(scored.cosines.astype(np.float64) / 2, np.empty(0), ("halved",))


class Counting:
    """Numbers of characters and words, of unit length."""

    def __init__(self, described):
        self.spec, self.dimension = described.spec, 2
        self.provenance = described.provenance(
            backend="toy", device="cpu", precision="float32", batch_size=1, versions={}
        )

    def encode(self, texts, *, prompt=None, on_texts=None):
        texts = [(self.spec.prompt if prompt is None else prompt) + text for text in texts]
        if on_texts:
            on_texts(len(texts), 0)
        found = np.array([[1 + len(text), 1 + len(text.split())] for text in texts], dtype=np.float32)
        return found / np.linalg.norm(found, axis=1, keepdims=True)


def load(described, *, device, batch_size, precision, sample):
    return Counting(described)
'''


@pytest.fixture
def toys(tmp_path, monkeypatch):
    (tmp_path / "toys.py").write_text(textwrap.dedent(TOYS))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(FORMATS, "bars", type(FORMATS["csv"])("toys:BARS", (".bars",), (".bars",)))
    monkeypatch.setitem(EXECUTORS, "backwards", "toys:Backwards")
    monkeypatch.setitem(METHODS, "halved", "toys:Halved")
    monkeypatch.setitem(encoders.BACKENDS, "counting", "toys:load")
    yield
    sys.modules.pop("toys", None)


@pytest.mark.usefixtures("toys")
class TestToyFormat(FormatContract):
    name, suffix = "bars", ".bars"


@pytest.mark.usefixtures("toys")
class TestToyExecutor(ExecutorContract):
    name = "backwards"


@pytest.mark.usefixtures("toys")
class TestToyMethod(MethodContract):
    name = "halved"


@pytest.mark.usefixtures("toys")
class TestToyEncoder(EncoderContract):
    @pytest.fixture
    def encoder(self, checkpoint, toys):
        described = describe(str(checkpoint("bert")), EncoderOptions(max_seq_length=16, normalize=True))
        return load(described, backend="counting")


@pytest.mark.usefixtures("toys")
def test_toys_of_every_kind_work_together(tmp_path, checkpoint):
    path = tmp_path / "rows.bars"
    path.write_text("key|review\n" + "".join(f"k{i}|{'word ' * (i % 5 + 1)}{i}\n" for i in range(30)))
    store = embedstore.create(tmp_path / "store")
    store.add(path, text="review", id="key")
    store.encode(str(checkpoint("bert")), backend="counting", executor="backwards")
    assert store.info()["spaces"][0]["provenance"][0]["backend"] == "toy"
    assert store.space().vectors().shape == (30, 2)
    assert isinstance(store.search(row="k3", k=2).to_pandas(), pd.DataFrame)
