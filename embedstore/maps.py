"""A corpus in two dimensions: projected, and drawn as a page or a picture."""

import html
import json
import re
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from embedstore.errors import MissingExtraError, UsageError
from embedstore.output import published
from embedstore.pictures import COLOURS, figure, plain, save

__all__ = ["Projection", "draw_map", "project"]

Projection = Literal["pca", "tsne", "umap"]

_MORE = ("#999933", "#882255", "#44AA99", "#AA4499")  # Tol (2021), where Okabe and Ito's are used up
_MOST = 12
_TEXT = 400  # characters of a text


def project(
    vectors: npt.NDArray[np.float32], method: Projection = "pca", *, random_state: int = 42
) -> npt.NDArray[np.float32]:
    """Return vectors in two dimensions.

    Parameters
    ----------
    vectors : ndarray of shape (n, dim), float32
        At least three.
    method : {"pca", "tsne", "umap"}
        Principal components; t-SNE of scikit-learn; UMAP, if umap-learn is installed.
    random_state : int
        Seed of the last two.

    Returns
    -------
    ndarray of shape (n, 2), float32
    """
    if method not in get_args(Projection):
        raise UsageError(f"expected a method of {', '.join(get_args(Projection))}, found {method!r}")
    if len(vectors) < 3:
        raise UsageError(f"expected at least 3 rows to draw, found {len(vectors)}")
    if method == "pca":
        centred = vectors - vectors.mean(axis=0)
        if vectors.shape[1] == 1:
            return np.hstack([centred, np.zeros_like(centred)])
        _, axes = np.linalg.eigh((centred.T @ centred).astype(np.float64))
        axes = axes[:, [-1, -2]]
        axes *= np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])  # a component and its negative are the same
        return np.asarray(centred @ axes, dtype=np.float32)
    if vectors.shape[1] == 1:
        raise UsageError(f"expected vectors of 2 dimensions or more for {method}, found 1: take pca")
    if method == "tsne":
        from sklearn.manifold import TSNE

        perplexity = min(30.0, (len(vectors) - 1) / 3)
        made = TSNE(2, perplexity=perplexity, init="pca", random_state=random_state, n_jobs=-1).fit_transform(vectors)
        return np.asarray(made, dtype=np.float32)
    try:
        from umap import UMAP
    except ImportError as error:
        raise MissingExtraError("this map needs umap-learn: pip install umap-learn, or take pca or tsne") from error
    return np.asarray(UMAP(2, metric="cosine", random_state=random_state).fit_transform(vectors), dtype=np.float32)


def draw_map(
    path: Path,
    points: npt.NDArray[np.float32],
    texts: Sequence[str],
    ids: Sequence[str],
    groups: Sequence[str],
    *,
    title: str,
    details: str,
) -> None:
    """Draw points in the colours of their groups.

    Parameters
    ----------
    path : Path
        ``.html``: a page that shows the text under the pointer and needs no network; ``.png`` or ``.svg``: a picture.
    points : ndarray of shape (n, 2), float32
        Where the rows are.
    texts, ids, groups : sequence of str
        Of each row. The eleven largest groups and the others have a colour each, where there are more than twelve.
    title, details : str
        What is drawn, and how.
    """
    counts = Counter(groups).most_common()
    names = [name for name, _ in counts[: _MOST if len(counts) <= _MOST else _MOST - 1]]
    place = {name: number for number, name in enumerate(names)}
    numbers = np.array([place.get(name, len(names)) for name in groups])
    if len(counts) > _MOST:
        names.append("other")
    sizes = np.bincount(numbers, minlength=len(names)).tolist()
    colours = [*COLOURS, *_MORE][: len(names)]
    if path.suffix.lower() != ".html":
        _picture(path, points, numbers, names, sizes, colours, title)
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
        "ids": list(ids),
    }
    page = files("embedstore").joinpath("maps.html").read_text(encoding="utf-8")
    parts = {"@TITLE@": html.escape(title), "@CONTENT@": _embedded(content)}
    page = re.sub("@TITLE@|@CONTENT@", lambda mark: parts[mark[0]], page)
    with published(path) as temp:
        temp.write_text(page, encoding="utf-8", errors="replace")


def _embedded(content: Any) -> str:
    """Return JSON that can't end the element that it stands in."""
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
    for number, name in enumerate(names):
        mine = points[numbers == number]
        shown = f"{plain(name)} ({sizes[number]:,})"
        ax.scatter(mine[:, 0], mine[:, 1], s=4, color=colours[number], alpha=0.6, label=shown, rasterized=True)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_title(plain(title, 90))
    ax.legend(markerscale=4, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    save(whole, path, title)
