"""scikit-learn estimators: a cosine label classifier and a transformer from texts to cached vectors."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from embedstore.core.checks import column_values, shown
from embedstore.core.columns import column_names, is_missing, texts_of
from embedstore.core.counts import counted
from embedstore.core.guards import Lock
from embedstore.core.names import store_path
from embedstore.core.parsing import first_line
from embedstore.core.unit import unit_rows
from embedstore.errors import InputError
from embedstore.store import EmbeddingStore, open_store
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

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803
        """Learn the prototypes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Vectors.
        y : array-like of shape (n_samples,)
            Labels of at least two classes; not needed with `label_vectors`.

        Raises
        ------
        InputError
            If `y` has one class, or if `labels` and `label_vectors` do not fit each other or the vectors.
        """
        if self.label_vectors is None:
            if self.labels is not None:
                raise InputError("expected label_vectors with the labels, found labels only: leave both out to learn")
            X, y = validate_data(self, X, y)  # noqa: N806
            check_classification_targets(y)
            self.classes_ = unique_labels(y)
            if len(self.classes_) < 2:
                raise InputError(f"expected a y of at least two classes, found one class, {self.classes_[0]!r}")
            unit = unit_rows(X)
            prototypes = np.stack([unit[y == label].mean(axis=0) for label in self.classes_])
        else:
            X = validate_data(self, X)  # noqa: N806
            self.classes_ = _distinct_labels(self.labels)
            prototypes = _label_vectors(self.label_vectors, (len(self.classes_), X.shape[1]))
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


def _distinct_labels(labels: Any) -> npt.NDArray[Any]:
    """Return labels as an array; raise an `InputError` unless there are two or more, none missing and none twice."""
    if labels is None:
        raise InputError("expected labels with the label_vectors, found none: give one label for each vector")
    values = column_values("labels", labels)
    if any(is_missing(value) for value in values):
        raise InputError("expected a name for every label, found a missing one")
    found = np.asarray(values)
    if found.ndim != 1:
        raise InputError(
            f"expected labels in one list, found {counted(found.ndim, 'dimension')}: give one label for each vector"
        )
    if len(found) < 2 or len(np.unique(found)) < len(found):
        raise InputError(f"expected two or more labels, each once, found {shown(', '.join(map(str, values)))}")
    return found


def _label_vectors(vectors: Any, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Return label vectors as an array of a shape; raise an `InputError` unless they are numbers and none is zero."""
    try:
        found = np.asarray(check_array(vectors, dtype=np.float64, input_name="label_vectors"))
    except (TypeError, ValueError) as error:
        raise InputError(f"expected label_vectors as finite numbers of shape {shape}: {first_line(error)}") from error
    if found.shape != shape:
        raise InputError(
            f"expected label_vectors of shape {shape}, found {found.shape}: give one vector for each label"
        )
    if not found.any(axis=1).all():
        raise InputError("expected label_vectors that point somewhere, found a vector of zeros: encode its label")
    return found


class CachedEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A transformer that turns texts into vectors and encodes only texts without a vector in the store.

    It needs no `fit`. A model is loaded when the first new text needs it, and kept by this object and its equals in
    the process until the last of them is gone; it is never pickled.

    Parameters
    ----------
    store : str or Path
        A store with at least one space: its name or its path, as in `embedstore.open`.
    space : str, optional
        Start of a space's key, or the name of its model; by default the first space.

    Attributes
    ----------
    n_features_in_ : int
        1, the number of text columns; set by `fit`.
    feature_names_in_ : ndarray of shape (1,)
        The name of the column, if `fit` saw a frame.
    """

    def __init__(self, store: str | Path, space: str | None = None) -> None:
        self.store = store
        self.space = space

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803
        """Check that the texts can be read and that the store and the space exist; nothing is learnt.

        Parameters
        ----------
        X
            Texts, as in `transform`.
        y
            Not used.
        """
        texts_of(X)
        with self._snapshot() as now:
            now.space(self.space)
        self.n_features_in_ = 1
        names = column_names(X)
        if names:
            self.feature_names_in_ = np.array(names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        return self

    def transform(self, X: Any) -> npt.NDArray[np.float32]:  # noqa: N803
        """Return one unit vector per text.

        Parameters
        ----------
        X : one-dimensional collection of str, or a frame, table or array with one column
            Texts; a missing one (None, NaN, NA, NaT) counts as ''.

        Returns
        -------
        ndarray of shape (n_samples, dim), float32

        Raises
        ------
        InputError
            If `X` is something else: one text, bytes, numbers, nested lists, or more than one column.
        """
        texts = texts_of(X)
        with self._snapshot() as now:
            space = now.space(self.space)
            return now.queries(space)(texts) if texts else np.empty((0, space.dimension), dtype=np.float32)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.string = tags.input_tags.one_d_array = tags.input_tags.allow_nan = True
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []
        return tags

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_opened"}

    @property
    def _n_features_out(self) -> int:
        # The name under which scikit-learn asks for the number of columns to name.
        with self._snapshot() as now:
            return now.space(self.space).dimension

    def _snapshot(self) -> AbstractContextManager[Snapshot]:
        self._opened = _shared_store(self.store)
        return self._opened.snapshot()


_SHARED: WeakValueDictionary[Path, EmbeddingStore] = WeakValueDictionary()
_SHARED_LOCK = Lock()


def _shared_store(store: str | Path) -> EmbeddingStore:
    """Return the open store that the estimators of this process share while one of them holds it."""
    path = store_path(store).absolute()
    with _SHARED_LOCK.held():
        found = _SHARED.get(path)
        if found is None:
            found = _SHARED[path] = open_store(store)
        return found
