"""Read one version of an object in an object store: HEAD pins it, and each GET requires it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any

import obstore
import pyarrow as pa

from loaders.clients.bucket import Bucket, Pin
from loaders.clients.checksums import Checksum, ObjectSum
from loaders.clients.event_loop import run
from loaders.clients.location import Location
from loaders.clients.progress import Tracker
from loaders.clients.retry import Deadline, ThroughputLimit, TryAgainError
from loaders.clients.source import ChangedError, Listed, Range, Source, fresh_memory, memory_on_disk
from loaders.clients.store_errors import StoreRefusedError, converted
from loaders.errors import ReadError

Arrived = Callable[[int, memoryview], Awaitable[None]]

# The body of an answer comes in chunks: large ones cost less, small ones show the progress of a slow connection.
_CHUNK_BYTES = 256 << 10
_MOST_CHUNKS = 64


class ObjectStore:
    """A client of one bucket or container."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket

    def open(self, location: Location, tracker: Tracker, version: str | None = None) -> Source:
        """Return the object at a location, pinned to its present version or to the given one."""
        return StoredObject(location, self.bucket, tracker, version or self.bucket.settings.version)

    def list(self, folder: Location, deadline: Deadline | None = None) -> Sequence[Listed]:
        """Return all objects below a folder."""
        limit = deadline or Deadline(self.bucket.settings, folder.shown)
        return run(limit.retry("listing", lambda: self.bucket.list(folder, limit)))

    def write(self, location: Location, data: bytes) -> None:
        """Store an object, replacing one that is there."""
        deadline = Deadline(self.bucket.settings, location.shown)
        run(deadline.retry("PUT", lambda: self.bucket.write(location, data, deadline)))


class StoredObject:
    """An object at the version that it had when it was opened."""

    serves_ranges = True

    def __init__(self, location: Location, store: Bucket, tracker: Tracker, version: str | None) -> None:
        self.location = location
        self._key = store.key_of(location)
        self._store = store
        self._tracker = tracker
        self._deadline = Deadline(store.settings, location.shown)
        self._pin = run(self._deadline.retry("HEAD", lambda: self._head(version)))
        self.size_bytes = self._deadline.size_bytes = self._pin.size_bytes
        self.version = store.version(self._pin.etag, self._pin.size_bytes)
        self.modified = self._pin.modified
        self.prefers_whole = store.reads_whole
        # A chunk that does not come within the stall timeout is slower than the minimum rate.
        least = int(store.settings.minimum_rate_bytes * store.settings.stall_timeout_seconds)
        self._chunk_bytes = max(1, min(self.size_bytes // _MOST_CHUNKS, _CHUNK_BYTES, least))

    def read(self, *, to_disk: bool = False) -> pa.Buffer:
        """Return every byte of the object, compared with the checksum that the store has."""
        self._tracker.expect(self.size_bytes)
        make = memory_on_disk if to_disk else fresh_memory
        return pa.py_buffer(run(self._deadline.retry("GET", lambda: self._whole(make))))

    def read_ranges(self, ranges: list[Range]) -> list[pa.Buffer]:
        """Return the bytes of each range: of this version, and as many as requested."""
        ends = list(itertools.accumulate(end - start for start, end in ranges))
        # One allocation: large pages take a tenth of the time that small ones do.
        memory = fresh_memory(ends[-1] if ends else 0, self.location.shown)
        targets = [memory[start:end] for start, end in itertools.pairwise([0, *ends])]
        self._tracker.expect(len(memory))
        run(self._fetch(self._pieces(zip((start for start, _ in ranges), targets, strict=True))))
        return [pa.py_buffer(target) for target in targets]

    def close(self) -> None:
        """Close the object; each GET has checked its version."""

    async def _head(self, version: str | None) -> Pin:
        options = {"head": True} | ({"version": version} if version else {})
        result = await self._request(options)
        meta = result.meta
        if not meta["e_tag"]:
            raise TryAgainError(_stranger(result, "HEAD came back without an ETag"))
        return Pin(meta["e_tag"], meta["size"], meta["last_modified"], version)

    async def _whole(self, make: Callable[[int, str], memoryview]) -> memoryview:
        """Return all bytes in new memory, verified by the first checksum of the store that matches."""
        view = make(self.size_bytes, self.location.shown)
        checksums = self._store.checksums(self._key, self._pin, self._deadline)
        # Bytes are hashed while others arrive, and the store is asked for its checksum meanwhile.
        first = asyncio.create_task(_first(checksums))

        async def hashed(start: int, piece: memoryview) -> None:
            if (total := await first) is not None:
                await asyncio.to_thread(total.add, start, piece)

        try:
            await _all([self._fetch(self._pieces([(0, view)]), hashed), first])
            mismatch = await self._mismatch(view, await first, checksums)
        except StoreRefusedError as error:
            raise await self._store.explained(self.location, error, self._deadline) from None
        if mismatch:
            self._tracker.add(-self.size_bytes)
            raise TryAgainError(mismatch)
        return view

    async def _mismatch(
        self, view: memoryview, total: ObjectSum | None, others: AsyncIterator[Checksum | None]
    ) -> str | None:
        """Return the difference to the stored checksum; None if one matches, or none is stored and none is required."""
        while total is not None:
            mismatch = await asyncio.to_thread(total.mismatch)
            if mismatch is None:
                return None
            try:
                checksum = await anext(others)
            except StopAsyncIteration:
                return mismatch
            total = ObjectSum(*checksum) if checksum else None
            if total is not None:
                await asyncio.to_thread(total.add, 0, view)
        if self._store.settings.verify == "object":
            raise ReadError(
                f"'{self.location.shown}' has no checksum that its bytes could be compared with, and storage.verify is "
                "'object'. Upload it again with one (the default of current clients), or set verify: auto."
            )
        return None

    def _pieces(self, stretches: Iterable[tuple[int, memoryview]]) -> list[tuple[int, memoryview]]:
        """Return stretches, each given by its position in the object and its memory, in pieces of one request."""
        step = self._store.settings.range_bytes
        return [
            (start + low, view[low : low + step])
            for start, view in stretches
            for low in range(0, max(len(view), 1), step)
        ]

    async def _fetch(self, pieces: list[tuple[int, memoryview]], arrived: Arrived | None = None) -> None:
        """Fill each piece from its position in the object, several at a time."""

        async def fetch(start: int, view: memoryview) -> None:
            await self._piece(start, view)
            if arrived is not None:
                await arrived(start, view)

        await _all([fetch(start, view) for start, view in pieces])

    async def _piece(self, start: int, view: memoryview) -> None:
        """Fill a view from `start` of the object; bytes received before a connection broke are kept."""
        received = 0

        async def attempt() -> None:
            nonlocal received
            async for count in self._chunks(start + received, view[received:]):
                received += count
                self._tracker.add(count)
            if received < len(view):
                raise TryAgainError(f"the body ended after {received:,} of {len(view):,} bytes")

        await self._deadline.retry("GET", attempt)

    async def _chunks(self, start: int, view: memoryview) -> AsyncIterator[int]:
        """Fill a view from `start` of the object, and yield the number of bytes of each chunk that came."""
        end, is_whole = start + len(view), len(view) == self.size_bytes
        options = self._pin.options | ({} if is_whole else {"range": (start, end)})
        result = await self._request(options)
        meta = result.meta
        if not meta["e_tag"]:
            raise TryAgainError(_stranger(result, "the answer has no ETag"))
        if meta["e_tag"] != self._pin.etag:
            # A store that does not know If-Match answers with the version that it has.
            raise self._overwritten()
        if meta["size"] != self.size_bytes or tuple(result.range) != (start, end):
            announced = result.range[1] - result.range[0]
            raise TryAgainError(f"the answer announces {announced:,} bytes, not {len(view):,}")
        chunks = result.stream(min_chunk_size=self._chunk_bytes).__aiter__()
        throughput = ThroughputLimit(self._store.settings)
        position = 0
        # With all bytes there, the end of the stream is not waited for.
        while position < len(view) and (chunk := await self._chunk(chunks, position, len(view))):
            if position + len(chunk) > len(view):
                raise TryAgainError(f"the body is longer than the {len(view):,} bytes that were announced")
            view[position : position + len(chunk)] = memoryview(chunk)
            position += len(chunk)
            yield len(chunk)
            throughput.add(len(chunk))

    async def _chunk(self, chunks: Any, position: int, size_bytes: int) -> Any:
        rate = f"{self._store.settings.minimum_rate_bytes / 1024:g} KiB/s"
        place = f"after {position:,} of {size_bytes:,} bytes"
        try:
            return await self._deadline.within(anext(chunks, None), f"stalled, or slower than {rate}, {place}")
        except obstore.exceptions.BaseError as error:
            broken = converted(error, self._store.endpoint)
            raise TryAgainError(f"{broken} {place}") from None

    async def _request(self, options: dict[str, Any]) -> Any:
        """Return the answer to a GET, or to a HEAD if the options say so."""
        try:
            return await self._store.request(
                lambda store: obstore.get_async(store, self._key, options=options),  # type: ignore[arg-type]
                self._deadline,
            )
        except StoreRefusedError as error:
            if error.status == 412:
                raise self._overwritten() from None
            raise await self._store.explained(self.location, error, self._deadline) from None

    def _overwritten(self) -> ChangedError:
        return ChangedError(
            f"'{self.location.shown}' was overwritten while it was read. Run again when its writer is done."
        )


async def _first(checksums: AsyncIterator[Checksum | None]) -> ObjectSum | None:
    checksum = await anext(checksums, None)
    return ObjectSum(*checksum) if checksum else None


async def _all(coroutines: Iterable[Awaitable[object]]) -> None:
    """Await all; if one fails, cancel the others and raise its error."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def _stranger(result: Any, reason: str) -> str:
    kind = str(result.attributes.get("Content-Type", ""))
    return f"{reason}; it is {kind}, perhaps of a proxy in between" if "html" in kind else reason
