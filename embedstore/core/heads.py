"""The meaning of a classifier's logits: the names of its labels, and the conversion to probabilities."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from embedstore.core.checks import shown
from embedstore.core.counts import counted
from embedstore.core.exact import exactly, text_of
from embedstore.errors import CheckpointError, DamagedStoreError

__all__ = ["Head"]

Activation = Literal["softmax", "sigmoid", "identity"]
_OF_PROBLEM: dict[str, Activation] = {
    "single_label_classification": "softmax",
    "multi_label_classification": "sigmoid",
    "regression": "identity",
}


@dataclass(frozen=True, slots=True)
class Head:
    """The classification head of a checkpoint.

    Parameters
    ----------
    labels : tuple of str
        One name per logit, in order: the checkpoint's ``id2label``.
    activation : {"softmax", "sigmoid", "identity"}
        "softmax" chooses one label of several. "sigmoid" allows any number of labels, or yes and no for a single
        logit. "identity" is a plain number.
    """

    labels: tuple[str, ...]
    activation: Activation

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> "Head":
        """Read a head from a checkpoint's ``config.json``.

        ``problem_type`` decides, as in the pipelines of transformers. Without it, a single logit is a sigmoid and
        several logits are a softmax.

        Raises
        ------
        CheckpointError
            If labels repeat, or the kind of head is not supported.
        """
        named = config.get("id2label") or {str(i): f"LABEL_{i}" for i in range(int(config.get("num_labels") or 2))}
        labels = tuple(str(named[key]) for key in sorted(named, key=int))
        problem = config.get("problem_type")
        if len(set(labels)) < len(labels):
            raise CheckpointError(f"expected a name of its own for every label of the checkpoint, found {labels}")
        if problem is not None and problem not in _OF_PROBLEM:
            raise CheckpointError(f"expected a problem_type of {', '.join(_OF_PROBLEM)}, found {problem!r}")
        activation = _OF_PROBLEM[problem] if problem else "softmax" if len(labels) > 1 else "sigmoid"
        if activation == "softmax" and len(labels) == 1:
            raise CheckpointError("the checkpoint chooses one of a single label: there is nothing to classify")
        if activation == "identity" and len(labels) > 1:
            raise CheckpointError(f"the checkpoint predicts {counted(len(labels), 'number')}: only one is handled")
        return cls(labels, activation)

    @property
    def names(self) -> tuple[str, ...]:
        """The names that can be predicted: the labels. A single sigmoid also has its negation, as the first name."""
        return (f"not {self.labels[0]}", *self.labels) if self._yes_or_no else self.labels

    @property
    def is_multilabel(self) -> bool:
        """Whether a row can have any number of labels."""
        return self.activation == "sigmoid" and len(self.labels) > 1

    def probabilities(self, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the probability of each name in `names`.

        Parameters
        ----------
        logits : ndarray of shape (n, labels), float32

        Returns
        -------
        ndarray of shape (n, names), float32

        Examples
        --------
        >>> Head(("spam",), "sigmoid").probabilities(np.array([[0.0]], dtype=np.float32))
        array([[0.5, 0.5]], dtype=float32)
        """
        wide = logits.astype(np.float64)
        if self.activation == "softmax":
            odds = np.exp(wide - wide.max(axis=1, keepdims=True))
            return np.asarray(odds / odds.sum(axis=1, keepdims=True), dtype=np.float32)
        yes = 1 / (1 + np.exp(-np.clip(wide, -700, 700)))
        return np.asarray(np.hstack([1 - yes, yes]) if self._yes_or_no else yes, dtype=np.float32)

    @property
    def _yes_or_no(self) -> bool:
        return self.activation == "sigmoid" and len(self.labels) == 1

    def to_json(self) -> dict[str, Any]:
        """Return the head as a JSON object."""
        return {"labels": list(self.labels), "activation": self.activation}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Head":
        """Build a head from its JSON object.

        Raises
        ------
        DamagedStoreError
            If it has another form, or labels that no checkpoint has.
        """
        activation = exactly(dict, value, "a head")["activation"]
        labels = tuple(text_of(one, "a label of a head") for one in exactly(list, value["labels"], "a head's labels"))
        fits = {"softmax": len(labels) > 1, "sigmoid": len(labels) > 0, "identity": len(labels) == 1}
        if type(activation) is not str or not fits.get(activation) or len(set(labels)) < len(labels):
            raise DamagedStoreError(
                f"the manifest gives a head the activation {shown(activation)} and {counted(len(labels), 'label')}"
            )
        return cls(labels, cast(Activation, activation))
