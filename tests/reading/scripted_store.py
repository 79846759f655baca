"""A store on loopback that answers what a test says, for answers that no real store gives."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class Asked:
    """A request as it came; `kind` is HEAD, GET or LIST."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]

    @property
    def kind(self) -> str:
        return "LIST" if "list-type" in self.query else self.method


def answer(status: int = 200, body: bytes | str = b"", **headers: str) -> bytes:
    """Return a whole answer; an underscore in a header's name stands for a hyphen."""
    data = body.encode() if isinstance(body, str) else body
    named = {"Content-Length": str(len(data))} | {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode("latin-1") + data


def page(*keys: str, more: str = "<IsTruncated>false</IsTruncated>") -> bytes:
    """Return a page of a list, of objects of 8 bytes; `more` is put in as it is."""
    objects = "".join(f'<Contents><Key>{key}</Key><Size>8</Size><ETag>"{key}"</ETag></Contents>' for key in keys)
    return answer(body=f"<ListBucketResult>{objects}{more}</ListBucketResult>")


@dataclass
class ScriptedStore:
    """Answers each request with what the function gives; None lets the client wait."""

    script: Callable[[Asked], bytes | None]
    asked: list[Asked] = field(default_factory=list)

    def kinds(self) -> list[str]:
        return [asked.kind for asked in self.asked]

    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ENDPOINT_URL_S3": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": "AKIASCRIPTED",
            "AWS_SECRET_ACCESS_KEY": "scripted-secret",
            "AWS_REGION": "us-east-1",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        for connection in self._connections:
            connection.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            for asked in _requests(connection):
                self.asked.append(asked)
                said = self.script(asked)
                if said is not None:
                    connection.sendall(said)


def _requests(connection: socket.socket) -> Iterator[Asked]:
    received = b""
    while True:
        while b"\r\n\r\n" not in received:
            piece = connection.recv(1 << 16)
            if not piece:
                return
            received += piece
        head, _, received = received.partition(b"\r\n\r\n")
        start, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = start.split(" ")
        url = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in lines}
        yield Asked(method, unquote(url.path), query, headers)
