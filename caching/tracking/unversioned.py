"""Notice what has no version: network connections, other programs and compiled code.

Python's audit events report connections and programs that are started. A connection that was open before the run raises
no event, so sending and receiving are watched as well. Drivers in native code raise none at all: those that follow the
database API of PEP 249 are recognised by its module attributes. A reader that records the version of what it reads
calls `versioned_reads`, and its connections do not count.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable
from types import FrameType, ModuleType
from typing import Any

from caching.import_hooks import on_import
from caching.keys.libraries import PROJECT, library_of_globals
from caching.keys.names import ORIGINAL, original_of
from caching.tracking.active_recorder import ReadRecorder, current_recorder, reads_are_versioned

# PEP 249; SQLite and DuckDB are followed by `sql_readers`.
_DATABASE_API = ("apilevel", "paramstyle", "connect")
_FOLLOWED = ("sqlite3", "duckdb")
_SOCKET_METHODS = ("send", "sendall", "sendmsg", "recv", "recv_into", "recvfrom", "recvmsg")
_TLS_METHODS = ("send", "sendall", "recv", "recv_into", "read", "write")


def record_connection(recorder: ReadRecorder, arguments: tuple[Any, ...]) -> None:
    """Record a connection or a name lookup; the address is the last argument or, of a lookup, the first two."""
    if reads_are_versioned():
        return
    address = arguments[-1] if hasattr(arguments[0], "getpeername") else arguments[:2]
    recorder.use_unversioned(f"it connects to {_shown(address)}")


def record_program(recorder: ReadRecorder, arguments: tuple[Any, ...]) -> None:
    """Record that another program is started, but by a library while that is imported."""
    if not within_import():
        name = arguments[0] if isinstance(arguments[0], str | bytes) else "another program"
        recorder.use_unversioned(f"it starts {_text(name).split(' ')[0][:80]!r}")


def record_compiled(recorder: ReadRecorder, arguments: tuple[Any, ...]) -> None:
    """Record that compiled code is loaded through ctypes, but by a library while that is imported."""
    if not within_import():
        name = _text(arguments[0]) if arguments[0] else "this process"
        recorder.use_unversioned(f"it calls compiled code of {name[:80]!r}")


def watch_connections() -> None:
    """Wrap what sends and receives on sockets, once for the process."""
    on_import("socket", lambda module: _wrap_methods(module.socket, _SOCKET_METHODS))
    on_import("ssl", lambda module: _wrap_methods(module.SSLSocket, _TLS_METHODS))


def watch_drivers() -> set[str]:
    """Wrap `connect` of each database driver that is loaded; return the names of those that were not wrapped yet."""
    new = set()
    for name, module in list(sys.modules.items()):
        held = object.__getattribute__(module, "__dict__") if isinstance(module, ModuleType) else {}
        if "apilevel" in held and all(attribute in held for attribute in _DATABASE_API):
            connect = held["connect"]
            if name.partition(".")[0] not in _FOLLOWED and original_of(connect) is connect:
                held["connect"] = _recording(connect, functools.partial(_query, name))
                new.add(name)
    return new


def _wrap_methods(owner: type, names: Iterable[str]) -> None:
    for name in names:
        method = getattr(owner, name)
        if original_of(method) is method:
            setattr(owner, name, _recording(method, _connection))


def _recording(function: Callable[..., Any], reason_of: Callable[[Any], str]) -> Callable[..., Any]:
    @functools.wraps(function)
    def recording(*args: Any, **kwargs: Any) -> Any:
        recorder = current_recorder()
        if recorder is not None and not reads_are_versioned():
            reason = reason_of(args[0] if args else None)
            if reason:
                recorder.use_unversioned(reason)
        return function(*args, **kwargs)

    vars(recording)[ORIGINAL] = function
    return recording


def _query(driver: str, _: Any) -> str:
    return f"it queries a database through {driver}"


def _connection(connection: Any) -> str:
    try:
        peer = connection.getpeername()
    except OSError:
        return ""
    # The two ends of a pair, by which an event loop wakes itself, have no name.
    return f"it talks to {_shown(peer)}" if peer else ""


def _shown(address: Any) -> str:
    if isinstance(address, tuple) and address and address[0]:
        port = f":{address[1]}" if len(address) > 1 and address[1] else ""
        return f"{_text(address[0])}{port}"
    return _text(address) if isinstance(address, str | bytes) and address else "a server"


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def within_import() -> bool:
    """Return whether a library is being imported: what it does then, its version accounts for."""
    frame: FrameType | None = sys._getframe(1)
    imports = False
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name.startswith("importlib._"):
            imports = True
        elif name != __name__ and library_of_globals(frame.f_globals) == PROJECT:
            return imports
        frame = frame.f_back
    return imports
