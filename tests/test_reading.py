"""Files of other kinds: separators, escapes, encodings, pipes, sheets, and columns with odd names."""

import codecs
import os
import re
import shlex
import subprocess
import sys
import threading

import pyarrow as pa
import pytest
from conftest import texts_of, write
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from sheets import write_sheet, write_sheets

import embedstore
from embedstore.corpora.templates import Template
from embedstore.errors import InputError, UsageError
from embedstore.tables import ReadOptions
from embedstore.tables.write import spreadsheet_unsafe


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('id,text\n1,"he said \\"hi\\" twice"\n', 2),
        ('id,text\n1,plain\n2,"done" already\n', 3),
        ('id,text\n1,"two\nlines" and more\n', 3),
        ('id,text\n1,"ends \\""\n2,"b"\n', 3),
    ],
)
def test_characters_after_a_closing_quote_are_refused_with_their_line(tmp_path, target, content, line):
    with pytest.raises(InputError, match=rf"line {line}: .*" + re.escape("give --escape '\\' if")):
        target.add(write(tmp_path, "a.csv", content), text="text")
    assert target.corpora() == []


def test_an_escape_makes_the_next_character_ordinary(tmp_path, target):
    path = write(tmp_path, "a.csv", 'id,text\n1,"he said \\"hi\\", twice"\n2,"doubled ""too"""\n')
    target.add(path, text="text", read_options=ReadOptions(escape="\\"))
    assert target.corpus().column("text").to_pylist() == ['he said "hi", twice', 'doubled "too"']


@pytest.mark.parametrize("escape", ["", '"', "\\\\", "\n"])
def test_an_escape_is_one_character(escape):
    with pytest.raises(InputError, match="escape of one character"):
        ReadOptions(escape=escape)


TEXT = "id\ttext\n1\tGröße passt nicht\n2\t茶が好き\n"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_a_byte_order_mark_tells_the_encoding(tmp_path, target, encoding):
    marks = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    target.add(write(tmp_path, "a.tsv", marks.get(encoding, b"") + TEXT.encode(encoding)), text="text")
    assert target.corpus().column("text").to_pylist() == ["Größe passt nicht", "茶が好き"]


def test_bytes_that_are_no_utf_16_are_named_with_their_line(tmp_path, target):
    content = codecs.BOM_UTF16_LE + "text\none\n".encode("utf-16-le") + b"\x00\xd8\x41\x00\n\x00"
    with pytest.raises(InputError, match="line 3: expected utf-16 text"):
        target.add(write(tmp_path, "a.csv", content), text="text")


@pytest.mark.parametrize(
    ("content", "delimiter"),
    [
        ("sep=;\nid;text\n1;a, b\n", None),
        ("SEP=;\r\nid;text\r\n1;a, b\r\n", None),
        ("sep=\t\nid\ttext\n1\ta, b\n", None),
        ("sep=,\nid;text\n1;a, b\n", ";"),
        ("id;text\n1;a, b\n", None),
        ("id\ttext\n1\ta, b\n", None),
    ],
)
def test_the_separator_is_found(tmp_path, target, content, delimiter):
    target.add(write(tmp_path, "a.csv", content), text="text", read_options=ReadOptions(delimiter=delimiter))
    assert target.corpus().table().to_pydict() == {"id": [1], "text": ["a, b"]}


def test_lines_are_counted_with_the_separator_line(tmp_path, target):
    with pytest.raises(InputError, match="line 4: expected 2 fields"):
        target.add(write(tmp_path, "a.csv", "sep=;\nid;text\n1;a\n2;b;c\n"), text="text")


def test_a_pipe_is_read_as_a_file(tmp_path, target):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"id,text\n1,a\n2,b\n",))
    writer.start()
    target.add(pipe, text="text", id="id")
    writer.join()
    assert target.corpus().table().to_pydict() == {"id": [1, 2], "text": ["a", "b"]}


def test_the_shell_reads_a_substituted_process(tmp_path, cli):
    write(tmp_path, "a.csv", "id,text\n1,a\n2,b\n")
    command = f"{shlex.join(cli.command('add', './made'))} <(cat a.csv) --text text"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "2 rows read now, 2 in all; 2 texts are new\n")


def test_a_sheet_has_typed_columns(tmp_path, target):
    rows = [[1, "tea", 1.5, True, 7], [2, "NA", 2, False, "NA"], [3, None, 3, True, 8]]
    path = write_sheet(tmp_path / "a.xlsx", [["id", "text", "n", "yes", "gap"], *rows])
    target.add(path, text="text", id="id")
    assert target.corpus().table().to_pydict() == {
        "id": [1, 2, 3],
        "text": ["tea", "NA", None],
        "n": [1.5, 2.0, 3.0],
        "yes": [True, False, True],
        "gap": [7, None, 8],
    }
    assert target.corpus().column("text").to_pylist() == ["tea", None, None]
    assert texts_of(target) == ["tea", "", ""]
    target.encode()
    target.tag(["a", "b"]).save(tmp_path / "out.csv")
    assert [line.split(",")[:5] for line in (tmp_path / "out.csv").read_text().splitlines()[1:]] == [
        ["1", "tea", "1.5", "True", "7"],
        ["2", "NA", "2.0", "False", "NA"],
        ["3", "", "3.0", "True", "8"],
    ]


def test_another_sheet_is_read_by_its_name(tmp_path, target):
    path = write_sheets(tmp_path / "a.xlsx", {"notes": [["text"], ["no"]], "data": [["text"], ["yes"]]})
    target.add(path, text="text", read_options=ReadOptions(sheet="data"))
    assert texts_of(target) == ["yes"]
    with pytest.raises(InputError, match="no sheet 'dat': choose one of notes, data with --sheet"):
        target.add(path, text="text", corpus="b", read_options=ReadOptions(sheet="dat"))


def test_a_file_that_is_no_sheet_is_one_clear_line(tmp_path, target):
    with pytest.raises(InputError, match="is no sheet of Excel or LibreOffice"):
        target.add(write(tmp_path, "a.xlsx", "whatever"), text="text")


SWEEP = """
import struct, sys
from pathlib import Path
from embedstore.errors import InputError
from embedstore.tables import ReadOptions, file_source

path = Path(sys.argv[1])
whole = path.read_bytes()
footer = len(whole) - 8 - struct.unpack("<I", whole[-8:-4])[0]
for place in range(footer, len(whole)):
    content = bytearray(whole)
    content[place] ^= 1
    path.write_bytes(content)
    try:
        source = file_source(path, ReadOptions(), name="a.parquet", origin="")
        for _, typed in source.batches(source.survey().schema):
            typed.validate(full=True)
    except InputError as error:
        assert str(error).startswith("a.parquet") and "\\n" not in str(error), error
"""


def test_any_byte_of_a_parquet_footer_can_be_wrong_and_the_interpreter_goes_on(tmp_path):
    table = pa.table({"text": [f"caffè {row}" for row in range(9)], "n": pa.array(range(9)), "l": [[1]] * 9})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=3)
    command = [sys.executable, "-c", SWEEP, str(tmp_path / "a.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


NAMES = st.lists(st.text("ab{}: ", min_size=1, max_size=4), min_size=1, max_size=3, unique=True)


@given(NAMES)
def test_columns_of_any_name_can_be_chosen(names):
    chosen = Template.choose(names, names)
    assert chosen.columns == tuple(names)
    assert Template.choose(names[0], names).columns == (names[0],)


@given(NAMES, st.lists(st.text("xyz -.", max_size=3), min_size=4, max_size=4))
def test_a_template_is_parsed_into_its_columns_and_literals(names, literals):
    if any("{" in name or "}" in name for name in names):
        names = [f"c{number}" for number in range(len(names))]
    text = literals[0] + "".join(f"{{{name}}}{literal}" for name, literal in zip(names, literals[1:], strict=False))
    found = Template.parse(text, names)
    assert found.columns == tuple(names)
    assert found.literals == tuple(literals[: len(names) + 1])


def test_a_column_with_braces_is_kept_over_a_second_file(tmp_path, encoder):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    for number in range(2):
        path = write(tmp_path, f"{number}.csv", f"a{{b}},title\ntext {number},t\n")
        store.add(path, text=["title", "a{b}"])
    assert texts_of(store) == ["t text 0", "t text 1"]


@pytest.mark.parametrize(("text", "template"), [(["{title}: {body}", "body"], None), ("{title}: {body}", "{title}")])
def test_a_template_stands_alone(target, text, template):
    with pytest.raises(UsageError, match="put all columns into one template"):
        target.add([{"title": "t", "body": "b"}], text=text, template=template)


@given(st.text("'=+-@\t1.a", max_size=5))
def test_an_apostrophe_for_spreadsheets_can_be_taken_away_again(tmp_path_factory, text):
    import pyarrow as pa

    from embedstore.tables.write import spreadsheet_safe

    tables, _ = spreadsheet_safe([pa.table({"a": [text]})], pa.schema([("a", pa.string())]))
    guarded = next(iter(tables)).column("a")[0].as_py()
    assert spreadsheet_unsafe(guarded) == text or guarded == text


def test_answers_that_were_made_safe_for_spreadsheets_are_imported_again(tmp_path, encoder):
    store = embedstore.create(tmp_path / "s", encoder=encoder)
    store.add(
        [{"key": f"@{n}", "text": text} for n, text in enumerate(["=1+1", "-x", "plain", "+y"])], text="text", id="key"
    )
    store.encode()
    rows = [{"id": f"@{n}", "label": "-bad" if n % 2 else "+good"} for n in range(4)]
    assert store.annotations.import_table(rows, ["-bad", "+good"]) == 4
    before = store.annotations.export_table().to_arrow().to_pylist()
    store.annotations.export_table().save(tmp_path / "answers.csv", spreadsheet_safe=True)
    other = embedstore.create(tmp_path / "t", encoder=encoder)
    other.add(
        [{"key": f"@{n}", "text": text} for n, text in enumerate(["=1+1", "-x", "plain", "+y"])], text="text", id="key"
    )
    other.encode()
    assert other.annotations.import_table(tmp_path / "answers.csv") == 4
    assert other.annotations.export_table().to_arrow().to_pylist() == before


def test_a_pipe_that_nobody_writes_to_is_told(cli, tmp_path):
    """The writer comes when the message is there."""
    os.mkfifo(tmp_path / "p.csv")
    process = subprocess.Popen(
        cli.command("add", "piped", tmp_path / "p.csv", "--text", "t"),
        env=cli.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr.readline().rstrip().endswith("p.csv: nobody writes to this pipe yet")
    (tmp_path / "p.csv").write_text("t\na text\n")
    assert process.communicate()[0].startswith("1 row read now")
