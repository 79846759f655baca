"""A file read by ranges through its fsspec file system."""

from __future__ import annotations

from datetime import datetime
from email.utils import format_datetime
from typing import Any

import pyarrow as pa

from loaders.clients.fsspec_object import file_system
from loaders.clients.location import Location
from loaders.errors import ReadError
from loaders.probing.budget import BUDGET_BYTES, OverBudgetError
from loaders.redaction import redact


class RemoteFile:
    """A file of a web server or another store; its ranges may be of different versions."""

    prefers_whole = False

    def __init__(self, location: Location) -> None:
        self.location = location
        self._fs, self._path = file_system(location)
        info = self._ask("info", self._path)
        self.size_bytes = int(info.get("size") or 0)
        self.version = str(info.get("ETag") or info.get("mtime") or self.size_bytes)
        self.modified = _date(info)
        # A web server says whether it serves ranges; one that does not would send the whole file for each.
        self._serves_ranges = bool(info.get("partial", location.protocol not in ("http", "https")))
        self._whole: bytes | None = None

    def read(self) -> pa.Buffer:
        """Return every byte."""
        return self.read_ranges([(0, self.size_bytes)])[0]

    def read_ranges(self, ranges: list[tuple[int, int]]) -> list[pa.Buffer]:
        """Return the bytes from each start up to each end."""
        found = []
        for start, end in ranges:
            data = self._range(start, end)
            if len(data) != end - start:
                raise ReadError(f"'{self.location.shown}' gave {len(data):,} bytes for a range of {end - start:,}.")
            found.append(pa.py_buffer(data))
        return found

    def _range(self, start: int, end: int) -> bytes:
        if self._serves_ranges:
            return bytes(self._ask("cat_file", self._path, start=start, end=end))
        if self.size_bytes > BUDGET_BYTES:
            raise OverBudgetError("its server serves no parts of a file")
        if self._whole is None:
            self._whole = bytes(self._ask("cat_file", self._path))
        return self._whole[start:end]

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def _ask(self, method: str, *given: Any, **options: Any) -> Any:
        try:
            return getattr(self._fs, method)(*given, **options)
        except FileNotFoundError:
            raise ReadError(f"'{self.location.shown}' does not exist. Correct the location.") from None
        except Exception as error:  # noqa: BLE001 — each file system has exceptions of its own
            said = redact(str(error).splitlines()[0][:300] if str(error) else "")
            raise ReadError(f"'{self.location.shown}' cannot be read: {type(error).__name__}: {said}") from None


def _date(info: dict[str, Any]) -> str:
    for name in ("LastModified", "last_modified", "mtime", "created"):
        value = info.get(name)
        if isinstance(value, datetime):
            return format_datetime(value)
    return ""
