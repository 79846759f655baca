"""Web servers that answer in every way they should not: the right frame, or an error in time."""

from __future__ import annotations

import gzip
import http.server
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest

from loaders import DatasetContract, LoaderError, ReadError, read_table
from loaders.config.storage import StorageSettings, use_storage

CONTRACT = DatasetContract("pairs", pa.schema([("a", pa.int64()), ("b", pa.string())]))
ROWS = b"a,b\n" + b"".join(b"%d,x\n" % number for number in range(100))
HASTY = StorageSettings(
    connect_timeout_seconds=1, stall_timeout_seconds=0.3, deadline_seconds=2, attempts=2, minimum_rate_bytes=1024
)
Send = Callable[[bytes], object]


def answer(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


class RawServer:
    """Answers each request by a function of the request's head and of what sends bytes; True closes the connection."""

    def __init__(self, reply: Callable[[str, Send], object]) -> None:
        self.reply = reply
        self.heads: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            data = b""
            while True:
                try:
                    while b"\r\n\r\n" not in data:
                        received = connection.recv(65536)
                        if not received:
                            return
                        data += received
                    head, _, data = data.partition(b"\r\n\r\n")
                    self.heads.append(head.decode("latin-1"))
                    if self.reply(self.heads[-1], connection.sendall) is True:
                        return
                except OSError:
                    return

    def close(self) -> None:
        self._listener.close()


Serve = Callable[[Callable[[str, Send], object]], RawServer]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    servers: list[RawServer] = []

    def start(reply: Callable[[str, Send], object]) -> RawServer:
        servers.append(RawServer(reply))
        return servers[-1]

    with use_storage(HASTY):
        yield start
    for server in servers:
        server.close()


def rows(url: str) -> int:
    return len(read_table(url, CONTRACT))


def dripping(data: bytes, send: Send) -> None:
    for place in range(len(data)):
        send(data[place : place + 1])
        time.sleep(0.05)  # a server's, not ours


def test_a_server_that_closes_each_connection_is_read(serve: Serve) -> None:
    def reply(head: str, send: Send) -> bool:
        send(answer(ROWS, "Connection: close"))
        return True

    server = serve(reply)
    assert [rows(f"{server.url}/a.csv") for _ in range(3)] == [100] * 3


def test_the_server_of_the_standard_library_is_read(serve: Serve, tmp_path: Path) -> None:
    """It speaks HTTP/1.0."""
    (tmp_path / "a.csv").write_bytes(ROWS)
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert rows(f"http://127.0.0.1:{server.server_port}/a.csv") == 100
        server.shutdown()


@pytest.mark.parametrize(
    "trickle",
    [
        pytest.param(b"HTTP/1.1 200 OK and so on and on" * 9, id="status line"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX-Header: " + b"x" * 300, id="header"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 60, id="headers"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * 20, id="informational"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 300, id="chunk"),
    ],
)
def test_a_head_that_trickles_is_given_up(trickle: bytes, serve: Serve) -> None:
    at_once = trickle.rpartition(b"\r\n\r\n")[0] if b"chunked" in trickle else b""

    def reply(head: str, send: Send) -> None:
        send(at_once)
        dripping(trickle[len(at_once) :], send)

    server = serve(reply)
    began = time.monotonic()
    with pytest.raises(ReadError, match="stalled"):
        rows(f"{server.url}/a.csv")
    assert time.monotonic() - began < HASTY.deadline_for(0) + 1


def test_endless_informational_answers_are_given_up(serve: Serve) -> None:
    server = serve(lambda head, send: send(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000))
    with pytest.raises(ReadError, match="stalled"):
        rows(f"{server.url}/a.csv")


def test_an_answer_may_be_announced_by_others(serve: Serve) -> None:
    server = serve(lambda head, send: send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + answer(ROWS)))
    assert rows(f"{server.url}/a.csv") == 100


def chunked(body: bytes, size: int = 37) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x;name=value\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nTrailer: x\r\n\r\n"


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_chunks_are_joined(serve: Serve) -> None:
    server = serve(lambda head, send: send(CHUNKED + chunked(ROWS)))
    assert [rows(f"{server.url}/a.csv") for _ in range(2)] == [100] * 2


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (answer(ROWS, f"Content-Length: {len(ROWS) // 2}"), "is not valid HTTP"),
        (answer(ROWS, length=10**15 - 1), "there is no memory for them|ended after"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "is not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", "is not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nbroken\r\n\r\n", "is not valid HTTP"),
        (b"\x00\x01\x02 SSH-2.0\n" + b"y" * 100_000, "is not valid HTTP"),
        (b"y" * 300_000, "is not valid HTTP"),
        (CHUNKED + b"zz\r\n", "is not valid HTTP|the body ended"),
        (CHUNKED + b"2\r\nabcd\r\n0\r\n\r\n", "is not valid HTTP|the body ended"),
        (CHUNKED + chunked(ROWS)[:400], "the body ended"),
        (answer(ROWS, "Transfer-Encoding: chunked"), "is not valid HTTP"),
        (answer(ROWS)[:-20], "the body ended after"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + ROWS, "neither length nor end"),
        (answer(b"<!doctype html><html>Sign in</html>", "Content-Type: text/html"), "is a web page"),
        (answer(ROWS, "Content-Encoding: br"), "sends it as 'br'"),
        (answer(b"", status="204 No Content"), "answered 204"),
    ],
)
def test_a_broken_answer_is_an_error_of_a_few_lines(broken: bytes, said: str, serve: Serve) -> None:
    def reply(head: str, send: Send) -> bool:
        send(broken)
        return True

    server = serve(reply)
    with pytest.raises(ReadError, match=said) as caught:
        rows(f"{server.url}/a.csv")
    assert len(str(caught.value)) < 1000


def test_bytes_that_nobody_asked_for_are_not_the_next_file(serve: Serve) -> None:
    def reply(head: str, send: Send) -> None:
        stale = answer(b"a,b\n1,STALE\n") if "/first.csv" in head else b""
        send(answer(ROWS) + stale)

    server = serve(reply)
    assert rows(f"{server.url}/first.csv") == 100
    assert rows(f"{server.url}/second.csv") == 100


def test_a_fork_shares_no_connection_with_its_parent(serve: Serve) -> None:
    def reply(head: str, send: Send) -> None:
        name = head.split()[1].strip("/").removesuffix(".csv")
        send(answer(b"a,b\n" + f"1,{name}\n".encode() * 20))

    server = serve(reply)
    rows(f"{server.url}/parent.csv")
    reader, writer = os.pipe()
    child = os.fork()
    name = "child" if child == 0 else "parent"
    mixed = sum(set(read_table(f"{server.url}/{name}.csv", CONTRACT)["b"]) != {name} for _ in range(30))
    if child == 0:
        os.write(writer, bytes([mixed]))
        os._exit(0)
    os.waitpid(child, 0)
    assert (mixed, os.read(reader, 1)) == (0, b"\0")
    os.close(reader)
    os.close(writer)


def test_what_was_packed_for_the_way_is_unpacked(serve: Serve) -> None:
    server = serve(lambda head, send: send(answer(gzip.compress(ROWS), "Content-Encoding: gzip")))
    assert rows(f"{server.url}/a.csv") == 100
    assert rows(f"{server.url}/a.csv.gz") == 100


def test_a_url_may_hold_any_character(serve: Serve) -> None:
    server = serve(lambda head, send: send(answer(ROWS)))
    assert rows(f"{server.url}/ein Ordner/ü.csv?name=ö ä&more=%20") == 100
    assert server.heads[0].split("\r\n")[0] == "GET /ein%20Ordner/%C3%BC.csv?name=%C3%B6%20%C3%A4&more=%20 HTTP/1.1"


@pytest.mark.parametrize("url", ["http://h:abc/a.csv", "http://h:99999/a.csv", "http://[::1/a.csv", "http:///a.csv"])
def test_what_is_no_url_is_an_error(url: str) -> None:
    with pytest.raises(LoaderError, match=r"no URL|no connection"):
        rows(url)


def test_a_password_is_sent_where_it_belongs_and_nowhere_else(serve: Serve) -> None:
    other = serve(lambda head, send: send(answer(ROWS)))
    targets = iter(["/second.csv", f"{other.url}/third.csv"])
    server = serve(lambda head, send: send(answer(b"", f"Location: {next(targets)}", status="302 Found")))
    with_password = server.url.replace("http://", "http://me:p%40ss@")
    assert rows(f"{with_password}/first.csv") == 100
    assert all("Authorization: Basic bWU6cEBzcw==" in head for head in server.heads)
    assert len(server.heads) == 2
    assert "Authorization" not in other.heads[0]


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/a.csv"])
def test_a_redirect_leads_to_web_servers_only(target: str, serve: Serve) -> None:
    server = serve(lambda head, send: send(answer(b"", f"Location: {target}", status="302 Found")))
    with pytest.raises(ReadError, match="redirects to what is no URL"):
        rows(f"{server.url}/a.csv")


def test_a_proxy_fetches_what_is_not_encrypted(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = serve(lambda head, send: send(answer(ROWS)))
    monkeypatch.setenv("http_proxy", proxy.url.replace("http://", "http://me:secret@"))
    assert rows("http://data.example/a.csv") == 100
    assert proxy.heads[0].startswith("GET http://data.example/a.csv HTTP/1.1")
    assert "Proxy-Authorization: Basic bWU6c2VjcmV0" in proxy.heads[0]
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = serve(lambda head, send: send(answer(ROWS)))
    assert rows(f"{server.url}/a.csv") == 100
    assert len(proxy.heads) == 1


def test_a_proxy_is_asked_for_a_tunnel_to_what_is(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = serve(lambda head, send: send(answer(b"", status="407 Proxy Authentication Required")))
    monkeypatch.setenv("https_proxy", proxy.url)
    with pytest.raises(ReadError, match="the proxy answered 407"):
        rows("https://data.example/a.csv")
    assert proxy.heads[0].startswith("CONNECT data.example:443 HTTP/1.1")


def test_a_proxy_of_another_kind_is_not_passed_by(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(lambda head, send: send(answer(ROWS)))
    monkeypatch.setenv("http_proxy", "socks5://me:secret@127.0.0.1:9")
    with pytest.raises(ReadError, match=r"no connection to 127\.0\.0\.1:9") as caught:
        rows(f"{server.url}/a.csv")
    assert "secret" not in str(caught.value)
    assert server.heads == []


def test_a_deadline_holds_for_a_body_that_never_ends(serve: Serve) -> None:
    def reply(head: str, send: Send) -> None:
        send(answer(b"", "Transfer-Encoding: chunked"))
        while True:
            send(b"400\r\n" + b"x" * 1024 + b"\r\n")
            time.sleep(0.01)  # a server's, not ours

    server = serve(reply)
    began = time.monotonic()
    with use_storage(replace(HASTY, deadline_seconds=1)), pytest.raises(ReadError):
        rows(f"{server.url}/a.csv")
    assert time.monotonic() - began < 2
