"""Any other protocol, through the fsspec file system that is installed for it.

What fsspec promises is less than what S3 does: the length is held against what the file system said, and the version
before against the version after. There are no checksums, and waits are the file system's own.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from loaders.errors import ReadError
from loaders.reading.location import Location
from loaders.reading.progress import Tracker
from loaders.reading.source import ChangedError, MissingError


def file_system(location: Location) -> tuple[Any, str]:
    """Return the file system of a location's protocol, and the path in it."""
    import fsspec

    try:
        return fsspec.core.url_to_fs(location.url)  # type: ignore[no-any-return]
    except (ValueError, ImportError) as error:
        raise ReadError(
            f"'{location.shown}': no file system reads {location.protocol}:// ({_first_line(error)}). "
            "Install fsspec's package for it, or correct the location."
        ) from None


class FsspecObject:
    """A file of some fsspec file system, at the version that its information showed."""

    prefers_whole = True

    def __init__(self, location: Location, tracker: Tracker) -> None:
        self.location = location
        self._tracker = tracker
        self._fs, self._path = file_system(location)
        info = self._info()
        if info.get("type") == "directory":
            raise ReadError(f"'{location.shown}' is a directory; give the location of a file.")
        self.size_bytes = int(info.get("size") or 0)
        self.version = _version(info)

    def read(self) -> pa.Buffer:
        """Return every byte of the file, as many as its information promised."""
        self._tracker.expect(self.size_bytes)
        try:
            data = self._fs.cat_file(self._path)
        except Exception as error:  # noqa: BLE001 — each file system has exceptions of its own
            raise self._failed(error) from None
        if len(data) != self.size_bytes:
            raise ReadError(f"'{self.location.shown}' gave {len(data):,} of its {self.size_bytes:,} bytes. Try again.")
        self._tracker.add(len(data))
        return pa.py_buffer(data)

    def read_ranges(self, ranges: list[tuple[int, int]]) -> list[pa.Buffer]:
        """Return the bytes from each start up to each end."""
        whole = self.read()
        return [whole.slice(start, end - start) for start, end in ranges]

    def close(self) -> None:
        """Refuse what was read if the file was written to meanwhile."""
        if _version(self._info()) != self.version:
            raise ChangedError(f"'{self.location.shown}' changed while it was read. Run again when its writer is done.")

    def _info(self) -> dict[str, Any]:
        try:
            self._fs.invalidate_cache()
            return dict(self._fs.info(self._path))
        except FileNotFoundError:
            raise MissingError(
                f"'{self.location.shown}' does not exist. Correct the location, or put it there."
            ) from None
        except Exception as error:  # noqa: BLE001 — each file system has exceptions of its own
            raise self._failed(error) from None

    def _failed(self, error: Exception) -> ReadError:
        return ReadError(f"'{self.location.shown}' cannot be read: {type(error).__name__}: {_first_line(error)}")


def _version(info: dict[str, Any]) -> str:
    names = ("ETag", "etag", "version_id", "generation", "md5Hash", "LastModified", "mtime", "created", "size")
    return " ".join(f"{name}={info[name]}" for name in names if info.get(name) is not None)


def _first_line(error: Exception) -> str:
    from loaders.redaction import redact

    return redact((str(error).splitlines() or [""])[0][:300])
