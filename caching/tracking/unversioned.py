"""Notice what has no version: network connections, other programs and compiled code.

Python's audit events report connections and programs that are started. A connection that was open before the run raises
no event, so receiving is watched as well; what is only sent, as log records are, brings nothing into a result. Drivers
in native code raise no events at all: those that follow the database API of PEP 249 are recognised by its attributes of
the module. A reader that records the version of what it reads calls `versioned_reads`; its connections do not count.
"""

from __future__ import annotations

import functools
import sys
from types import FrameType, ModuleType
from typing import Any

from caching.import_hooks import on_import
from caching.keys.libraries import PROJECT, library_of_globals
from caching.keys.names import original_of
from caching.tracking.active_recorder import ReadRecorder, reads_are_versioned
from caching.tracking.wrapping import wrap_methods, wrapped

# PEP 249; SQLite and DuckDB are followed by `sql_readers`.
_DATABASE_API = ("apilevel", "paramstyle", "connect")
_FOLLOWED = ("sqlite3", "duckdb")
_RECEIVING = ("recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into")
# An event loop receives in the context that opened the connection, not in that of the request; it sends by these.
_USED = (*_RECEIVING, "send", "sendmsg")


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
    """Wrap what receives on sockets, and what event loops send by, once for the process."""
    on_import("socket", lambda module: wrap_methods(module.socket, _USED, _note_use))
    on_import("ssl", lambda module: wrap_methods(module.SSLSocket, ("recv", "recv_into", "read"), _note_use))


def watch_drivers() -> set[str]:
    """Wrap `connect` of each database driver that is loaded; return the names of those that were not wrapped yet."""
    new = set()
    for name, module in list(sys.modules.items()):
        held = object.__getattribute__(module, "__dict__") if isinstance(module, ModuleType) else {}
        if "apilevel" in held and all(attribute in held for attribute in _DATABASE_API):
            connect = held["connect"]
            if name.partition(".")[0] not in _FOLLOWED and original_of(connect) is connect:
                held["connect"] = wrapped(connect, functools.partial(_note_query, name))
                new.add(name)
    return new


def _note_use(recorder: ReadRecorder, connection: Any, *_: Any, **__: Any) -> None:
    if reads_are_versioned():
        return
    try:
        peer = connection.getpeername()
    except OSError:
        peer = None  # a datagram, from any sender
    if peer != "":  # the two ends of a pair, by which an event loop wakes itself, have no name
        recorder.use_unversioned(f"it talks to {_shown(peer)}")


def _note_query(driver: str, recorder: ReadRecorder, *_: Any, **__: Any) -> None:
    if not reads_are_versioned():
        recorder.use_unversioned(f"it queries a database through {driver}")


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
        elif library_of_globals(frame.f_globals) == PROJECT:
            return imports
        frame = frame.f_back
    return imports
