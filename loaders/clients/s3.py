"""Read one version of an S3 object: HEAD pins it, and each GET demands it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NoReturn

import pyarrow as pa

from loaders.clients.cancellation import cancellable, results_of
from loaders.clients.checksums import Expected, ObjectSum, expected
from loaders.clients.location import Location
from loaders.clients.progress import Tracker
from loaders.clients.retry import Deadline, TryAgainError
from loaders.clients.s3_client import S3Client, StoreRefusedError
from loaders.clients.s3_refusal import refusal
from loaders.clients.source import ChangedError, fresh_memory
from loaders.errors import ReadError

# An object of more parts is not asked for the size of each.
_MOST_PARTS = 1000
Range = tuple[int, int]


@dataclass(frozen=True)
class _Pin:
    """The version of an object that its HEAD found."""

    etag: str
    size_bytes: int
    checksum: Expected | None
    modified: str = ""


class S3Object:
    """An object at the version that it had when it was opened."""

    def __init__(self, location: Location, client: S3Client, tracker: Tracker) -> None:
        self.location = location
        self.bucket, _, self.key = location.path.partition("/")
        self._client = client
        self._tracker = tracker
        self._deadline = Deadline(client.settings, location.shown)
        self._pin = self._deadline.retry("HEAD", self._head)
        self.size_bytes = self._deadline.size_bytes = self._pin.size_bytes
        self.version = client.version(self._pin.etag, self._pin.size_bytes)
        self.modified = self._pin.modified
        self.prefers_whole = client.reads_whole

    def read(self) -> pa.Buffer:
        """Return every byte of the object, held against the checksum that the store has."""
        summed = self._summed()
        if summed is None and self._client.settings.verify == "object":
            raise ReadError(
                f"'{self.location.shown}' has no checksum that it could be held against, and storage.verify is "
                "'object'. Upload it again with one (the default of present clients), or set verify: auto."
            )
        self._tracker.expect(self.size_bytes)
        return self._deadline.retry("GET", lambda: self._whole(summed))

    def read_ranges(self, ranges: list[tuple[int, int]]) -> list[pa.Buffer]:
        """Return the bytes from each start up to each end: of this version, and as many as asked for."""
        ends = list(itertools.accumulate(end - start for start, end in ranges))
        # All of it at once: large pages take a tenth of the time that small ones do.
        memory = fresh_memory(ends[-1] if ends else 0, self.location.shown)
        targets = [memory[start:end] for start, end in itertools.pairwise([0, *ends])]
        pieces = [
            (start + low, target[low : low + self._client.settings.range_bytes])
            for (start, _), target in zip(ranges, targets, strict=True)
            for low in range(0, len(target), self._client.settings.range_bytes)
        ]
        self._tracker.expect(sum(map(len, targets)))
        self._fetch(pieces, None)
        return [pa.py_buffer(target) for target in targets]

    def close(self) -> None:
        """Let go of the object; each GET has checked its version."""

    def _head(self) -> _Pin:
        headers = {"x-amz-checksum-mode": "ENABLED"}
        try:
            with self._client.request("HEAD", self.bucket, self.key, self._deadline, headers=headers) as answer:
                found = answer.headers
                if answer.length is None or not found.get("etag"):
                    raise TryAgainError(_stranger(found, "HEAD came back without length and ETag"))
                checksum = expected(found, etag_is_md5=self._client.settings.etag_is_md5)
                return _Pin(found["etag"], answer.length, checksum, found.get("last-modified", ""))
        except StoreRefusedError as error:
            self._refuse(error)

    def _summed(self) -> list[Range] | None:
        """Return the stretches whose bytes the checksum was made from, each for itself; None where there is none."""
        checksum = self._pin.checksum
        if checksum is None or checksum.parts is None:
            return None if checksum is None else [(0, self.size_bytes)]
        first = self._part_bytes(1)
        if not first or -(-self.size_bytes // first) != checksum.parts:
            return self._parts() if first else None
        # Nearly every uploader makes all parts but the last of one size; if this one did not, it will show.
        starts = range(0, self.size_bytes, first)
        return [(start, min(start + first, self.size_bytes)) for start in starts]

    def _parts(self) -> list[Range] | None:
        """Return the parts that the object was uploaded in, each asked for; None where that cannot be told."""
        count = self._pin.checksum.parts if self._pin.checksum else None
        if count is None or count > _MOST_PARTS:
            return None
        sizes = list(self._client.executor.map(self._part_bytes, range(1, count + 1)))
        if None in sizes:
            return None
        ends = list(itertools.accumulate(size or 0 for size in sizes))
        return list(itertools.pairwise([0, *ends])) if ends[-1] == self.size_bytes else None

    def _part_bytes(self, number: int) -> int | None:
        """Return the size of a part; None where the store does not say."""

        def ask() -> int | None:
            query = {"partNumber": str(number)}
            with self._client.request(
                "HEAD", self.bucket, self.key, self._deadline, headers=self._match, query=query
            ) as answer:
                return answer.length

        try:
            return self._deadline.retry(f"HEAD of part {number}", ask)
        except StoreRefusedError as error:
            if error.status == 412:
                self._refuse(error)
            return None

    def _whole(self, summed: list[Range] | None) -> pa.Buffer:
        view = fresh_memory(self.size_bytes, self.location.shown)
        step = self._client.settings.range_bytes
        pieces = [(start, view[start : start + step]) for start in range(0, max(self.size_bytes, 1), step)]
        checksum = self._pin.checksum
        if checksum is None or summed is None:
            self._fetch(pieces, None)
            return pa.py_buffer(view)
        total = ObjectSum(checksum, summed)
        self._fetch(pieces, total.add)
        mismatch = total.mismatch()
        if mismatch and checksum.parts is not None and (parts := self._parts()) not in (None, summed):
            total = ObjectSum(checksum, parts or summed)
            total.add(0, view)
            mismatch = total.mismatch()
        if mismatch:
            self._tracker.add(-self.size_bytes)
            raise TryAgainError(mismatch)
        return pa.py_buffer(view)

    def _fetch(self, pieces: list[tuple[int, memoryview]], arrived: Callable[[int, memoryview], None] | None) -> None:
        """Fill each piece from its place in the object, several at a time."""

        def fetch(start: int, view: memoryview, deadline: Deadline) -> None:
            self._piece(start, view, deadline)
            if arrived is not None:
                arrived(start, view)

        if len(pieces) == 1:
            fetch(*pieces[0], self._deadline)
            return
        with cancellable() as cancellation:
            deadline = replace(self._deadline, cancellation=cancellation)
            results_of([self._client.executor.submit(fetch, start, view, deadline) for start, view in pieces])

    def _piece(self, start: int, view: memoryview, deadline: Deadline) -> None:
        """Fill the view from `start` of the object; what came before a connection broke is not fetched again."""
        got = 0

        def attempt() -> None:
            nonlocal got
            low = start + got
            got += self._get(low, view[got:], deadline)
            if got < len(view):
                raise TryAgainError(f"the body ended after {low + got - start:,} of {len(view):,} bytes")

        def keep_and_attempt() -> None:
            nonlocal got
            try:
                attempt()
            except _BrokenOffError as error:
                got += error.received
                raise

        deadline.retry("GET", keep_and_attempt)

    def _get(self, start: int, view: memoryview, deadline: Deadline) -> int:
        end = start + len(view)
        whole = len(view) == self.size_bytes
        headers = self._match if whole else {**self._match, "range": f"bytes={start}-{end - 1}"}
        received = 0

        def count(size_bytes: int) -> None:
            nonlocal received
            received += size_bytes
            self._tracker.add(size_bytes)

        try:
            with self._client.request("GET", self.bucket, self.key, deadline, headers=headers) as answer:
                found = answer.headers
                if "etag" not in found:
                    raise TryAgainError(_stranger(found, "the answer has no ETag"))
                if found["etag"] != self._pin.etag:
                    # A store that does not know If-Match answers with whatever version there is.
                    raise self._overwritten()
                place = f"bytes {start}-{end - 1}/{self.size_bytes}"
                if not whole and (answer.status != 206 or found.get("content-range") != place):
                    given = found.get("content-range", "the whole object")
                    raise TryAgainError(f"the store ignored the range that was asked for: it sent {given[:60]}")
                if answer.length != len(view):
                    raise TryAgainError(f"the answer announces {answer.length} bytes, not {len(view):,}")
                return answer.read_into(view, deadline, count)
        except StoreRefusedError as error:
            self._refuse(error)
        except TryAgainError as error:
            raise _BrokenOffError(str(error), received) from None

    @property
    def _match(self) -> dict[str, str]:
        return {"if-match": self._pin.etag}

    def _refuse(self, error: StoreRefusedError) -> NoReturn:
        if error.status == 412:
            raise self._overwritten()
        raise refusal(self._client, self.location, self.bucket, self.key, error) from None

    def _overwritten(self) -> ChangedError:
        return ChangedError(
            f"'{self.location.shown}' was overwritten while it was read. Run again when its writer is done."
        )


class _BrokenOffError(TryAgainError):
    def __init__(self, text: str, received: int) -> None:
        super().__init__(text)
        self.received = received


def _stranger(headers: dict[str, str], what: str) -> str:
    kind = headers.get("content-type", "")
    return f"{what}; it is {kind}, perhaps of a proxy in between" if "html" in kind else what
