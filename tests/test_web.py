"""The server of the page: who is let in, what a wrong request gets, what is sent, and how it ends."""

import io
import json
import os
import signal
import socket
import subprocess
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
from clients import Client, refused, served
from conftest import LABELS, HashEncoder
from hypothesis import given
from hypothesis import strategies as st

import embedstore
from embedstore.desk import Desk, Query
from embedstore.desk.lens import Lens
from embedstore.web.safety import Keys

ROWS = [
    {
        "key": f"k{i}",
        "review": ["good tea", "bad tea", "", "a <b>lamp</b>", "Ünder"][i % 5] + f" {i}" * (i % 5 != 2),
        "stars": i % 4,
    }
    for i in range(40)
]
LENS = {"labels": LABELS}


@pytest.fixture(scope="module", autouse=True)
def state(tmp_path_factory):
    """Keep the secret of cookies in a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("state")
        patch.setenv("XDG_STATE_HOME", str(folder))
        yield folder


def made(folder):
    store = embedstore.create(folder, encoder=HashEncoder())
    store.add(ROWS, text="review", id="key")
    store.encode()
    store.tag(LABELS)
    return store


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    return Desk(made(tmp_path_factory.mktemp("web") / "store"))


@pytest.fixture(scope="module")
def address(desk):
    with served(desk) as address:
        yield address


@pytest.fixture(scope="module")
def client(address):
    return Client(address)


def test_nothing_is_answered_without_the_token_or_the_cookie(address):
    stranger = Client(address, enter=False)
    for path in (
        "/",
        "/?token=",
        "/?token=wrong",
        "/static/desk.css",
        "/api/about",
        "/api/events",
        "/api/openapi.json",
    ):
        assert "address" in refused(stranger.ask("GET", path))
    assert "address" in refused(stranger.ask("POST", "/api/rows", {}))
    assert "address" in refused(stranger.ask("GET", f"/api/about?token={stranger.token}"))
    stranger.cookie = "embedstore-000000000000=" + "0" * 64
    refused(stranger.ask("GET", "/api/about"))


def test_a_wrong_cookie_of_the_right_name_is_refused(client, address):
    other = Client(address, enter=False)
    name, _, value = client.cookie.partition("=")
    for wrong in (value[:-1], "0" * 64, "", "\u00e9" * 64, value.upper()):
        other.cookie = f"{name}={wrong}"
        refused(other.ask("GET", "/api/about"))


def test_the_cookie_is_for_this_page_alone(address):
    _, headers, _ = (entering := Client(address, enter=False)).ask("GET", f"/?token={entering.token}")
    assert headers["set-cookie"].endswith("; HttpOnly; SameSite=Strict; Path=/")
    assert entering.token not in headers["set-cookie"]


def test_the_secret_of_the_cookie_is_for_this_user_alone(client, state):
    (path,) = state.rglob("desk.key")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes().hex() not in client.cookie


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "", "127.0.0.1", "127.0.0.1:1", "[::1]:80"])
def test_a_request_to_another_host_is_refused(client, host):
    assert "another host" in refused(client.ask("GET", "/api/about", Host=host))
    refused(client.ask("GET", f"/?token={client.token}", Host=host))


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as made:
            made.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_a_server_on_the_other_loopback_address_refuses_other_hosts_too(desk):
    with served(desk, host="::1") as address:
        client = Client(address)
        assert client.ask("GET", "/api/about")[0] == 200
        assert "another host" in refused(client.ask("GET", "/api/about", Host=f"evil.example:{client.port}"))


def test_a_store_whose_path_is_no_unicode_text_has_its_own_cookie():
    odd, other = Keys(Path(os.fsdecode(b"st\xffre"))), Keys(Path("store"))
    assert odd.name != other.name
    assert odd.cookie != other.cookie


def test_localhost_is_this_host_too(client):
    assert client.ask("GET", "/api/about", Host=f"LOCALHOST:{client.port}")[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "none"},
    ],
)
def test_a_request_of_another_site_is_refused(client, headers):
    given = {name: value.replace("{port}", client.port) for name, value in headers.items()}
    assert "another site" in refused(client.ask("POST", "/api/rows", {}, **given))
    assert "another site" in refused(client.ask("GET", "/api/events", **given))


def test_a_request_of_the_page_itself_is_answered(client):
    own = {"Origin": f"http://{client.host}:{client.port}", "Sec_Fetch_Site": "same-origin"}
    assert client.ask("POST", "/api/rows", {}, **own)[0] == 200
    assert client.ask("GET", f"/?token={client.token}", Sec_Fetch_Site="none")[0] == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "ODD"])
def test_other_methods_are_refused(client, method):
    refused(client.ask(method, "/api/rows"), 405)
    refused(client.ask(method, "/"), 405)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "rows", 405), ("POST", "about", 405), ("POST", "map", 405), ("GET", "nothing", 404)],
)
def test_a_route_that_is_not_there_is_told_as_json(client, method, path, status):
    answer = client.ask(method, f"/api/{path}", {} if method == "POST" else None)
    refused(answer, status)
    assert ("allow" in answer[1]) == (status == 405)


def test_a_whole_number_can_be_written_with_a_point(client):
    assert len(client.good("rows", {"start": 1.0, "count": 2e0})["rows"]) == 2
    assert "whole number" in client.post("rows", {"count": 1.5})[1]["error"]


@pytest.mark.parametrize(
    "kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json"]
)
def test_a_body_of_another_type_is_refused(client, kind):
    assert "application/json" in refused(client.ask("POST", "/api/rows", b"{}", Content_Type=kind), 400)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b"null",
        b'"\xff"',
        b"\x00\x01\x02",
        b'{"count": NaN}',
        b'{"count": Infinity}',
        b'{"count": 1e999}',
        b'{"query": {"least": -1e999}}',
        b'{"query": {"least": 1' + b"0" * 400 + b"}}",
        b'{"query": {"lasso": [[1' + b"0" * 400 + b", 1], [0, 0], [1, 1]]}}",
        b'{"count": 1' + b"0" * 5000 + b"}",
        b'{"query": {"words": "\\ud800"}}',
        b"[" * 100_000,
        b'{"query":' * 50_000,
        b'{"query": {"where": ' + b"[" * 900 + b"]" * 900 + b"}}",
        b'{"query": {"where": "' + b"(" * 50_000 + b'"}}',
        b'{"lens": {"method": []}}',
        b'{"lens": {"method": {}}}',
        b'{"lens": {"labels": ["a", "b"], "examples": "no"}}',
        b'{"query": {"where": "' + b"NOT " * 20_000 + b'stars = 1"}}',
    ],
    ids=lambda body: repr(body[:30]),
)
def test_a_body_that_is_no_request_is_refused_in_one_line(client, body):
    assert len(refused(client.ask("POST", "/api/rows", body), 400)) < 1000


def test_a_body_that_is_too_large_is_refused(client):
    body = b'{"query": {"words": "' + b"a" * 4_000_000 + b'"}}'
    assert "at most" in refused(client.ask("POST", "/api/rows", body), 400)
    assert client.good("rows", {})["total"] == len(ROWS)


@pytest.mark.parametrize(
    "path",
    [
        "../app.py",
        "..%2fapp.py",
        "%2e%2e/app.py",
        "..%5capp.py",
        "/etc/passwd",
        "%00",
        ".",
        "",
        "index.html/",
        "app.py",
    ],
)
def test_only_the_files_of_the_page_are_given(client, path):
    status, _, content = client.ask("GET", f"/static/{path}")
    assert status in (307, 404)
    assert b"import" not in content


def test_what_is_sent_can_load_nothing_and_is_kept_nowhere(client):
    for path in ("/", "/static/index.html", "/api/about", "/api/map?method=pca", "/api/nothing"):
        _, headers, _ = client.ask("GET", path)
        policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == "'self'"
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers


def test_every_route_gives_what_the_desk_gives(client, desk):
    query, lens = {"where": "stars = 1", "words": "TEA"}, LENS
    asked = Query.from_json(query), Lens.from_json(lens)
    assert client.good("rows", {"query": query, "lens": lens, "start": 1, "count": 3}) == desk.rows(
        *asked, start=1, count=3
    )
    counts = {"query": query, "lens": lens, "columns": ["stars", "score"]}
    assert client.good("counts", counts) == desk.counts(asked[0], ["stars", "score"], asked[1])
    assert json.loads(client.ask("GET", "/api/about")[2]) == desk.about()
    assert json.loads(client.ask("GET", "/api/text/3")[2]) == {"text": ROWS[3]["review"]}
    points = np.frombuffer(client.ask("GET", "/api/map")[2], dtype="<f4").reshape(-1, 2)
    assert np.array_equal(points, desk.maps.newest().points(), equal_nan=True)
    _, _, bits = client.ask("POST", "/api/mask", {"query": query, "lens": lens})
    mask = np.unpackbits(np.frombuffer(bits, dtype=np.uint8), bitorder="little")[: len(ROWS)]
    assert mask.tolist() == desk.mask(*asked).tolist()
    assert client.good("tags", {"lens": lens})["shares"] == desk.tags(asked[1]).shares
    assert client.good("command", {"query": query, "lens": lens}) == {"command": desk.command(*asked)}
    assert client.good("colours", {"by": "stars"})["groups"] == ["0", "1", "2", "3"]
    assert len(client.good("ask", {"lens": lens, "count": 4, "order": "random"})["rows"]) == 4


@pytest.mark.parametrize("format", ["csv", "tsv", "jsonl", "parquet"])
def test_a_download_is_the_result_and_leaves_no_file(client, desk, format, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    asked = {"query": {"where": "stars > 1"}, "lens": LENS, "format": format}
    status, headers, content = client.ask("POST", "/api/download", asked)
    assert status == 200
    assert headers["content-disposition"] == f'attachment; filename="train.{format}"'
    read = {
        "csv": pd.read_csv,
        "tsv": lambda stream: pd.read_csv(stream, sep="\t"),
        "jsonl": lambda stream: pd.read_json(stream, lines=True),
        "parquet": pd.read_parquet,
    }[format]
    wanted = desk.result(Query(where="stars > 1"), Lens.of(LABELS)).to_pandas()
    found = read(io.BytesIO(content))
    blank = {"review": found["review"].fillna("")} if format in ("csv", "tsv") else {}
    pd.testing.assert_frame_equal(found.assign(**blank), wanted, check_dtype=False)
    assert "error" in client.post("download", asked | {"format": "xlsx"})[1]
    assert list(tmp_path.iterdir()) == []


def test_a_desk_that_is_read_only_shows_everything_and_keeps_nothing(desk):
    desk = Desk(desk.store, read_only=True)
    with served(desk) as address:
        client, before = Client(address), desk.store.manifest
        assert json.loads(client.ask("GET", "/api/about")[2])["read_only"] is True
        assert client.good("rows", {"lens": LENS})["total"] == len(ROWS)
        for path, body in (
            ("answer", {"rows": [0], "label": "Positive", "lens": LENS, "action": "a"}),
            ("undo", {"action": "a"}),
            ("carry", {"before": LENS, "lens": {"labels": ["A", "B"]}, "action": "a"}),
        ):
            status, value = client.post(path, body)
            assert status == 403
            assert "read-only" in value["error"]
        after = desk.store.manifest  # the map of another desk can have come meanwhile
        assert (after.annotations, after.queries) == (before.annotations, before.queries)
        assert {key: space.queries for key, space in after.spaces.items()} == {
            key: space.queries for key, space in before.spaces.items()
        }


# --- requests of any form


def values_of(schema, schemas):
    """Return a strategy of the values that a JSON schema describes."""
    if "$ref" in schema:
        return values_of(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        return st.one_of([values_of(one, schemas) for one in schema["anyOf"]])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return st.one_of([_value_of(kind, schema, schemas) for kind in kinds])


TEXTS = st.sampled_from(
    ["stars", "review", "stars > 1", "tea", "k1", "Positive", "annotations", "score", "cosine", "best", ""]
)


def _value_of(kind, schema, schemas):
    if kind == "object" and schema.get("additionalProperties"):
        return st.dictionaries(
            TEXTS | st.text(max_size=3), values_of(schema["additionalProperties"], schemas), max_size=3
        )
    if kind == "object":
        values = {name: values_of(one, schemas) for name, one in schema.get("properties", {}).items()}
        needed = {name: value for name, value in values.items() if name in schema.get("required", ())}
        return st.fixed_dictionaries(needed, optional={name: one for name, one in values.items() if name not in needed})
    if kind == "array" and "prefixItems" in schema:
        return st.tuples(*(values_of(one, schemas) for one in schema["prefixItems"])).map(list)
    if kind == "array":
        most = schema.get("maxItems", 4)
        return st.lists(values_of(schema["items"], schemas), min_size=schema.get("minItems", 0), max_size=most)
    if kind == "integer":
        return st.integers(schema["minimum"], 60) | st.sampled_from([2**31, 2**63, 10**30])
    if kind == "number":
        return st.floats(allow_nan=False, allow_infinity=False) | st.integers()
    return {"string": TEXTS | st.text(max_size=4), "boolean": st.booleans(), "null": st.none()}[kind]


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | st.text(max_size=4),
    lambda of: st.lists(of, max_size=3) | st.dictionaries(st.text(max_size=3) | TEXTS, of, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """A browser at a desk that can be filled with any answers."""
    with served(Desk(made(tmp_path_factory.mktemp("scratch") / "store"))) as address:
        yield Client(address)


def is_answered(client, method, path, body=None):
    """Check that a request gets an answer, or a refusal of one line; return whether it was an answer."""
    status, headers, content = client.ask(method, path, body)
    if status == 200:
        return True
    assert status in (400, 404, 409), content
    value = json.loads(content)
    assert headers["content-type"] == "application/json"
    assert list(value) == ["error"]
    assert len(value["error"].splitlines()) == 1
    return False


def answers_to_any(client, path, bodies):
    """Send generated bodies to a route; return how many were answered and not refused."""
    found = []

    @given(bodies)
    def ask(body):
        found.append(is_answered(client, "POST", path, body))

    ask()
    return sum(found)


def test_every_request_is_answered_or_refused_in_one_line(scratch):
    described = json.loads(scratch.ask("GET", "/api/openapi.json")[2])
    schemas, answered = described["components"]["schemas"], Counter()
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            if method == "get":
                assert is_answered(scratch, "GET", path.replace("{row}", "3")), path
                answered[path] += 1
                continue
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            near = values_of(schema, schemas)
            changed = st.builds(
                lambda value, name, other: value | {name: other},
                near,
                st.sampled_from([*schema["properties"], "other"]),
                ANYTHING,
            )

            answered[path] += answers_to_any(
                scratch, path, near | changed | st.dictionaries(TEXTS, ANYTHING, max_size=2)
            )
    for path in ("/api/rows", "/api/command", "/api/mask", "/api/undo"):
        assert answered[path], f"no request to {path} was right"


@given(st.text(st.characters(codec="utf-8"), max_size=8))
def test_any_row_is_answered_or_refused(scratch, row):
    found = is_answered(scratch, "GET", f"/api/text/{quote(row, safe='')}")
    assert found == (row.isascii() and row.isdecimal() and int(row) < len(ROWS))


# --- answers and events


@pytest.fixture
def fresh(tmp_path):
    with served(Desk(made(tmp_path / "fresh"))) as address:
        yield Client(address), embedstore.open(tmp_path / "fresh", encoder=HashEncoder())


def test_an_answer_that_is_sent_twice_counts_once_and_can_be_taken_back(fresh):
    client, store = fresh
    body = {"rows": [0, 1], "label": "Positive", "lens": LENS, "who": "ann", "action": "one"}
    assert client.good("answer", body) == client.good("answer", body) == {"texts": 2}
    assert client.post("answer", body | {"query": {}})[1]["error"].endswith("found both: leave one out")
    del (neither := dict(body))["rows"]
    assert client.post("answer", neither)[1]["error"].endswith("found neither: give one")
    assert len(store.annotations.export_table()) == 2
    everything = {"query": {"where": "stars < 2"}, "label": "Negative", "lens": LENS, "who": "ann", "action": "two"}
    assert client.good("answer", everything)["texts"] > 2
    assert client.good("undo", {"action": "two"})["texts"] > 2
    assert store.annotations.export_table().to_pandas()["label"].tolist() == ["Positive"] * 2


def test_answers_are_taken_over_counted_and_taken_away_as_the_desk_does(fresh):
    client, store = fresh
    more = {"labels": [*LABELS, "Mixed"]}
    given = client.good("answer", {"query": {}, "label": "Positive", "lens": LENS, "who": "ann", "action": "a"})
    assert given["texts"] > 1
    asked = {"before": LENS, "lens": more, "renamed": [["Positive", "Mixed"]], "action": "carry"}
    assert client.good("carry", asked) == client.good("carry", asked) == given
    desk, lens = Desk(store), Lens.from_json(more)
    wanted = desk.answered(Query(), lens, who="ann")
    assert (
        client.good("answered", {"lens": more, "who": "ann"})
        == wanted
        == {"anybody": given["texts"], "mine": given["texts"]}
    )
    for answers in (True, False):
        _, _, content = client.ask("POST", "/api/download", {"lens": more, "format": "csv", "answers": answers})
        table = pd.read_csv(io.BytesIO(content))
        assert list(table.columns) == list(desk.result(Query(), lens, answers=answers).schema.names)
    assert client.good("undo", {"action": "carry"}) == given
    assert client.good("answered", {"lens": more}) == {"anybody": 0, "mine": 0}


def test_the_stream_tells_that_somebody_else_has_answered(fresh):
    client, store = fresh
    with client.events() as following:
        assert following("map")["methods"] == ["pca"]
        before = following("answers")
        store.annotations.import_table([{"id": "k1", "label": "Positive"}], LABELS)
        assert following("answers") != before


def test_two_servers_of_one_store_lose_no_answer(fresh, desk):
    client, store = fresh
    with served(Desk(store)) as address:
        clients = [client, Client(address)]
        rows = [row for row, one in enumerate(ROWS) if one["review"]]

        def answer(row):
            body = {"rows": [row], "label": "Positive", "lens": LENS, "who": "", "action": f"a{row}"}
            return clients[row % 2].good("answer", body)["texts"]

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(answer, rows)) == [1] * len(rows)
        assert client.good("rows", {"query": {"where": "annotations = 'Positive'"}})["total"] == len(rows)
    assert sorted(store.annotations.export_table().to_pandas()["id"]) == sorted(ROWS[row]["key"] for row in rows)


def test_a_damaged_store_is_told_in_one_line(fresh):
    client, store = fresh
    newest = max(Path(store.path).glob("manifest-*.json"))
    newest.write_bytes(newest.read_bytes().replace(b"train", b"brain"))
    assert "was altered" in refused(client.ask("POST", "/api/rows", {}), 503)
    assert "was altered" in refused(client.ask("GET", "/api/about"), 503)
    assert client.ask("GET", "/")[0] == 200


def test_a_store_that_is_gone_is_told_in_one_line(fresh):
    client, store = fresh
    Path(store.path).rename(Path(store.path).parent / "elsewhere")
    refused(client.ask("POST", "/api/rows", {}), 404)


class FaultyDesk(Desk):
    """A desk with a fault of its own."""

    def about(self):
        raise ZeroDivisionError("a secret")


def test_a_fault_of_the_desk_itself_is_told_in_one_line_and_ends_nothing(desk):
    with served(FaultyDesk(desk.store)) as address:
        client = Client(address)
        problem = refused(client.ask("GET", "/api/about"), 500)
        assert "unexpected ZeroDivisionError" in problem
        assert "secret" not in problem
        assert client.good("rows", {})["total"] == len(ROWS)


# --- the command


@contextmanager
def command(cli, *words):
    process = subprocess.Popen(
        cli.command("serve", *words, "--no-open", "--port", 0),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=cli.environment,
    )
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def ended(process, number):
    """Send a signal; return the exit code as a shell has it, and what was told."""
    process.send_signal(number)
    _, told = process.communicate(timeout=30)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode, told.splitlines()


def test_ctrl_c_and_a_signal_end_the_command_and_the_cookie_is_good_for_the_next(cli, store):
    with command(cli, "small") as (process, address):
        client = Client(address)
        with client.events() as following:
            following("answers")
            code, told = ended(process, signal.SIGINT)
        assert (code, told) == (0, ["Ctrl-C ends it; every answer is kept as it is given", "ended"])
    with command(cli, "small", "--read-only") as (process, address):
        again = Client(address, enter=False)
        assert again.token != client.token
        again.cookie = client.cookie
        assert json.loads(again.ask("GET", "/api/about")[2])["read_only"] is True
        with again.events() as following:
            following("answers")
            code, told = ended(process, signal.SIGTERM)
        assert code == 128 + signal.SIGTERM
        assert told[0].startswith("Ctrl-C ends it")
        assert not any("Traceback" in line or "Error" in line for line in told[1:]), told


def test_an_address_that_others_can_reach_must_be_asked_for(cli, store):
    line = cli.fails(2, "serve", "small", "--no-open", "--port", 0, "--host", "0.0.0.0")
    assert "--i-know" in line


def test_a_port_that_is_taken_is_told_in_one_line(cli, store):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port {port}: " in cli.fails(2, "serve", "small", "--no-open", "--port", port)
    assert "can't listen on 203.0.113.1" in cli.fails(
        2, "serve", "small", "--no-open", "--host", "203.0.113.1", "--i-know"
    )
