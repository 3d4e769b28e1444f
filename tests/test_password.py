"""A page that asks for a password: who gets in, what a wrong one costs, and how the command takes it."""

import re
from urllib.parse import urlencode

import pytest
from clients import Client, refused, served
from test_annotate_terminal import Terminal

from embedstore.desk import Desk
from embedstore.errors import UsageError
from embedstore.web.password import Failures, Password

PASSWORD = "käse & brot + 1"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def desk(store):
    return Desk(store)


@pytest.fixture
def client(desk):
    with served(desk, password=PASSWORD) as address:
        yield Client(address, enter=False)


def give(client, password=PASSWORD, **headers):
    """Send the form with a password; return the status, the headers and the text of the answer."""
    body = urlencode({"password": password}).encode()
    status, found, content = client.ask("POST", "/", body, Content_Type=FORM, **headers)
    return status, found, content.decode()


def entered(client):
    """Give the password, and carry the cookie from then on."""
    status, headers, _ = give(client)
    assert (status, headers["location"]) == (303, "/")
    client.cookie = headers["set-cookie"].partition(";")[0]
    return client


def asks(answer):
    """Return whether an answer is the page that asks for the password."""
    return "set-cookie" not in answer[1] and 'type="password"' in answer[2]


def test_who_gives_the_password_gets_the_page_and_the_cookie(client):
    status, headers, content = client.ask("GET", "/")
    assert (status, asks((status, headers, content.decode()))) == (200, True)
    assert b"<script" not in content
    _, headers, _ = give(client)
    assert headers["set-cookie"].endswith("; HttpOnly; SameSite=Strict; Path=/")
    assert b"main.js" in entered(client).ask("GET", "/")[2]
    assert client.good("rows", {})["total"] == 10


def test_a_wrong_password_gets_nothing(client):
    for wrong in ("", PASSWORD[:-1], PASSWORD.upper(), "\udcff" * 3):
        body = urlencode({"password": wrong}, errors="surrogateescape").encode()
        status, headers, content = client.ask("POST", "/", body, Content_Type=FORM)
        assert status == 401
        assert asks((status, headers, content.decode()))
        assert b"not the password" in content


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"password", b"other=1", b"&" * 9000, b"password=" + b"a" * 20_000, b'{"password": 1}']
)
def test_what_is_no_form_is_a_wrong_password(client, body):
    assert client.ask("POST", "/", body, Content_Type=FORM)[0] == 401


def test_nothing_but_the_style_of_the_question_is_given_before(client):
    for path in ("/api/about", "/api/events", "/api/openapi.json", "/static/main.js", "/static/index.html"):
        assert "password" in refused(client.ask("GET", path))
    assert "password" in refused(client.ask("POST", "/api/rows", {}))
    assert client.ask("GET", "/static/desk.css")[0] == 200


def test_a_token_lets_nobody_in_where_there_is_a_password(desk):
    with served(desk, password=PASSWORD) as address:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
        status, headers, content = Client(address, enter=False).ask("GET", "/?token=")
        assert asks((status, headers, content.decode()))


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}]
)
def test_the_form_of_another_site_is_refused(client, headers):
    status, found, content = give(client, **headers)
    assert status == 403
    assert "set-cookie" not in found
    assert "another site" in content
    assert entered(client).good("rows", {})["total"] == 10


def test_the_form_of_the_page_itself_has_an_origin(client):
    """With "no-referrer" a browser would send "null"."""
    assert client.ask("GET", "/")[1]["referrer-policy"] == "same-origin"
    assert give(client, Origin=f"http://{client.host}:{client.port}", Sec_Fetch_Site="same-origin")[0] == 303


def test_after_five_wrong_passwords_an_address_waits_and_others_do_not(desk):
    with served(desk, host="0.0.0.0", password=PASSWORD) as address:
        client = Client(re.sub(r"//[^/]*:", "//127.0.0.1:", address), enter=False)
        assert [give(client, f"wrong {n}")[0] for n in range(5)] == [401] * 5
        status, headers, content = give(client)  # the right one
        assert status == 429
        assert "set-cookie" not in headers
        assert 0 < int(headers["retry-after"]) <= 30
        assert f"wait {headers['retry-after']} s" in content
        other = FromAddress(f"http://127.0.0.1:{client.port}/", "127.0.0.2")
        assert entered(other).good("rows", {})["total"] == 10
        assert give(client, X_Forwarded_For="127.0.0.9")[0] == 429


class FromAddress(Client):
    """A browser on a machine with another address."""

    def __init__(self, address, own):
        super().__init__(address, enter=False)
        self.own = own

    def connection(self):
        made = super().connection()
        made.source_address = (self.own, 0)
        return made


def test_the_right_password_makes_the_wrong_ones_before_it_forgotten(client):
    for _ in range(2):
        assert [give(client, f"wrong {n}")[0] for n in range(4)] == [401] * 4
        assert give(client)[0] == 303


def test_each_further_wrong_password_doubles_the_waiting_up_to_a_quarter_of_an_hour():
    failures, waits = Failures(), []
    for _ in range(12):
        failures.add("192.0.2.1")
        waits.append(failures.wait("192.0.2.1"))
    assert waits == [0, 0, 0, 0, 30, 60, 120, 240, 480, 900, 900, 900]


def test_addresses_of_one_network_count_as_one_and_few_are_remembered():
    failures = Failures()
    for host in range(5):
        failures.add(f"2001:db8:0:1::{host}")
        failures.add(f"::ffff:192.0.2.{host}")
    assert failures.wait("2001:db8:0:1::ffff") > 0
    assert failures.wait("2001:db8:0:2::1") == 0
    assert failures.wait("192.0.2.1") == failures.wait("::ffff:192.0.2.1") == 0
    for host in range(3000):
        failures.add(f"10.0.{host // 250}.{host % 250}")
    assert len(failures) == 1000


def test_the_cookie_is_good_for_the_same_password_and_no_other(desk):
    with served(desk, password=PASSWORD) as address:
        cookie = entered(Client(address, enter=False)).cookie
    for password, status in ((PASSWORD, 200), (PASSWORD + "x", 403), (None, 403)):
        with served(desk, password=password) as address:
            again = Client(address, enter=False)
            again.cookie = cookie
            assert again.ask("GET", "/api/about")[0] == status


def test_a_short_password_is_refused():
    with pytest.raises(UsageError, match="at least 8 characters, found 7"):
        Password("1234567", salt=b"")


# --- the command


WORDS = ["serve", "small", "--no-open", "--host", "0.0.0.0", "--port", "0", "--password"]


def address_in(text):
    (port,) = re.findall(r"http://[^/\s]+:(\d+)/\s", text)
    return f"http://127.0.0.1:{port}/"


def test_the_command_asks_twice_and_shows_nothing(cli, store):
    terminal = Terminal(cli, None, *WORDS)
    for question in ("Password for the page", "The same once more"):
        terminal.wait_for(f"{question}: ")
        assert not terminal.echoes()
        terminal.press(f"{PASSWORD}\n")
    terminal.wait_for("Ctrl-C ends it")
    assert "plain HTTP: whoever can listen on the network" in terminal.seen
    assert PASSWORD not in terminal.seen
    assert entered(Client(address_in(terminal.seen), enter=False)).good("rows", {})["total"] == 10
    terminal.press("\x03")
    assert terminal.close() == 0


def test_two_different_passwords_are_refused(cli, store, forking):
    terminal = Terminal(cli, forking, *WORDS)
    terminal.wait_for("page: ")
    terminal.press("password 1\n")
    terminal.wait_for("more: ")
    terminal.press("password 2\n")
    terminal.wait_for("expected the same password twice")
    assert terminal.close() == 2


def test_the_password_of_the_environment_is_taken_without_a_question(cli, store, forking):
    terminal = Terminal(cli, forking, *WORDS, EMBEDSTORE_PASSWORD=PASSWORD)
    terminal.wait_for("Ctrl-C ends it")
    assert "Password" not in terminal.seen
    assert entered(Client(address_in(terminal.seen), enter=False)).good("rows", {})["total"] == 10
    terminal.press("\x03")
    assert terminal.close() == 0


def test_a_password_needs_a_terminal_or_the_environment(cli, store):
    assert "EMBEDSTORE_PASSWORD" in cli.fails(2, "serve", "small", "--no-open", "--password")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMBEDSTORE_PASSWORD", "short")
        assert "at least 8 characters" in cli.fails(2, "serve", "small", "--no-open", "--password")
