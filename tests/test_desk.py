"""The desk: what its calls show and keep, beside plain Python, NumPy and pandas, and beside the other faces."""

import datetime
import decimal
import itertools
import shlex
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import LABELS, HashEncoder
from hypothesis import example, given
from hypothesis import strategies as st

import embedstore
from embedstore.core.cells import spelled
from embedstore.core.values import is_blank
from embedstore.desk import Desk, Query
from embedstore.desk.lens import Lens
from embedstore.desk.recent import Recent
from embedstore.desk.selecting import inside
from embedstore.errors import InputError, ModelRequiredError, NotFoundError, UsageError

PIECES = [
    "Kettle",
    "it's",
    "50%",
    "a_b",
    'say "x"',
    "Ünder",
    "STRASSE",
    "straße",
    "ΣΑΣ",
    "日本",
    "\\n",
    "a\nb",
    "--",
    " ",
    "",
]
ROWS = [
    {
        "key": f"k{i}",
        "title": None if i % 7 == 0 else PIECES[i % len(PIECES)],
        "review": None
        if i % 6 == 0
        else ""
        if i % 13 == 0
        else PIECES[i * i % len(PIECES)] + PIECES[i * 7 % len(PIECES)],
        "stars": None if i % 11 == 0 else i % 5,
        "sold": i % 3 == 0,
    }
    for i in range(90)
]
TEMPLATES = {
    "{review}": lambda row: row["review"] or "",
    "{title}: {review}!": lambda row: filled(row["title"], ": ", row["review"], "!"),
    "it's {review}": lambda row: f"it's {row['review']}" if row["review"] else "",
    "{stars}/{title}": lambda row: filled(row["stars"], "/", row["title"], ""),
}
LENS = Lens.of(LABELS)


def filled(one, between, other, end):
    """Return two values with literals between and after them; "" if there is neither."""
    one, other = ("" if value is None else str(value) for value in (one, other))
    return f"{one}{between}{other}{end}" if one or other else ""


def lowered(text):
    """Return a text in lower case, letter by letter as databases do: a sigma at the end of a word is as any other."""
    return "".join(one.lower() for one in text)


def made(folder, rows, text="review", **options):
    store = embedstore.create(folder, encoder=HashEncoder())
    store.add(rows, text=text, **options)
    store.encode()
    return store


@pytest.fixture(scope="module")
def desks(tmp_path_factory):
    """A desk for each template, all with the same rows."""
    folder = tmp_path_factory.mktemp("desks")
    return {text: Desk(made(folder / str(n), ROWS, text, id="key")) for n, text in enumerate(TEMPLATES)}


@pytest.fixture(scope="module")
def desk(desks):
    return desks["{title}: {review}!"]


def texts_of_rows(template="{title}: {review}!"):
    return [TEMPLATES[template](row) for row in ROWS]


def numbers(desk, query, lens=Lens()):  # noqa: B008  it is frozen
    return [one["row"] for one in desk.rows(query, lens, count=500)["rows"]]


CONDITIONS = {
    "": lambda row: True,
    "stars >= 2": lambda row: row["stars"] is not None and row["stars"] >= 2,
    "stars IS NULL OR sold": lambda row: row["stars"] is None or row["sold"],
    "title = 'it''s' -- a remark": lambda row: row["title"] == "it's",
    "NOT sold": lambda row: not row["sold"],
}
WORDS = st.lists(st.sampled_from([*PIECES, ":", ": ", "!", "i", "S", "2/", "%", "_", "\x00"]), max_size=2).map("".join)


@given(st.sampled_from(list(TEMPLATES)), st.sampled_from(list(CONDITIONS)), WORDS, st.booleans())
@example("{title}: {review}!", "", ": ", False)  # not the literals of a row without a text
@example("it's {review}", "", "it's", False)
def test_rows_fulfil_the_condition_and_have_the_words_in_their_text(desks, template, where, words, upper):
    words = words.upper() if upper and "ß" not in words else words
    wanted = [
        number
        for number, row in enumerate(ROWS)
        if CONDITIONS[where](row) and lowered(words) in lowered(TEMPLATES[template](row))
    ]
    desk, query = desks[template], Query(where=where, words=words)
    assert numbers(desk, query) == wanted
    assert desk.mask(query).nonzero()[0].tolist() == wanted


def test_a_condition_that_is_none_by_itself_is_refused_beside_words_too(desk):
    for words in ("", "kettle"):
        with pytest.raises(UsageError, match="syntax error"):
            desk.rows(Query(where="stars = 1) OR (stars = 2", words=words))
    with pytest.raises(InputError, match="no column 'star'"):
        desk.rows(Query(where="star > 2"))


def test_rows_have_their_own_text_id_and_columns(desk):
    for one in desk.rows(Query(), count=500)["rows"]:
        row, text = ROWS[one["row"]], texts_of_rows()[one["row"]]
        assert (one["id"], one["text"], one["length"]) == (row["key"], text, len(text))
        assert one["columns"] == {name: "" if value is None else str(value) for name, value in row.items()}
        assert desk.text(one["row"]) == text
    with pytest.raises(UsageError):
        desk.text(len(ROWS))


@given(st.integers(7, 40), st.sampled_from([Query(), Query(meaning="tea"), Query(words="e"), Query(like="k3")]))
def test_pages_hold_each_row_once(desk, count, query):
    everything = numbers(desk, query)
    pages = []
    for start in range(0, desk.rows(query, count=0)["total"], count):
        pages += [one["row"] for one in desk.rows(query, start=start, count=count)["rows"]]
    assert pages == everything
    assert desk.rows(query, start=len(everything), count=5)["rows"] == []


@pytest.mark.parametrize("where", ["", "stars >= 2"])
@pytest.mark.parametrize("asked", [{"meaning": "a kettle"}, {"like": "k5"}])
def test_similar_rows_come_in_the_order_of_a_search(desk, where, asked):
    store = desk.store.where(where) if where else desk.store
    found = store.search(asked.get("meaning"), row=asked.get("like"), k=1000).to_pandas()
    shown = desk.rows(Query(where=where, **asked), count=500)["rows"]
    assert [one["id"] for one in shown] == found["id"].tolist()
    assert np.allclose([one["similarity"] for one in shown], found["score"], atol=2e-6)
    least = float(found["score"].iloc[7]) - 1e-5
    enough = numbers(desk, Query(where=where, least=least, **asked))
    assert enough == [one["row"] for one in shown][: int((found["score"] >= least).sum())]


def test_what_cannot_be_searched_for_is_told(desk):
    for query in (Query(meaning=" \u200b"), Query(like="k0")):  # row k0 has no text
        with pytest.raises(UsageError, match="text"):
            desk.rows(query)
    with pytest.raises(NotFoundError):
        desk.rows(Query(like="nobody"))


def inside_by_angles(x, y, corners):
    """Return whether a polygon winds around a point, by the sum of the angles at which its edges are seen."""
    angles = [np.arctan2(b - y, a - x) for a, b in corners]
    turns = [(end - start + np.pi) % (2 * np.pi) - np.pi for start, end in itertools.pairwise([*angles, angles[0]])]
    return abs(sum(turns)) > np.pi


@given(st.lists(st.floats(0.2, 1), min_size=3, max_size=12), st.integers(0, 1000))
def test_a_lasso_holds_the_points_that_its_outline_winds_around(radii, seed):
    # A star-shaped outline has no crossings, and is concave wherever a radius is shorter than its neighbours.
    around = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    corners = tuple((float(r * np.cos(a)), float(r * np.sin(a))) for r, a in zip(radii, around, strict=True))
    points = np.random.default_rng(seed).uniform(-1, 1, (200, 2)).astype(np.float32)
    points[::9] = np.nan
    wanted = [bool(np.isfinite(x)) and inside_by_angles(float(x), float(y), corners) for x, y in points]
    assert inside(points, corners).tolist() == wanted


def test_a_lasso_can_be_of_any_size():
    points, far = np.array([[0, 0], [3, 1], [np.nan, 0]], dtype=np.float32), 10**150
    assert inside(points, ((-far, -far), (far, -far), (0, far))).tolist() == [True, True, False]
    assert inside(points, ((1, 1), (1, 1), (1, 1))).tolist() == [False, False, False]
    for lasso in (((0, 0), (1, 0), (0, 10**151)), ((0, 0), (1, 0)), ((0, 0), (1, float("nan")), (0, 1))):
        with pytest.raises(UsageError, match="lasso"):
            Query(lasso=lasso)


def test_a_lasso_and_other_filters_hold_together(desk):
    points = desk.maps.newest().points()
    blank = np.array([is_blank(text) for text in texts_of_rows()])
    assert (np.isnan(points).all(axis=1) == blank).all()
    low, high = np.nanpercentile(points, 20, axis=0), np.nanpercentile(points, 90, axis=0)
    box = ((low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1]))
    query = Query(lasso=tuple((float(x), float(y)) for x, y in box), where="sold")
    within = ((points > low) & (points < high)).all(axis=1)
    assert numbers(desk, query) == [n for n, row in enumerate(ROWS) if within[n] and row["sold"]]
    assert 0 < len(numbers(desk, query)) < sum(row["sold"] for row in ROWS)


COUNT = 60
TYPES = {
    "bool": pa.array([None if i % 7 == 0 else i % 2 == 0 for i in range(COUNT)]),
    "large": pa.array([2**63 + i for i in range(COUNT)], pa.uint64()),
    "small": pa.array([i % 3 - 1 for i in range(COUNT)], pa.int8()),
    "numbers": pa.array([None if i % 9 == 0 else i * i for i in range(COUNT)]),
    "floats": pa.array([*map(float, range(COUNT - 4)), float("nan"), float("inf"), float("-inf"), None]),
    "few floats": pa.array([1.5, float("nan"), None, -0.0, float("inf"), 0.25] * 10),
    "ends of floats": pa.array([(-1) ** i * 1.7e308 / (1 + i) for i in range(COUNT)]),
    "float32": pa.array(np.linspace(0, 1, COUNT), pa.float32()),
    "float16": pa.array((np.arange(COUNT) / 7).astype(np.float16)),
    "null": pa.nulls(COUNT),
    "text": pa.array([None if i % 8 == 0 else f"v{i % 37 if i % 2 else 1}" for i in range(COUNT)]),
    "date": pa.array([datetime.date(2020, 1, 1 + i % 28) for i in range(COUNT)]),
    "moment": pa.array([datetime.datetime(2020, 1, 1 + i % 28) for i in range(COUNT)], pa.timestamp("us", "UTC")),
    "decimal": pa.array([decimal.Decimal(i % 4) / 4 for i in range(COUNT)], pa.decimal128(10, 2)),
    "list": pa.array([[i % 3, None] for i in range(COUNT)]),
    "struct": pa.array([{"a": i % 3} for i in range(COUNT)]),
    "binary": pa.array([bytes([i % 3]) for i in range(COUNT)]),
    "words": pa.array([f"v{i % 4}" for i in range(COUNT)]).dictionary_encode(),
    "duration": pa.array([i % 4 for i in range(COUNT)], pa.duration("s")),
}


@pytest.fixture(scope="module")
def typed(tmp_path_factory):
    """A desk on columns of all types."""
    table = pa.table({"review": [f"text {i % 50}" for i in range(COUNT)], **TYPES})
    return Desk(made(tmp_path_factory.mktemp("typed") / "store", table))


def counted(values, rows):
    """Return how often each value is there, in all and in some rows, and those of missing values, by pandas."""
    series = pd.Series(values, dtype=object)
    shown = series.iloc[rows]
    pairs = {name: (count, int((shown == name).sum())) for name, count in series.value_counts().items()}
    return pairs, (int(series.isna().sum()), int(shown.isna().sum()))


@pytest.mark.parametrize("where", ["", "small = 0", "small = 7"])
@pytest.mark.parametrize("name", TYPES)
def test_counts_are_those_of_pandas(typed, name, where):
    query = Query(where=where)
    rows = numbers(typed, query)
    found = typed.counts(query, [name])[name]
    pairs, missing = counted(spelled(TYPES[name]).to_pylist(), rows)
    bins = {one["name"]: (one["all"], one["shown"]) for one in found["bins"]}
    assert (found["missing"]["all"], found["missing"]["shown"]) == missing
    if found["kind"] == "numbers":
        values = np.array([np.nan if one is None else float(one) for one in spelled(TYPES[name]).to_pylist()])
        inside_ends = [
            (one["low"] is None or values >= one["low"]) & (one["high"] is None or values < one["high"])
            for one in found["bins"]
        ]
        held = [mask & ~np.isnan(values) for mask in inside_ends]
        assert [one["all"] for one in found["bins"]] == [int(mask.sum()) for mask in held]
        assert [one["shown"] for one in found["bins"]] == [int(mask[rows].sum()) for mask in held]
        ends = [one["low"] for one in found["bins"][1:]]
        assert ends == sorted(ends)
        assert np.isfinite(ends).all()
    else:
        assert len(bins) == min(30, len(pairs))
        assert bins.items() <= pairs.items()
        assert (
            sorted((count for count, _ in bins.values()), reverse=True)
            == sorted((count for count, _ in pairs.values()), reverse=True)[: len(bins)]
        )
    for number, part in enumerate(("all", "shown")):
        total = sum(one[part] for one in found["bins"]) + found["missing"][part] + found["others"][part]
        assert total == (COUNT, len(rows))[number]


def test_a_column_of_few_numbers_is_counted_in_their_order(typed):
    found = typed.counts(Query(), ["small", "few floats"])
    assert [one["name"] for one in found["small"]["bins"]] == ["-1", "0", "1"]
    assert [one["name"] for one in found["few floats"]["bins"]] == ["-0.0", "0.25", "1.5", "inf", "nan"]


@pytest.mark.parametrize("name", TYPES)
def test_each_row_has_the_colour_of_its_own_value(typed, name):
    groups, codes = typed.colours(name)
    texts = spelled(TYPES[name]).to_pylist()
    assert (codes == -1).tolist() == [text is None for text in texts]
    assert len(set(groups)) == len(groups)
    assert codes.max(initial=-1) < len(groups)
    for text, code in zip(texts, codes.tolist(), strict=True):
        if code >= 0 and groups[code] != text and groups[code] != "(others)":
            low, high = groups[code].split(" to ")
            assert float(low) <= float(text) <= float(high)
    if "(others)" not in groups and not any(" to " in one for one in groups):
        assert [groups[code] if code >= 0 else None for code in codes] == texts


def test_tags_are_columns_to_filter_count_and_colour_by(desk):
    frame = desk.store.tag(LABELS).to_pandas()
    where = "Predicted_Labels = 'Positive' AND score > 0.1"
    wanted = np.flatnonzero((frame["Predicted_Labels"] == "Positive") & (frame["score"] > 0.1)).tolist()
    assert 0 < len(wanted) < len(ROWS)
    assert numbers(desk, Query(where=where), LENS) == wanted
    counts = desk.counts(Query(), ["Predicted_Labels"], LENS)["Predicted_Labels"]
    assert {one["name"]: one["all"] for one in counts["bins"]} == frame["Predicted_Labels"].value_counts().to_dict()
    groups, codes = desk.colours("Predicted_Labels", LENS)
    said = [None if pd.isna(one) else one for one in frame["Predicted_Labels"]]
    assert [groups[code] if code >= 0 else None for code in codes] == said
    margins = frame["margin"].fillna(np.inf).to_numpy()
    assert numbers(desk, Query(sort="unsure"), LENS) == np.argsort(margins, kind="stable").tolist()
    for one in desk.rows(Query(), LENS, count=500)["rows"]:
        assert one.get("tag") == said[one["row"]]
    with pytest.raises(InputError, match="no column 'Predicted_Labels'"):
        desk.rows(Query(where=where))


ACTIONS = st.lists(
    st.one_of(
        st.tuples(
            st.just("answer"),
            st.sampled_from(["ann", "bob"]),
            st.sampled_from(["Negative", "Positive", ""]),
            st.one_of(st.lists(st.integers(0, 24), max_size=6), st.sampled_from(["stars >= 2", "stars = 9", "sold"])),
        ),
        st.tuples(st.just("again"), st.integers(0, 5)),
        st.tuples(st.just("back"), st.integers(0, 5)),
    ),
    max_size=7,
)
EXAMPLE = itertools.count()


class Model:
    """What people said, in plain Python: for each person and text the labels in order, each with its action."""

    def __init__(self, texts):
        self.texts = texts
        self.said = {}
        self.taken_back = set()

    def answer(self, action, who, label, rows):
        texts = {self.texts[row] for row in rows if not is_blank(self.texts[row])}
        for text in texts:
            self.said.setdefault((who, text), {}).setdefault(action, label)
        return len(texts)

    def take_back(self, action):
        self.taken_back.add(action)
        return sum(action in labels for labels in self.said.values())

    def current(self):
        found = {}
        for question, labels in self.said.items():
            standing = [label for action, label in labels.items() if action not in self.taken_back]
            if standing:
                found[question] = standing[-1]
        return found


@given(ACTIONS)
def test_answers_are_the_last_of_each_person_that_was_not_taken_back(desk, actions):
    example = next(EXAMPLE)
    model, sent = Model(texts_of_rows()), []
    for number, (kind, *rest) in enumerate(actions):
        if kind == "answer":
            who, label, rows = rest
            sent.append((f"{example}-{number}", f"{who}{example}", label, rows))
        elif not sent:
            continue
        action, who, label, rows = sent[-1 if kind == "answer" else rest[0] % len(sent)]
        if kind == "back":
            assert desk.take_back(action) == model.take_back(action)
            continue
        chosen = Query(where=rows) if isinstance(rows, str) else rows
        wanted = numbers(desk, chosen) if isinstance(rows, str) else rows
        assert desk.answer(chosen, label, LENS, who=who, action=action) == model.answer(action, who, label, wanted)
    shown = {
        (who, one["text"]): label
        for one in desk.rows(Query(), LENS, count=500)["rows"]
        for who, label in one.get("answers", {}).items()
        if who in (f"ann{example}", f"bob{example}")
    }
    assert shown == model.current()


@pytest.fixture
def fresh(tmp_path):
    return Desk(made(tmp_path / "home" / "fresh", ROWS, "{title}: {review}!", id="key"))


def answers_in(desk):
    return sorted(
        (one["id"], one["label"]) for one in desk.store.annotations.export_table().to_pandas().to_dict("records")
    )


def test_a_bulk_action_that_is_taken_back_leaves_the_single_answers_before_it(fresh):
    fresh.answer([1], "Positive", LENS, action="one")
    fresh.answer([2], "Negative", LENS, action="two")
    before = answers_in(fresh)
    texts = {text for text in texts_of_rows() if not is_blank(text)}
    assert fresh.answer(Query(), "Positive", LENS, action="all") == len(texts)
    assert len(answers_in(fresh)) == len(texts)
    assert fresh.take_back("all") == len(texts)
    assert answers_in(fresh) == before
    assert fresh.take_back("all") == len(texts)
    assert answers_in(fresh) == before
    assert fresh.take_back("never sent") == 0


def test_what_is_no_label_row_or_action_is_refused_and_nothing_is_kept(fresh):
    for rows, label, action in (([0], "Neutral", "a"), ([len(ROWS)], "Positive", "a"), ([1], "Positive", "")):
        with pytest.raises(UsageError):
            fresh.answer(rows, label, LENS, action=action)
    with pytest.raises(UsageError, match="labels"):
        fresh.answer([1], "Positive", Lens(), action="a")
    assert fresh.store.manifest.annotations == ()


def test_answers_are_shown_with_whether_people_agree(fresh):
    fresh.answer([1, 2], "Positive", LENS, who="ann", action="a")
    fresh.answer([1], "Negative", LENS, who="bob", action="b")
    fresh.answer([2], "", LENS, who="bob", action="c")
    one, two = fresh.rows(Query(), LENS, start=1, count=2)["rows"]
    assert (one["answers"], one["agreed"]) == ({"ann": "Positive", "bob": "Negative"}, False)
    assert (two["answers"], two["agreed"]) == ({"ann": "Positive", "bob": ""}, True)
    assert "answers" not in fresh.rows(Query(), Lens.of(["A", "B"]), start=1, count=1)["rows"][0]
    assert fresh.about()["people"] == ["ann", "bob"]


def same_text(*rows):
    """Return the numbers of the rows that have the text of one of these."""
    texts = texts_of_rows()
    return [row for row, text in enumerate(texts) if text in [texts[one] for one in rows]]


def test_rows_can_be_those_that_people_answered_or_disagree_on(fresh):
    five = ("v", "w", "x", "y", "z")
    for number, (row, said) in enumerate({1: "PN", 2: "PP", 3: "P", 4: "PNN", 5: "PNPN", 8: "P-", 9: "PN-"}.items()):
        for who, letter in zip(five, said, strict=False):
            label = {"P": "Positive", "N": "Negative", "-": ""}[letter]
            fresh.answer([row], label, LENS, who=who, action=f"{number}{who}")
    answered = same_text(1, 2, 3, 4, 5, 8, 9)
    there = [row for row, text in enumerate(texts_of_rows()) if not is_blank(text)]
    assert numbers(fresh, Query(answered="any"), LENS) == answered
    assert numbers(fresh, Query(answered="none"), LENS) == [row for row in there if row not in answered]
    assert numbers(fresh, Query(answered="mine", who="x"), LENS) == same_text(4, 5, 9)
    assert numbers(fresh, Query(answered="disagreed"), LENS) == same_text(1, 5, 9)
    assert numbers(fresh, Query(answered="disagreed", where="NOT sold"), LENS) == [
        row for row in same_text(1, 5, 9) if not ROWS[row]["sold"]
    ]
    fresh.answer([1], "Negative", LENS, who="x", action="settled")
    assert numbers(fresh, Query(answered="disagreed"), LENS) == same_text(5, 9)
    assert numbers(fresh, Query(answered="any"), Lens.of(["A", "B"])) == []
    assert fresh.command(Query(answered="any"), LENS) == ""
    with pytest.raises(UsageError, match="labels"):
        fresh.rows(Query(answered="any"))
    with pytest.raises(UsageError, match="any, none, mine, disagreed"):
        Query.from_json({"answered": "some"})


def test_changed_tags_are_counted_and_listed_beside_those_of_two_taggings(desk):
    other = Lens.of({"Bad": ["a kettle"], "Positive": ["tea"], "New": ["STRASSE"]})
    one, two = (desk.store.tag(lens.labels).to_pandas()["Predicted_Labels"] for lens in (LENS, other))
    for renamed in ({}, {"Negative": "Bad"}, {"Negative": "Positive", "Positive": ""}):
        present = one.map(lambda name, renamed=renamed: renamed.get(name, name), na_action="ignore")
        wanted = np.flatnonzero(one.notna() & (present != two)).tolist()
        found = desk.judge.changes(LENS, other, renamed)
        table = pd.crosstab(one, two).reindex(index=found["before"], columns=found["after"], fill_value=0)
        assert found["counts"] == [*([*line, 0] for line in table.to_numpy().tolist()), [0] * (len(found["after"]) + 1)]
        assert (found["rows"], found["moved"]) == (one.notna().sum(), len(wanted))
        pairs = [[*pair] for pair in renamed.items()]
        asked = {"changed_from": {"labels": [*LABELS]}, "renamed": pairs}
        assert numbers(desk, Query.from_json(asked), other) == wanted
    assert 0 < found["moved"] < found["rows"]
    assert desk.judge.changes(LENS, LENS)["moved"] == 0
    for wrong in ({"renamed": "a"}, {"renamed": [["a"]]}, {"renamed": [["a", 1]]}, {"changed_from": "polarity"}):
        with pytest.raises(UsageError):
            Query.from_json(wrong)


def test_doubts_and_duplicates_name_the_rows_that_they_are_about(desk):
    for column, found in (("sold", desk.judge.doubts("sold")), ("stars", desk.judge.doubts("stars"))):
        assert 0 < len(found["doubts"]) == found["doubtful"]
        for one in found["doubts"]:
            assert (one["id"], one["text"]) == (ROWS[one["row"]]["key"], texts_of_rows()[one["row"]])
            assert one["given"] == str(ROWS[one["row"]][column]) != one["suggested"]
    found = desk.judge.duplicates(1.0)
    groups = [sorted(one["row"] for one in group) for group in found["groups"]]
    frame = pd.Series(texts_of_rows())
    wanted = [
        rows.tolist() for text, rows in frame.groupby(frame).groups.items() if len(rows) > 1 and not is_blank(text)
    ]
    assert sorted(groups) == sorted(wanted)
    for one in itertools.chain.from_iterable(found["groups"]):
        assert (one["id"], one["text"]) == (ROWS[one["row"]]["key"], texts_of_rows()[one["row"]])
    assert found["sizes"] == list(map(len, groups))
    assert found["total"] == len(groups)


@pytest.mark.parametrize("labels", ["likert5", ["2", "1"], {"2": ["b", "c"], "1": ["a"]}, [["2", ["b"]], ["1", ["a"]]]])
def test_labels_are_the_same_after_a_way_through_json(labels):
    lens = Lens.from_json({"labels": labels, "method": "best"})
    again = Lens.from_json({**lens.to_json(), "method": "best"})
    fields = ("names", "texts", "templates", "ordinal")
    assert [getattr(again.labels, one) for one in fields] == [getattr(lens.labels, one) for one in fields]


@pytest.mark.parametrize(
    "labels", [[["a", ["b"]], "c"], [["a"], ["b"]], [["a", ["b"]], ["a", ["c"]]], [["a", 3], ["b", []]]]
)
def test_labels_that_are_no_pairs_are_refused(labels):
    with pytest.raises(UsageError):
        Lens.from_json({"labels": labels})


@pytest.mark.parametrize("order", ["typical", "uncertain", "random", "disagreement"])
def test_every_text_is_asked_about_once_and_none_that_was_answered(fresh, order):
    texts = {text for text in texts_of_rows() if not is_blank(text)}
    asked = []
    while rows := fresh.ask(LENS, who="ann", order=order, count=19):
        assert len(rows) == min(19, len(texts) - len(asked))
        asked += [one["text"] for one in rows]
        for number, label in enumerate(["Negative", "Positive", ""]):
            some = [one["row"] for one in rows[number::3]]
            fresh.answer(some, label, LENS, who="ann", action=f"{len(asked)} {label}")
    assert len(asked) == len(set(asked)) == len(texts)
    assert set(asked) == texts


def test_more_rows_can_be_asked_for_than_are_left(fresh):
    rows = fresh.ask(LENS, order="random", count=500)
    assert (
        len({one["text"] for one in rows}) == len(rows) == len({text for text in texts_of_rows() if not is_blank(text)})
    )


@pytest.mark.parametrize(
    ("query", "lens"),
    [
        (Query(), Lens.of("polarity")),
        (Query(where="sold AND title <> 'it''s'", words="e"), Lens.of("polarity")),
        (Query(where="annotations = 'Positive'"), Lens.of("polarity")),
        (Query(), Lens.of("polarity", "best")),
        (Query(), Lens.of("polarity", min_confidence=0.52)),
        (Query(), Lens.of("polarity", "best", shares={"Positive": 0.7})),
    ],
)
def test_the_command_gives_the_rows_columns_and_tags_of_the_result(cli, fresh, query, lens):
    fresh.answer([1, 2, 3], "Positive", Lens.of("polarity"), action="a")
    fresh.tags(lens)  # keeps the vectors of the labels: the shell has no such encoder
    command = shlex.split(fresh.command(query, lens))
    assert command[0] == "embedstore"
    path = cli.home / "shell.parquet"
    done = cli(*command[1:], "--no-encode", "-o", path)
    assert done.returncode == 0, done.stderr
    shell, result = pd.read_parquet(path), fresh.result(query, lens).to_pandas()
    assert 0 < len(result) <= len(ROWS)
    pd.testing.assert_frame_equal(shell[result.columns], result, check_dtype=False, check_categorical=False)
    assert set(shell.columns) - set(result.columns) == ({"confidence"} if lens.method == "best" else set())
    assert result["Predicted_Labels"].isna().sum() == shell["Predicted_Labels"].isna().sum()


def test_the_command_of_a_search_finds_its_rows_in_order(cli, fresh):
    query = Query(like="k5", where="stars >= 2")
    command = shlex.split(fresh.command(query))
    done = cli(*command[1:], "-k", 5, "-o", cli.home / "hits.csv")
    assert done.returncode == 0, done.stderr
    assert pd.read_csv(cli.home / "hits.csv")["id"].tolist() == [
        one["id"] for one in fresh.rows(query, count=5)["rows"]
    ]


def test_a_sentence_that_begins_as_an_option_does_is_no_option(desk):
    words = shlex.split(desk.command(Query(meaning="--exact tea")))
    assert words.index("--") < words.index("--exact tea") == len(words) - 1


def test_there_is_no_command_for_what_the_shell_cannot_do(desk):
    assert desk.command(Query()) == ""
    assert desk.command(Query(meaning="-")) == ""  # standard input
    for query in (Query(lasso=((0, 0), (1, 0), (0, 1))), Query(sort="unsure"), Query(where="score > 0.1")):
        assert desk.command(query, LENS) == ""
    assert desk.command(Query(where="stars = 1"), Lens.of("polarity", min_confidence=0.5)) == ""


def test_a_result_holds_the_rows_of_a_query_in_the_order_of_the_corpus(desk):
    query = Query(meaning="tea", where="stars >= 2")
    result = desk.result(query, LENS).to_pandas()
    everything = desk.store.tag(LABELS).to_pandas()
    rows = sorted(numbers(desk, query))
    assert result["key"].tolist() == [ROWS[row]["key"] for row in rows]
    for name in ("Predicted_Labels", "score", "margin"):
        assert result[name].tolist() == everything.iloc[rows][name].tolist()
    assert desk.result(Query(where="stars = 9")).to_pandas().columns.tolist() == [*ROWS[0]]


def test_topics_and_doubts_are_colours_as_the_library_finds_them(tmp_path):
    words = ("tea", "lamp", "shoe")
    rows = [{"review": f"{words[i % 3]} {i}", "side": "ab"[i % 2] if i % 10 else None} for i in range(60)]
    desk = Desk(made(tmp_path / "store", rows))
    topics = desk.store.topics().column("topic_name").to_pylist()
    names, codes = desk.colours("topics")
    assert [names[code] for code in codes] == topics
    doubtful = set(desk.store.doubts("side", drop_missing=True).rows.tolist())
    names, codes = desk.colours("doubts:side")
    found = [names[code] if code >= 0 else None for code in codes]
    sides = [row["side"] for row in rows]
    assert found == [None if not s else "likely wrong" if i in doubtful else "as given" for i, s in enumerate(sides)]
    assert 0 < len(doubtful) < 54
    assert desk.counts(Query(), ["doubts:side"])["doubts:side"]["missing"]["all"] == 6
    with pytest.raises(InputError, match="no column 'none'"):
        desk.colours("doubts:none")


def test_a_column_called_topics_is_that_column(tmp_path):
    desk = Desk(made(tmp_path / "store", [{"review": f"text {i}", "topics": i % 2} for i in range(8)]))
    assert desk.colours("topics")[0] == ("0", "1")


def everything_of(desk):
    """Return what a page shows of a desk, as plain values."""
    return [
        desk.rows(Query(meaning="tea"), LENS, count=500),
        desk.rows(Query(where="score > 0"), LENS, count=500)["total"],
        desk.counts(Query(), ["title", "Predicted_Labels"], LENS),
        [part.tolist() if isinstance(part, np.ndarray) else part for part in desk.colours("title")],
        desk.mask(Query(words="e")).tolist(),
        np.nan_to_num(desk.maps.newest().points()).tolist(),
        desk.tags(LENS).shares,
        desk.about(),
    ]


def test_rows_that_were_added_are_seen_by_everything(fresh):
    before = everything_of(fresh)
    more = [{"key": "new", "title": "Kettle", "review": "e", "stars": 1, "sold": True}]
    fresh.store.add(more, text="{title}: {review}!", id="key")
    fresh.news()
    with pytest.raises(ModelRequiredError):
        fresh.rows(Query(meaning="tea"))
    fresh.store.encode()
    after = everything_of(fresh)
    assert after == everything_of(Desk(fresh.store))
    assert [one == other for one, other in zip(before, after, strict=True)] == [False] * len(before)


def test_an_answer_of_somebody_else_is_seen_at_once(fresh):
    query = Query(where="annotations = 'Positive'")
    assert numbers(fresh, query, LENS) == []
    told = fresh.news()["answers"]
    other = embedstore.open(fresh.store.path, encoder=HashEncoder())
    other.annotations.import_table([{"id": "k1", "label": "Positive"}], LABELS, who="ann")
    assert fresh.news()["answers"] != told
    text = texts_of_rows()[1]
    assert numbers(fresh, query, LENS) == [row for row, one in enumerate(texts_of_rows()) if one == text]
    assert fresh.rows(Query(), LENS, start=1, count=1)["rows"][0]["answers"] == {"ann": "Positive"}


def test_answers_with_labels_that_nobody_has_answered_with_are_counted_as_none(fresh):
    column = "annotations:Negative|Positive"
    fresh.answer([1], "Positive", LENS, action="a")
    counts = fresh.counts(Query(), [column])[column]
    assert [one["name"] for one in counts["bins"]] == ["Positive"]
    fresh.answer([1], "Tea", Lens.of(["Tea", "Lamp"]), action="b")
    fresh.take_back("a")
    counts = fresh.counts(Query(), [column])[column]
    assert counts["bins"] == []
    assert counts["missing"]["all"] == len(ROWS)


def test_tags_that_learn_from_answers_change_with_them(fresh):
    learning = Lens.of(LABELS, "best", examples=True)
    query = Query(where="Predicted_Labels = 'Positive'")
    fresh.answer([1, 2, 3], "Positive", learning, action="first")
    before = numbers(fresh, query, learning)
    texts = texts_of_rows()
    away = [row for row in before if not is_blank(texts[row])][:20]
    fresh.answer(away, "Negative", learning, action="a")
    assert numbers(fresh, query, learning) == numbers(Desk(fresh.store), query, learning) != before


def test_threads_get_equal_answers(fresh):
    alone = everything_of(Desk(fresh.store))
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: everything_of(fresh), range(6)))
    assert all(one == alone for one in found)


def test_threads_that_answer_at_once_lose_nothing(fresh):
    rows = [row for row, text in enumerate(texts_of_rows()) if not is_blank(text)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda row: fresh.answer([row], "Positive", LENS, who=f"w{row}", action=f"a{row}"), rows))
    said = fresh.store.annotations.export_table().to_pandas()
    assert sorted(said["who"]) == sorted(f"w{row}" for row in rows)


def test_recent_values_are_made_once_and_take_a_bounded_share_of_memory():
    made_of, recent = [], Recent(3, size=len, largest=10)

    def value(key, length):
        return recent.of(key, lambda: made_of.append(key) or "x" * length)

    for _ in range(2):
        assert [value(key, 2) for key in "abc"] == ["xx"] * 3
    assert made_of == ["a", "b", "c"]
    value("d", 2)  # a fourth value: the oldest goes
    value("e", 7)  # more than 10 in all: the oldest go
    value("f", 99)  # the newest is kept, whatever its size
    assert len(recent) == 1
    value("f", 99)
    assert made_of == ["a", "b", "c", "d", "e", "f"]


def test_who_wants_another_value_does_not_wait_and_what_fails_is_forgotten():
    recent, begun, ended = Recent(3), threading.Event(), threading.Event()

    def slow():
        begun.set()
        assert ended.wait(60)
        return "slow"

    with ThreadPoolExecutor(2) as threads:
        found = threads.submit(recent.of, "slow", slow)
        assert begun.wait(60)
        assert recent.of("quick", lambda: "quick") == "quick"
        again = threads.submit(recent.of, "slow", lambda: "made twice")
        ended.set()
        assert found.result() == again.result() == "slow"
    for number in range(9):
        with pytest.raises(ZeroDivisionError):
            recent.of(f"wrong {number}", lambda: 1 // 0)
    assert len(recent) == 2
    assert recent.of("slow", lambda: "made again") == "slow"


def test_an_answer_to_a_row_that_has_another_text_by_now_is_refused(tmp_path):
    store = embedstore.create(tmp_path / "store", encoder=HashEncoder())
    store.add([{"text": "good tea"}, {"text": "a lamp"}], text="text")
    store.encode()
    desk = Desk(store)
    (shown,) = desk.rows(Query(words="lamp"))["rows"]
    answer = {"label": "Positive", "lens": LENS, "keys": [shown["key"]]}
    assert desk.answer([shown["row"]], **answer, action="first") == 1
    store.add([{"text": "a lamp"}, {"text": "bad tea"}], text="text", replace=True)
    store.encode()
    with pytest.raises(InputError, match="other texts"):
        desk.answer([shown["row"]], **answer, action="second")
    assert [one["text"] for one in store.annotations.export_table().to_pandas().to_dict("records")] == ["a lamp"]


def test_a_result_names_its_columns_as_tag_does(tmp_path):
    store = embedstore.create(tmp_path / "store", encoder=HashEncoder())
    store.add([{"text": "good tea", "Predicted_Labels": "mine", "score": 7}], text="text")
    store.encode()
    found = Desk(store).result(Query(), LENS)
    assert found.to_arrow().equals(store.tag(LABELS).to_arrow())
