import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from embedstore import CachedEncoder, CosineLabelClassifier


@parametrize_with_checks([CosineLabelClassifier()])
def test_the_classifier_is_a_scikit_learn_estimator(estimator, check):
    check(estimator)


def test_label_vectors_need_no_examples():
    vectors = np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 3.0]])
    model = CosineLabelClassifier(label_vectors=vectors, labels=["c", "a", "b"]).fit(np.ones((1, 3)), ["c"])
    assert model.predict([[0.1, 0.2, 9.0], [5.0, 0.0, 0.0]]).tolist() == ["b", "c"]
    with pytest.raises(ValueError, match="label_vectors of shape"):
        CosineLabelClassifier(label_vectors=vectors, labels=["a"]).fit(np.ones((1, 3)), ["a"])


def test_a_pipeline_of_texts_uses_cached_vectors(store, rows):
    texts = [str(row["review"]) for row in rows]
    y = [row["stars"] for row in rows]
    pipeline = make_pipeline(CachedEncoder(store.path), LogisticRegression()).fit(texts, y)
    vectors = store.space().vectors(store.corpus())
    assert np.array_equal(pipeline[0].transform(texts), vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    assert pipeline.predict(texts).tolist() == LogisticRegression().fit(vectors, y).predict(vectors).tolist()
    assert pipeline[0].transform([]).shape == (0, 16)
    assert np.allclose(pipeline[0].transform([None, float("nan")]), vectors[2])
