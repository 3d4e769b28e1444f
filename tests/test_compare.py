"""The table of methods: every figure as plain scikit-learn gives it."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import HashEncoder
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import train_test_split

import embedstore
from embedstore.errors import InputError, ModelRequiredError
from embedstore.labels.mixture import topic_scores
from embedstore.reports.metrics import intervals, report
from embedstore.vectors.clustering import spherical_centres


@pytest.fixture
def named(tmp_path, encoder):
    """Sixty rows of two classes, whose words tell them apart a little."""
    rng = np.random.default_rng(1)
    rows = []
    for number in range(60):
        good = number % 3 != 0
        words = rng.choice(["tea", "lamp", "shirt", "fine" if good else "poor", "nice" if good else "awful"], 4)
        rows.append(
            {"review": f"{' '.join(words)} {number}", "mood": "good" if good else "bad", "stars": int(good) + 1}
        )
    store = embedstore.create(tmp_path / "home" / "named", encoder=encoder)
    store.add(rows[:40], text="review")
    store.add(rows[40:], text="review", corpus="test")
    store.encode()
    return store


def figures(given, predicted):
    return accuracy_score(given, predicted), f1_score(given, predicted, average="macro")


def oracle(store, train_rows, test_rows, test_corpus="train"):
    one, other = store.corpus("train"), store.corpus(test_corpus)
    texts = [store.space().vectors(corpus) for corpus in (one, other)]
    review = [np.array(corpus.column("review").to_pylist()) for corpus in (one, other)]
    mood = [np.array(corpus.column("mood").to_pylist()) for corpus in (one, other)]
    x, y, xt, yt = texts[0][train_rows], mood[0][train_rows], texts[1][test_rows], mood[1][test_rows]
    words = TfidfVectorizer().fit(review[0][train_rows])
    sparse = [words.transform(r[rows]) for r, rows in ((review[0], train_rows), (review[1], test_rows))]
    centres = np.stack([x[y == name].mean(axis=0) for name in ("bad", "good")])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    labels = np.stack([HashEncoder().vector(name) for name in ("bad", "good")])
    names = np.array(["bad", "good"])
    groups = spherical_centres(np.ascontiguousarray(x), 2, random_state=42)
    of_train, of_test = (x @ groups.T).argmax(axis=1), (xt @ groups.T).argmax(axis=1)
    class_of = np.array([pd.Series(y[of_train == number]).mode()[0] for number in (0, 1)])
    every = {text: vector for side in (0, 1) for text, vector in zip(review[side], texts[side], strict=True)}
    refined = topic_scores(np.stack(list(every.values())), labels, list(every)).scores
    best = dict(zip(every, names[refined.argmax(axis=1)], strict=True))
    return {
        "majority class": figures(yt, DummyClassifier().fit(x, y).predict(xt)),
        "TF-IDF + LogReg": figures(yt, LogisticRegression(max_iter=1000).fit(sparse[0], y).predict(sparse[1])),
        "cosine labels": figures(yt, names[(xt @ labels.T).argmax(axis=1)]),
        "best labels": figures(yt, [best[text] for text in review[1][test_rows]]),
        "topics": figures(yt, class_of[of_test]),
        "class centroids": figures(yt, names[(xt @ centres.T).argmax(axis=1)]),
        "LogReg": figures(yt, LogisticRegression(max_iter=1000).fit(x, y).predict(xt)),
    }


def test_every_line_equals_plain_scikit_learn(named):
    found = named.compare("mood", test_corpus="test")
    expected = oracle(named, np.arange(40), np.arange(20), "test")
    assert [score.method for score in found.scores] == list(expected)
    for score in found.scores:
        assert (score.accuracy, score.macro_f1) == pytest.approx(expected[score.method])
        assert score.accuracy_low <= score.accuracy <= score.accuracy_high
        assert score.rows == 20
    assert [score.encoded for score in found.scores] == [0, 0, 2, 0, 0, 0, 0]
    assert "best labels: 60 texts are too few to find 2 topics in (100 would do): scores are centred" in found.notes
    assert named.compare("mood", test_corpus="test").scores[2].encoded == 0
    assert any(note.startswith("2 topics of ") and "mutual information" in note for note in found.notes)


def test_without_a_test_corpus_the_rows_of_train_are_held_out(named):
    y = named.corpus("train").column("mood").to_pylist()
    train_rows, test_rows = train_test_split(np.arange(40), test_size=0.2, stratify=y, random_state=42)
    expected = oracle(named, train_rows, test_rows)
    found = named.compare("mood", corpus="train")
    for score in found.scores:
        assert (score.accuracy, score.macro_f1) == pytest.approx(expected[score.method])
    logreg = found.scores[-1]
    assert logreg.accuracy == pytest.approx(named.train("mood", corpus="train").report.accuracy)


def test_answers_of_people_are_compared_with(named):
    mood = named.corpus("train").column("mood").to_pylist()
    named.annotations.import_table([{"id": i, "label": mood[i]} for i in range(30)], ["bad", "good"], corpus="train")
    found = named.compare("annotations", corpus="train")
    assert [score.rows for score in found.scores] == [6] * 8
    assert [score.method for score in found.scores][3:5] == ["best labels", "best labels + answers"]
    assert (
        "best labels + answers: learnt from 24 answered texts; 6 more are of test rows and are left out" in found.notes
    )
    assert "10 of 40 rows of corpus 'train' have no 'annotations' and are left out" in found.notes


def test_answers_are_blended_in_but_those_to_test_rows(named):
    y = named.corpus("train").column("mood").to_pylist()
    train_rows, test_rows = train_test_split(np.arange(40), test_size=0.2, stratify=y, random_state=42)
    answers = [{"id": int(i), "label": y[i]} for i in train_rows[:12]]
    named.annotations.import_table(answers, ["bad", "good"], corpus="train")
    learnt = named.compare("mood", corpus="train").scores[4]
    tagged = named.tag(["bad", "good"], method="best", examples=True, corpus="train").to_pandas()["Predicted_Labels"]
    assert learnt.method == "best labels + answers"
    assert (learnt.accuracy, learnt.macro_f1) == pytest.approx(figures(np.array(y)[test_rows], tagged[test_rows]))
    wrong = [{"id": int(i), "label": "good" if y[i] == "bad" else "bad"} for i in test_rows]
    named.annotations.import_table(wrong, ["bad", "good"], corpus="train")
    again = named.compare("mood", corpus="train")
    assert again.scores[4].accuracy == learnt.accuracy
    assert (
        "best labels + answers: learnt from 12 answered texts; 8 more are of test rows and are left out" in again.notes
    )


def test_answers_in_the_training_corpus_count_for_a_test_corpus(named):
    y = named.corpus("train").column("mood").to_pylist()
    named.annotations.import_table([{"id": i, "label": y[i]} for i in range(20)], ["bad", "good"], corpus="train")
    found = named.compare("mood", corpus="train", test_corpus="test")
    assert [score.rows for score in found.scores] == [20] * 8
    without = named.compare("mood", corpus="test", test_corpus="train").scores
    assert "best labels + answers" not in [score.method for score in without]


def test_the_best_method_is_left_out_where_it_would_need_the_model(tmp_path, encoder):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    store.add([{"t": f"text {i}", "mood": "Positive" if i % 2 else "Negative"} for i in range(20)], text="t")
    store.encode()
    store.tag(["Negative", "Positive"])  # their descriptions have no vectors
    found = store.compare("mood", no_encode=True)
    assert "best labels" not in [score.method for score in found.scores]
    assert any(note.startswith("best labels of hash are left out: ") for note in found.notes)
    assert "best labels" in [score.method for score in store.compare("mood").scores]


def test_classes_without_names_are_tagged_through_a_mapping(named):
    without = named.compare("stars", test_corpus="test")
    assert "cosine labels" not in [score.method for score in without.scores]
    assert "the classes have no names" in without.notes[0]
    mapping = ["1=bad", "2=good"]
    found = named.compare("stars", test_corpus="test", labels=["bad", "good"], mapping=mapping)
    expected = oracle(named, np.arange(40), np.arange(20), "test")
    assert found.scores[2].accuracy == pytest.approx(expected["cosine labels"][0])
    with pytest.raises(InputError, match="column 'stars' holds '2', which is none of the labels bad, good"):
        named.compare("stars", test_corpus="test", labels=["bad", "good"], mapping=["1=bad"])
    with pytest.raises(InputError, match="with a label of bad, good, found '1=ugly'"):
        named.compare("stars", test_corpus="test", labels=["bad", "good"], mapping=["1=ugly"])


@pytest.fixture
def three(tmp_path, encoder):
    """Forty rows to learn and 20 to test of three classes in turn."""
    names = ["bad", "fair", "good"]
    rows = [{"review": f"{names[n % 3]} tea {n}", "mood": names[n % 3], "stars": n % 3 + 1.0} for n in range(60)]
    store = embedstore.create(tmp_path / "home" / "three", encoder=encoder)
    store.add(rows[:40], text="review")
    store.add(rows[40:], text="review", corpus="test")
    store.encode()
    return store


@pytest.mark.parametrize(("column", "mapping"), [("mood", ["fair="]), ("stars", ["1=bad", "2=", "3=good"])])
def test_a_class_that_the_mapping_leaves_out_is_left_out_for_every_method(three, column, mapping):
    found = three.compare(column, test_corpus="test", labels=["bad", "good"], mapping=mapping)
    assert [score.rows for score in found.scores] == [13] * 7
    shown = mapping[0 if column == "mood" else 1].removesuffix("=")
    assert f"--map leaves {shown!r} out: 7 test rows and 13 training rows, for every method" in found.notes
    rows = {name: [n for n, mood in enumerate(three.corpus(name).column("mood").to_pylist()) if mood != "fair"]
            for name in ("train", "test")}  # fmt: skip
    x, xt = (three.space().vectors(three.corpus(name))[rows[name]] for name in ("train", "test"))
    y, yt = (np.array(three.corpus(name).column(column).to_pylist())[rows[name]] for name in ("train", "test"))
    expected = figures(yt, LogisticRegression(max_iter=1000).fit(x, y).predict(xt))
    assert (found.scores[-1].accuracy, found.scores[-1].macro_f1) == pytest.approx(expected)
    with pytest.raises(InputError, match="expected at least two classes of 'mood'"):
        three.compare("mood", test_corpus="test", mapping=["fair=", "good="])


def test_the_verdict_sets_the_best_vectors_against_words(named):
    found = named.compare("mood", test_corpus="test")
    words, logreg = found.scores[1], found.scores[-1]
    assert found.verdict.startswith("LogReg on hash ")
    assert f"{100 * (logreg.accuracy - words.accuracy):+.1f} points" in found.verdict


def test_a_checkpoint_beside_the_others_is_encoded_once(cli, checkpoint, tmp_path):
    folder = checkpoint("distilbert", id2label={0: "bad", 1: "good"})
    rows = [
        {"review": f"{word} {i}", "mood": mood} for i in range(12) for word, mood in (("fine", "good"), ("poor", "bad"))
    ]
    store = embedstore.create(cli.home / "moods")
    store.add(rows, text="review")
    store.encode(str(folder), options=embedstore.EncoderOptions(pooling="mean"))
    done = cli("compare", "moods", "--target", "mood", "--classify", folder, "--json", "-o", tmp_path / "table.csv")
    assert done.returncode == 0, done.stderr
    scores = json.loads(done.stdout)["scores"]
    assert [(score["method"], score["encoded"]) for score in scores[2:]] == [
        ("cosine labels", 2), ("best labels", 0), ("topics", 0), ("class centroids", 0), ("LogReg", 0),
        ("finetuned checkpoint", 24),
    ]  # fmt: skip
    frame = store.classify(str(folder)).to_pandas()
    _, test_rows = train_test_split(np.arange(24), test_size=0.2, stratify=frame["mood"], random_state=42)
    right = frame["mood"] == frame["Predicted_Labels"]
    assert scores[-1]["accuracy"] == pytest.approx(right.iloc[test_rows].mean())
    assert list(pd.read_csv(tmp_path / "table.csv")["method"]) == [score["method"] for score in scores]
    store.classify(str(folder), max_seq_length=10)
    lengths = cli("compare", "moods", "--target", "mood", "--no-encode", "--classify", folder, "--max-seq-length", 11)
    assert lengths.returncode == 3
    again = cli("compare", "moods", "--target", "mood", "--no-encode", "--classify", folder)
    assert again.returncode == 0, again.stderr
    assert "logits of bad, good; softmax" in cli("info", "moods").stdout
    lines = again.stdout.splitlines()
    assert ["finetuned checkpoint" in line for line in lines[-4:-2]] == [True, True]
    assert lines[-3].split()[-1] == "0"


def test_logits_that_do_not_fit_the_classes_are_left_out_unless_asked_for(checkpoint, tmp_path):
    folder = str(checkpoint("distilbert"))
    store = embedstore.create(tmp_path / "store")
    store.add([{"review": f"{'fine' if i % 2 else 'poor'} {i}", "mood": "good" if i % 2 else "bad"} for i in range(20)],
              text="review")  # fmt: skip
    store.classify(folder, max_seq_length=10)
    found = store.compare("mood")
    assert [score.method for score in found.scores] == ["majority class", "TF-IDF + LogReg"]
    assert any("finetuned checkpoint" in note and "are none of the labels LABEL_0" in note for note in found.notes)
    with pytest.raises(InputError, match="are none of the labels LABEL_0, LABEL_1"):
        store.compare("mood", classify=[folder], no_encode=True)  # the logits are there, if of another length


def test_a_space_that_lacks_rows_is_left_out_with_a_note(named, encoder):
    named.add(
        [{"review": f"new {i}", "mood": "good" if i % 2 else "bad", "stars": 1} for i in range(20)],
        text="review",
        corpus="new",
    )
    found = named.compare("mood", corpus="new")
    assert [score.method for score in found.scores] == ["majority class", "TF-IDF + LogReg"]
    assert any("is left out" in note and "have no vector" in note for note in found.notes)
    with pytest.raises(ModelRequiredError):
        named.compare("mood", corpus="train", labels=["never", "seen"], no_encode=True)


def counted_figures(given, predicted):
    """Return `figures` of classes that are numbers below 3, all of which are there."""
    pairs = np.bincount(3 * given + predicted, minlength=9).reshape(3, 3)
    right = np.diagonal(pairs)
    return right.sum() / len(given), np.mean(2 * right / (pairs.sum(axis=0) + pairs.sum(axis=1)))


def test_intervals_are_those_of_resampled_rows():
    rng = np.random.default_rng(0)
    given = rng.integers(0, 3, 300)
    predicted = np.where(rng.random(300) < 0.5, given, 0)
    assert counted_figures(given, predicted) == pytest.approx(figures(given, predicted))
    draws = []
    for _ in range(2000):
        rows = rng.integers(0, 300, 300)
        draws.append(counted_figures(given[rows], predicted[rows]))
    expected = np.percentile(draws, [2.5, 97.5], axis=0)
    found = intervals(report(list(map(str, given)), list(map(str, predicted))))
    np.testing.assert_allclose(found.accuracy, expected[:, 0], atol=0.01)
    np.testing.assert_allclose(found.macro_f1, expected[:, 1], atol=0.01)


def test_the_table_lines_up_and_bad_calls_say_so(cli, named):
    done = cli("compare", "named", "--target", "mood", "--test-corpus", "test", "--no-encode")
    assert "and --no-encode forbids" in done.stderr
    named.tag(["bad", "good"])
    done = cli("compare", "named", "--target", "mood", "--test-corpus", "test", "--no-encode")
    table = done.stdout.splitlines()[2:9]
    assert len({len(line) for line in table}) == 1
    assert table[0].split() == ["method", "vectors", "of", "rows", "accuracy", "macro-F1", "seconds", "encoded"]
    assert "there are" in cli.fails(1, "compare", "named", "--target", "nothing")
    cli.fails(2, "compare", "named", "--target", "mood", "-l", "a", "-l", "b", "--labels", "x.txt")
    cli.fails(1, "compare", "named", "--target", "mood", "--corpus", "train", "-o", "table.docx")
    cli.fails(1, "compare", "named", "--target", "review", "--corpus", "train")


def test_one_checkpoint_in_two_folders_is_encoded_once(checkpoint, tmp_path):
    folder = checkpoint("distilbert")
    copied = shutil.copytree(folder, tmp_path / "copy")
    store = embedstore.create(tmp_path / "store")
    store.add([{"review": f"text {i}", "mood": f"LABEL_{i % 2}"} for i in range(20)], text="review")
    progress = []
    found = store.compare("mood", classify=[str(folder), str(copied), str(folder)], on_progress=progress.append)
    assert [score.encoded for score in found.scores if score.method == "finetuned checkpoint"] == [20]
    assert sum(one.done == one.total and not one.cached for one in progress) == 1
