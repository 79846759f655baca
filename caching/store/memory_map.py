"""Private memory maps of files: pages are copied when they are written to."""

from __future__ import annotations

import mmap
import os
import sys
from functools import cache
from typing import Any


def map_privately(fd: int, size: int) -> memoryview:
    """Return the file's bytes as private memory: writing to it changes neither the file nor other maps.

    The mapping lives as long as anything that refers to it, and keeps no file descriptor.
    """
    if sys.version_info >= (3, 13):
        return memoryview(mmap.mmap(fd, size, access=mmap.ACCESS_COPY, trackfd=False))
    if sys.platform == "win32" or sys.maxsize < 2**32:
        return memoryview(mmap.mmap(fd, size, access=mmap.ACCESS_COPY))
    return _map_with_libc(fd, size)


def _map_with_libc(fd: int, size: int) -> memoryview:
    """Map a file with libc, before Python 3.13, whose mmap objects keep a file descriptor each."""
    import ctypes
    import weakref

    libc = _libc()
    address = libc.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE, fd, 0)
    if address in (None, ctypes.c_void_p(-1).value):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    pages = (ctypes.c_ubyte * size).from_address(address)
    # Not at exit: arrays may outlive the modules that made them, and the kernel unmaps all the same.
    weakref.finalize(pages, libc.munmap, address, size).atexit = False
    return memoryview(pages).cast("B")


@cache
def _libc() -> Any:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (
        ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64,
    )  # fmt: skip
    libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    return libc
