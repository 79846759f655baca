"""One S3 object, pinned: HEAD says which version there is, and every GET takes that one or fails."""

from __future__ import annotations

from typing import TypeVar

import pyarrow as pa

from loaders.errors import ReadError
from loaders.reading.location import Location
from loaders.reading.patience import Patience, TryAgainError
from loaders.reading.s3_client import S3Client, StoreRefusedError, client_for

T = TypeVar("T")


class S3Object:
    """An object at the version that it had when it was opened."""

    def __init__(self, location: Location, client: S3Client | None = None) -> None:
        self.location = location
        self.bucket, _, self.key = location.path.partition("/")
        if not self.bucket or not self.key:
            raise ReadError(f"'{location.shown}' names no object; write s3://bucket/key.")
        self._client = client or client_for()
        self._patience = Patience(self._client.settings, location.shown)
        self.prefers_whole = True
        head = self._patience.insist("HEAD", self._head)
        self.headers = head
        self.etag = head.get("etag", "")
        self.size_bytes = int(head["content-length"])
        self._patience.size_bytes = self.size_bytes
        self.version = f"{self.etag}-{self.size_bytes}-{head.get('x-amz-version-id', '')}"

    def read(self) -> pa.Buffer:
        """Return every byte of the object."""
        return self._patience.insist("GET", self._get)

    def read_ranges(self, ranges: list[tuple[int, int]]) -> list[pa.Buffer]:
        """Return the bytes from each start up to each end."""
        whole = self.read()
        return [whole.slice(start, end - start) for start, end in ranges]

    def close(self) -> None:
        """Let go of the object; each GET has checked its version."""

    def _head(self) -> dict[str, str]:
        try:
            with self._client.request(
                "HEAD", self.bucket, self.key, self._patience, headers={"x-amz-checksum-mode": "ENABLED"}
            ) as answer:
                if answer.length is None:
                    raise TryAgainError("HEAD gave no length")
                return answer.headers
        except StoreRefusedError as error:
            raise self._refused(error) from None

    def _get(self) -> pa.Buffer:
        data = bytearray(self.size_bytes)
        try:
            with self._client.request(
                "GET", self.bucket, self.key, self._patience, headers={"if-match": self.etag} if self.etag else {}
            ) as answer:
                if answer.length != self.size_bytes or answer.headers.get("etag", "") != self.etag:
                    raise TryAgainError("another length or ETag than HEAD gave")
                got = answer.read_into(memoryview(data), self._patience)
        except StoreRefusedError as error:
            raise self._refused(error) from None
        if got != self.size_bytes:
            raise TryAgainError(f"the body broke off after {got:,} of {self.size_bytes:,} bytes")
        return pa.py_buffer(data)

    def _refused(self, error: StoreRefusedError) -> ReadError:
        return ReadError(f"'{self.location.shown}': the store answered {error}.")
