"""Single flight: locks that let one thread of one process compute a key while others wait.

Each name has its own byte in one lock file, at an offset computed from the name. A lock is an open-file-description
lock on that byte: it excludes threads as well as processes, and the kernel releases it when its holder ends or dies.
Platforms without such locks use a `flock` (on Windows a byte lock) on one file for each group of names.

A thread that holds one lock and waits for another can meet a thread that does the reverse. To detect such a deadlock,
a waiter that holds locks writes into a file which ones it holds and wants; when the waits form a circle, one waiter
gives up.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import struct
import sys
import time
import weakref
from collections.abc import AsyncIterator, Iterator
from hashlib import blake2b
from pathlib import Path

from caching.threads import InheritedVar

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_FIRST_PAUSE_SECONDS = 0.0005
_LONGEST_PAUSE_SECONDS = 0.01
_CIRCLE_CHECK_SECONDS = 0.1
_STALE_WAIT_SECONDS = 60.0

# struct flock of 64-bit Linux. fcntl may lack the constants even where the kernel knows them.
_HAS_RANGES = sys.platform == "linux" and sys.maxsize > 2**32
_F_OFD_SETLK = 37
_FLOCK = struct.Struct("hhqqi4x")
_F_WRLCK, _F_UNLCK = 1, 2


_RELEASED, _INHERITED = -1, -2


class _Lock:
    """One lock that this process holds."""

    __slots__ = ("__weakref__", "fd", "name", "offset")

    def __init__(self, fd: int, name: str, offset: int) -> None:
        self.fd, self.name, self.offset = fd, name, offset
        _open_locks.add(self)

    def release(self) -> None:
        """Release the lock. A forked process that only inherited it does nothing."""
        fd, self.fd = self.fd, _RELEASED
        if fd >= 0:
            # Closing alone would not do: a child made by a foreign fork may share the description.
            with contextlib.suppress(OSError):
                _unlock(fd, self.offset)
            os.close(fd)


# What the current context holds. A context variable rather than a thread's: work that a holder hands to
# another thread or task, with its context, must not wait for the holder.
_held: InheritedVar[tuple[_Lock, ...]] = InheritedVar("caching_held_locks", default=())
_open_locks: weakref.WeakSet[_Lock] = weakref.WeakSet()


def _forget_inherited_locks() -> None:
    """Close inherited locks in a forked child, so that they end with the parent."""
    for lock in list(_open_locks):
        if lock.fd >= 0:
            os.close(lock.fd)
            # Still counts as held by an ancestor, so that the child does not wait for its parent.
            lock.fd = _INHERITED


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_inherited_locks)


class LockFile:
    """The locks of one cache folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = str(folder / "locks")

    @contextlib.contextmanager
    def hold(self, name: str, timeout_seconds: float | None = None) -> Iterator[bool]:
        """Hold the lock of a name; yield False after the timeout or in a deadlock.

        Whoever holds a name holds it again at once. With a limit of 0 it is tried once.
        """
        if self._holds(name):
            yield True
            return
        lock = None
        with self._waiting(name, timeout_seconds) as wait:
            while wait.lasts() and (lock := self._try(name)) is None:
                time.sleep(wait.pause())
        with _holding(lock):
            yield lock is not None

    @contextlib.asynccontextmanager
    async def hold_async(self, name: str, timeout_seconds: float | None = None) -> AsyncIterator[bool]:
        """Hold the lock of a name without blocking the event loop."""
        if self._holds(name):
            yield True
            return
        import asyncio  # half of what importing the cache would cost

        lock = None
        with self._waiting(name, timeout_seconds) as wait:
            while wait.lasts() and (lock := self._try(name)) is None:
                await asyncio.sleep(wait.pause())
        with _holding(lock):
            yield lock is not None

    def _holds(self, name: str) -> bool:
        return any(lock.name == name and lock.fd != _RELEASED for lock in _held.get())

    @contextlib.contextmanager
    def _waiting(self, name: str, timeout_seconds: float | None) -> Iterator[_Wait]:
        holds = [lock.name for lock in _held.get() if lock.fd != _RELEASED]
        wait = _Wait(self._folder / "waits", name, holds, timeout_seconds)
        try:
            yield wait
        finally:
            wait.end()

    def _try(self, name: str) -> _Lock | None:
        """Return the lock, or None if another holder has it."""
        digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        offset = int.from_bytes(digest, "little") >> 2
        path = self._path if _HAS_RANGES else f"{self._path}-{offset % 1024:03x}"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            if _try_lock(fd, offset) and _is_same_file(fd, path):
                return _Lock(fd, name, offset)
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
        return None


@contextlib.contextmanager
def _holding(lock: _Lock | None) -> Iterator[None]:
    if lock is None:
        yield
        return
    token = _held.set((*_held.get(), lock))
    try:
        yield
    finally:
        lock.release()
        # A generator that is closed elsewhere runs in another context; there is nothing to restore in it.
        with contextlib.suppress(ValueError):
            _held.reset(token)


def _is_same_file(fd: int, path: str) -> bool:
    """Return whether the path still leads to the locked file; the folder may have been removed."""
    try:
        return sys.platform == "win32" or os.fstat(fd).st_ino == Path(path).stat().st_ino
    except FileNotFoundError:
        return False


if sys.platform == "win32":

    def _try_lock(fd: int, offset: int) -> bool:
        try:
            os.lseek(fd, offset % 2**30, os.SEEK_SET)
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(fd: int, offset: int) -> None:
        os.lseek(fd, offset % 2**30, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)

else:

    def _try_lock(fd: int, offset: int) -> bool:
        try:
            if _HAS_RANGES:
                fcntl.fcntl(fd, _F_OFD_SETLK, _FLOCK.pack(_F_WRLCK, os.SEEK_SET, offset, 1, 0))
            else:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def _unlock(fd: int, offset: int) -> None:
        if _HAS_RANGES:
            fcntl.fcntl(fd, _F_OFD_SETLK, _FLOCK.pack(_F_UNLCK, os.SEEK_SET, offset, 1, 0))
        else:
            fcntl.flock(fd, fcntl.LOCK_UN)


class _Wait:
    """One wait for a lock: the time left, and the detection of deadlocks."""

    def __init__(self, folder: Path, wants: str, holds: list[str], timeout_seconds: float | None) -> None:
        now = time.monotonic()
        self._folder, self._wants, self._holds = folder, wants, holds
        self._ends_at = None if timeout_seconds is None else now + timeout_seconds
        self._next_check = now + _CIRCLE_CHECK_SECONDS
        self._pause = _FIRST_PAUSE_SECONDS
        self._token = ""
        self._tries = 0

    def lasts(self) -> bool:
        """Return whether to try again; the first try is always allowed."""
        self._tries += 1
        if self._tries == 1:
            return True
        now = time.monotonic()
        if self._ends_at is not None and now >= self._ends_at:
            return False
        if self._holds and now >= self._next_check:
            self._next_check = now + _CIRCLE_CHECK_SECONDS
            return not self._must_give_up()
        return True

    def pause(self) -> float:
        """Return the seconds to sleep before the next try."""
        pause = self._pause
        self._pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)
        return pause if self._ends_at is None else max(0.0, min(pause, self._ends_at - time.monotonic()))

    def end(self) -> None:
        """Remove the announcement of this wait."""
        if self._token:
            with contextlib.suppress(OSError):
                (self._folder / self._token).unlink()

    def _must_give_up(self) -> bool:
        """Return whether this wait closes a circle of waiters and is chosen to break it."""
        with contextlib.suppress(OSError):
            self._announce()
            waits = self._read_waits()
            holder_of = {name: token for token, (holds, _) in waits.items() for name in holds}
            circle = [self._token]
            while (token := holder_of.get(waits[circle[-1]][1])) is not None:
                if token in circle:
                    # Everyone in the circle comes to the same answer. Who merely waits for the circle waits
                    # on.
                    return min(circle[circle.index(token) :]) == self._token
                circle.append(token)
        return False

    def _announce(self) -> None:
        """Record which locks this thread holds and wants, and that the wait is alive."""
        self._token = self._token or secrets.token_hex(8)
        path = self._folder / self._token
        with contextlib.suppress(FileNotFoundError):
            os.utime(path)
            return
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path.touch(0o600)
        path.write_text(json.dumps([self._digests(self._holds), self._digests([self._wants])[0]]))

    @staticmethod
    def _digests(names: list[str]) -> list[str]:
        return [blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest() for name in names]

    def _read_waits(self) -> dict[str, tuple[list[str], str]]:
        waits = {self._token: (self._digests(self._holds), self._digests([self._wants])[0])}
        for entry in os.scandir(self._folder):
            with contextlib.suppress(OSError, ValueError, TypeError):
                if time.time() - entry.stat().st_mtime > _STALE_WAIT_SECONDS:
                    os.unlink(entry.path)  # left by a waiter that was killed
                elif entry.name != self._token:
                    holds, wants = json.loads(Path(entry.path).read_text())
                    waits[entry.name] = (list(holds), str(wants))
        return waits
