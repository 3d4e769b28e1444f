"""Fitting a logistic regression: the optimum is scikit-learn's, and nothing else about a fit shows in the answer."""

import threading

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_info

from embedstore.errors import InputError
from embedstore.learning import fitting
from embedstore.learning.centred import Centred
from embedstore.learning.fitting import TrainOptions, fit, map_fits


def drawn(rows=600, dimension=12, classes=2, *, middle=0.0, unit=1.0, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, rows)
    away = rng.standard_normal((classes, dimension))[y]
    return (middle + unit * (rng.standard_normal((rows, dimension)) + 0.5 * away)).astype(np.float32), y


def exact(vectors, y, C=1.0):  # noqa: N803
    """The fit of another solver of scikit-learn, on the vectors as they are."""
    return LogisticRegression(C=C, tol=1e-12, solver="newton-cholesky").fit(vectors.astype(np.float64), y)


def distance(model, best):
    """How far the coefficients and intercepts of a model are from the best ones, as a share of their length."""
    found, wanted = (np.column_stack([one.coef_, one.intercept_]) for one in (model, best))
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize(
    ("middle", "unit", "C"), [(0.0, 1.0, 1.0), (0.03, 0.04, 1.0), (0.5, 0.2, 30.0), (3.0, 8.0, 0.01)]
)
def test_the_coefficients_are_those_of_scikit_learn(classes, middle, unit, C):  # noqa: N803
    vectors, y = drawn(classes=classes, middle=middle, unit=unit)
    options = TrainOptions(C=C, max_iter=100_000)
    found = fit(vectors.astype(np.float64), y, options, tol=1e-10).model
    assert distance(found, exact(vectors, y, C)) < 1e-6
    assert (found.C, found.coef_.shape) == (C, (1 if classes == 2 else classes, 12))


@pytest.mark.parametrize("classes", [2, 5])
def test_a_fit_is_nearer_to_the_optimum_than_that_of_scikit_learn_after_fewer_iterations(classes):
    vectors, y = drawn(classes=classes, middle=0.5, unit=0.1)
    plain, best = LogisticRegression(max_iter=1000).fit(vectors, y), exact(vectors, y)
    found = fit(vectors, y, TrainOptions()).model
    assert distance(found, best) < distance(plain, best)
    assert max(found.n_iter_) < max(plain.n_iter_)
    assert np.abs(found.predict_proba(vectors) - best.predict_proba(vectors)).max() < 1e-3


def test_given_vectors_stay_as_they_are_unless_they_may_be_overwritten():
    vectors, y = drawn(middle=0.5, unit=0.1)
    before = vectors.copy()
    kept = fit(vectors, y, TrainOptions()).model
    assert np.array_equal(vectors, before)
    overwritten = fit(vectors, y, TrainOptions(), overwrite=True).model
    assert not np.array_equal(vectors, before)
    moved = fit(Centred.of(before), y, TrainOptions()).model
    for other in (overwritten, moved):
        assert np.array_equal(other.coef_, kept.coef_)
        assert np.array_equal(other.intercept_, kept.intercept_)


def test_a_sparse_matrix_is_fitted_as_it_is():
    vectors, y = drawn()
    some = csr_matrix(np.maximum(vectors, 0))
    plain = LogisticRegression(max_iter=1000, random_state=42).fit(some, y)
    assert np.array_equal(fit(some, y, TrainOptions()).model.coef_, plain.coef_)


def test_many_vectors_are_moved_as_numpy_moves_them():
    vectors = np.random.default_rng(1).standard_normal((90_001, 128), dtype=np.float32) * np.float32(0.03)
    moved = Centred.of(vectors)  # large enough for several threads, and the last block is not full
    assert moved.scale == 32.0
    assert np.allclose(moved.middle, vectors.mean(axis=0), atol=0.01)
    assert np.array_equal(moved.vectors, (vectors - moved.middle) * np.float32(32))


def test_equal_vectors_have_no_unit():
    moved = Centred.of(np.full((3, 4), 7, dtype=np.float32))
    assert moved.scale == 1.0
    assert not moved.vectors.any()


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 5000])
def test_vectors_that_are_no_finite_numbers_are_refused(wrong, row):
    vectors, y = drawn(rows=40_000)
    vectors[row, 3] = wrong
    with pytest.raises(
        InputError, match="expected finite numbers in all vectors, found others: run `embedstore verify"
    ):
        fit(vectors, y, TrainOptions())


def test_large_finite_numbers_are_taken():
    moved = Centred.of(np.linspace(-3e38, 3e38, 40, dtype=np.float32).reshape(-1, 2) / np.float32(4))
    assert np.isfinite(moved.vectors).all()


def test_no_vectors_are_refused():
    with pytest.raises(InputError, match="expected rows to learn from, found none"):
        fit(np.empty((0, 3), dtype=np.float32), np.empty(0, dtype=np.int64), TrainOptions())


def test_jobs_have_the_same_results_in_their_order_for_any_number_of_cores(monkeypatch):
    vectors, y = drawn(rows=3000, dimension=40)
    folds = [np.flatnonzero(np.arange(3000) % 5 != fold) for fold in range(5)]

    def weights(fold):
        model = fit(vectors[fold], y[fold], TrainOptions(), overwrite=True).model
        return np.append(model.coef_, model.intercept_)

    found = []
    for count in (1, 2, 5):
        monkeypatch.setattr(fitting, "cores", lambda count=count: count)
        found.append(map_fits(weights, folds, vectors.nbytes, TrainOptions()))
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    assert np.array_equal(found[0][3], weights(folds[3]))


@pytest.mark.usefixtures("two_threads_of_blas")
@pytest.mark.parametrize(("size", "together"), [(100, 2), (400, 1), (10_000, 1)])
def test_as_many_jobs_run_together_as_the_cores_and_the_memory_allow(monkeypatch, size, together):
    monkeypatch.setattr(fitting, "cores", lambda: 2)
    both, threads, blas = threading.Barrier(together), set(), set()

    def job(number):
        both.wait(timeout=60)  # passes only if so many jobs run at a time
        threads.add(threading.get_ident())
        # The products are NumPy's and SciPy's; FAISS' own BLAS is limited by OpenMP, for each thread by itself.
        blas.update(one["num_threads"] for one in threadpool_info() if one.get("threading_layer") == "pthreads")
        return number

    assert map_fits(job, range(4), size, TrainOptions(max_memory=1000)) == [0, 1, 2, 3]
    assert (threads == {threading.get_ident()}) == (together == 1)
    assert blas == {1}
