"""Read files of any other protocol through an installed fsspec file system.

The length is compared with the one that the file system gave, and the version after the read with the version before.
There are no checksums, and waits are the file system's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pyarrow as pa

from loaders.clients.location import Location
from loaders.clients.progress import Tracker
from loaders.clients.retry import Deadline
from loaders.clients.source import ChangedError, Listed, MissingError, Range
from loaders.config.storage import active_storage
from loaders.errors import LoaderError, ReadError
from loaders.redaction import first_line


class FsspecFiles:
    """The client of any other protocol, and of object stores with `storage: client: fsspec`."""

    def open(self, location: Location, tracker: Tracker, version: str | None = None) -> FsspecFile:
        """Return a file, in the version that its information shows."""
        if version is not None:
            raise ReadError(f"'{location.shown}': a version can only be chosen with storage.client: obstore.")
        return FsspecFile(location, tracker)

    def list(self, folder: Location, deadline: Deadline | None = None) -> Sequence[Listed]:
        """Return the files below a folder."""
        fs, path = file_system(folder)
        with readable(folder):
            found = fs.find(path, detail=True)
        rooted = folder.path.startswith("/")
        return [
            Listed(name if rooted else name.removeprefix("/"), int(info.get("size") or 0), _version(info))
            for name, info in found.items()
        ]

    def write(self, location: Location, data: bytes) -> None:
        """Write a file."""
        fs, path = file_system(location)
        with readable(location):
            fs.pipe_file(path, data)


def file_system(location: Location) -> tuple[Any, str]:
    """Return the file system of a location's protocol, and the path in it."""
    with readable(location):
        import fsspec

        try:
            # Protocols are written in any case; fsspec knows them in lower case.
            url = f"{location.protocol}://{location.path}"
            return fsspec.core.url_to_fs(url, **_options(location))  # type: ignore[no-any-return]
        except (ValueError, ImportError) as error:
            raise ReadError(
                f"'{location.shown}': no file system reads {location.protocol}:// ({_said(error, location)}). "
                "Install fsspec's package for it, or correct the location."
            ) from None


def _options(location: Location) -> dict[str, Any]:
    """Return the options of s3fs for the storage settings; other file systems take theirs from the environment."""
    settings = active_storage()
    if location.protocol != "s3":
        return {}
    client = {"endpoint_url": settings.endpoint_url, "region_name": settings.region}
    options: dict[str, Any] = {
        "profile": settings.profile,
        "anon": settings.anonymous or None,
        "requester_pays": settings.requester_pays or None,
        "client_kwargs": {name: value for name, value in client.items() if value},
    }
    return {name: value for name, value in options.items() if value}


@contextmanager
def readable(location: Location) -> Iterator[None]:
    """Convert the exceptions of a file system to a ReadError that names the location."""
    try:
        yield
    except LoaderError:
        raise
    except FileNotFoundError:
        raise MissingError(f"'{location.shown}' does not exist. Correct the location, or put it there.") from None
    except Exception as error:  # noqa: BLE001 — as said above
        raise ReadError(
            f"'{location.shown}' cannot be read: {type(error).__name__}: {_said(error, location)}"
        ) from None


class FsspecFile:
    """A file of an fsspec file system, in the version that its information showed."""

    prefers_whole = True

    def __init__(self, location: Location, tracker: Tracker) -> None:
        self.location = location
        self._tracker = tracker
        self._fs, self._path = file_system(location)
        info = self._info()
        if info.get("type") == "directory":
            raise MissingError(f"'{location.shown}' is a directory without files. Correct the location.")
        with readable(location):
            self.size_bytes = int(info.get("size") or 0)
        self.version = _version(info)
        self.modified = _modified(info)
        self.serves_ranges = True

    def read(self, *, to_disk: bool = False) -> pa.Buffer:
        """Return every byte of the file, as many as its information promised."""
        self._tracker.expect(self.size_bytes)
        with readable(self.location):
            data = self._fs.cat_file(self._path)
        return self._counted(data, self.size_bytes)

    def read_ranges(self, ranges: list[Range]) -> list[pa.Buffer]:
        """Return the bytes from each start up to each end; `close` tells whether they are of one version."""
        found = []
        for start, end in ranges:
            self._tracker.expect(end - start)
            with readable(self.location):
                data = self._fs.cat_file(self._path, start=start, end=end)
            found.append(self._counted(data, end - start))
        return found

    def _counted(self, data: bytes, size_bytes: int) -> pa.Buffer:
        if len(data) != size_bytes:
            raise ReadError(f"'{self.location.shown}' gave {len(data):,} of {size_bytes:,} bytes. Try again.")
        self._tracker.add(size_bytes)
        return pa.py_buffer(data)

    def close(self) -> None:
        """Raise ChangedError if the file was written meanwhile."""
        if _version(self._info()) != self.version:
            raise ChangedError(f"'{self.location.shown}' changed while it was read. Run again when its writer is done.")

    def _info(self) -> dict[str, Any]:
        with readable(self.location):
            self._fs.invalidate_cache()
            return dict(self._fs.info(self._path))


def _version(info: dict[str, Any]) -> str:
    names = ("ETag", "etag", "version_id", "generation", "md5Hash", "LastModified", "mtime", "created", "size")
    return " ".join(f"{name}={info[name]}" for name in names if info.get(name) is not None)


def _modified(info: dict[str, Any]) -> datetime | None:
    dates = (info.get(name) for name in ("LastModified", "last_modified", "mtime", "created"))
    return next((date for date in dates if isinstance(date, datetime)), None)


def _said(error: Exception, location: Location) -> str:
    """Return the part of an error's text that may be shown."""
    text = str(error).replace(location.url, location.shown)
    for userinfo in re.findall(r"(?<=://)([^/]*)@", location.url):
        text = text.replace(userinfo, "***")
        password = userinfo.partition(":")[2] or userinfo
        # One of a letter or two would be found in any word.
        text = text.replace(password, "***") if len(password) > 3 else text
    return first_line(text)
