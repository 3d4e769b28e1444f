"""The map by neighbourhood: what it is made of, where it is kept, and that it stays where it is."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import HashEncoder

import embedstore
from embedstore.desk import Desk, Query
from embedstore.errors import DamagedStoreError, UsageError
from embedstore.maps import plane as planes
from embedstore.maps.plane import Plane, keep_plane, kept_plane, lay_out

COUNT = 60


def rows_of(first, last):
    """Return rows of which every tenth has no text, and every seventh the text of the one before."""
    texts = [f"text {i - (i % 7 == 6)}" if i % 10 else "" for i in range(first, last)]
    return [{"key": f"k{i}", "review": text} for i, text in zip(range(first, last), texts, strict=True)]


@pytest.fixture
def store(tmp_path):
    made = embedstore.create(tmp_path / "store", encoder=HashEncoder())
    made.add(rows_of(0, COUNT), text="review", id="key")
    made.encode()
    return made


def opened(store, **options):
    """Return a desk as another process has it."""
    return Desk(embedstore.open(store.path, encoder=HashEncoder()), **options)


def state(desk):
    return desk.news()["map"]


def drawn(desk, **options):
    """Return the places of all rows on the map by neighbourhood, made if it is not there."""
    desk.maps.begin(**options)
    desk.maps.wait()
    return desk.maps.newest().points("neighbours")


def test_a_map_is_made_once_and_kept(store):
    desk = Desk(store)
    assert state(desk)["methods"] == ["pca"]
    with pytest.raises(UsageError, match="not ready"):
        desk.maps.newest().points("neighbours")
    made = drawn(desk)
    assert state(desk) == state(desk) | {"methods": ["pca", "neighbours"], "by": "tsne", "running": False}
    sequence = store.manifest.sequence
    again = opened(store)
    assert np.array_equal(drawn(again), made, equal_nan=True)
    assert store.manifest.sequence == sequence
    assert [one["texts"] for one in store.info()["maps"]] == [len({row["review"] for row in rows_of(0, COUNT)} - {""})]


def test_each_text_has_one_place_and_a_blank_one_has_none(store):
    made, rows = drawn(Desk(store)), rows_of(0, COUNT)
    assert np.isnan(made).all(axis=1).tolist() == [not row["review"] for row in rows]
    places = {}
    for row, point in zip(rows, made.tolist(), strict=True):
        if row["review"]:
            assert places.setdefault(row["review"], point) == point
    assert len(set(map(tuple, places.values()))) == len(places)


def test_new_rows_are_placed_and_no_old_one_moves(store):
    desk = Desk(store)
    before = drawn(desk)
    store.add(rows_of(COUNT, COUNT + 25), text="review", id="key")
    waiting = desk.maps.newest().points("neighbours")
    assert np.array_equal(waiting[:COUNT], before, equal_nan=True)
    store.encode()
    after = drawn(desk)
    assert np.array_equal(after[:COUNT], before, equal_nan=True)
    assert np.isnan(after[COUNT:]).all(axis=1).tolist() == [not row["review"] for row in rows_of(COUNT, COUNT + 25)]
    assert np.array_equal(drawn(opened(store)), after, equal_nan=True)


def test_a_new_text_stands_between_the_five_that_are_nearest(store, monkeypatch):
    monkeypatch.setattr(planes, "_ANCHORS", 20)
    monkeypatch.setattr(planes, "_PLACED", 7)
    with store.snapshot() as now:
        space, positions = now.embeddings(None), np.unique(now.corpus().positions())[1:]
        told = []
        made = lay_out(space, positions, on_placed=lambda *numbers: told.append(numbers))
        vectors = space.at(np.arange(len(now.texts)))
    assert sorted(made.positions) == positions.tolist()
    assert told[-1] == (len(positions) - 20, len(positions) - 20)
    assert [one for one, _ in told] == sorted({one for one, _ in told})
    anchors, points = vectors[made.positions[:20]], made.points[:20]
    for position, point in zip(made.positions[20:], made.points[20:], strict=True):
        cosines = anchors @ vectors[position]
        near = np.argsort(-cosines)[:5]
        weights = np.exp(20.0 * cosines[near].astype(np.float64))
        assert np.allclose(point, weights @ points[near] / weights.sum(), rtol=1e-3, atol=1e-3)


def test_many_new_rows_are_placed_in_the_background_and_kept(store, monkeypatch):
    monkeypatch.setattr("embedstore.desk.layout._AT_ONCE", 3)
    desk = Desk(store)
    before = drawn(desk)
    store.add(rows_of(COUNT, COUNT + 25), text="review", id="key")
    store.encode()
    assert state(desk)["methods"] == ["pca"]
    after = drawn(desk)
    assert state(desk)["placed"] == 1
    assert np.array_equal(after[:COUNT], before, equal_nan=True)
    assert store.info()["maps"][0]["texts"] == len({row["review"] for row in rows_of(0, COUNT + 25)} - {""})


def test_an_outline_holds_what_is_inside_on_the_map_that_is_there(store):
    desk = Desk(store)
    low, high = np.nanpercentile(drawn(desk), [30, 90], axis=0)
    box = ((low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1]))
    query = Query(lasso=tuple((float(x), float(y)) for x, y in box), map="neighbours")

    def inside():
        points = desk.maps.newest().points("neighbours")
        wanted = np.flatnonzero(((points > low) & (points < high)).all(axis=1)).tolist()
        assert [one["row"] for one in desk.rows(query)["rows"]] == wanted
        return wanted

    before = inside()
    assert len(before) > 0
    with store.snapshot() as now:
        (((space, corpus), record),) = now.manifest.maps.items()
        old = kept_plane(now, record)
        order = np.random.default_rng(1).permutation(len(old.points))
        keep_plane(now, corpus, space, replace(old, points=old.points[order]), before=record)
    assert inside() != before


def test_a_map_made_anew_takes_the_place_of_the_old_one(store):
    desk = Desk(store)
    drawn(desk)
    (before,) = store.manifest.maps.values()
    mark = state(desk)["mark"]
    store.add(rows_of(COUNT, COUNT + 25), text="review", id="key")
    store.encode()
    drawn(desk, anew=True)
    (after,) = store.manifest.maps.values()
    assert after.anchors > before.anchors
    assert state(desk)["mark"] != mark
    assert before.file.path in store.gc().removed
    assert [one.name for one in (store.path / "maps").iterdir()] == [after.file.path.partition("/")[2]]
    assert store.verify().faults == ()


def test_of_two_that_make_a_map_the_first_one_keeps_it(store):
    with store.snapshot() as now:
        space = now.embeddings(None)
        positions = np.arange(1, len(now.texts))
        first = lay_out(space, positions)
        keep_plane(now, "train", space.key, first, before=None)
        keep_plane(now, "train", space.key, replace(first, points=-first.points), before=None)
    assert np.allclose(drawn(opened(store))[1], first.points[0])


def test_a_desk_that_may_not_write_keeps_the_map_to_itself(store):
    before = store.manifest
    desk = opened(store, read_only=True)
    made = drawn(desk)
    assert store.manifest == before
    assert list((store.path / "maps").iterdir() if (store.path / "maps").exists() else ()) == []
    assert np.array_equal(desk.maps.newest().points("neighbours"), made, equal_nan=True)
    assert state(desk)["methods"] == ["pca", "neighbours"]


@pytest.mark.parametrize("harm", ["gone", "short", "far", "not finite"])
def test_a_map_that_is_damaged_is_found_and_made_again(store, harm):
    whole = drawn(Desk(store))
    (record,) = store.manifest.maps.values()
    path = store.path / record.file.path
    if harm == "gone":
        path.unlink()
    elif harm == "short":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        content, (place, value) = (
            bytearray(path.read_bytes()),
            {
                "far": (record.position.offset, np.uint64(2**40)),
                "not finite": (record.point.offset, np.float32("inf")),
            }[harm],
        )
        content[place : place + value.nbytes] = value.tobytes()
        path.write_bytes(content)
        with store.snapshot() as now, pytest.raises(DamagedStoreError, match="altered"):
            kept_plane(now, record)
    assert len(store.verify().damaged) == 1
    assert np.array_equal(drawn(opened(store)), whole, equal_nan=True)
    assert store.verify().damaged == ()


def test_repair_forgets_a_damaged_map_and_nothing_else(store):
    drawn(Desk(store))
    before = store.manifest
    (record,) = before.maps.values()
    (store.path / record.file.path).write_bytes(b"")
    assert store.repair() == (record.file.path,)
    after = store.manifest
    assert (after.maps, after.spaces, after.texts, after.corpora) == ({}, before.spaces, before.texts, before.corpora)


@pytest.mark.parametrize("rows", [1, 5])
def test_a_few_texts_have_no_map_by_neighbourhood(tmp_path, rows):
    store = embedstore.create(tmp_path / "few", encoder=HashEncoder())
    store.add([{"review": f"text {i}"} for i in range(rows)], text="review")
    store.encode()
    desk = Desk(store)
    desk.maps.begin()
    desk.maps.wait()
    assert state(desk)["methods"] == ["pca"]
    assert np.isfinite(desk.maps.newest().points()).all()


def test_a_plane_knows_which_texts_it_lacks():
    plane = Plane("tsne", 2, np.array([5, 1, 3]), np.array([[5, 5], [1, 1], [3, 3]], dtype=np.float32))
    assert plane.lacking(np.array([7, 1, 0, 7])).tolist() == [0, 7]
    assert np.nan_to_num(plane.places(np.array([3, 9, 1, 0, 5])), nan=-1)[:, 0].tolist() == [3, -1, 1, -1, 5]
