import json
import math
import subprocess
import sys

import faiss
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import HashEncoder, texts_of
from hypothesis import given
from hypothesis import strategies as st

import embedstore
from embedstore.errors import ModelRequiredError, NotFoundError, SpaceMismatchError, UsageError
from embedstore.labels import LabelSet
from embedstore.topics.choice import choose_count
from embedstore.topics.naming import class_weights, topic_names, topic_words
from embedstore.vectors.clustering import spherical_centres

SUBJECTS = {
    "tea": ["kettle", "cup", "leaf", "pot", "steam"],
    "car": ["wheel", "motor", "road", "brake", "fuel"],
    "sea": ["wave", "salt", "fish", "boat", "tide"],
    "sky": ["cloud", "bird", "wind", "star", "moon"],
}


class SubjectEncoder(HashEncoder):
    """An encoder whose vectors lie near an axis for each subject that a text names."""

    def vector(self, text: str, prompt: str = "") -> np.ndarray:
        axes = np.eye(self.dimension)[[number for number, name in enumerate(SUBJECTS) if name in text.split()]]
        vector = 0.5 * super().vector(text, prompt).astype(np.float64) + axes.sum(axis=0)
        return (vector / np.linalg.norm(vector)).astype(np.float32)


def sentences(per_subject: dict[str, int], seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [
        f"the {name} and {' '.join(rng.choice(SUBJECTS[name], 2, replace=False))} of it number{i}x"
        for name, count in per_subject.items()
        for i in range(count)
    ]


MANY = {"tea": 40, "car": 30, "sea": 20, "sky": 10}


@pytest.fixture
def about(tmp_path):
    """A store about four subjects, with a text twice and two blank ones."""
    made = embedstore.create(tmp_path / "home" / "about", encoder=SubjectEncoder())
    texts = sentences(MANY)
    rows = [{"id": f"r{i}", "text": text} for i, text in enumerate([*texts, texts[0], "", " "])]
    made.add(rows, text="text", id="id")
    made.encode()
    return made


def numbers(found):
    return found.to_arrow().column("topic").to_pylist()


def test_each_row_with_a_text_gets_its_subject_and_the_largest_comes_first(about):
    found = about.topics(4)
    given = [list(SUBJECTS).index(name) + 1 for name, count in MANY.items() for _ in range(count)]
    assert numbers(found) == [*given, 1, None, None]
    assert [topic.rows for topic in found.topics] == [41, 30, 20, 10]
    assert [topic.share for topic in found.topics] == [41 / 101, 30 / 101, 20 / 101, 10 / 101]
    assert [topic.number for topic in found.topics] == [1, 2, 3, 4]
    names = [topic.name for topic in found.topics]
    table = found.to_pandas()
    assert table["topic_name"].tolist()[:-2] == [names[number - 1] for number in numbers(found)[:-2]]
    assert table.tail(2)[["topic", "topic_name", "score"]].isna().all(axis=None)
    assert found.schema.field("topic").type == pa.int32()


def test_the_topic_is_the_nearest_centre_and_the_score_its_cosine(about):
    found = about.topics(4)
    with about.snapshot() as now:
        vectors = now.space().vectors("train")[found.answered].astype(np.float64)
    cosines = vectors @ found.centres.T.astype(np.float64)
    told = found.to_pandas()[found.answered]
    assert told["topic"].tolist() == (cosines.argmax(axis=1) + 1).tolist()
    np.testing.assert_allclose(told["score"], cosines.max(axis=1), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found.centres, axis=1), 1, atol=1e-6)
    expected = [cosines.max(axis=1)[told["topic"] == number].mean() for number in range(1, 5)]
    np.testing.assert_allclose([topic.tightness for topic in found.topics], expected, atol=1e-6)


def test_a_name_is_the_words_that_the_other_topics_lack(about):
    for topic, subject in zip(about.topics(4).topics, SUBJECTS, strict=True):
        assert set(topic.words[:6]) == {subject, *SUBJECTS[subject]}
        assert not {"the", "and", "of", "it"}.intersection(topic.words)
        assert topic.name == ", ".join(topic.words[:3])
        assert len(topic.typical) == 5
        assert all(subject in text.split() for text in topic.typical)


def test_typical_texts_are_the_nearest_to_the_centre(about):
    found = about.topics(4, typical=2)
    texts = texts_of(about)
    told = found.to_pandas()
    for topic in found.topics:
        mine = told[told["topic"] == topic.number].sort_values("score", ascending=False, kind="stable")
        ranked = list(dict.fromkeys(texts[row] for row in mine.index))
        assert topic.typical[0] == ranked[0]
        assert set(topic.typical) <= set(ranked[:20])
        assert len(topic.typical) == 2


def test_the_suggested_number_is_that_of_the_subjects(about):
    assert len(about.topics().topics) == 4


def test_blank_texts_are_grouped_on_demand(about):
    found = about.topics(4, blank="answer")
    assert None not in numbers(found)
    assert sum(topic.share for topic in found.topics) == pytest.approx(1)
    assert "2 of 103 rows have no text" in about.topics(4).notes[0]


def test_a_seed_gives_the_same_topics_whatever_the_threads(about):
    code = (
        "import sys, json, hashlib; sys.path.insert(0, 'tests')\n"
        "import embedstore\n"
        "from embedstore.vectors import clustering\n"
        "for count in ('auto', 4):\n"
        f"    found = embedstore.open({str(about.path)!r}).topics(count, random_state=7)\n"
        "    print(json.dumps(found.summary()), hashlib.sha256(found.centres.tobytes()).hexdigest())\n"
        "    print(found.to_arrow().column('topic').to_pylist())\n"
        "    clustering._ALONE = 0  # as many threads for a few texts as for many\n"
    )
    told = set()
    for threads in ("1", "3"):
        environment = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, "PATH": ""}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        told.add(done.stdout)
    assert len(told) == 1


def test_new_rows_get_the_topic_of_the_nearest_centre(about):
    first = about.topics(4)
    texts = texts_of(about)
    new = [*sentences({"sky": 3, "car": 1}, seed=9), texts[45], ""]
    about.add([{"id": f"n{i}", "text": text} for i, text in enumerate(new)], text="text", id="id", corpus="new")
    about.encode(corpus="new")
    found = about.topics(corpus="new", like=first)
    assert numbers(found) == [4, 4, 4, 2, numbers(first)[45], None]
    assert found.column("score")[4].as_py() == pytest.approx(first.column("score")[45].as_py(), abs=1e-6)
    assert [topic.name for topic in found.topics] == [topic.name for topic in first.topics]
    assert [topic.rows for topic in found.topics] == [0, 2, 0, 3]
    assert math.isnan(found.topics[0].tightness)
    np.testing.assert_array_equal(found.centres, first.centres)


@given(st.lists(st.sampled_from(sentences(MANY)), min_size=6, max_size=40), st.integers(2, 6))
def test_every_row_has_one_topic_and_equal_texts_the_same_one(tmp_path_factory, texts, count):
    store = embedstore.create(tmp_path_factory.mktemp("any") / "s", encoder=SubjectEncoder())
    store.add([{"text": text} for text in texts], text="text")
    store.encode()
    if len(set(texts)) < count:
        with pytest.raises(UsageError, match="as many distinct texts as topics"):
            store.topics(count)
        return
    found = store.topics(count)
    told = numbers(found)
    assert len(told) == len(texts)
    assert set(told) == {topic.number for topic in found.topics}
    assert len(set(zip(texts, told, strict=True))) == len(set(texts))
    rows = [topic.rows for topic in found.topics]
    assert rows == [told.count(topic.number) for topic in found.topics]
    assert rows == sorted(rows, reverse=True)
    assert sum(topic.share for topic in found.topics) == pytest.approx(1)
    assert len({topic.name for topic in found.topics}) == len(found.topics)


def test_topics_need_no_model_and_encode_nothing(about):
    code = (
        "import sys, embedstore\n"
        f"store = embedstore.open({str(about.path)!r})\n"
        "store.topics(4).to_arrow()\n"
        "print(sorted({'torch', 'transformers', 'tensorflow', 'h5py'}.intersection(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
    about.add([{"id": "z", "text": "a text without a vector"}], text="text", id="id", corpus="raw")
    with pytest.raises(ModelRequiredError, match="embedstore encode"):
        about.topics(4, corpus="raw")


def test_a_sample_is_enough_for_the_centres_and_is_told(about, monkeypatch):
    monkeypatch.setattr("embedstore.topics.pipeline._LEARNT", 60)
    monkeypatch.setattr("embedstore.topics.pipeline._NAMED", 40)
    found = about.topics(4)
    assert [topic.rows for topic in found.topics] == [41, 30, 20, 10]
    assert "the topics are learnt from a random sample of 60 of 100 distinct texts" in found.notes
    for topic, subject in zip(found.topics, SUBJECTS, strict=True):
        assert set(topic.words) <= {subject, *SUBJECTS[subject]}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"count": 1}, "expected a number of topics from 2 to 1,000, found 1"),
        ({"count": 2000}, "from 2 to 1,000, found 2000"),
        ({"count": "many"}, "or 'auto', found 'many'"),
        ({"count": 101}, "found 100 distinct texts for 101 topics"),
        ({"count": 4, "typical": 0}, "expected a typical of 1 or more"),
        ({"random_state": -1}, "expected a random_state of 0 or more"),
        ({"like": "train"}, "expected topics that store.topics returned for like"),
    ],
)
def test_a_wrong_request_is_one_line(about, options, said):
    with pytest.raises(UsageError, match=said) as caught:
        about.topics(**options)
    assert "\n" not in str(caught.value)


def test_topics_of_another_space_are_refused(about, tmp_path):
    target = embedstore.create(tmp_path / "other", encoder=HashEncoder(8))
    target.add([{"t": f"text {i}"} for i in range(30)], text="t")
    target.encode()
    other = target.topics(2)
    with pytest.raises(SpaceMismatchError, match="expected topics of the space"):
        about.topics(like=other, space="hash")
    with pytest.raises(NotFoundError, match="expected one space"):
        about.topics(like=other)
    with pytest.raises(UsageError, match="found both"):
        about.topics(3, like=about.topics(4))


def test_a_label_set_of_topics_tags_like_the_topics(about):
    found = about.topics(4)
    labels = found.label_set()
    assert labels.names == tuple(topic.name for topic in found.topics)
    assert labels.texts == tuple(topic.typical for topic in found.topics)
    tagged = about.tag(labels).to_pandas()["Predicted_Labels"]
    assert tagged[found.answered].tolist() == found.to_pandas()["topic_name"][found.answered].tolist()


def test_a_map_by_topics_has_their_names(about):
    groups = about.map(by="topics:4").to_pandas()["group"]
    assert groups.tolist() == about.topics(4).to_pandas()["topic_name"].dropna().tolist()
    with pytest.raises(UsageError, match="expected topics or topics:N"):
        about.map(by="topics:x")


def test_a_picture_has_a_bar_for_each_topic(about, tmp_path):
    found = about.topics(4)
    found.plot(tmp_path / "topics.svg")
    drawn = (tmp_path / "topics.svg").read_text()
    assert all(f"{topic.number}: {topic.name}"[:20] in drawn for topic in found.topics)


# The parts.


def test_weights_are_those_of_the_formula():
    counts = np.array([[5, 4, 0, 1], [5, 0, 3, 1], [4, 0, 0, 2]], dtype=np.float32)
    texts = 16
    expected = np.zeros((3, 4))
    whole = [[0.0] * 4 for _ in range(3)]
    mean = sum(counts.sum(axis=1)) / 3
    for group in range(3):
        for word in range(4):
            share = counts[group, word] / counts[group].sum()
            whole[group][word] = share * math.log(1 + mean / counts[:, word].sum())
    for group in range(3):
        for word in range(4):
            others = [whole[other][word] for other in range(3) if other != group]
            expected[group, word] = (whole[group][word] - sum(others) / 2) * math.log(texts / counts[:, word].sum())
    np.testing.assert_allclose(class_weights(counts, texts), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't stop: e-mail, 4x4 & mp3!", ["don't", "mail", "mp3", "stop"]),
        ("हिन्दी किताब", ["किताब", "हिन्दी"]),
        ("Очень «хорошо»", ["очень", "хорошо"]),
        ("l\u2019\u00e9t\u00e9", ["\u00e9t\u00e9"]),
    ],
)
def test_words_of_any_script_stay_whole(text, words):
    found, _ = topic_words([text, "zz yy"], np.array([0, 1]), 2)
    assert sorted(found) == words


def test_one_form_of_a_word_is_enough():
    texts = ["book books", "book books reading", "tea cup", "tea cup saucer"]
    assert topic_words(texts, np.array([0, 0, 1, 1]), 2) == [["book"], ["cup", "tea"]]


def test_texts_without_words_are_named_by_number():
    assert topic_words(["1 2", "3 4"], np.array([0, 1]), 2) == [[], []]
    assert topic_names([[], [], ["a", "b"]]) == ["topic 1", "topic 2", "a, b"]


def test_centres_do_not_depend_on_the_seed_where_groups_are_clear():
    rng = np.random.default_rng(0)
    axes = np.eye(8, dtype=np.float32)[rng.integers(0, 5, 400)]
    vectors = axes + 0.05 * rng.normal(size=axes.shape).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    threads = faiss.omp_get_max_threads()
    for seed in (1, 2):
        centres = spherical_centres(vectors, 5, random_state=seed)
        assert sorted(np.abs(centres).argmax(axis=1).tolist()) == [0, 1, 2, 3, 4]
        assert choose_count(vectors, random_state=seed) == 5
    assert faiss.omp_get_max_threads() == threads


def test_few_texts_get_two_topics_by_themselves(store):
    assert len(store.topics().topics) == 2


# The command line.


def test_the_command_prints_rows_and_a_table_of_topics(cli, about, tmp_path):
    done = cli("topics", "about", "--count", "4")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "id,text,topic,topic_name,score"
    assert done.stdout.splitlines()[-1] == "r102, ,,,"
    lines = done.stderr.splitlines()
    assert lines[0].split() == ["topic", "share", "tight", "words", "typical", "text"]
    assert [line.split()[:2] for line in lines[1:5]] == [["1", "40.6%"], ["2", "29.7%"], ["3", "19.8%"], ["4", "9.9%"]]
    typical = [line[lines[0].index("typical text") :] for line in lines[1:5]]
    assert set(typical) < set(sentences(MANY)), "texts are cut off only where a terminal is narrow"
    words = ["topics", "about", "-o", tmp_path / "t.parquet", "--plot", tmp_path / "t.png", "--json"]
    summary = json.loads(cli(*words).stdout)
    assert [topic["rows"] for topic in summary["topics"]] == [41, 30, 20, 10]
    assert summary["rows"] == len(pd.read_parquet(tmp_path / "t.parquet")) == 103
    assert (tmp_path / "t.png").stat().st_size > 0
    assert "for 200 topics" in cli.fails(2, "topics", "about", "--count", "200")


def test_the_command_gives_a_corpus_the_topics_of_another(cli, about):
    about.add([{"id": "n", "text": "the sky and moon of it"}], text="text", id="id", corpus="new")
    about.encode(corpus="new")
    done = cli("topics", "about", "--count", "4", "--corpus", "new", "--like", "train")
    assert done.stdout.splitlines()[1].startswith("n,the sky and moon of it,4,")


def test_topics_become_a_label_file_to_edit(cli, about, tmp_path):
    file = tmp_path / "mine.yaml"
    done = cli("labels", "init", "about", file, "--topics", "--count", "4", "-k", "3")
    assert done.returncode == 0, done.stderr
    labels = LabelSet.read(file)
    assert labels.names == tuple(topic.name for topic in about.topics(4).topics)
    assert {len(texts) for texts in labels.texts} == {3}
    assert "found neither" in cli.fails(2, "labels", "init", "about", tmp_path / "o.yaml")
    assert "found both" in cli.fails(2, "labels", "init", "about", tmp_path / "o.yaml", "--topics", "--target", "id")
    assert "give --topics" in cli.fails(
        2, "labels", "init", "about", tmp_path / "o.yaml", "--target", "id", "--count", "3"
    )
