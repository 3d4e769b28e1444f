"""Learning from given labels: probes, finetuned checkpoints, comparisons, label errors."""

from typing import TYPE_CHECKING

from embedstore.core.lazy import lazy_exports

if TYPE_CHECKING:
    from embedstore.learning.checkpoints import classify
    from embedstore.learning.comparison import Comparison, compare
    from embedstore.learning.curve import LearningCurve, learning_curve
    from embedstore.learning.doubts import Doubts, find_doubts
    from embedstore.learning.fitting import TrainOptions
    from embedstore.learning.from_column import label_set_from_column
    from embedstore.learning.predicting import predict
    from embedstore.learning.probe import Probe
    from embedstore.learning.scoring import Score
    from embedstore.learning.training import Trained, train

__all__ = [
    "Comparison",
    "Doubts",
    "LearningCurve",
    "Probe",
    "Score",
    "TrainOptions",
    "Trained",
    "classify",
    "compare",
    "find_doubts",
    "label_set_from_column",
    "learning_curve",
    "predict",
    "train",
]

_HOMES = {
    "Comparison": "comparison",
    "Doubts": "doubts",
    "LearningCurve": "curve",
    "Probe": "probe",
    "Score": "scoring",
    "TrainOptions": "fitting",
    "Trained": "training",
    "classify": "checkpoints",
    "compare": "comparison",
    "find_doubts": "doubts",
    "label_set_from_column": "from_column",
    "learning_curve": "curve",
    "predict": "predicting",
    "train": "training",
}

__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
