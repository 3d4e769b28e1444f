from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from embedstore.labels import terms
from embedstore.labels.fewshot import blend
from embedstore.labels.label_set import LabelSet
from embedstore.labels.terms import Terms
from embedstore.labels.words import out_of_fold
from embedstore.labels.zeroshot import balance_to_shares, common_words, refine, standardised, topic_bias


@pytest.fixture
def corpus():
    """600 texts of two classes: vectors point a little to their side, and words say more than vectors."""
    rng = np.random.default_rng(0)
    side = rng.integers(0, 2, 600)
    vectors = rng.normal(size=(600, 32))
    vectors[:, 0] += np.where(side == 1, 1.0, -1.0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    words = [["grim", "sour", "flat", "dull"], ["bright", "sweet", "crisp", "warm"]]
    texts = [" ".join([*rng.choice(words[one], 2), *rng.choice(["tea", "cup", "lamp", "desk"], 3)]) for one in side]
    prototypes = np.zeros((2, 32), dtype=np.float32)
    prototypes[:, 0] = -1, 1
    return side, vectors.astype(np.float32), texts, prototypes


def accuracy(scores, side):
    return (scores.argmax(axis=1) == side).mean()


def test_a_quarter_of_a_labels_mean_is_taken_for_its_bias(corpus):
    _, vectors, texts, prototypes = corpus
    cosines = vectors @ prototypes.T + np.array([0.0, 0.2], dtype=np.float32)
    found = refine(cosines, texts, steps=("centre",))
    wanted = cosines.astype(np.float64) - 0.25 * cosines.astype(np.float64).mean(axis=0)
    shares = np.bincount(wanted.argmax(axis=1), minlength=2) / 600
    assert np.allclose(found.shares, shares)
    assert np.abs(np.bincount(found.scores.argmax(axis=1)) / 600 - shares).max() < 0.02


def test_a_kntopic_bias_is_taken_off_whole(corpus):
    side, vectors, texts, prototypes = corpus
    cosines = vectors @ prototypes.T
    wanted = refine(cosines, texts, bias=np.zeros(2))
    found = refine(cosines + np.array([0.1, -0.3], dtype=np.float32), texts, bias=np.array([0.1, -0.3]))
    assert np.allclose(found.shares, wanted.shares, atol=0.01)
    assert (found.scores.argmax(axis=1) == wanted.scores.argmax(axis=1)).mean() > 0.98
    assert accuracy(found.scores, side) > accuracy(refine(cosines, texts).scores, side) - 0.02


def test_common_words_are_those_that_are_not_everywhere():
    common = [f"word{number:03d}" for number in range(320)]
    # word000 stands in 38 texts, word319 in 6 of 1,000; "the" in all, and each text has a word of its own.
    texts = [["the", f"own{row}"] for row in range(1000)]
    for number, word in enumerate(common):
        for row in range(38 - number // 10):
            texts[(row * 23 + number) % 1000].append(word)
    found = common_words([" ".join(words) for words in texts])
    assert found == common[:300]
    assert common_words(["one two three"] * 500) == []
    assert common_words([""]) == []
    few = ["grim sour flat", "grim dull flat", "cold flat", "low", "weak mean bright warm kind fair"]
    assert common_words(few, least=1) == sorted(
        ["bright", "cold", "dull", "fair", "grim", "kind", "low", "mean", "sour", "warm", "weak"], key="grim".__ne__
    )


def test_the_bias_of_a_scale_is_that_of_statements_near_to_each_text(encoder):
    texts = [f"common{row % 40} own{row}" for row in range(1000)]
    bad, good = ("grim sour flat dull cold", "mean low weak"), ("bright warm", "kind fair")
    labels = LabelSet(("Bad", "Good"), (bad, good), ordinal=True)

    def vectors_of(some):
        return np.stack([encoder.vector(text) for text in some])

    def statements(words):
        forms = ("Here is something about {}.", "There is {} in it.")
        return np.stack([(vectors_of([form.format(word) for form in forms])).mean(axis=0) for word in words])

    vectors, prototypes = vectors_of(texts), labels.prototypes(vectors_of)
    found = topic_bias(labels, prototypes, texts, vectors, vectors_of, block=300)
    here = statements([f"common{i:02d}".replace("common0", "common") for i in range(40)])
    there = statements(" ".join(bad + good).split())
    middle = ((vectors_of(bad) @ prototypes.T).mean(axis=0) + (vectors_of(good) @ prototypes.T).mean(axis=0)) / 2
    scores = here @ prototypes.T - (there @ prototypes.T).mean(axis=0) + middle
    cosines = vectors @ (here / np.linalg.norm(here, axis=1, keepdims=True)).T
    weights = np.exp((cosines - cosines.mean()) / cosines.std())
    assert found.shape == (1000, 2)
    assert np.allclose(found, weights @ scores / weights.sum(axis=1, keepdims=True), atol=1e-5)


def test_where_the_bias_of_labels_is_not_told(encoder):
    def vectors_of(some):
        return np.stack([encoder.vector(text) for text in some])

    def bias(labels, texts):
        return topic_bias(labels, labels.prototypes(vectors_of), texts, vectors_of(texts), vectors_of)

    texts = [f"common{row % 40} own{row}" for row in range(1000)]
    words = (("grim sour flat dull cold", "mean low weak"), ("grey",), ("bright warm", "kind fair"))
    scale = LabelSet(("Bad", "So", "Good"), words, ordinal=True)
    assert bias(scale, texts).shape == (1000, 3)
    assert bias(scale, ["too few"] * 20) is None
    assert bias(LabelSet(("Tea", "Cup", "Lamp"), words), texts) is None  # topics
    assert bias(LabelSet(("Bad", "Good"), (("grim",), ("bright",)), ordinal=True), texts) is None
    assert bias(replace(LabelSet.of([f"step{i}" for i in range(12)]), ordinal=True), texts) is None  # names alone


def test_words_that_go_with_the_tags_correct_them(corpus):
    side, vectors, texts, prototypes = corpus
    cosines = vectors @ prototypes.T
    plain = accuracy(cosines, side)
    assert accuracy(refine(cosines, texts).scores, side) > plain + 0.02
    shuffled = [texts[one] for one in np.random.default_rng(3).permutation(600)]
    assert accuracy(refine(cosines, shuffled).scores, side) > plain - 0.06


def test_given_shares_are_those_of_the_tags(corpus):
    _, vectors, texts, prototypes = corpus
    found = refine(vectors @ prototypes.T, texts, shares=[0.2, 0.8])
    assert abs((found.scores.argmax(axis=1) == 0).mean() - 0.2) < 0.02


def test_a_text_is_not_scored_by_a_model_that_has_learnt_its_own_tag():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 500)
    folds = rng.integers(0, 5, 500)
    own = np.eye(500, dtype=np.float32)  # a feature of its own for each text: only its own tag could tell
    scores = out_of_fold(LogisticRegression(), own, labels, np.arange(500), folds, 2)
    assert (scores.argmax(axis=1) == labels).mean() < 0.6


@pytest.mark.parametrize("most", [50_000, 40, 3])
def test_terms_weigh_what_they_do_in_scikit_learn(monkeypatch, most):
    monkeypatch.setattr(terms, "_MOST", most)
    rng = np.random.default_rng(most)
    words = [
        "tea",
        "TEA-pot",
        "a",
        "x_1",
        "no.1",
        "don't",
        "\u00c9tat",
        "\u00e9tat",
        "\u7801\u7801",
        "\u0130st",
        "42",
        "!",
        "z\n",
    ]
    texts = [" ".join(rng.choice(words, rng.integers(0, 9))) for _ in range(300)]
    texts += [" ".join(f"{word}{one}" for word in "abc") for one in range(30)]  # rare words, and their pairs
    oracle = TfidfVectorizer(sublinear_tf=True, min_df=3, ngram_range=(1, 2), max_features=most).fit(texts[:200])
    wanted, found = oracle.transform(texts), Terms(texts[:200]).transform(texts)
    assert wanted.nnz > 100
    assert (wanted != found).nnz == 0
    assert np.array_equal(wanted.data, found.data)


def test_refining_twice_gives_the_same(corpus):
    _, vectors, texts, prototypes = corpus
    one, two = (refine(vectors @ prototypes.T, texts).scores for _ in range(2))
    assert np.array_equal(one, two)


def test_texts_without_common_words_are_centred(corpus):
    _, vectors, _, prototypes = corpus
    texts = [f"w{number}" for number in range(600)]
    found = refine(vectors @ prototypes.T, texts)
    assert found.notes == ("hardly a word stands in three texts or more: nothing is learnt from words",)
    assert np.array_equal(found.scores, refine(vectors @ prototypes.T, texts, steps=("centre",)).scores)


def test_nothing_is_learnt_from_few_texts_or_from_one_label(corpus):
    _, vectors, texts, prototypes = corpus
    few = refine((vectors @ prototypes.T)[:50], texts[:50])
    assert "too few" in few.notes[0]
    one_sided = refine(vectors @ prototypes.T + np.array([0.0, 9.0], dtype=np.float32), texts)
    assert "one label takes" in one_sided.notes[0]


def test_standardised_scores_have_no_mean_and_unit_spread():
    scores = standardised(np.random.default_rng(0).normal(3, 5, size=(50, 4)))
    assert np.allclose(scores.mean(axis=0), 0)
    assert np.allclose(scores.mean(axis=1), 0)
    assert np.sqrt(np.mean(scores**2)) == pytest.approx(1)
    assert not standardised(np.ones((3, 2))).any()


def test_biases_give_any_shares():
    scores = np.random.default_rng(0).normal(size=(5000, 4))
    wanted = np.array([0.1, 0.2, 0.3, 0.4])
    found = np.bincount(balance_to_shares(scores, wanted).argmax(axis=1)) / 5000
    assert np.abs(found - wanted).max() < 0.01


def test_labelled_texts_move_the_tags_and_are_not_judged_by_themselves(corpus):
    side, vectors, _, prototypes = corpus
    weak = np.roll(prototypes, 1, axis=1) * 0.9 + 0.1 * prototypes
    weak /= np.linalg.norm(weak, axis=1, keepdims=True)
    scores = standardised((vectors @ weak.T).astype(np.float64))
    before = accuracy(scores, side)
    rows = np.arange(0, 600, 4)
    found = blend(scores, vectors, rows, side[rows])
    rest = np.setdiff1d(np.arange(600), rows)
    assert accuracy(found[rest], side[rest]) > before + 0.1
    # A wrong label of one text does not change that text's own scores.
    wrong = side[rows].copy()
    wrong[0] = 1 - wrong[0]
    other = blend(scores, vectors, rows, wrong)
    assert np.allclose(other[rows[0]], found[rows[0]])
    assert blend(scores, vectors, rows[:0], side[:0]) is scores


@pytest.mark.parametrize("count", [1, 7, 40])
def test_the_blend_is_the_mode_of_a_softmax_regression_with_normal_priors(corpus, count):
    side, vectors, _, prototypes = corpus
    scores = standardised((vectors @ prototypes.T).astype(np.float64))
    rows = np.arange(count) * 3
    centred = (vectors - vectors.mean(axis=0)).astype(np.float64)
    given = np.eye(2)[side[rows]]
    dim = vectors.shape[1]

    # Every weight of every dimension is an unknown here, and the gradient is left to differences.
    def lost(at):
        slope, bias, weights = at[0], at[1:3], at[3:].reshape(dim, 2)
        odds = slope * scores[rows] + centred[rows] @ weights + bias
        held = 5 * (slope - 2) ** 2 + 5 * np.sum(bias**2) + 0.4 * np.sum(weights**2)
        return held / 2 - np.sum(given * (odds - np.log(np.exp(odds).sum(axis=1, keepdims=True))))

    at = minimize(lost, np.r_[2.0, np.zeros(2 + 2 * dim)], options={"gtol": 1e-7}).x
    odds = at[0] * scores + centred @ at[3:].reshape(dim, 2) + at[1:3]
    odds -= odds.mean(axis=1, keepdims=True)
    rest = np.setdiff1d(np.arange(600), rows)
    assert np.allclose(blend(scores, vectors, rows, side[rows])[rest], (odds / odds.std())[rest], atol=2e-3)


def test_the_only_labelled_text_keeps_its_own_scores(corpus):
    side, vectors, _, prototypes = corpus
    scores = standardised((vectors @ prototypes.T).astype(np.float64))
    found = blend(scores, vectors, np.array([5]), np.array([1 - side[5]]))
    assert np.allclose(found[5], scores[5])
    assert np.argmax(found[5]) == np.argmax(scores[5])
