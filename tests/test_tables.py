import gzip
import io
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import texts_of, write
from pyarrow import parquet

import embedstore
from embedstore.errors import InputError, StoreBusyError, UsageError
from embedstore.storage import manifest
from embedstore.tables import ReadOptions

MESSY = (
    "\ufeffid,text,stars,price,flag,code,\n"
    '1,"two\nlines, and a comma",5,1.5,True,007,\n'
    "\n"
    "2,,4,,False,012,x\n"
    '3,"said ""hi""\x85next",,2,True,1e3,\n'
    "4,NA,1,-0.25,,5,\n"
    "5,5'8\" tall,2,10,True,,\n"
)


def test_a_csv_comes_out_as_pandas_reads_it(tmp_path, target):
    path = write(tmp_path, "messy.csv", MESSY)
    target.add(path, text="text", id="id")
    ours = target.corpus().table().to_pandas()
    theirs = pd.read_csv(path)
    assert list(ours.columns) == list(theirs.columns)
    texts = target.corpus().column("text").to_pandas()
    assert texts.fillna("").tolist() == theirs["text"].fillna("").tolist()
    for column in ("id", "stars", "price"):
        assert np.array_equal(ours[column].astype(float), theirs[column].astype(float), equal_nan=True)
    assert ours["flag"].tolist()[:3] == [True, False, True]
    record = target.manifest.corpora["train"]
    assert (record.rows, record.parts[0].empty) == (5, theirs["text"].isna().sum())


def test_codes_with_leading_zeros_stay_text(tmp_path, target):
    target.add(write(tmp_path, "messy.csv", MESSY), text="text")
    assert target.corpus().column("code").to_pylist() == ["007", "012", "1e3", "5", None]


def test_columns_keep_the_types_of_their_file(tmp_path, target):
    table = pa.table(
        {"t": ["a", "b"], "n": pa.array([1, None], pa.int16()), "when": pa.array([0, 1], pa.timestamp("ms"))}
    )
    parquet.write_table(table, tmp_path / "t.parquet")
    target.add(tmp_path / "t.parquet", text="t")
    assert target.corpus().table() == table


def test_jsonl_keeps_types_and_nested_values_as_json(tmp_path, target):
    lines = [{"t": "a", "n": 1, "x": 1, "o": {"k": [1]}}, {"t": None, "n": 2, "x": 0.5}, {"t": "c", "b": True}]
    target.add(write(tmp_path, "t.jsonl", "\n".join(map(json.dumps, lines))), text="t")
    table = target.corpus().table()
    assert table.column("n").to_pylist() == [1, 2, None]
    assert table.column("x").to_pylist() == [1.0, 0.5, None]
    assert table.column("o").to_pylist() == ['{"k": [1]}', None, None]
    assert table.column("b").to_pylist() == [None, None, True]


@pytest.mark.parametrize("name", ["t.csv.gz", "t.tsv", "t.jsonl", "t.json", "t.parquet", "t.ndjson.gz"])
def test_every_format_gives_the_same_rows(tmp_path, target, name):
    frame = pd.DataFrame({"t": ["a", "b\nc", "d"], "n": [3, 2, 1]})
    buffer = io.BytesIO()
    if ".parquet" in name:
        frame.to_parquet(buffer)
    elif "json" in name:
        frame.to_json(buffer, orient="records", lines=name != "t.json")
    else:
        frame.to_csv(buffer, index=False, sep="\t" if "tsv" in name else ",")
    content = gzip.compress(buffer.getvalue()) if name.endswith(".gz") else buffer.getvalue()
    target.add(write(tmp_path, name, content), text="t")
    assert target.corpus().table().to_pandas().to_dict("list") == frame.to_dict("list")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", "", "is empty"),
        ("a.csv", "id,text\n", "has no rows"),
        ("a.csv", "id,text\n1,x\n2,y,z\n", "line 3: expected 2 fields as in the header, found 3"),
        ("a.csv", "id,text\n1,x\n2\n", "line 3: expected 2 fields"),
        ("a.csv", b"id,text\n1,x\n2,caf\xe9\n", "line 3: expected utf-8 text"),
        ("a.csv", 'id,text\n1,x\n2,"open\n3,y\n', "line 3: a quoted field begins there and never ends"),
        ("a.jsonl", '{"text": "a"}\n{"text": \n', "line 2: expected one JSON object"),
        ("a.jsonl", '{"text": "a"}\n[1]\n', "line 2: expected a JSON object, found list"),
        ("a.parquet", b"PAR1 but not really", "is not a Parquet file"),
        ("a.csv.gz", gzip.compress(b"id,text\n1,x\n" * 1000, mtime=0)[:60], "can't be read"),
        ("a.txt", "whatever", "can't tell the format"),
        ("a.csv", "id,text\n1,2\n2,3\n", "expected texts in column 'text', found int64"),
        ("a.csv", "id,text\n1,\n2,\n", "found no text in 2 rows"),
        ("a.csv", "id,Text\n1,a\n", "did you mean 'Text'"),
    ],
)
def test_a_bad_file_is_one_clear_line_and_nothing_is_added(tmp_path, target, name, content, says):
    before = target.manifest
    with pytest.raises(InputError, match=says) as caught:
        target.add(write(tmp_path, name, content), text="text")
    assert "\n" not in str(caught.value)
    assert target.manifest == before
    assert target.gc(dry_run=True).removed == ()


def test_options_read_files_of_other_kinds(tmp_path, target):
    path = write(tmp_path, "a.txt", 'He said "hi\t1\n"quoted" start\t0\nx\x85y\t1\n')
    options = ReadOptions(format="tsv", quoting=False, columns=("text", "label"))
    target.add(path, text="text", read_options=options)
    assert target.corpus().column("text").to_pylist() == ['He said "hi', '"quoted" start', "x\x85y"]
    latin = write(tmp_path, "b.csv", "text;n\ncafé;1\n".encode("latin-1"))
    target.add(latin, text="text", corpus="b", read_options=ReadOptions(delimiter=";", encoding="latin-1"))
    assert target.corpus("b").column("text").to_pylist() == ["café"]


def test_quotes_that_swallow_rows_are_warned_of(tmp_path, target, caplog):
    path = write(tmp_path, "a.tsv", 'text\tlabel\n"open\t1\nmore\t0\nclose"\t1\nlast\t0\n')
    target.add(path, text="text")
    assert len(target.corpus()) == 2
    assert "1 quoted fields hold separators and line breaks" in caplog.text
    caplog.clear()
    target.add(path, text="text", read_options=ReadOptions(quoting=False))
    assert len(target.corpus()) == 4
    assert "quoted fields" not in caplog.text


def test_a_row_larger_than_any_buffer_is_read(tmp_path, target):
    text = "long " * 2_000_000
    target.add(write(tmp_path, "a.csv", f'id,text\n1,"{text}"\n2,b\n'), text="text")
    assert target.corpus().column("text").to_pylist() == [text, "b"]


def test_sample_draws_the_rows_that_pandas_draws(target):
    frame = pd.DataFrame({"t": [f"text {i}" for i in range(100)], "n": range(100)})
    target.add(frame, text="t", sample=10, seed=42)
    drawn = frame.sample(10, random_state=42).sort_index()
    assert target.corpus().column("n").to_pylist() == drawn["n"].tolist()
    target.add(frame, text="t", limit=50, sample=7, seed=1, corpus="both")
    drawn = frame.head(50).sample(7, random_state=1).sort_index()
    assert target.corpus("both").column("n").to_pylist() == drawn["n"].tolist()
    with pytest.raises(InputError, match="a sample of at most 100 rows"):
        target.add(frame, text="t", sample=101, corpus="more")


def test_a_sample_over_several_files_is_one_sample(tmp_path, target):
    frame = pd.DataFrame({"t": [f"text {i}" for i in range(30)], "n": range(30)})
    for number in range(3):
        frame.iloc[number * 10 : number * 10 + 10].to_csv(tmp_path / f"{number}.csv", index=False)
    target.add([tmp_path / f"{number}.csv" for number in range(3)], text="t", sample=12)
    assert target.corpus().column("n").to_pylist() == frame.sample(12, random_state=42).sort_index()["n"].tolist()


def test_templates_join_columns_and_empty_rows_stay_empty(target):
    frame = pd.DataFrame({"title": ["A", None, None], "text": ["b", "c", None]})
    target.add(frame, text="{title}: {text}")
    target.add(frame, text=["title", "text"], corpus="joined")
    assert texts_of(target, "train") == ["A: b", ": c", ""]
    assert texts_of(target, "joined") == ["A b", " c", ""]
    with pytest.raises(InputError, match=r"no column 'titel': did you mean 'title'\?"):
        target.add(frame, text="{titel}: {text}", corpus="wrong")


def test_duplicate_texts_are_kept_once_and_fan_out_to_every_row(store, encoder, rows):
    manifest_ = store.manifest
    assert sum(text.count for text in manifest_.texts) == 9
    vectors = store.space().vectors(store.corpus())
    assert np.array_equal(vectors, np.stack([encoder.vector(str(row["review"])) for row in rows]))
    assert len(encoder.encoded) == 9 + 2


def test_frames_of_many_kinds_keep_their_types(target, caplog):
    frame = pd.DataFrame(
        {
            "t": pd.Categorical(["a", "b", "a"]),
            "when": pd.to_datetime(["2020-01-01", None, "2021-01-01"]),
            "whole": pd.array([1, None, 3], dtype="Int64"),
            "mixed": [1, "x", None],
        }
    )
    target.add(frame, text="t")
    table = target.corpus().table()
    assert table.column("t").to_pylist() == ["a", "b", "a"]
    assert table.column("whole").type == pa.int64()
    assert pa.types.is_timestamp(table.column("when").type)
    assert table.column("mixed").to_pylist() == ["1", "x", None]
    assert "column 'mixed' holds values of several types" in caplog.text


def test_the_same_table_again_adds_nothing(tmp_path, target):
    path = write(tmp_path, "a.csv", "id,text\n1,a\n2,b\n")
    assert target.add(path, text="text").rows_read == 2
    before = target.manifest
    assert target.add(path, text="text").rows_read == 0
    assert target.manifest == before


def test_a_changed_file_takes_the_place_of_its_rows_and_another_is_appended(tmp_path, target):
    first, second = write(tmp_path, "a.csv", "id,text\n1,a\n2,b\n"), write(tmp_path, "b.csv", "id,text,more\n3,c,x\n")
    target.add(first, text="text", id="id", limit=1)
    target.add(second, text="text", id="id")
    target.add(first, text="text", id="id")
    assert target.corpus().column("id").to_pylist() == [1, 2, 3]
    assert target.corpus().column("more").to_pylist() == [None, None, "x"]
    write(tmp_path, "a.csv", "id,text\nx9,new\n")
    target.add(first, text="text", id="id")
    assert target.corpus().column("id").to_pylist() == ["x9", "3"]


def test_frames_are_appended_and_replace_starts_anew(target):
    target.add(pd.DataFrame({"t": ["a"]}), text="t")
    target.add(pd.DataFrame({"t": ["b"]}), text="t")
    assert target.corpus().column("t").to_pylist() == ["a", "b"]
    target.add(pd.DataFrame({"t": ["c"]}), text="t", replace=True)
    assert target.corpus().column("t").to_pylist() == ["c"]


def test_rows_that_make_their_texts_otherwise_are_refused(target):
    frame = pd.DataFrame({"t": ["a"], "u": ["b"]})
    target.add(frame, text="t")
    with pytest.raises(InputError, match=r"has the text '\{t\}'"):
        target.add(frame, text="u")


@pytest.mark.parametrize(
    ("ids", "says"),
    [
        (["a", "b", "a"], "found 'a' twice"),
        (["a", None, "b"], "found none in 1 row of column 'id', first in data row 2"),
    ],
)
def test_duplicate_and_null_ids_are_refused(target, ids, says):
    before = target.manifest
    with pytest.raises(InputError, match=says):
        target.add(pd.DataFrame({"id": ids, "t": ["x", "y", "z"]}), text="t", id="id")
    assert target.manifest == before


def test_an_id_that_another_file_has_is_refused(tmp_path, target):
    target.add(write(tmp_path, "a.csv", "id,text\n1,a\n"), text="text", id="id")
    with pytest.raises(InputError, match="'1' twice"):
        target.add(write(tmp_path, "b.csv", "id,text\n1,b\n"), text="text", id="id")


def test_segments_grow_with_the_store_and_positions_go_on(tmp_path, encoder):
    small = embedstore.Settings(smallest_segment=10)
    target = embedstore.create(tmp_path / "small", encoder=encoder, settings=small)
    texts = [f"text {i % 70}" for i in range(100)]
    target.add(pd.DataFrame({"t": texts}), text="t")
    target.add(pd.DataFrame({"t": [*texts[::-1], "new"]}), text="t", corpus="other")
    assert [text.count for text in target.manifest.texts] == [10] * 7 + [1]
    assert target.corpus().positions().tolist() == [i % 70 for i in range(100)]
    assert target.corpus("other").positions().tolist() == [*(i % 70 for i in reversed(range(100))), 70]


def test_rows_added_by_another_process_meanwhile_stop_the_add(target, monkeypatch):
    from embedstore.corpora import ingest

    real = ingest.commit

    def racing(root, change):
        manifest.commit(root, lambda base: manifest.replace(base, corpora={"x": RECORD}))
        return real(root, change)

    monkeypatch.setattr(ingest, "commit", racing)
    with pytest.raises(StoreBusyError, match="run the command again"):
        target.add(pd.DataFrame({"t": ["a"]}), text="t")


RECORD = embedstore.storage.records.CorpusRecord((), "{t}", "")


@pytest.mark.parametrize("wrong", [{"corpus": "../x"}, {"corpus": ""}, {"limit": 0}, {"sample": -1}])
def test_options_out_of_range_are_refused(target, wrong):
    with pytest.raises(UsageError):
        target.add(pd.DataFrame({"t": ["a"]}), text="t", **wrong)


def test_half_a_surrogate_pair_is_refused(target):
    with pytest.raises(InputError, match="surrogate"):
        target.add([{"t": "bad \ud800"}], text="t")


def test_a_folder_with_other_things_does_not_become_a_store(tmp_path, encoder):
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(InputError, match=r"mine\.txt"):
        embedstore.EmbeddingStore(tmp_path, encoder=encoder).add([{"t": "a"}], text="t")
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
