"""Reports on predictions: tables, metrics, calibration and pictures."""

from typing import TYPE_CHECKING

from embedstore.core.lazy import lazy_exports

if TYPE_CHECKING:
    from embedstore.reports.calibration import Reliability
    from embedstore.reports.metrics import Ordinal, Report
    from embedstore.reports.predictions import Predictions

__all__ = [
    "Ordinal",
    "Predictions",
    "Reliability",
    "Report",
]

_HOMES = {
    "Ordinal": "metrics",
    "Predictions": "predictions",
    "Reliability": "calibration",
    "Report": "metrics",
}

__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
