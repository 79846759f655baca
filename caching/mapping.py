"""A file in memory, copied page by page as it is written to."""

from __future__ import annotations

import mmap
import sys


def map_privately(fd: int, size: int) -> memoryview:
    """The file's bytes; whoever writes into them changes neither the file nor anybody else's mapping."""
    if sys.version_info >= (3, 13):
        return memoryview(mmap.mmap(fd, size, access=mmap.ACCESS_COPY, trackfd=False))
    return memoryview(mmap.mmap(fd, size, access=mmap.ACCESS_COPY))
