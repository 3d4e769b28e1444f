"""Which labels are doubtful, and how many are wrong, from class probabilities alone.

The oracles are loops over rows in plain NumPy. Where cleanlab is installed, it is a second oracle.
"""

import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as some

from embedstore.learning.label_errors import FILTERS, estimate_noise, find_label_errors

CLEANLAB = {
    "confident": "confident_learning",
    "by-pair": "prune_by_noise_rate",
    "by-label": "prune_by_class",
    "both": "both",
    "any": "predicted_neq_given",
}


def planted(seed: int, *, rows: int = 300, classes: int = 3, sharpness: float = 2.0, share: float = 0.1):
    """Return probabilities of models of some sharpness, given classes with planted errors, and the true classes.

    Classes have equally many rows if the seed is odd.
    """
    rng = np.random.default_rng(seed)
    sizes = rng.dirichlet(np.full(classes, 5.0)) if seed % 2 == 0 else np.full(classes, 1 / classes)
    true = np.sort(rng.choice(classes, rows, p=sizes)) if seed % 2 == 0 else rng.permutation(np.arange(rows) % classes)
    if seed % 2 == 0:
        true[:classes] = np.arange(classes)
    logits = rng.normal(size=(rows, classes)) + sharpness * np.eye(classes)[true]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y = true.copy()
    wrong = rng.choice(np.arange(classes, rows) if seed % 2 == 0 else rows, round(share * rows), replace=False)
    y[wrong] = (true[wrong] + rng.integers(1, classes, len(wrong))) % classes
    return probabilities, y, true


cases = some.builds(
    planted,
    some.integers(0, 2**20),
    rows=some.integers(100, 600),
    classes=some.integers(2, 5),
    sharpness=some.floats(0.3, 5),
    share=some.floats(0, 0.25),
)


def noise_by_hand(p, y):
    """Return the share of wrong labels and the probabilities of given classes, found class by class."""
    n, classes = p.shape
    best = [max(range(classes), key=lambda k: p[i, k]) for i in range(n)]
    ranked = [sorted((i for i in range(n) if best[i] == k), key=lambda i: -p[i, k]) for k in range(classes)]
    kept = None
    for part in (0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7):
        surest = [rows[: max(50, int(part * len(rows)))] for rows in ranked]
        wrong = [sum(y[i] != k for i in rows) for k, rows in enumerate(surest)]
        share = sum(len(ranked[k]) / n * wrong[k] / len(surest[k]) for k in range(classes) if surest[k])
        if kept is None:
            rates = [(wrong[k] + 1) / (len(surest[k]) + 2) for k in range(classes)]
            spread = [rate * (1 - rate) / max(1, len(rows)) for rate, rows in zip(rates, surest, strict=True)]
            most = share + 0.5 * sum((len(ranked[k]) / n) ** 2 * spread[k] for k in range(classes)) ** 0.5
        elif share > most:
            break
        kept = share, surest, wrong
    share, surest, wrong = kept
    table = np.zeros((classes, classes))
    for k in range(classes):
        noise = min(0.5, (wrong[k] + 10) / (len(surest[k]) + 10 / max(share, 0.001)))
        for j in range(classes):
            as_j = sum(y[i] == j for i in surest[k])
            table[k, j] = noise * (as_j + 10 / (classes - 1)) / (wrong[k] + 10) if j != k else 1 - noise
    return share, table


def confident_by_hand(p, y):
    """Return the class that each confident row is counted for, and the counts scaled to all rows, row by row."""
    classes = p.shape[1]
    thresholds = [np.mean([p[i, k] for i in range(len(y)) if y[i] == k]) for k in range(classes)]
    joint = np.zeros((classes, classes))
    guesses = {}
    for i, label in enumerate(y):
        sure = [k for k in range(classes) if p[i, k] >= thresholds[k] - 1e-6]
        if sure:
            guesses[i] = sure[0] if len(sure) == 1 else int(p[i].argmax())
            joint[label, guesses[i]] += 1
    for k in range(classes):
        joint[k, k] = max(1, joint[k, k])
        joint[k] *= np.sum(y == k) / joint[k].sum()
    return guesses, joint


def rounded_by_hand(joint):
    """Return the counts as whole numbers with the same sums of rows; leave an example out where rounding has a tie."""
    whole = np.floor(joint + 1e-9).astype(int)
    for counts, row in zip(whole, joint, strict=True):
        rest = round(row.sum() - counts.sum())
        remainders = np.sort(row - counts)[::-1]
        assume(not 0 < rest < len(row) or remainders[rest - 1] - remainders[rest] > 1e-6)
        counts[np.argsort(counts - row)[:rest]] += 1
    return whole


def chosen_by_hand(p, y, filter):
    n, classes = p.shape
    disagree = {i for i in range(n) if max(p[i, k] for k in range(classes) if k != y[i]) > p[i, y[i]] + 1e-6}
    if filter == "any":
        return disagree
    if filter == "expected":
        share, table = noise_by_hand(p, y)
        right = [
            p[i, y[i]] * table[y[i], y[i]] / sum(p[i, k] * table[k, y[i]] for k in range(classes)) for i in range(n)
        ]
        return disagree & set(sorted(range(n), key=lambda i: right[i])[: round(share * n)])
    guesses, joint = confident_by_hand(p, y)
    if filter == "confident":
        return disagree & {i for i, guess in guesses.items() if guess != y[i]}
    whole = rounded_by_hand(joint)
    pairs, labels = set(), set()
    for k in range(classes):
        rows = [i for i in range(n) if y[i] == k]
        labels |= set(sorted(rows, key=lambda i: p[i, k])[: whole[k].sum() - whole[k, k]])
        for j in set(range(classes)) - {k}:
            pairs |= set(sorted(rows, key=lambda i: p[i, k] - p[i, j])[: whole[k, j]])
    return disagree & {"by-pair": pairs, "by-label": labels, "both": pairs & labels}[filter]


@pytest.mark.parametrize("filter", FILTERS)
@given(case=cases)
def test_a_filter_chooses_the_rows_that_a_loop_over_rows_chooses(filter, case):
    p, y, _ = case
    assert set(find_label_errors(p, y, filter=filter).rows.tolist()) == chosen_by_hand(p, y, filter)


@pytest.mark.parametrize("filter", CLEANLAB)
@given(case=cases)
def test_a_filter_of_cleanlab_chooses_the_rows_that_cleanlab_chooses(filter, case):
    cleanlab = pytest.importorskip(
        "cleanlab.filter", reason="cleanlab is not a dependency: benchmarks/requirements.txt"
    )
    p, y, _ = case
    if filter not in ("confident", "any"):
        # Leaves ties out, and classes that cleanlab does not empty.
        assume(rounded_by_hand(confident_by_hand(p, y)[1]).diagonal().min() > 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mask = cleanlab.find_label_issues(y, p, filter_by=CLEANLAB[filter], n_jobs=1)
    assert set(find_label_errors(p, y, filter=filter).rows.tolist()) == set(np.flatnonzero(mask).tolist())


@given(case=cases)
def test_the_noise_is_the_one_that_a_loop_over_classes_finds(case):
    p, y, _ = case
    noise = estimate_noise(p, y)
    share, table = noise_by_hand(p, y)
    assert noise.share == pytest.approx(share)
    assert np.allclose(noise.given, table)
    assert np.allclose(noise.given.sum(axis=1), 1)


@given(case=cases, filter=some.sampled_from(FILTERS))
def test_rows_are_ranked_by_how_likely_their_given_class_is_right(case, filter):
    p, y, _ = case
    found = find_label_errors(p, y, filter=filter)
    table = estimate_noise(p, y).given
    right = [
        p[i, y[i]] * table[y[i], y[i]] / sum(p[i, k] * table[k, y[i]] for k in range(p.shape[1])) for i in found.rows
    ]
    assert np.all(np.diff(right) >= -1e-12)
    assert np.array_equal(found.suggested, p[found.rows].argmax(axis=1))
    assert np.all(found.suggested != y[found.rows])
    assert np.array_equal(found.confidence, p[found.rows, y[found.rows]].astype(np.float32))
    assert np.allclose(found.margin, p[found.rows, y[found.rows]] - p[found.rows].max(axis=1), atol=1e-6)
    assert found.accuracy == np.mean(p.argmax(axis=1) == y)
    assert len(found.rows) <= len(find_label_errors(p, y, filter="any").rows)


@given(case=cases, filter=some.sampled_from(FILTERS), seed=some.integers(0, 2**20))
def test_the_order_of_rows_and_the_numbers_of_classes_change_nothing(case, filter, seed):
    p, y, _ = case
    rng = np.random.default_rng(seed)
    rows, kinds = rng.permutation(len(y)), rng.permutation(p.shape[1])
    one = find_label_errors(p, y, filter=filter)
    other = find_label_errors(p[rows][:, kinds], np.argsort(kinds)[y[rows]], filter=filter)
    assert other.noise == pytest.approx(one.noise)
    if filter in ("expected", "confident", "any"):  # the others round, and equal remainders have an order
        assert np.array_equal(rows[other.rows], one.rows)
        assert np.array_equal(kinds[other.suggested], one.suggested)


@given(seed=some.integers(0, 2**20), classes=some.integers(2, 4), share=some.floats(0, 0.3))
def test_all_wrong_labels_are_found_and_counted_where_models_make_no_mistake(seed, classes, share):
    # With 40 rows of a class, all of them are used.
    p, y, true = planted(2 * seed + 1, rows=40 * classes, classes=classes, sharpness=60.0, share=share)
    found = find_label_errors(p, y)
    assert found.noise == pytest.approx(np.mean(y != true))
    assert set(found.rows.tolist()) == set(np.flatnonzero(y != true).tolist())
    assert np.array_equal(found.suggested, true[found.rows])


def counted_share(p, y):
    """Return the share of wrong labels by the confident counts alone."""
    joint = confident_by_hand(p, y)[1]
    return 1 - np.trace(joint) / joint.sum()


@pytest.mark.parametrize("share", [0.0, 0.05, 0.1])
def test_the_noise_stays_near_to_the_truth_where_models_are_often_wrong(share):
    p, y, true = planted(1, rows=6000, classes=4, sharpness=1.2, share=share)
    assert np.mean(p.argmax(axis=1) == true) < 0.65
    assert share - 0.02 < estimate_noise(p, y).share < share + 0.12
    assert counted_share(p, y) > share + 0.15


def test_as_many_rows_are_listed_as_labels_are_estimated_to_be_wrong():
    p, y, true = planted(3, rows=3000, sharpness=3.0, share=0.05)
    found = find_label_errors(p, y)
    assert len(found.rows) == round(found.noise * 3000)
    assert found.noise == pytest.approx(0.05, abs=0.02)
    assert np.mean(y[found.rows] != true[found.rows]) > 0.7


def test_a_class_that_is_often_given_instead_of_one_other_is_doubted_more_there():
    p, y, true = planted(5, rows=3000, sharpness=3.0, share=0.0)
    changed = np.flatnonzero(true == 0)[::6]
    y[changed] = 1  # class 0 is given as 1, and never as 2
    noise = estimate_noise(p, y)
    assert noise.given[0, 1] > 3 * noise.given[0, 2]
    assert noise.given[0, 1] > 3 * noise.given[2, 1]
    found = find_label_errors(p, y)
    assert np.mean(y[found.rows] == 1) > 0.8


def test_one_row_stays_in_a_class_whose_rows_are_all_counted_for_another():
    # Ten rows are given class 2, are surely of class 0, and reach the thresholds of both.
    y = np.repeat([0, 1, 2], [50, 50, 10])
    p = np.array([[0.8, 0.15, 0.05], [0.1, 0.85, 0.05], [0.86, 0.04, 0.1]])[y]
    p[100:] += np.linspace(0, 1e-7, 10)[:, None] * [1, 0, -1]  # no ties
    rows = find_label_errors(p, y, filter="by-label").rows
    assert len(rows) == 9
    assert np.all(y[rows] == 2)
    assert len(find_label_errors(p, y, filter="confident").rows) == 10


def test_a_class_that_is_most_probable_in_no_row_counts_for_nothing():
    p, y, _ = planted(7, rows=400, classes=3, sharpness=3.0)
    p[:, 2] *= 1e-3
    p /= p.sum(axis=1, keepdims=True)
    noise = estimate_noise(p, y)
    assert 0 < noise.share < 1
    assert np.isfinite(noise.given).all()
    for filter in FILTERS:
        assert np.isfinite(find_label_errors(p, y, filter=filter).margin).all()
