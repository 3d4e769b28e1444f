"""Draw reports as PNG, SVG or HTML: shares, confusion, reliability, bars, curves."""

import html
import io
import logging
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.core.counts import counted
from embedstore.core.guards import Lock, unwarned
from embedstore.errors import MissingExtraError, OutputError
from embedstore.reports.calibration import Reliability
from embedstore.tables.outputs import check_place, published

__all__ = [
    "COLOURS",
    "Bars",
    "Confusion",
    "Curve",
    "Panel",
    "Shares",
    "draw",
    "figure",
    "picture_path",
    "plain",
    "save",
]

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#000000")
"""Palette of Okabe and Ito (2008), which colour-blind readers can distinguish."""

_SUFFIXES = (".png", ".svg", ".html")
_WIDEST = 28  # longest name, in characters
_MOST = 30  # most bars, and most classes of a confusion matrix
_SALT = "embedstore"  # for identifiers in SVG files, so equal pictures have equal bytes
_DRAWING = Lock()


@dataclass(frozen=True, slots=True)
class Shares:
    """A bar chart of the share of rows of each label."""

    shares: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Confusion:
    """A confusion matrix: `counts` of shape (classes, classes), int64; rows are the given classes."""

    classes: Sequence[str]
    counts: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Bars:
    """A bar chart of values from 0 to 1 with intervals, each of shape (bars,); NaN means no interval."""

    names: Sequence[str]
    values: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    label: str


@dataclass(frozen=True, slots=True)
class Curve:
    """Named lines over shared x values: `y` has shape (lines, points); `log` makes the x axis logarithmic."""

    names: Sequence[str]
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    labels: tuple[str, str]
    log: bool = False


Panel = Shares | Confusion | Reliability | Bars | Curve


def picture_path(path: Path) -> Path:
    """Return `path` after checking its suffix and folder, and that matplotlib is installed.

    Raises
    ------
    OutputError
        If the suffix is unknown or the folder is missing.
    MissingExtraError
        If matplotlib is not installed.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise OutputError(f"can't draw {path}: expected a name that ends in {', '.join(_SUFFIXES)}")
    check_place(path)
    figure(1, 1)
    return path


def figure(width: float, height: float) -> Any:
    """Return an empty matplotlib figure; width and height are in inches."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("pictures need matplotlib: pip install 'embedstore[plot]'") from error
    return Figure(figsize=(width, height), layout="constrained")


def plain(name: str, width: int = _WIDEST) -> str:
    """Return a drawable name: no control characters, no math markup, cut in the middle to `width` characters."""
    name = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in name)
    if len(name) > width:  # names with equal beginnings can differ at the end
        name = f"{name[: width // 2]}…{name[len(name) - (width - width // 2 - 1) :]}"
    return name.replace("$", r"\$")


def draw(path: Path, panels: Sequence[Panel], title: str) -> None:
    """Draw panels in one column and write the picture to `path`.

    Parameters
    ----------
    path : Path
        ``.png``, ``.svg`` or ``.html`` (the SVG in a page).
    panels : sequence
        Panels from top to bottom.
    title : str
        Title above all panels.
    """
    heights = [_height(panel) for panel in panels]
    whole = figure(8, sum(heights) + 0.6)
    whole.suptitle(plain(title, 90))
    axes = whole.subplots(len(panels), 1, height_ratios=heights, squeeze=False)[:, 0]
    for panel, ax in zip(panels, axes, strict=True):
        _DRAW[type(panel)](panel, ax)
    save(whole, path, title)


@contextmanager
def _missing_glyphs() -> Iterator[None]:
    """Ignore what matplotlib says about characters that no font has."""
    fonts = logging.getLogger("matplotlib.font_manager")
    before = fonts.level
    fonts.setLevel(logging.ERROR)
    try:
        with unwarned(UserWarning):
            yield
    finally:
        fonts.setLevel(before)


def save(whole: Any, path: Path, title: str) -> None:
    """Write a figure to `path`; the file appears whole or not at all."""
    import matplotlib as mpl

    content = io.BytesIO()
    kind = "png" if path.suffix.lower() == ".png" else "svg"
    unsaid = dict.fromkeys(["Software"] if kind == "png" else ["Creator", "Date", "Format", "Type"])
    # One picture at a time, because matplotlib's settings belong to the process.
    with _DRAWING.held(), mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": _SALT}), _missing_glyphs():
        _settle(whole)
        whole.savefig(content, format=kind, dpi=150, metadata=unsaid)
    data = content.getvalue()
    if path.suffix.lower() == ".html":
        svg = data.decode()
        svg = svg[svg.index("<svg") :]
        data = (
            f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>\n'
            f'<body style="margin:2rem;background:#fff">\n{svg}</body></html>\n'
        ).encode("utf-8", "replace")
    with published(path) as temp:
        temp.write_bytes(data)


def _settle(whole: Any) -> None:
    """Lay out a figure once and round its axes' positions: the solver's last digits vary between runs."""
    whole.draw_without_rendering()
    whole.set_layout_engine("none")
    for ax in whole.axes:
        ax.set_position(np.round(ax.get_position().bounds, 6))


def _height(panel: Panel) -> float:
    if isinstance(panel, Shares):
        return 0.8 + 0.3 * min(_MOST, len(panel.shares))
    if isinstance(panel, Bars):
        return 1.0 + 0.32 * min(_MOST, len(panel.names))
    if isinstance(panel, Confusion):
        classes = min(_MOST, len(panel.classes))
        return 1.6 + (0.5 if classes <= 12 else 0.25) * classes + (1.5 if classes > 12 else 0)
    return 4.0


def _shares(panel: Shares, ax: Any) -> None:
    ranked = sorted(panel.shares.items(), key=lambda one: -one[1])
    shown = dict(panel.shares) if len(ranked) <= _MOST else dict(ranked[: _MOST - 1])
    if len(ranked) > _MOST:
        shown[counted(len(ranked) - _MOST + 1, "other")] = sum(share for _, share in ranked[_MOST - 1 :])
    names, values = list(shown), list(shown.values())
    ax.barh(range(len(names)), values, color=COLOURS[0])
    ax.set_yticks(range(len(names)), [plain(name) for name in names])
    for row, value in enumerate(values):
        ax.text(value, row, f" {value:.1%}", va="center")
    ax.invert_yaxis()
    ax.set_xlim(0, max([*values, 0.01]) * 1.15)
    ax.set_xlabel("share of the rows")
    ax.spines[["top", "right"]].set_visible(False)


def _confusion(panel: Confusion, ax: Any) -> None:
    most = np.sort(np.argsort(-panel.counts.sum(axis=1), kind="stable")[:_MOST])
    names, counts = [plain(panel.classes[one]) for one in most], panel.counts[np.ix_(most, most)]
    share = counts / np.maximum(panel.counts[most].sum(axis=1, keepdims=True), 1)
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    turned = 90 if len(names) > 12 else 30 if len(names) > 4 or max(map(len, names)) > 16 else 0
    ax.set_xticks(range(len(names)), names, rotation=turned, ha="right" if turned == 30 else "center")
    ax.set_yticks(range(len(names)), names)
    few = len(names) == len(panel.classes)
    ax.set_xlabel(
        "predicted (% of those given)" if few else f"predicted; the {_MOST} most frequent of {len(panel.classes)}"
    )
    ax.set_ylabel("given")
    if len(names) <= 12:
        for row, column in np.ndindex(*counts.shape):
            shown = f"{counts[row, column]:,}\n{share[row, column]:.0%}"
            ax.text(column, row, shown, ha="center", va="center", color="w" if share[row, column] > 0.6 else "k")


def _reliability(panel: Reliability, ax: Any) -> None:
    shown = f"rows (the highest bar: {panel.count.max():,})"
    ax.plot([0, 1], [0, 1], color="0.6", linestyle="--", label="as confident as right")
    ax.plot(panel.confidence, panel.accuracy, marker="o", color=COLOURS[0], label="tags")
    ax.bar(panel.confidence, 0.25 * panel.count / panel.count.max(), 0.06, color=COLOURS[1], alpha=0.5, label=shown)
    ax.set_xlabel(f"confidence (expected calibration error {panel.error:.3f})")
    ax.set_ylabel("share that is right")
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    ax.legend(loc="upper left")


def _bars(panel: Bars, ax: Any) -> None:
    count = min(_MOST, len(panel.names))
    rows = np.arange(count)
    spans = np.stack([panel.values - panel.low, panel.high - panel.values])[:, :count]
    ax.barh(rows, panel.values[:count], color=COLOURS[0])
    known = np.isfinite(spans).all(axis=0)
    if known.any():
        spans = np.maximum(spans[:, known], 0)
        ax.errorbar(panel.values[:count][known], rows[known], xerr=spans, fmt="none", ecolor="k", capsize=3)
    ax.set_yticks(rows, [plain(name, 44) for name in panel.names[:count]])
    for row in rows:
        ax.text(0.01, row, f"{panel.values[row]:.3f}", va="center", color="w")
    ax.invert_yaxis()
    ax.set_xlim(0, 1)
    ax.set_xlabel(panel.label)
    ax.spines[["top", "right"]].set_visible(False)


def _curve(panel: Curve, ax: Any) -> None:
    for number, (name, line) in enumerate(zip(panel.names, panel.y, strict=True)):
        ax.plot(panel.x, line, marker="o", label=plain(name), color=COLOURS[number % len(COLOURS)])
    if panel.log:
        ax.set_xscale("log")
        ticks = [value for value in panel.x if not np.any((panel.x > value) & (panel.x < 1.5 * value))]
        ax.set_xticks(ticks, [f"{value:,.0f}" for value in ticks])
        ax.set_xticks([], minor=True)
    ax.set_xlabel(panel.labels[0])
    ax.set_ylabel(panel.labels[1])
    ax.legend()
    ax.grid(alpha=0.3)


_DRAW: dict[type, Any] = {
    Shares: _shares,
    Confusion: _confusion,
    Reliability: _reliability,
    Bars: _bars,
    Curve: _curve,
}
