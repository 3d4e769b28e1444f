import numpy as np
import pytest

from embedstore.reports.calibration import calibrate, reliability


def softmax(scores):
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


@pytest.fixture
def drawn():
    """Scores whose softmax at 3 is the true probability of each label."""
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(4000, 3))
    labels = np.array([rng.choice(3, p=row) for row in softmax(3 * scores)])
    return scores, np.eye(3, dtype=bool)[labels]


def test_the_temperature_that_made_the_labels_is_found(drawn):
    scores, allowed = drawn
    confidence, fitted = calibrate(scores, 1.0, allowed, np.ones(len(scores), dtype=bool))
    assert fitted == 4000
    assert np.allclose(confidence, softmax(3 * scores).max(axis=1), atol=0.03)
    right = allowed[np.arange(len(scores)), scores.argmax(axis=1)]
    assert reliability(confidence, right).error < 0.03


def test_without_labels_confidence_is_a_softmax_and_says_that_it_was_not_fitted(drawn):
    scores, allowed = drawn
    known = np.zeros(len(scores), dtype=bool)
    known[:19] = True
    for arguments in ((), (allowed, known)):
        confidence, fitted = calibrate(scores, 2.0, *arguments)
        assert fitted == 0
        assert np.allclose(confidence, softmax(2 * scores).max(axis=1), atol=1e-6)


def test_a_known_row_is_not_judged_by_a_temperature_fitted_on_itself(drawn):
    scores, allowed = drawn[0][:30], drawn[1][:30]
    known = np.ones(30, dtype=bool)
    confidence, _ = calibrate(scores, 1.0, allowed, known)
    changed = allowed.copy()
    changed[0] = ~changed[0]
    other, _ = calibrate(scores, 1.0, changed, known)
    assert other[0] == confidence[0]
    assert (other[1:] != confidence[1:]).any()


def test_expected_calibration_error_is_the_weighted_gap_of_ten_bins():
    confidence = np.array([0.55, 0.52, 0.95, 0.91, 0.99, 1.0], dtype=np.float32)
    right = np.array([True, False, True, True, False, True])
    found = reliability(confidence, right)
    assert found.count.tolist() == [2, 4]
    assert np.allclose(found.confidence, [0.535, 0.9625], atol=1e-6)
    assert found.accuracy.tolist() == [0.5, 0.75]
    assert found.error == pytest.approx((2 * 0.035 + 4 * 0.2125) / 6, abs=1e-6)
