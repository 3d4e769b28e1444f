"""Import what learns, once and in one thread.

Modules of scikit-learn import each other. Two threads that begin with different ones can each see the other's half
done, and fail.
"""

from importlib import import_module

from embedstore.core.guards import Lock

__all__ = ["load_learners"]

_MODULES = (
    "scipy.optimize",
    "sklearn.feature_extraction.text",
    "sklearn.linear_model",
    "sklearn.manifold",
    "sklearn.metrics",
    "sklearn.model_selection",
    "sklearn.naive_bayes",
    "sklearn.svm",
)
_lock = Lock()


def load_learners() -> None:
    """Import scikit-learn's modules that the package uses; other threads that call this wait until they are there."""
    with _lock.held():
        for name in _MODULES:
            import_module(name)
