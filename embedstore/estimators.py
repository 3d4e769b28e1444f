"""scikit-learn estimators: a cosine label classifier and a transformer from texts to cached vectors."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import check_is_fitted, validate_data

from embedstore.core.unit import unit_rows
from embedstore.store import open_store
from embedstore.vectors import Snapshot

__all__ = ["CachedEncoder", "CosineLabelClassifier"]


class CosineLabelClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier that predicts the label whose prototype has the highest cosine similarity.

    With `label_vectors`, labels need no examples: these vectors are the prototypes. Without them, a label's prototype
    is the mean of its examples' unit vectors (nearest class mean).

    Parameters
    ----------
    label_vectors : array-like of shape (n_labels, n_features), optional
        One vector per label, in the order of `labels`.
    labels : sequence, optional
        The labels; needed with `label_vectors`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_labels,)
        The labels; if scores are equal, the first label wins.
    prototypes_ : ndarray of shape (n_labels, n_features)
        The prototypes, as unit vectors.
    n_features_in_ : int
        Number of features seen in `fit`.

    Examples
    --------
    >>> import numpy as np
    >>> model = CosineLabelClassifier().fit(np.eye(2), ["bad", "good"])
    >>> model.predict([[0.1, 2.0]]).tolist()
    ['good']
    """

    def __init__(self, label_vectors: Any = None, labels: Any = None) -> None:
        self.label_vectors = label_vectors
        self.labels = labels

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803
        """Learn the prototypes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Vectors.
        y : array-like of shape (n_samples,)
            Labels; not used with `label_vectors`.
        """
        X, y = validate_data(self, X, y)  # noqa: N806
        check_classification_targets(y)
        if self.label_vectors is not None:
            prototypes = np.asarray(self.label_vectors, dtype=float)
            self.classes_ = np.asarray(self.labels)
            if prototypes.shape != (len(self.classes_), X.shape[1]):
                raise ValueError(
                    f"expected label_vectors of shape {(len(self.classes_), X.shape[1])}, found {prototypes.shape}"
                )
        else:
            self.classes_ = unique_labels(y)
            unit = unit_rows(X)
            prototypes = np.stack([unit[y == label].mean(axis=0) for label in self.classes_])
        self.prototypes_ = unit_rows(prototypes)
        return self

    def decision_function(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        """Return cosine similarities, shape (n_samples, n_labels), or for two labels the difference, (n_samples,)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)  # noqa: N806
        scores = np.asarray(unit_rows(X) @ self.prototypes_.T)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803
        """Return the label of each vector, shape (n_samples,)."""
        scores = self.decision_function(X)
        best = (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)
        return np.asarray(self.classes_[best])


class CachedEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A transformer that turns texts into vectors and encodes only texts without a vector in the store.

    Parameters
    ----------
    store : str or Path
        Folder of a store with at least one space.
    space : str, optional
        Start of a space's key, or the name of its model; by default the first space.
    """

    def __init__(self, store: str | Path, space: str | None = None) -> None:
        self.store = store
        self.space = space

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803
        """Check that the store and the space exist; nothing is learnt."""
        with self._snapshot() as now:
            now.space(self.space)
        return self

    def transform(self, X: Any) -> npt.NDArray[np.float32]:  # noqa: N803
        """Return one unit vector per text.

        Parameters
        ----------
        X : iterable of str
            Texts; None and NaN count as ''.

        Returns
        -------
        ndarray of shape (n_samples, dim), float32
        """
        texts = ["" if text is None or text != text else str(text) for text in X]
        with self._snapshot() as now:
            space = now.space(self.space)
            return now.queries(space)(texts) if texts else np.empty((0, space.dimension), dtype=np.float32)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def _snapshot(self) -> AbstractContextManager[Snapshot]:
        return open_store(self.store).snapshot()
