"""Draw points in two dimensions as a page or a picture."""

import html
import json
import re
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.core.cells import plain_values
from embedstore.core.values import value_text
from embedstore.reports.pictures import COLOURS, figure, plain, save
from embedstore.tables.outputs import published

__all__ = ["draw_map", "groups_of"]

# Okabe and Ito's colours without black, which is invisible on a dark page; then Tol's (2021).
_PALETTE = (*COLOURS[:7], "#999933", "#882255", "#44AA99", "#AA4499", "#117733")
_SCALE = ("#B2182B", "#EF8A62", "#999999", "#67A9CF", "#2166AC")  # ColorBrewer's RdBu, visible on white and on black
_GREY = "#8A8A8A"
_NONE, _OTHERS = "(none)", "(others)"
_MOST = len(_PALETTE)
_RANGES = 6  # for a column with more distinct numbers than colours
_TEXT = 400  # longest text, in characters


def groups_of(column: pa.ChunkedArray) -> tuple[list[str], tuple[str, ...]]:
    """Return the group of each row, and the order of the groups if they have one.

    Groups of numbers are in order. If there are more distinct numbers than colours, they are split into six ranges with
    about equally many rows.

    Parameters
    ----------
    column : ChunkedArray
        A column of any type.
    """
    texts = [value_text(value) for value in plain_values(column)]
    number_of = _numbers_of(column.type, set(texts))
    if number_of is None:
        return [text or _NONE for text in texts], ()
    order = sorted(number_of, key=lambda text: number_of[text])
    if len(order) > _MOST:
        values = np.array([number_of[text] for text in texts if text in number_of])
        edges = np.unique(np.quantile(values, np.linspace(0, 1, _RANGES + 1)[1:-1]))
        place = np.searchsorted(edges, [number_of[text] for text in order], side="left")
        parts = [[text for text, at in zip(order, place, strict=True) if at == number] for number in np.unique(place)]
        range_of = {text: f"{part[0]} to {part[-1]}" for part in parts for text in part}
    else:
        range_of = {text: text for text in order}
    return [range_of.get(text, _NONE) for text in texts], tuple(dict.fromkeys(range_of[text] for text in order))


def _numbers_of(type_: pa.DataType, texts: set[str]) -> dict[str, float] | None:
    """Return the number that each text is; None if some are none, or if few texts of a column of text are numbers."""
    typed = pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)
    if not typed and (not pa.types.is_string(type_) or len(texts) <= _MOST):
        return None
    try:
        numbers = {text: float(text) for text in texts if text}
    except ValueError:
        return None
    return {text: number for text, number in numbers.items() if np.isfinite(number)}


def draw_map(
    path: Path,
    points: npt.NDArray[np.float32],
    texts: Sequence[str],
    ids: Sequence[str],
    groups: Sequence[str],
    *,
    order: Sequence[str] = (),
    title: str,
    details: str,
) -> None:
    """Draw points in the colours of their groups.

    Parameters
    ----------
    path : Path
        ``.html``: a page that shows the text under the pointer and needs no network; ``.png`` or ``.svg``: a picture.
    points : ndarray of shape (n, 2), float32
        Coordinates of the rows.
    texts, ids, groups : sequence of str
        Text, id and group of each row. Up to twelve groups have a colour each; of more groups, the eleven largest do.
        Other groups and rows without a group are grey, and drawn below the rest.
    order : sequence of str
        Order of the groups, if they have one; their colours are then a scale.
    title, details : str
        Title, and a second line with details.
    """
    names, colours = _legend(groups, order)
    place = {name: number for number, name in enumerate(names)}
    numbers = np.array([place.get(name, place.get(_OTHERS, 0)) for name in groups])
    sizes = np.bincount(numbers, minlength=len(names)).tolist()
    below = np.argsort(np.array([colour != _GREY for colour in colours])[numbers], kind="stable")
    points, numbers = points[below], numbers[below]
    texts, ids = [texts[row] for row in below], [ids[row] for row in below]
    if path.suffix.lower() != ".html":
        _picture(path, points, numbers, names, sizes, colours, f"{plain(title, 90)}\n{plain(details, 90)}")
        return
    low, high = points.min(axis=0), points.max(axis=0)
    flat = (points - (low + high) / 2) / max(float((high - low).max()), 1e-9) + 0.5
    content = {
        "title": title,
        "details": details,
        "x": np.round(flat[:, 0].astype(np.float64), 5).tolist(),
        "y": np.round(flat[:, 1].astype(np.float64), 5).tolist(),
        "group": numbers.tolist(),
        "names": names,
        "counts": sizes,
        "colours": colours,
        "texts": [text if len(text) <= _TEXT else text[:_TEXT] + "…" for text in texts],
        "ids": ids,
    }
    page = files("embedstore.reports").joinpath("map_page.html").read_text(encoding="utf-8")
    parts = {"@TITLE@": html.escape(title), "@CONTENT@": _embedded(content)}
    page = re.sub("@TITLE@|@CONTENT@", lambda mark: parts[mark[0]], page)
    with published(path) as temp:
        temp.write_text(page, encoding="utf-8", errors="replace")


def _legend(groups: Sequence[str], order: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names and colours of the shown groups; grey groups come last."""
    counts = Counter(groups)
    if order:
        names = [name for name in order if name in counts]
        at = np.linspace(0, len(_SCALE) - 1, max(2, len(names)))
        channels = [[int(colour[i : i + 2], 16) for colour in _SCALE] for i in (1, 3, 5)]
        mixed = np.round([np.interp(at, range(len(_SCALE)), channel) for channel in channels]).astype(int).T
        colours = ["#{:02X}{:02X}{:02X}".format(*one) for one in mixed[: len(names)].tolist()]
    else:
        names = [name for name, _ in counts.most_common() if name != _NONE]
        names = names if len(names) <= _MOST else [*names[: _MOST - 1], _OTHERS]
        colours = [_GREY if name == _OTHERS else colour for name, colour in zip(names, _PALETTE, strict=False)]
    return ([*names, _NONE], [*colours, _GREY]) if _NONE in counts else (names, colours)


def _embedded(content: Any) -> str:
    """Return JSON that can't close the HTML element around it."""
    text = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _picture(
    path: Path,
    points: npt.NDArray[np.float32],
    numbers: npt.NDArray[np.int64],
    names: list[str],
    sizes: list[int],
    colours: list[str],
    title: str,
) -> None:
    whole = figure(9, 7)
    ax = whole.subplots()
    size = float(np.clip(4000 / len(points), 4, 40))
    look = {"s": size, "alpha": 0.6, "linewidths": 0}
    ax.scatter(points[:, 0], points[:, 1], c=np.array(colours)[numbers], rasterized=True, **look)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_title(title)
    ax.legend(
        [ax.scatter([], [], color=colour, **look) for colour in colours],
        [f"{plain(name)} ({count:,})" for name, count in zip(names, sizes, strict=True)],
        markerscale=8 / size**0.5,
        loc="center left",
        bbox_to_anchor=(1, 0.5),
        frameon=False,
    )
    save(whole, path, title.split("\n")[0])
