import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pyarrow as pa
import pytest

from embedstore.errors import InputError, OutputError, UsageError
from embedstore.maps.projection import project
from embedstore.reports.calibration import Reliability
from embedstore.reports.map_page import draw_map, groups_of
from embedstore.reports.pictures import Bars, Confusion, Curve, Shares, draw, picture_path

STRANGE = "$x_1$ <b>&\x1b[31m 日本 😀 " + "long " * 20
PANELS = [
    Shares({"Negative": 0.25, STRANGE: 0.75}),
    Confusion(["Negative", STRANGE], np.array([[1234, 5], [6, 78]])),
    Reliability(np.array([0.5, 0.9]), np.array([0.4, 0.95]), np.array([10, 30]), 0.0625),
    Bars(["cosine", "best"], np.array([0.6, 0.8]), np.array([0.5, np.nan]), np.array([0.7, np.nan]), "accuracy"),
    Curve(["random", "uncertain"], np.array([0.0, 10]), np.array([[0.5, 0.6], [0.5, 0.7]]), ("labels", "accuracy")),
]


def test_bars_without_intervals_have_no_ticks(tmp_path):
    values, none = np.array([0.6, 0.8]), np.full(2, np.nan)
    for name, low, high in (("plain", none, none), ("spans", values - 0.1, values + 0.1)):
        draw(tmp_path / f"{name}.svg", [Bars(["a", "b"], values, low, high, "F1")], "title")
    assert "LineCollection" in (tmp_path / "spans.svg").read_text()
    assert "LineCollection" not in (tmp_path / "plain.svg").read_text()


def test_a_picture_is_a_png(tmp_path):
    draw(tmp_path / "a.png", PANELS, STRANGE)
    content = (tmp_path / "a.png").read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert int.from_bytes(content[16:20]) == 1200
    assert list(tmp_path.iterdir()) == [tmp_path / "a.png"]


def test_an_svg_holds_names_counts_and_shares_as_text(tmp_path):
    draw(tmp_path / "a.svg", PANELS, "all of it")
    texts = " ".join(ElementTree.fromstring((tmp_path / "a.svg").read_text()).itertext())
    for wanted in ("all of it", "Negative", "25.0%", "1,234", "100%", "error 0.062", "0.800", "uncertain"):
        assert wanted in texts, wanted


def test_a_page_holds_the_picture_and_asks_nothing_of_the_network(tmp_path):
    draw(tmp_path / "a.html", PANELS, "a </title><script>alert(1)</script>")
    page = (tmp_path / "a.html").read_text()
    assert "<script" not in page
    assert "<svg" in page
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"|<!DOCTYPE[^>]*>|<cc:Work>|<dc:type [^>]*>', "", page)


def test_the_same_picture_has_the_same_bytes(tmp_path):
    for name in ("a.svg", "b.svg"):
        draw(tmp_path / name, PANELS, "same")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_a_picture_that_cannot_be_written_is_refused_before_the_work(tmp_path):
    with pytest.raises(OutputError, match=r"ends in \.png, \.svg, \.html"):
        picture_path(tmp_path / "a.gif")
    with pytest.raises(OutputError, match="there is no folder"):
        picture_path(tmp_path / "none" / "a.png")
    (tmp_path / "d.png").mkdir()
    with pytest.raises(OutputError, match="it is a folder"):
        picture_path(tmp_path / "d.png")


def test_principal_components_are_those_of_numpy():
    vectors = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32) * np.arange(1, 9)
    points = project(vectors.astype(np.float32))
    centred = vectors - vectors.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    oracle = centred @ axes[:2].T
    assert np.allclose(np.abs(points), np.abs(oracle), atol=1e-3)
    assert np.array_equal(points, project(vectors.astype(np.float32)))
    assert project(vectors[:, :1].astype(np.float32))[:, 1].tolist() == [0] * 50
    with pytest.raises(UsageError, match="2 dimensions or more"):
        project(vectors[:, :1].astype(np.float32), "tsne")
    with pytest.raises(UsageError, match="at least 3 rows"):
        project(vectors[:2].astype(np.float32))


def test_a_map_page_holds_texts_that_can_do_no_harm(tmp_path):
    texts = ["</script><script>alert(1)</script>", "a & b \u2028", "x" * 500]
    points = np.array([[0, 0], [2, 1], [1, 1]], dtype=np.float32)
    draw_map(tmp_path / "m.html", points, texts, ["1", "2", "3"], ["A", "B", "A"], title="<t>", details="3 rows")
    page = (tmp_path / "m.html").read_text()
    assert page.count("<script") == 2
    assert "http" not in page
    content = json.loads(re.search(r'id="content">(.*?)</script>', page)[1])
    assert content["texts"] == [*texts[:2], "x" * 400 + "…"]
    assert (content["names"], content["counts"], content["group"]) == (["A", "B"], [2, 1], [0, 1, 0])
    assert (content["x"], content["y"]) == ([0, 1, 0.5], [0.25, 0.75, 0.75])


def test_a_title_that_looks_like_a_mark_and_one_that_is_no_text_do_no_harm(tmp_path):
    points = np.array([[0, 0], [2, 1], [1, 1]], dtype=np.float32)
    for title in ("@CONTENT@ @TITLE@", "half a pair \ud800"):
        draw_map(tmp_path / "m.html", points, ["a"] * 3, ["1"] * 3, ["A"] * 3, title=title, details="")
        page = (tmp_path / "m.html").read_text()
        assert page.count('"texts":["a","a","a"]') == 1
        draw(tmp_path / "a.html", PANELS[:1], title)


def test_many_labels_are_drawn_as_the_largest_and_the_others(tmp_path):
    draw(tmp_path / "a.svg", [Shares({f"label {i}": 0.02 for i in range(50)})], "many")
    texts = " ".join(ElementTree.fromstring((tmp_path / "a.svg").read_text()).itertext())
    assert "21 others" in texts
    assert "42.0%" in texts


def test_more_groups_than_colours_become_others(tmp_path):
    groups = [f"g{min(i, 19 - i)}" if i < 20 else "g0" for i in range(40)] + [f"h{i}" for i in range(9)]
    points = np.random.default_rng(0).normal(size=(49, 2)).astype(np.float32)
    draw_map(tmp_path / "m.html", points, groups, groups, groups, title="t", details="")
    content = json.loads(re.search(r'id="content">(.*?)</script>', (tmp_path / "m.html").read_text())[1])
    assert len(content["names"]) == 12
    assert content["names"][-1] == "(others)"
    assert sum(content["counts"]) == 49
    draw_map(tmp_path / "m.png", points, groups, groups, groups, title="t", details="")
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")


def test_numbers_are_in_order_and_many_of_them_are_ranges():
    stars, order = groups_of(pa.chunked_array([[5, None, 1, 10]]))
    assert (stars, order) == (["5", "(none)", "1", "10"], ("1", "5", "10"))
    ages = np.arange(60) // 2 + 20.5
    groups, order = groups_of(pa.chunked_array([[*ages, float("nan")]]))
    assert order == ("20.5 to 24.5", "25.5 to 29.5", "30.5 to 34.5", "35.5 to 39.5", "40.5 to 44.5", "45.5 to 49.5")
    for age, group in zip(ages, groups[:-1], strict=True):
        low, high = map(float, group.split(" to "))
        assert low <= age <= high
    assert groups[-1] == "(none)"
    assert groups_of(pa.chunked_array([["b", None, "a"]])) == (["b", "(none)", "a"], ())


def test_groups_in_order_have_a_scale_and_rows_of_none_lie_below(tmp_path):
    points = np.array([[0, 0], [2, 1], [1, 1], [3, 3]], dtype=np.float32)
    groups, ids = ["high", "(none)", "low", "high"], ["1", "2", "3", "4"]
    draw_map(tmp_path / "m.html", points, ids, ids, groups, order=("low", "mid", "high"), title="t", details="")
    content = json.loads(re.search(r'id="content">(.*?)</script>', (tmp_path / "m.html").read_text())[1])
    assert content["names"] == ["low", "high", "(none)"]
    assert content["colours"] == ["#B2182B", "#2166AC", "#8A8A8A"]
    assert content["ids"] == ["2", "1", "3", "4"]
    assert content["group"] == [2, 1, 0, 1]


def test_rows_without_a_text_are_not_drawn(store, tmp_path):
    drawn = store.map(by="stars")
    drawn.plot(str(tmp_path / "m.html"))
    assert (len(drawn), drawn.total, drawn.empty) == (9, 10, 1)
    assert '"k2"' not in (tmp_path / "m.html").read_text()


def test_names_that_begin_alike_are_told_apart(tmp_path):
    names = ["The service of the people at the desk was bad", "The service of the people at the desk was good"]
    draw(tmp_path / "a.svg", [Confusion(names, np.array([[3, 1], [1, 2]]))], "t")
    texts = " ".join(ElementTree.fromstring((tmp_path / "a.svg").read_text()).itertext())
    assert "The service of… desk was bad" in texts
    assert "The service of…desk was good" in texts


def test_a_large_confusion_matrix_has_the_most_frequent_classes(tmp_path):
    counts = np.diag(np.arange(40))
    draw(tmp_path / "a.svg", [Confusion([f"c{i:02d}" for i in range(40)], counts)], "t")
    texts = set(ElementTree.fromstring((tmp_path / "a.svg").read_text()).itertext())
    assert {"c10", "c39"} <= texts
    assert "c09" not in texts
    assert "predicted; the 30 most frequent of 40" in texts


def test_pictures_from_the_shell(cli, store, tmp_path):
    gold = ["--gold", "stars", "--map", "1=Negative", "--map", "2=Positive"]
    labels = ["-l", "Negative", "-l", "Positive"]
    done = cli("tag", "small", *labels, *gold, "--confidence", "--plot", tmp_path / "tag.svg", "-o", tmp_path / "t.csv")
    assert done.returncode == 0, done.stderr
    assert "expected calibration error" in (tmp_path / "tag.svg").read_text()
    for words in (
        ["train", "small", "--target", "stars", "--plot", tmp_path / "train.png"],
        ["map", "small", "-o", tmp_path / "map.html", "--by", "stars"],
        ["map", "small", "-o", tmp_path / "map.svg", *labels],
        ["map", "small", "-o", tmp_path / "tsne.png", "--method", "tsne", "--sample", "8"],
        [
            "compare",
            "small",
            "--target",
            "stars",
            *labels,
            *gold[2:],
            "--test-size",
            "0.4",
            "--plot",
            tmp_path / "c.png",
        ],
    ):
        done = cli(*words)
        assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.glob("*.png")} == {"train.png", "tsne.png", "c.png"}
    assert "found both" in cli.fails(2, "map", "small", "-o", tmp_path / "m.png", *labels, "--by", "stars")
    assert "found both" in cli.fails(
        2, "map", "small", "-o", tmp_path / "m.png", "--labels", "no file", "--by", "stars"
    )
    assert "no column 'star'" in cli.fails(1, "map", "small", "-o", tmp_path / "m.png", "--by", "star")
    assert "ends in" in cli.fails(1, "map", "small", "-o", tmp_path / "m.pdf")
    assert "umap-learn" in cli.fails(1, "map", "small", "-o", tmp_path / "m.png", "--method", "umap")


def test_doubts_and_duplicates_from_the_shell(cli, store, rows, tmp_path):
    store.add([{"key": "t0", "review": "good tea", "stars": 1}], text="review", id="key", corpus="test")
    done = cli("duplicates", "small", "--leaks", "-o", tmp_path / "d.csv")
    assert "1 group of 3 rows" in done.stderr
    assert (tmp_path / "d.csv").read_text().splitlines()[1].startswith("1,3,train,k0,1")
    assert json.loads(cli("duplicates", "small", "--corpus", "train", "--json").stdout)["groups"] == 1
    assert "threshold" in cli.fails(2, "duplicates", "small", "--threshold", "2")
    assert "at least 6" in cli.fails(1, "doubts", "small", "--target", "stars", "--corpus", "train", "--folds", "6")
    done = cli("doubts", "small", "--target", "stars", "--corpus", "train", "--folds", "2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "id,given,suggested,confidence,margin,text"
    assert "the most doubtful first" in done.stderr
    done = cli("doubts", "small", "--target", "stars", "--corpus", "train", "--folds", "2", "--filter", "any")
    found = [line.split(",")[0] for line in done.stdout.splitlines()[1:]]
    assert found == store.doubts("stars", corpus="train", folds=2, filter="any").to_pandas()["id"].tolist()
    with pytest.raises(InputError, match="was annotated yet"):
        store.doubts("annotations", corpus="train")
