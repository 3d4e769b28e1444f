from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, softmax

import embedstore
from embedstore.annotations.advice import Advice, Advisor
from embedstore.annotations.order import Questions
from embedstore.annotations.typical import typical_texts
from embedstore.core.unit import unit_rows
from embedstore.labels.fewshot import fit_blend, folds_of
from embedstore.labels.label_set import LabelSet
from embedstore.labels.zeroshot import standardised

NAMES = ["Books", "Tea", "Garden"]


def corpus_of(seed: int, texts: int = 600, apart: float = 1.0, dim: int = 24):
    """Return vectors, labels' vectors and true labels; the labels' vectors are near the middle of their texts."""
    rng = np.random.default_rng(seed)
    middles = apart * rng.normal(size=(3, dim)) / np.sqrt(dim) * 2
    y = rng.choice(3, texts, p=[0.5, 0.3, 0.2])
    vectors = unit_rows(middles[y] + rng.normal(size=(texts, dim)) / 2)
    return vectors, unit_rows(middles + 0.6 * rng.normal(size=middles.shape) / np.sqrt(dim)), y


def advisor_of(vectors, prototypes, *, ordinal: bool = False) -> Advisor:
    return Advisor(replace(LabelSet.of(NAMES), ordinal=ordinal), prototypes, vectors)


def test_without_ten_answers_of_two_labels_there_is_no_advice():
    vectors, prototypes, y = corpus_of(0)
    advisor = advisor_of(vectors, prototypes)
    assert advisor.advise(np.arange(9), y[:9]) is None
    assert advisor.advise(np.flatnonzero(y == 1)[:20], np.ones(20, dtype=np.int64)) is None
    assert advisor.advise(np.arange(len(y)), y) is None, "no other text is left"
    advice = advisor.advise(np.arange(34), y[:34])
    assert (advice.answers, advice.changed, advice.gain, advice.pays, advice.outlook) == (34, None, None, None, "")
    assert advisor.advise(np.arange(35), y[:35]).changed is not None


def test_the_advice_is_the_mean_calibrated_confidence_of_the_other_texts():
    vectors, prototypes, y = corpus_of(1)
    advice = advisor_of(vectors, prototypes, ordinal=True).advise(rows := np.arange(3, 63), y[rows])
    scores = standardised((vectors @ prototypes.T).astype(np.float64))
    centred = vectors - vectors.mean(axis=0)

    def found(given, asked):
        return fit_blend(scores[given], centred[given], y[given]).scores(scores[asked], centred[asked])

    def odds(said):
        best = softmax(said, axis=1).max(axis=1).clip(1e-4, 1 - 1e-4)
        return np.log(best / (1 - best))

    sure, right = np.zeros(60), np.zeros(60)
    for others in folds_of(60, 42):
        said = found(rows[others], rows[~others])
        sure[~others], right[~others] = odds(said), said.argmax(axis=1) == y[rows[~others]]

    def loss(at):
        chance = expit(at[0] + at[1] * sure)
        told = np.sum(right * np.log(chance) + (1 - right) * np.log(1 - chance))
        return at[0] ** 2 / 2 + (at[1] - 1) ** 2 / (2 * 0.5**2) - told

    bias, slope = minimize(loss, [0.0, 1.0]).x
    rest = np.setdiff1d(np.arange(len(y)), rows)
    now = found(rows, rest)
    assert advice.accuracy == pytest.approx(expit(bias + slope * odds(now)).mean(), abs=1e-4)
    assert advice.low < advice.accuracy < advice.high
    before = found(rows[:-25], rest)
    assert advice.changed == np.mean(before.argmax(axis=1) != now.argmax(axis=1))


@pytest.mark.parametrize("hardest", [False, True])
def test_the_interval_holds_the_true_accuracy_even_if_only_hard_texts_were_answered(hardest):
    held, shares, truths = [], [], []
    for seed in range(20):
        vectors, prototypes, y = corpus_of(seed, apart=[0.6, 1.0][seed % 2])
        advisor = advisor_of(vectors, prototypes)
        rng = np.random.default_rng(seed)
        rows = rng.choice(len(y), 12, replace=False)
        while len(rows) < 60:
            rest = np.setdiff1d(np.arange(len(y)), rows)
            ordered = np.sort(advisor.scores(rows, y[rows], rest), axis=1)
            more = np.argsort(ordered[:, -1] - ordered[:, -2])[:12] if hardest else rng.choice(len(rest), 12, False)
            rows = np.concatenate([rows, rest[more]])
        rest = np.setdiff1d(np.arange(len(y)), rows)
        true = np.mean(advisor.scores(rows, y[rows], rest).argmax(axis=1) == y[rest])
        advice = advisor.advise(rows, y[rows])
        held.append(advice.low <= true <= advice.high)
        shares.append(advice.accuracy)
        truths.append(true)
    assert np.mean(held) >= 0.9
    assert abs(np.mean(shares) - np.mean(truths)) < 0.05


def test_the_advice_says_whether_more_answers_pay():
    advice = Advice(50, 0.8, 0.72, 0.861, 0.1)
    assert advice.pays
    assert str(advice) == (
        "after 50 answers, of the texts without an answer about 80% get the right label (72% to 86%); "
        "the last 25 answers changed 10.0% of their labels, 25 more may bring 2.3 points of accuracy"
    )
    assert Advice(50, 0.8, 0.72, 0.86, 0.03).outlook.endswith("25 more may bring 1.0 points of accuracy")


@pytest.mark.parametrize(("changed", "pays"), [(0.001, False), (0.02, True)])
def test_the_advice_says_the_same_of_all_gains_under_a_point(changed, pays):
    advice = Advice(50, 0.8, 0.72, 0.86, changed)
    assert advice.pays == pays
    assert advice.outlook.endswith(f"{changed:.1%} of their labels, 25 more may bring less than 1 point of accuracy")


def test_a_session_gives_advice_on_its_answers(tmp_path, encoder):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    store.add([{"t": f"text {i}"} for i in range(200)], text="t")
    store.encode()
    session = store.annotations.session(["Books", "Tea"], order="random")
    side = {position: int(encoder.vector(f"text {position}")[0] > 0) for position in range(200)}
    assert session.advice() is None
    for _ in range(60):
        session.answer(["Books", "Tea"][side[session.question.position]])
    advice = session.advice()
    vectors = np.stack([encoder.vector(f"text {i}") for i in range(200)])
    prototypes = np.stack([encoder.vector("Books"), encoder.vector("Tea")])
    rows = np.array(list(session.answers))
    own = Advisor(LabelSet.of(["Books", "Tea"]), prototypes, vectors)
    assert advice == own.advise(rows, np.array([side[row] for row in rows.tolist()]))
    for _ in range(4):
        session.answer("Tea")
    assert session.advice() is advice, "computed again after five answers"
    session.answer("Tea")
    assert session.advice().answers == 65
    for _ in range(10):
        session.undo()
    assert session.advice().answers == 55


def test_typical_texts_are_one_of_each_group_that_nobody_was_asked_about_the_largest_first():
    rng = np.random.default_rng(0)
    sizes = [40, 30, 20, 10]
    group = np.repeat(np.arange(4), sizes)
    vectors = unit_rows(np.eye(4, 16)[group] + 0.05 * rng.normal(size=(100, 16)))
    asked = np.zeros(100, dtype=bool)
    found = typical_texts(vectors, asked, 4, random_state=0)
    assert group[found].tolist() == [0, 1, 2, 3]
    for row in found:
        own = vectors[group == group[row]]
        assert vectors[row] @ own.sum(axis=0) == pytest.approx((own @ own.sum(axis=0)).max(), rel=1e-3)
    asked[found[:2]] = True
    assert group[typical_texts(vectors, asked, 2, random_state=0)].tolist() == [2, 3]
    assert typical_texts(vectors, np.ones(100, dtype=bool), 3, random_state=0) == []


class Held:
    """Vectors in memory, in the place of a space."""

    def __init__(self, vectors):
        self.unit_at = vectors.__getitem__


def test_typical_texts_of_unlike_groups_come_first_then_uncertain_ones():
    rng = np.random.default_rng(0)
    group = rng.permutation(np.repeat(np.arange(5), 40))
    vectors = unit_rows(np.eye(5, 16)[group] + 0.1 * rng.normal(size=(200, 16)))
    prototypes = np.eye(5, 16)[:3]
    held = Held(vectors)
    questions = {
        order: Questions(held, np.arange(200), LabelSet.of(NAMES), prototypes, answers={}, order=order)
        for order in ("typical", "uncertain")
    }
    asked = []
    while len(asked) < 200:
        asked.append(questions["typical"].next())
        questions["typical"].answer(asked[-1], int(min(group[asked[-1]], 2)))
        if len(asked) <= 10:  # two for each of three labels are typical, and five are chosen at once
            questions["uncertain"].answer(asked[-1], int(min(group[asked[-1]], 2)))
        if len(asked) == 10:
            following = questions["uncertain"].next()
    assert set(group[asked[:10]]) == set(range(5)), "each group was asked about"
    assert asked[10] == following
    assert sorted(asked) == list(range(200))
