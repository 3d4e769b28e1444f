"""A served desk, and a browser at it, for the tests of the server."""

import http.client
import json
import re
import threading
from contextlib import contextmanager

from embedstore.web import Server


class Client:
    """A browser that was given an address: it asks, and carries the cookie that it got."""

    def __init__(self, address, *, enter=True):
        self.host, self.port, self.token = re.fullmatch(
            r"http://\[?([^]/]+?)\]?:(\d+)/(?:\?token=([\w-]+))?", address
        ).groups()
        self.cookie = ""
        if enter:
            status, headers, _ = self.ask("GET", f"/?token={self.token}")
            assert status == 200
            self.cookie = headers["set-cookie"].partition(";")[0]

    def connection(self):
        return http.client.HTTPConnection(self.host, int(self.port), timeout=30)

    def ask(self, method, path, body=None, **headers):
        """Return the status, the headers and the content of an answer; a header None is not sent."""
        given = {"Cookie": self.cookie} if self.cookie else {}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if method == "POST":
            given["Content-Type"] = "application/json"
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = self.connection()
        try:
            connection.request(method, path, body, {name: value for name, value in given.items() if value is not None})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def post(self, path, body, **headers):
        status, _, content = self.ask("POST", f"/api/{path}", body, **headers)
        return status, json.loads(content)

    def good(self, path, body):
        status, value = self.post(path, body)
        assert status == 200, value
        return value

    @contextmanager
    def events(self):
        """Open the stream of events; yield a function that returns the next event of a name, as its data."""
        connection = self.connection()
        connection.request("GET", "/api/events", headers={"Cookie": self.cookie})
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.getheader("content-type").startswith("text/event-stream")

        def following(name):
            while answer.readline().decode().strip() != f"event: {name}":
                pass
            return json.loads(answer.readline().decode().removeprefix("data: "))

        try:
            yield following
        finally:
            connection.close()


@contextmanager
def served(desk, **options):
    server = Server(desk, port=0, **options)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server.address
    finally:
        server.stop()
        thread.join()


def refused(answer, status=403):
    """Check that an answer is a refusal of one line, and return the line."""
    found, headers, content = answer
    assert found == status, content
    assert headers["content-type"] == "application/json"
    value = json.loads(content)
    assert list(value) == ["error"]
    assert value["error"]
    assert "\n" not in value["error"]
    return value["error"]
