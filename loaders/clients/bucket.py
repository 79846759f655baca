"""Requests to a bucket of Google Cloud Storage or a container of Azure through obstore; `s3` adds what S3 needs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import obstore
import obstore.store
from obstore.exceptions import BaseError

from loaders.clients.checksums import Checksum, md5_of_etag
from loaders.clients.location import Location
from loaders.clients.retry import Deadline
from loaders.clients.source import Listed, MissingError
from loaders.clients.store_errors import STATUS_CODES, StoreRefusedError, converted
from loaders.config.storage import StorageSettings
from loaders.errors import ConfigError, ReadError
from loaders.redaction import redact

T = TypeVar("T")

_process = os.getpid()
_CONTROL = frozenset(map(chr, [*range(0x20), 0x7F]))
# Keys of one piece of a list: few enough to notice soon that a list repeats itself.
_LISTED_KEYS = 100
_MOST_LISTED = 10_000_000
# obstore's own retries and time limits are turned off: `Deadline` has them.
_NO_RETRIES: Mapping[str, Any] = {"max_retries": 0}


def can_name(key: str) -> bool:
    """Return whether obstore can address a key: it drops empty components and refuses control characters."""
    return not key.startswith("/") and not _CONTROL & set(key) and not {"", ".", ".."} & set(key.split("/")[:-1])


@dataclass(frozen=True)
class Pin:
    """The version of an object that its HEAD found; `requested` is the version that the caller named."""

    etag: str
    size_bytes: int
    modified: datetime | None
    requested: str | None

    @property
    def options(self) -> dict[str, Any]:
        """The options of a request for this version."""
        return {"if_match": self.etag} | ({"version": self.requested} if self.requested else {})


class Bucket:
    """A bucket or container, with the storage settings under which it is read."""

    def __init__(self, protocol: str, bucket: str, settings: StorageSettings) -> None:
        self.protocol = protocol
        self.bucket = bucket
        self.settings = settings
        self.endpoint = redact(settings.endpoint_url or f"{protocol}://{bucket}")
        self._slots = asyncio.Semaphore(settings.connections)
        self._obstore: Any = None

    def key_of(self, location: Location) -> str:
        """Return the key of a location."""
        return location.path.partition("/")[2]

    @property
    def reads_whole(self) -> bool:
        """Whether only whole objects are fetched: by the settings, or because nothing protects the connection."""
        plain = self.endpoint.lower().startswith("http:")
        return self.settings.verify == "object" or (self.settings.verify == "auto" and plain)

    async def request(self, send: Callable[[Any], Awaitable[T]], deadline: Deadline) -> T:
        """Return the answer to a request, which `send` makes of an obstore store.

        Raises:
            TryAgainError: no answer came, or one that asks for another attempt.
            StoreRefusedError: the store refused.
        """
        if _process != os.getpid():
            raise ReadError(
                f"'{deadline.location}': this process was forked from one that had loaded obstore, whose threads do "
                "not survive a fork. Start processes by 'spawn' or 'forkserver' "
                "(multiprocessing.set_start_method), or set storage.client: fsspec."
            )
        async with self._slots:
            try:
                return await deadline.within(send(self._open_store()), "stalled before an answer came")
            except (BaseError, FileNotFoundError, ValueError) as error:
                raise converted(error, self.endpoint) from None

    async def checksums(self, key: str, pin: Pin, deadline: Deadline) -> AsyncIterator[Checksum | None]:
        """Yield the checksums that the object may have, the most probable first; None if it has none."""
        yield md5_of_etag(pin.etag, pin.size_bytes) if self.settings.etag_is_md5 else None

    async def explained(self, location: Location, error: StoreRefusedError, deadline: Deadline) -> ReadError:
        """Return the error for a refused request: what was refused and what to do."""
        match error.code or STATUS_CODES.get(error.status, ""):
            case _ if error.status == 404:
                return MissingError(f"'{location.shown}' does not exist ({error}). Correct the location, or upload it.")
            case _ if error.status in (401, 403):
                reason = f"access denied by {self.endpoint} ({error}). Check the credentials in the environment."
            case _:
                reason = f"{self.endpoint} answered {error}."
        return ReadError(f"'{location.shown}': {reason}")

    async def write(self, location: Location, data: bytes, deadline: Deadline) -> None:
        """Store an object."""
        key = self.key_of(location)
        try:
            await self.request(lambda store: obstore.put_async(store, key, data), deadline)
        except StoreRefusedError as error:
            raise await self.explained(location, error, deadline) from None

    async def list(self, folder: Location, deadline: Deadline) -> list[Listed]:
        """Return all objects below a folder."""
        prefix = self.key_of(folder)
        found: dict[str, Listed] = {}
        iterator: Any = None
        while True:
            if iterator is None:
                iterator = obstore.list(self._open_store(), prefix or None, chunk_size=_LISTED_KEYS).__aiter__()
            try:
                page = await self.request(lambda _, pages=iterator: anext(pages, None), deadline)  # type: ignore[misc]
            except StoreRefusedError as error:
                raise await self.explained(folder, error, deadline) from None
            if page is None:
                return without_markers(found)
            for meta in page:
                path = f"{self.bucket}/{meta['path']}"
                if path in found or len(found) >= _MOST_LISTED:
                    raise ReadError(
                        f"'{folder.shown}': the store's list of objects repeats itself or has more than "
                        f"{_MOST_LISTED:,} objects. Nothing of it was used. Check the store, or name the file itself."
                    )
                found[path] = Listed(path, meta["size"], self.version(meta["e_tag"] or "", meta["size"]))

    def version(self, etag: str, size_bytes: int) -> str:
        """Return the text that identifies a version of an object, and the store."""
        return f"{self.endpoint} {etag.strip(chr(34))} {size_bytes}"

    def _open_store(self) -> Any:
        if self._obstore is None:
            self._obstore = self._opened()
        return self._obstore

    def _opened(self) -> Any:
        """Return the obstore store of a bucket."""
        named = {"gs": "base_url"}.get(self.protocol, "endpoint")
        config: dict[str, Any] = {"skip_signature": True} if self.settings.anonymous else {}
        if self.settings.endpoint_url:
            config[named] = self.settings.endpoint_url
        return self.opened(obstore.store.from_url, f"{self.protocol}://{self.bucket}", config=config)

    def opened(self, make: Callable[..., Any], *arguments: Any, config: Mapping[str, Any], **more: Any) -> Any:
        """Return what an obstore constructor makes, with the options of the settings."""
        options = {
            "allow_http": True,
            "connect_timeout": timedelta(seconds=self.settings.connect_timeout_seconds),
            # Requests end by `Deadline` alone; a day is longer than any.
            "timeout": timedelta(days=7),
            "user_agent": "sourceswap",
            **more.pop("client_options", {}),
        }
        try:
            return make(
                *arguments,
                config={**config, **self.settings.options},
                client_options=options,
                retry_config=_NO_RETRIES,
                **more,
            )
        except (BaseError, ValueError, TypeError) as error:
            raise ConfigError(
                f"The storage settings of {self.protocol}://{self.bucket} cannot be used: "
                f"{redact(str(error).splitlines()[0])[:300]}. Correct storage.options, or the environment's variables."
            ) from None


def without_markers(found: Mapping[str, Listed]) -> list[Listed]:
    """Return the listed objects without markers of folders, which are empty and named like a folder of another one."""
    folders = {path.rpartition("/")[0] for path in found}
    return [listed for path, listed in found.items() if listed.size_bytes or path.rstrip("/") not in folders]
