"""A read-only file object for pyarrow over byte ranges."""

from __future__ import annotations

import io
from abc import abstractmethod
from typing import Any


class RandomAccessFile(io.RawIOBase):
    """A file with a position; subclasses return the bytes of a range."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__()
        self.size_bytes = size_bytes
        self._position = 0

    @abstractmethod
    def fetch(self, start: int, end: int) -> Any:
        """Return the bytes from start up to end."""

    def read(self, size: int = -1) -> Any:
        """Return bytes from the position on."""
        end = self.size_bytes if size < 0 else min(self.size_bytes, self._position + size)
        data = self.fetch(self._position, end)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position and return it."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size_bytes}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def readable(self) -> bool:
        """Return True, for pyarrow."""
        return True

    def seekable(self) -> bool:
        """Return True, for pyarrow."""
        return True
