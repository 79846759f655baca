"""Record the files that a running function opens, from Python's audit events.

One hook for the process, added when the first cached function runs; Python offers no way to remove one.
Events belong to the recorder of the context they happen in, which threads inherit (`threads.py`).
Readers of native code that open files themselves raise no event: those of pyarrow, polars and DuckDB are wrapped
(`native_reads.py`, `sql_reads.py`); what other drivers and child processes open must be among the function's arguments
or constants.
"""

from __future__ import annotations

import functools
import glob
import os
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from caching.keys.environment import BOOKKEEPING
from caching.keys.libraries import PROJECT, is_of_library, library_of_globals
from caching.keys.names import ORIGINAL
from caching.tracking.active_recorder import ReadRecorder, current_recorder, reads_are_versioned, recording
from caching.tracking.fsspec_reads import watch_fsspec
from caching.tracking.native_readers import install_wrappers, register_wrapper, watch_native_reads
from caching.tracking.sql_readers import record_database, watch_sql_reads
from caching.tracking.unversioned import (
    record_compiled,
    record_connection,
    record_program,
    watch_connections,
    watch_drivers,
    within_import,
)

Handler = Callable[[ReadRecorder, tuple[Any, ...]], None]
_lock = threading.Lock()
_installed = False

_NEVER = ("/proc/", "/dev/", "/sys/")
_NEVER_BUT = "/dev/shm/"  # noqa: S108 - not written to: data may lie there
# Configuration of the system and of the user: a library that looks there on its own does not make it an
# input. What lies below the working folder is data wherever that is.
_CONFIGURATION = (
    *("/etc/", "/lib/", "/run/", os.path.join(os.path.expanduser("~"), ".")),
    *(f"/usr{local}/{folder}/" for local in ("", "/local") for folder in ("lib", "share", "etc")),
)
_MOUNTED = "/run/media/"
# They open what they are asked to: whose file it is, their caller knows.
_THIN = frozenset(
    [
        "pathlib",
        "io",
        "codecs",
        "gzip",
        "bz2",
        "lzma",
        "zipfile",
        "tarfile",
        "configparser",
        "json",
        "csv",
        "fileinput",
        "glob",
        "os",
        "shutil",
        "tomllib",
        "pickle",
        "_compression",
        "tempfile",
        "sqlite3",
        "xml",
        "zoneinfo",
        "fnmatch",
        "genericpath",
        "posixpath",
        "ntpath",
        "contextlib",
    ]
)
# They read code, which the fingerprint covers; what else they open is data, asked for by their caller.
_CODE_READERS = frozenset({"linecache", "tokenize", "inspect", "pkgutil", "runpy", "traceback"})


_CODE_ALONE = ("importlib.metadata", "zipimport")
_CODE_ENDINGS = (".py", ".pyc", ".pyi", ".pyw", ".so", ".pyd", ".zip", ".egg")


def watch_reads() -> None:
    """Add the audit hook and the wrappers of native readers, once for the process."""
    global _installed
    with _lock:
        if not _installed:
            _installed = True
            sys.addaudithook(_hook)
            watch_sql_reads()
            watch_native_reads()
            watch_fsspec()
            watch_connections()
            _watch_questions()
    watch_drivers()


def _watch_questions() -> None:
    """Wrap what asks for a path without opening it, and what reads the environment: neither raises an audit event."""
    capabilities = (os.supports_fd, os.supports_dir_fd, os.supports_follow_symlinks, os.supports_effective_ids)
    for name in ("stat", "lstat", "access", "readlink"):
        question = getattr(os, name)
        wrapper = _asking(question)
        register_wrapper(wrapper)
        for supporting in capabilities:
            if question in supporting:
                supporting.add(wrapper)  # shutil asks whether os.stat is among them
    install_wrappers()
    environ = type(os.environ)
    for method, handle in (("__getitem__", _variable), ("__contains__", _variable), ("__setitem__", _set_variable)):
        setattr(environ, method, _noting(getattr(environ, method), handle))


def _asking(question: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(question)
    def asking(path: Any, *args: Any, **kwargs: Any) -> Any:
        if current_recorder() is not None:
            _hook("question", (path, kwargs.get("dir_fd")))
        return question(path, *args, **kwargs)

    vars(asking)[ORIGINAL] = question
    return asking


def _noting(method: Callable[..., Any], handle: Handler) -> Callable[..., Any]:
    @functools.wraps(method)
    def noting(self: Any, key: Any, *args: Any) -> Any:
        recorder = current_recorder()
        if recorder is not None and isinstance(key, str) and not reads_are_versioned():
            handle(recorder, (key,))
        return method(self, key, *args)

    return noting


def _variable(recorder: ReadRecorder, arguments: tuple[Any, ...]) -> None:
    if arguments[0] not in BOOKKEEPING and not within_import():
        recorder.use_variable(arguments[0])


def _set_variable(recorder: ReadRecorder, arguments: tuple[Any, ...]) -> None:
    recorder.write(f"${arguments[0]}")


def _asked(recorder: ReadRecorder, arguments: tuple[Any, ...]) -> None:
    path, folder = arguments
    location = _path(path)
    if location and isinstance(folder, int) and not os.path.isabs(location):
        location = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), location)
    if location and _counts(location):
        recorder.read(location, kind="status")


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    handle = _HANDLERS.get(event)
    if handle is None:
        return
    recorder = current_recorder()
    if recorder is not None:
        try:
            with recording(None):
                handle(recorder, arguments)
        except Exception as error:  # noqa: BLE001 - an exception of a hook would break the user's own open()
            recorder.problem = recorder.problem or f"what it reads cannot be followed: {error!r}"


def _opened(recorder: ReadRecorder, arguments: tuple[Any, ...]) -> None:
    path, _, flags = arguments
    location = _path(path)
    if location is None or not isinstance(flags, int):
        return
    access = flags & (os.O_RDONLY | os.O_WRONLY | os.O_RDWR)
    is_new = bool(flags & (os.O_TRUNC | os.O_EXCL)) or not os.path.exists(location)
    if access != os.O_RDONLY and (access == os.O_WRONLY or is_new):
        recorder.write(location)
    elif _counts(location):
        recorder.read(location)


def _listed(recorder: ReadRecorder, arguments: tuple[Any, ...]) -> None:
    location = "." if arguments[0] is None else _path(arguments[0])
    if location is not None and _counts(location, is_listing=True):
        recorder.read(location, kind="folder")


def _made(recorder: ReadRecorder, arguments: tuple[Any, ...]) -> None:
    location = _path(arguments[0])
    if location is not None and not os.path.isdir(location):
        recorder.make(location)


def _renamed(recorder: ReadRecorder, arguments: tuple[Any, ...]) -> None:
    target = _path(arguments[1])
    if target is not None:
        recorder.write(target)


def _database(recorder: ReadRecorder, arguments: tuple[Any, ...]) -> None:
    location = _path(arguments[0])
    if location is not None:
        record_database(recorder, location)


def _globbed(recorder: ReadRecorder, arguments: tuple[Any, ...]) -> None:
    pattern, _, start, _ = arguments
    _matched(recorder, os.path.join(_path(start or "") or "", _path(pattern) or ""))


def _path_globbed(recorder: ReadRecorder, arguments: tuple[Any, ...]) -> None:
    folder, pattern = arguments
    _matched(recorder, os.path.join(glob.escape(os.fspath(folder)), os.fspath(pattern)))


def _matched(recorder: ReadRecorder, pattern: str) -> None:
    """Record a pattern with a plain name below it: Python checks that name without an audit event."""
    components = pattern.split(os.sep)
    first = next((place for place, component in enumerate(components) if glob.has_magic(component)), len(components))
    if not all(glob.has_magic(component) for component in components[first:]) and _counts(pattern):
        recorder.read(pattern, kind="glob")


def _unpickled(recorder: ReadRecorder, arguments: tuple[Any, ...]) -> None:
    module, name = arguments
    # What one process hands to another, the function's own code has named.
    if str(sys._getframe(2).f_globals.get("__name__", "")).startswith("multiprocessing."):
        return
    loaded = sys.modules.get(str(module))
    if loaded is not None and library_of_globals(vars(loaded)) == PROJECT:
        recorder.problem = recorder.problem or f"it unpickles {module}.{name}, whose code its own does not name"


_HANDLERS: dict[str, Handler] = {
    "open": _opened,
    "question": _asked,
    "os.listdir": _listed,
    "os.scandir": _listed,
    "os.mkdir": _made,
    "os.rename": _renamed,
    "sqlite3.connect": _database,
    "glob.glob/2": _globbed,
    "pathlib.Path.glob": _path_globbed,
    "pickle.find_class": _unpickled,
    **dict.fromkeys(("socket.connect", "socket.sendto", "socket.sendmsg"), record_connection),
    **dict.fromkeys(("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"), record_connection),
    **dict.fromkeys(("subprocess.Popen", "os.system", "os.posix_spawn", "os.spawn", "os.exec"), record_program),
    "pty.spawn": record_program,
    "ctypes.dlopen": record_compiled,
}


def _path(value: Any) -> str | None:
    if isinstance(value, int):  # a descriptor: its opening was seen
        return None
    try:
        return os.fsdecode(value)
    except TypeError:
        return None


def _counts(location: str, *, is_listing: bool = False) -> bool:
    """Return whether a file is the function's own business, not a library's or the interpreter's."""
    place = os.path.abspath(location)
    if (place.startswith(_NEVER) and not place.startswith(_NEVER_BUT)) or is_of_library(place):
        return False
    opener = _opener(is_code=is_listing or place.endswith(_CODE_ENDINGS))
    if opener is None:
        return False
    if not place.startswith(_CONFIGURATION) or place.startswith((_MOUNTED, os.path.join(os.getcwd(), ""))):
        return True
    return library_of_globals(opener.f_globals) == PROJECT


def _opener(*, is_code: bool) -> FrameType | None:
    """Return the code that wants the file, thin readers passed over; None where the interpreter reads code."""
    frame: FrameType | None = sys._getframe(1)
    first = None
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        top = name.partition(".")[0]
        if name == __name__:
            frame = frame.f_back
            continue
        if name in _CODE_ALONE:
            return None
        if name.startswith("importlib._") or top in _CODE_READERS:
            if is_code:
                return None
            frame = frame.f_back
            continue
        first = first or frame
        if top not in _THIN:
            return frame
        frame = frame.f_back
    return first
