"""Questions about some rows: which rows fulfil a condition, and that the others do not matter to any answer."""

import json
import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import HashEncoder
from hypothesis import given
from hypothesis import strategies as st

import embedstore
from embedstore.errors import InputError, NotFoundError, UsageError
from embedstore.learning import TrainOptions
from embedstore.tables.condition import Condition

WORDS = ["kettle", "it's", "Ünder", "", "a  b", "50%"]
TABLE = st.lists(
    st.fixed_dictionaries(
        {"stars": st.none() | st.integers(-3, 3), "Of it": st.none() | st.sampled_from(WORDS), "sold": st.booleans()}
    ),
    max_size=12,
)


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def known(column, test):
    """Return the value of a comparison in SQL: unknown (None) where the column has no value."""
    return lambda row: None if row[column] is None else test(row[column])


def at_most(number):
    return f"stars <= {number}", known("stars", lambda stars: stars <= number)


def equal(word):
    return f'"Of it" = {quoted(word)}', known("Of it", lambda text: text == word)


def negated(one):
    return f"NOT ({one[0]})", lambda row: None if one[1](row) is None else not one[1](row)


def both(pair):
    def value(row):
        values = [one[1](row) for one in pair]
        return False if False in values else None if None in values else True

    return f"({pair[0][0]}) AND ({pair[1][0]})", value


LEAVES = st.one_of(
    st.integers(-3, 3).map(at_most),
    st.sampled_from(WORDS).map(equal),
    st.just(("SOLD", lambda row: row["sold"])),
    st.just(("stars IS NULL", lambda row: row["stars"] is None)),
)
CONDITIONS = st.recursive(LEAVES, lambda of: of.map(negated) | st.tuples(of, of).map(both), max_leaves=6)
SCHEMA = pa.schema([("stars", pa.int64()), ("Of it", pa.string()), ("sold", pa.bool_())])


@given(TABLE, CONDITIONS)
def test_a_row_fulfils_a_condition_if_its_values_make_it_true(rows, condition):
    expression, value = condition
    found = Condition(expression).mask(pa.Table.from_pylist(rows, schema=SCHEMA))
    assert found.tolist() == [value(row) is True for row in rows]


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("stars <", "syntax error"),
        (" ", "it is blank"),
        ("#1 = 1", "the number of a column"),
        ("random() < 0.5", "does not give the same twice"),
        ("NOT " * 20_000 + "sold", "nested too deeply"),
        ("stars = 1) OR (stars = 2", "syntax error"),
        ("stars = 1; DROP TABLE rows", "more than one"),
        ("stars = 1, stars = 2", "more than one"),
        ("stars = 1 FROM other", "a FROM clause"),
        ("stars > (SELECT avg(stars) FROM rows)", "a query of its own"),
        ("(SELECT count(*) FROM read_csv('/etc/hosts')) > 0", "a query of its own"),
        ("row_number() OVER () < 3", "other rows"),
        ("stars = ?", "a parameter"),
        ("(" * 50_000, "more than 500 brackets"),
    ],
)
def test_what_is_not_one_expression_of_a_row_is_refused(expression, problem):
    with pytest.raises(UsageError, match=problem):
        Condition(expression)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("stars", r"of stars \(int64\): it is not true or false, but a value of type BIGINT"),
        ("sum(stars) > 3", "aggregates"),
        ("stars = 'x'", "Could not convert"),
        ("kettle(stars)", "does not exist"),
        ("stars || 'a' > 3", r"of stars \(int64\)"),
    ],
)
def test_a_condition_that_is_not_true_or_false_of_these_columns_is_refused(expression, problem):
    with pytest.raises(UsageError, match=problem):
        Condition(expression).mask(pa.table({"stars": [1, 2]}))


@pytest.mark.parametrize("function", ["read_text('{}')", "getenv('HOME')", "read_blob('{}')"])
def test_a_condition_can_reach_nothing_outside_the_table(tmp_path, function):
    (tmp_path / "secret").write_text("s")
    with pytest.raises(UsageError):
        Condition(f"{function.format(tmp_path / 'secret')} = 's'").mask(pa.table({"stars": [1]}))


@pytest.mark.parametrize("expression", [None, 5, b"stars = 1", ["stars = 1"], "title = '\ud800'"])
def test_a_condition_is_a_text(expression):
    with pytest.raises(UsageError, match="as a text in UTF-8"):
        Condition(expression)


def test_threads_can_judge_by_one_condition():
    condition = Condition("stars <= 2")
    table = pa.table({"stars": [1, 2, 3, None] * 1000})
    expected = condition.mask(table)
    with ThreadPoolExecutor(6) as threads:
        assert all((found == expected).all() for found in threads.map(condition.mask, [table] * 200))


def test_times_with_a_zone_do_not_depend_on_the_machine(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        late = pa.table({"sold": pa.array([datetime(2020, 1, 1, 23, 30, tzinfo=UTC)])})
        assert Condition("hour(sold) = 23").mask(late).tolist() == [True]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_conditions_can_follow_each_other(pair):
    store = pair[0].where("kind = 'tea' OR kind = 'car' -- a remark").where("stars > 1 OR stars IS NULL")
    found = store.corpus().table().to_pylist()
    assert {row["kind"] for row in found} == {"tea", "car"}
    assert {row["stars"] for row in found} == {2, 3}


def test_topics_are_taken_from_a_whole_corpus(cli, pair):
    asked = ("topics", pair[0].path, "--count", "3", "--like", "train", "-o")
    cli(*asked, cli.home / "all.csv")
    cli(*asked, cli.home / "some.csv", "--where", "stars = 2")
    whole, some = (pd.read_csv(cli.home / name).set_index("key") for name in ("all.csv", "some.csv"))
    assert 0 < len(some) < len(whole)
    assert some["topic_name"].equals(whole.loc[some.index, "topic_name"])


def test_names_that_differ_in_case_alone_are_told_apart(tmp_path):
    store = made(tmp_path / "store", [{"text": "one", "Name": "a", "name": "b"}])
    assert len(store.where("Name = 'a'").corpus()) == len(store.where("name = 'b'").corpus()) == 1
    with pytest.raises(InputError, match="more than one column called 'NAME'"):
        store.where("NAME = 'a'").corpus()
    assert len(store.where("Annotations IS NULL").corpus()) == 1


def test_names_of_functions_are_not_names_of_columns():
    condition = Condition("len(list_filter(tags, lambda x: x = word)) > 0")
    assert condition.names == ("tags", "word")
    assert condition.mask(pa.table({"tags": [["a"], ["b"]], "word": ["a", "a"]})).tolist() == [True, False]


class SubjectEncoder(HashEncoder):
    """A text's vector is drawn around that of its first word."""

    def vector(self, text: str, prompt: str = "") -> np.ndarray:
        vector = super().vector(text.split(" ")[0]) + 0.8 * super().vector(text)
        return (vector / np.linalg.norm(vector)).astype(np.float32)


SUBJECTS = ["tea", "car", "sea"]


def made(folder, rows, **options):
    store = embedstore.create(folder, encoder=SubjectEncoder())
    store.add(rows, text="text", **options)
    store.encode()
    return store


@pytest.fixture(scope="module")
def rows():
    texts = [f"{SUBJECTS[i % 7 % 3]} with {i}" for i in range(120)] + ["tea with 6", "car with 7", "", "  "]
    return [
        {"key": f"k{i}", "text": text, "kind": SUBJECTS[(i % 7 + (i % 11 == 0)) % 3], "stars": 1 + i % 5}
        for i, text in enumerate(texts)
    ]


@pytest.fixture(scope="module")
def pair(rows, tmp_path_factory):
    """A store of all rows asked for some of them, and a store of these rows alone; both with the same answers."""
    folder = tmp_path_factory.mktemp("where")
    all_rows = made(folder / "all", rows, id="key")
    only = made(folder / "only", [row for row in rows if row["stars"] <= 3], id="key")
    said = [{"id": row["key"], "label": row["kind"]} for row in rows if row["stars"] <= 3 and row["text"].strip()][:12]
    for store in (all_rows, only):
        store.annotations.import_table(said, SUBJECTS)
    all_rows.annotations.import_table([{"id": "k4", "label": "tea"}], SUBJECTS, who="other")
    return all_rows.where("stars <= 3"), only


def test_the_rows_of_the_pair_are_not_all_rows(pair, rows):
    chosen, only = pair
    assert 30 < len(only.corpus()) < len(rows)
    assert chosen.corpus().table().equals(only.corpus().table())
    assert chosen.corpus().ids().to_pylist() == only.corpus().ids().to_pylist()


def frame(result):
    return result.to_pandas()


QUESTIONS = {
    "tag": lambda store: frame(store.tag(SUBJECTS, scores=True, gold="kind")),
    "tag by topics": lambda store: frame(store.tag(SUBJECTS, method="topics", confidence=True)),
    "tag with examples": lambda store: frame(store.tag(SUBJECTS, examples=True)),
    "against": lambda store: frame(store.against(SUBJECTS, ["sea", "boat", "car"])),
    "search": lambda store: frame(store.search(["tea with 3", "boat"], k=7)),
    "search by row": lambda store: frame(store.search(row=store.corpus().ids()[4].as_py(), k=100)),
    "duplicates": lambda store: frame(store.duplicates(threshold=0.8)),
    "topics": lambda store: frame(store.topics(count=3)),
    "map": lambda store: frame(store.map(method="pca")),
    "doubts": lambda store: frame(store.doubts("kind")),
    "compare": lambda store: frame(store.compare("kind", labels=SUBJECTS)).drop(columns="seconds"),
    "label set": lambda store: store.label_set("kind"),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_answer_is_that_of_a_corpus_with_only_these_rows(pair, question):
    chosen, only = (QUESTIONS[question](store) for store in pair)
    if question == "label set":
        assert chosen == only
        return
    assert len(only)
    pd.testing.assert_frame_equal(chosen, only, rtol=1e-4, atol=1e-5)


def test_training_prediction_and_export_see_only_these_rows(pair, tmp_path):
    trained = [store.train("kind", options=TrainOptions(test_size=0.3)) for store in pair]
    assert trained[0].report.text == trained[1].report.text
    assert np.allclose(trained[0].probe.coef, trained[1].probe.coef, rtol=1e-4, atol=1e-6)
    assert frame(pair[0].predict("kind")).equals(frame(pair[1].predict("kind")))
    for number, store in enumerate(pair):
        store.export(tmp_path / f"{number}.npy")
    assert (tmp_path / "0.npy").read_bytes() == (tmp_path / "1.npy").read_bytes()
    assert (tmp_path / "0.ids.csv").read_bytes() == (tmp_path / "1.ids.csv").read_bytes()


@pytest.mark.parametrize("order", ["random", "typical", "uncertain"])
def test_only_these_rows_are_asked_about(pair, order):
    sessions = [store.annotations.session(SUBJECTS, order=order, who="new") for store in pair]
    assert sessions[0].total == sessions[1].total < len(pair[1].corpus())
    for _ in range(8):
        assert sessions[0].question.text == sessions[1].question.text
        for session in sessions:
            session.answer(session.question.text.split(" ")[0])
    for session in sessions:
        for _ in range(8):
            session.undo()


def test_the_label_that_people_gave_is_a_column(pair):
    store = embedstore.open(pair[0].path, encoder=SubjectEncoder())
    told = frame(store.where("annotations IS NOT NULL AND stars <= 3").tag(SUBJECTS))
    assert len(told) == 13
    texts = {
        row["text"] for row in store.annotations.export_table().to_pandas().query("label == 'tea'").to_dict("records")
    }
    assert set(frame(store.where("annotations = 'tea'").tag(SUBJECTS))["text"]) == texts
    assert len(store.where("annotations IS NULL").corpus()) == len(store.corpus()) - 14


def test_a_question_with_where_says_how_to_ask_it(pair):
    with pytest.raises(UsageError, match=r"call store\.where\('stars = 2'\)\.search\(\.\.\.\)"):
        pair[1].search("tea", where="stars = 2")
    assert 'store.where("stars <= 2").doubts(...)' in embedstore.EmbeddingStore.doubts.__doc__
    assert "store.where(" not in embedstore.EmbeddingStore.encode.__doc__


def test_an_answer_counts_though_its_row_no_longer_fulfils_the_condition(rows, tmp_path):
    store = made(tmp_path / "store", rows[:8], id="key")
    session = store.where("annotations IS NULL AND stars <= 2").annotations.session(SUBJECTS)
    assert session.left == 4
    asked = session.question
    store.annotations.import_table([{"id": row["key"], "label": "sea"} for row in rows[:8]], SUBJECTS, who="another")
    session.answer("tea")
    said = frame(store.annotations.export_table())
    assert said[said["who"] == ""]["text"].tolist() == [asked.text]


def test_neighbours_of_any_row_can_be_asked_for(rows, tmp_path):
    for numbered in ({"id": "key"}, {}):
        store = made(tmp_path / str(len(numbered)), rows, **numbered)
        apart = store.where("stars = 2 AND kind = 'car'")
        everything = frame(store.search(row="k5" if numbered else 5, k=1000))
        kept = [
            row["key"] if numbered else i for i, row in enumerate(rows) if row["stars"] == 2 and row["kind"] == "car"
        ]
        found = frame(apart.search(row="k5" if numbered else 5, k=1000))
        assert found["id"].tolist() == [one for one in everything["id"] if one in kept]
        own = kept[0]
        assert frame(apart.search(row=own, k=1000))["id"].tolist() == [
            one for one in frame(store.search(row=own, k=1000))["id"] if one in kept
        ]


def test_rows_without_an_id_column_keep_their_numbers(rows, tmp_path):
    store = made(tmp_path / "numbered", rows)
    chosen = store.where("stars = 4")
    numbers = [i for i, row in enumerate(rows) if row["stars"] == 4]
    assert chosen.corpus().ids().to_pylist() == numbers
    assert chosen.corpus().row_of(numbers[3]) == 3
    with pytest.raises(NotFoundError):
        chosen.corpus().row_of(numbers[3] + 1)
    chosen.annotations.add(int(chosen.corpus().positions()[2]), "sea", SUBJECTS)
    assert frame(store.annotations.export_table())["id"].tolist() == [str(numbers[2])]


def test_a_condition_that_no_row_fulfils_and_an_unknown_column_are_told(pair):
    store = embedstore.open(pair[0].path, encoder=SubjectEncoder())
    with pytest.raises(InputError, match="no row of 124 rows of corpus 'train' fulfils stars > 5"):
        store.where("stars > 5").tag(SUBJECTS)
    with pytest.raises(InputError, match=r"no column 'kettle': .*in single quotes"):
        store.where('kind = "kettle"').tag(SUBJECTS)
    assert len(store.where("STARS = 1 AND Kind = 'tea'").corpus())


def test_a_column_of_text_has_no_value_where_a_word_means_missing(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text,size\none,big\ntwo,NA\nthree,\nfour,small\n")
    store = made(tmp_path / "store", path)
    assert store.where("size IS NULL").corpus().ids().to_pylist() == [1, 2]
    assert store.where("size <> 'big'").corpus().ids().to_pylist() == [3]


def test_what_is_for_a_whole_store_is_refused(pair):
    for call in (pair[0].encode, pair[0].index, pair[0].info, pair[0].verify, pair[0].gc, partial(pair[0].add, [])):
        with pytest.raises(UsageError, match="for a whole store"):
            call()


def test_a_store_with_a_condition_can_be_pickled(pair):
    again = pickle.loads(pickle.dumps(pair[0]))
    assert again.corpus().ids().equals(pair[0].corpus().ids())


def test_the_shell_takes_a_condition(cli, pair):
    where = ("--where", "stars <= 3")
    store = pair[0].path
    done = cli("search", store, "--row", "k4", "-k", 3, "--json", *where)
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == frame(pair[0].search(row="k4", k=3))[
        "id"
    ].tolist()
    assert "no column 'star'" in cli.fails(1, "map", store, "-o", cli.home / "m.html", "--where", "star < 3")
    assert "found 'stars <'" in cli.fails(2, "duplicates", store, "--where", "stars <")
    commands = ["annotate", "classify", "compare", "doubts", "duplicates", "export", "map", "predict", "search", "tag"]
    for command in [*commands, "topics", "train"]:
        assert "--where EXPRESSION" in cli(command, "--help").stdout, command
