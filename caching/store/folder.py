"""The layout of a cache folder, and writing files into it atomically.

<cache directory>/CACHEDIR.TAG              makes backup tools skip the folder
<cache directory>/v1/entries/<namespace>/   one folder for each namespace
    <key>.entry                             a value
    <key>.record                            a newer record of that entry
    <name>.note                             a small note beside the entries
    .new-<random>                           being written; debris once its writer has ended
<cache directory>/v1/locks, waits/, usage   locks, announced waits, total size
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import sys
from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from caching.codec import NotExact

if sys.platform != "win32":
    import fcntl

ENTRY, RECORD, NOTE = ".entry", ".record", ".note"
_NEW = ".new-"
_UNSAFE = re.compile(r"[^a-z0-9_.-]+")
_DIGEST = re.compile(r"[0-9a-f]{8,128}")
_TAG = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This folder is a cache of sourceswap; everything in it can be made again.\n"
)
_OPEN_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
# Where the file system or the kernel has no nameless files.
_NO_TMPFILE = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT}


@lru_cache(maxsize=4096)
def namespace_folder(namespace: str) -> str:
    """Return a unique, readable folder name for a namespace, safe on every file system."""
    readable = _UNSAFE.sub("_", namespace.lower())[-48:].strip(".")
    return f"{readable}~{_digest(namespace)}"


@lru_cache(maxsize=4096)
def file_stem(key: str) -> str:
    """Return a file name for a key: a digest as it is, other text by its digest."""
    return key if _DIGEST.fullmatch(key) else f"x{_digest(key)}"


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def make_folders(cache_directory: Path, folder: str) -> None:
    """Make the folder of a namespace and its parents, readable by their owner alone."""
    created = not cache_directory.exists()
    # A folder that is there already keeps its mode; what the cache makes below it is private.
    cache_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if created or not any(cache_directory.iterdir()):
        with contextlib.suppress(OSError):
            (cache_directory / "CACHEDIR.TAG").write_text(_TAG)
    path = Path(folder)
    for parent in (path.parent.parent, path.parent, path):
        parent.mkdir(mode=0o700, exist_ok=True)


class NewFile:
    """A file that appears under its name only when it is complete."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._name: str | None = None
        self.fd = self._open()

    def _open(self) -> int:
        if hasattr(os, "O_TMPFILE"):
            try:
                fd = os.open(self._folder, os.O_TMPFILE | os.O_RDWR | _OPEN_FLAGS, 0o600)
            except OSError as error:
                if error.errno not in _NO_TMPFILE or not os.path.isdir(self._folder):
                    raise
            else:
                _claim(fd)
                return fd
        while True:
            name = self._random_name()
            fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | _OPEN_FLAGS, 0o600)
            # A sweeper may have taken it for debris before it was claimed.
            if _claim(fd) and os.fstat(fd).st_nlink:
                self._name = name
                return fd
            os.close(fd)

    def _random_name(self) -> str:
        return f"{self._folder}/{_NEW}{secrets.token_hex(8)}"

    def publish(self, path: str) -> None:
        """Give the file its name, replacing a previous file."""
        if self._name is None:
            try:
                self._link(path)
            except FileExistsError:
                name = self._random_name()
                self._link(name)
                self._name = name
        if self._name is not None:
            if sys.platform == "win32":
                os.close(self.fd)
                self.fd = -1
            os.replace(self._name, path)
            self._name = None

    def _link(self, path: str) -> None:
        # With a directory descriptor, which an absolute path ignores, Python calls linkat, which follows the
        # link.
        os.link(f"/proc/self/fd/{self.fd}", path, src_dir_fd=self.fd, follow_symlinks=True)

    def __enter__(self) -> NewFile:
        return self

    def __exit__(self, *_: object) -> None:
        if self._name is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._name)
        if self.fd >= 0:
            os.close(self.fd)


def _claim(fd: int) -> bool:
    """Lock a file as being written, until its writer ends."""
    if sys.platform == "win32":
        return True  # there, an open file cannot be removed
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def scan(entries_folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield the files of all namespaces; folders that vanish meanwhile are skipped."""
    for folder in _scandir(entries_folder):
        if folder.is_dir(follow_symlinks=False):
            yield from _scandir(folder.path)


def check_readable(entries_folder: Path) -> None:
    """Raise OSError if the folder, or that of a namespace, cannot be read; one that is absent is readable."""
    with contextlib.suppress(FileNotFoundError):
        for folder in list(os.scandir(entries_folder)):
            if folder.is_dir(follow_symlinks=False):
                os.scandir(folder.path).close()


def _scandir(path: str | Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(path) as found:
            yield from found
    except OSError:
        return


def is_debris(name: str) -> bool:
    """Return whether a file name is that of an unfinished file."""
    return name.startswith(_NEW)


def sweep(path: str) -> bool:
    """Remove an unfinished file unless its writer is alive; return whether it was removed."""
    try:
        fd = os.open(path, os.O_RDWR | _OPEN_FLAGS)
    except OSError:
        return False
    try:
        if not _claim(fd):
            return False
        if sys.platform == "win32":
            os.close(fd)
            fd = -1
        os.unlink(path)
    except OSError:
        return False
    finally:
        if fd >= 0:
            os.close(fd)
    return True


def remove(path: str) -> bool:
    """Remove a file; return whether it was there. Existing memory maps of it stay readable."""
    try:
        os.unlink(path)
    except OSError:
        return False
    return True


def write_failure(error: Exception, folder: str, *, is_default: bool) -> str:
    """Return why a value could not be written into the cache folder, and what to do about it."""
    if isinstance(error, NotExact):
        return str(error)
    failure = f"{type(error).__name__}: {error}"
    if not isinstance(error, OSError):
        return failure
    full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
    remedy = "Free some space there" if full else "Make that folder writable"
    # A folder that was named in the code or the configuration takes precedence over the variable.
    other = "set SOURCESWAP_CACHE_DIR to another" if is_default else "give the cache another"
    return f"{failure}. The cache's folder is {folder}. {remedy}, or {other}."
