import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA

from embedstore.core import blocks
from embedstore.core.unit import unit_rows
from embedstore.labels.fewshot import Answers, blend
from embedstore.labels.label_set import LabelSet
from embedstore.labels.mixture import Mixture, TopicSettings, balanced_cosines, spread, topic_scores
from embedstore.labels.regime import explained, regime_of
from embedstore.tagging.best import Best, Scale, Topics
from embedstore.tagging.scored import Scored
from embedstore.tagging.steps import refined

WORDS = ["lens zoom flash", "novel plot page", "soup pan oven", "shirt sleeve collar"]


def made(seed=0, counts=(300, 200, 100, 60), dim=24, apart=0.35, off=0.9):
    """Return texts around directions, labels that point beside them, words, and topics; all have a common part."""
    rng = np.random.default_rng(seed)
    topics = len(counts)
    centres = np.linalg.qr(rng.normal(size=(dim, topics + 1)))[0].T
    y = np.repeat(np.arange(topics), counts)
    common = centres[-1]
    vectors = unit_rows(common + apart * centres[y] + rng.normal(size=(len(y), dim)) * 0.12)
    labels = unit_rows(0.5 * common + apart * centres[:-1] + off * 0.3 * rng.normal(size=(topics, dim)) / np.sqrt(dim))
    texts = [" ".join([*rng.choice(WORDS[one].split(), 2), *rng.choice(["tea", "cup", "lamp"], 2)]) for one in y]
    order = rng.permutation(len(y))
    return vectors[order].astype(np.float32), labels.astype(np.float32), [texts[row] for row in order], y[order]


def right(scores, y):
    return float((scores.argmax(axis=1) == y).mean())


def softmax(rows):
    rows = np.exp(rows - rows.max(axis=1, keepdims=True))
    return rows / rows.sum(axis=1, keepdims=True)


def mixture_by_hand(vectors, labels, start, prior, answers=None):
    """Ten rounds of the mixture, label by label and text by text, with densities of SciPy."""
    mean = vectors.mean(axis=0)
    centred = vectors - mean
    axes = PCA(n_components=min(64 + len(labels), vectors.shape[1])).fit(vectors.astype(np.float64)).components_
    texts, anchors = centred @ axes.T, (labels - mean) @ axes.T
    count, even = len(texts), len(texts) / len(labels)
    weight = np.ones(count)
    known = {} if answers is None else dict(zip(answers.rows.tolist(), answers.labels.tolist(), strict=True))
    for row in known:
        weight[row] = 10
    belonging = start.copy()
    for _ in range(10):
        for row, label in known.items():
            belonging[row] = np.eye(len(labels))[label]
        sizes = [sum(weight[row] * belonging[row, one] for row in range(count)) for one in range(len(labels))]
        means = np.stack(
            [
                sum(weight[row] * belonging[row, one] * texts[row] for row in range(count)) / sizes[one]
                for one in range(len(labels))
            ]
        )
        middle, centre = means.mean(axis=0), anchors.mean(axis=0)
        scale = np.sum((means - middle) * (anchors - centre)) / np.sum((anchors - centre) ** 2)
        moved = middle + scale * (anchors - centre)
        held = [
            (size * own + 0.5 * even * label) / (size + 0.5 * even)
            for size, own, label in zip(sizes, means, moved, strict=True)
        ]
        within = sum(
            weight[row] * belonging[row, one] * np.outer(texts[row] - means[one], texts[row] - means[one])
            for row in range(count)
            for one in range(len(labels))
        ) / sum(weight)
        within = 0.7 * within + 0.3 * np.trace(within) / len(within) * np.eye(len(within))
        shares = (belonging.sum(axis=0) + 0.1 * even) / (1.1 * count)
        odds = np.stack(
            [
                multivariate_normal(own, within).logpdf(texts) + np.log(share)
                for own, share in zip(held, shares, strict=True)
            ],
            axis=1,
        )
        belonging = softmax(odds + prior)
    return odds + prior


@pytest.mark.parametrize("answered", [0, 7])
def test_the_mixture_is_the_one_computed_label_by_label(answered):
    vectors, labels, _, y = made(3, (30, 20, 12), dim=6)
    first = spread(balanced_cosines(vectors, labels))
    start, prior = softmax(5 * first), 0.3 * np.log(softmax(5 * first))
    answers = Answers(np.arange(0, 5 * answered, 5), y[0 : 5 * answered : 5]) if answered else None
    found = Mixture(vectors, labels, TopicSettings(), random_state=0).fit(vectors, start, prior, answers)
    wanted = mixture_by_hand(vectors, labels, start, prior, answers)
    assert np.allclose(
        found - found.mean(axis=1, keepdims=True), wanted - wanted.mean(axis=1, keepdims=True), atol=1e-5
    )


def test_centring_takes_off_the_mean_of_the_labels_means():
    vectors, labels, _, _ = made(1)
    labels = np.concatenate([labels, -vectors[:1]])  # nearest to no text
    nearest = (vectors @ labels.T).argmax(axis=1)
    assert 4 not in nearest
    common = np.mean([vectors[nearest == one].mean(axis=0) for one in range(4)], axis=0)
    wanted = unit_rows(vectors - common) @ unit_rows(labels - labels[:4].mean(axis=0)).T
    assert np.allclose(balanced_cosines(vectors, labels), wanted, atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_topics_are_found_where_their_labels_point_beside_them(seed):
    vectors, labels, texts, y = made(seed)
    plain = right(vectors @ labels.T, y)
    found = topic_scores(vectors, labels, texts)
    assert right(found.scores, y) > max(0.95, plain)
    assert np.allclose(found.shares, np.bincount(found.scores.argmax(axis=1), minlength=4) / len(y))
    assert not found.notes


def test_topic_scores_do_not_depend_on_the_order_of_labels():
    vectors, labels, texts, _ = made(2)
    turned = topic_scores(vectors, labels[::-1], texts).scores[:, ::-1]
    found = topic_scores(vectors, labels, texts).scores
    assert (found.argmax(axis=1) == turned.argmax(axis=1)).mean() > 0.99
    assert np.array_equal(found, topic_scores(vectors, labels, texts).scores)


def test_words_correct_the_mixture_and_are_left_out_where_there_are_none():
    vectors, labels, texts, y = made(5, apart=0.2)
    with_words = topic_scores(vectors, labels, texts)
    without = topic_scores(vectors, labels, [f"own{row}" for row in range(len(y))])
    assert "learnt from words" in without.notes[0]
    assert right(with_words.scores, y) > right(without.scores, y)


def test_few_texts_are_only_centred():
    vectors, labels, texts, _ = made(0, (20, 20, 20, 20))
    found = topic_scores(vectors, labels, texts)
    assert found.notes == ("80 texts are too few to find 4 topics in (100 would do): scores are centred",)
    assert np.array_equal(found.scores.argmax(axis=1), balanced_cosines(vectors, labels).argmax(axis=1))


@pytest.mark.parametrize("shares", [[0.4, 0.3, 0.2, 0.1], [0.05, 0.05, 0.2, 0.7]])
def test_given_shares_are_those_of_topics(shares):
    vectors, labels, texts, _ = made(0)
    found = topic_scores(vectors, labels, texts, shares=shares)
    tags = np.bincount(found.scores.argmax(axis=1), minlength=4) / len(texts)
    assert np.abs(tags - shares).max() < 0.03


def test_answers_move_labels_that_point_to_the_wrong_topic():
    vectors, labels, texts, y = made(4)
    labels[1] = -labels[1]  # its name says nothing of the topic
    rows = np.concatenate([np.flatnonzero(y == one)[:5] for one in range(4)])
    rest = np.setdiff1d(np.arange(len(y)), rows)
    assert right(topic_scores(vectors, labels, texts).scores[rest], y[rest]) < 0.75
    found = topic_scores(vectors, labels, texts, answers=Answers(rows, y[rows]))
    assert right(found.scores[rest], y[rest]) > 0.95


def test_answered_texts_are_not_judged_by_their_own_answers():
    rng = np.random.default_rng(0)
    vectors, labels = (unit_rows(rng.normal(size=(count, 64))).astype(np.float32) for count in (150, 2))
    rows, said = np.arange(0, 150, 3), rng.integers(0, 2, 50)  # answers by chance
    found = topic_scores(vectors, labels, ["no words"] * 150, answers=Answers(rows, said))
    assert right(found.scores[rows], said) < 0.7  # 1.0 with their own answers


def test_what_labels_explain_is_a_share_of_what_principal_components_explain():
    vectors, labels, _, _ = made(0)
    centred = vectors - vectors.mean(axis=0)
    axes = np.linalg.qr((labels[1:] - labels[0]).T)[0]
    along = np.sum((centred @ axes) ** 2)
    most = PCA(n_components=3).fit(vectors.astype(np.float64)).explained_variance_.sum() * (len(vectors) - 1)
    assert explained(labels, vectors) == pytest.approx(along / most, rel=1e-5)
    assert explained(np.repeat(labels[:1], 2, axis=0), vectors) == 0


def scored(labels, prototypes, vectors, texts, answers=None):
    return Scored(
        labels=labels,
        prototypes=prototypes,
        cosines=vectors @ prototypes.T,
        vectors=vectors,
        texts=lambda: texts,
        vectors_of=lambda some: np.ones((len(some), vectors.shape[1]), dtype=np.float32),
        answers=answers,
    )


def test_answers_go_into_the_mixture_and_are_then_blended_in():
    vectors, prototypes, texts, y = made(0)
    rows = np.arange(0, 600, 20)
    answers = Answers(rows, y[rows])
    names = LabelSet.of(["camera", "book", "kitchen", "clothes"])
    wanted = topic_scores(vectors, prototypes, texts, answers=answers).scores
    found = refined(Topics(), scored(names, prototypes, vectors, texts, answers))
    assert np.array_equal(found.scores, blend(wanted, vectors, rows, y[rows]))
    assert found.notes == ("30 annotated texts are blended in",)


def test_best_takes_labels_for_topics_or_for_a_scale_and_says_why():
    vectors, prototypes, texts, _ = made(0)
    names = LabelSet.of(["camera", "book", "kitchen", "clothes"])
    found = Best().refine(scored(names, prototypes, vectors, texts))
    assert found.notes[0].startswith("the labels are treated as topics, because")
    assert np.array_equal(found.scores, Topics().refine(scored(names, prototypes, vectors, texts)).scores)

    vectors[:, -1] *= 0.1  # along the last axis texts are alike, and the labels differ
    small = np.zeros((2, vectors.shape[1]), dtype=np.float32)
    small[:, -1] = -1, 1
    two = LabelSet.of(["fine", "not fine"])
    found = Best().refine(scored(two, small, vectors, texts))
    assert found.notes[0].startswith("the labels are treated as opinions on a scale")
    assert np.array_equal(found.scores, Scale().refine(scored(two, small, vectors, texts)).scores)


def test_an_ordinal_set_is_a_scale():
    vectors, prototypes, _, _ = made(0)
    labels = LabelSet(("a", "b", "c", "d"), (("a",), ("b",), ("c",), ("d",)), ordinal=True)
    assert regime_of(labels, prototypes, vectors).name == "scale"


def test_what_texts_have_in_common_does_not_depend_on_how_many_are_added_up_at_once(monkeypatch):
    vectors, prototypes, _, _ = made()
    whole = balanced_cosines(vectors, prototypes)
    monkeypatch.setattr(blocks, "_BYTES", 0)
    assert np.array_equal(balanced_cosines(vectors, prototypes), whole)
