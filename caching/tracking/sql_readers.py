"""Record files that SQL reads: by DuckDB in native code, and databases that SQLite attaches.

What takes SQL or a path in DuckDB is wrapped as soon as that is imported. Each piece of such a text that names a file,
a folder, a glob or a URL is recorded: more than is read may count, which costs a miss at worst. SQLite says
itself what it attaches. Unseen stays what only DuckDB knows: a name that its SQL computes (`'a' || '.csv'`) or finds
through `file_search_path`, and the files that a view kept in a database reads.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Callable, Iterator
from types import FrameType, ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit

from caching.import_hooks import on_import
from caching.keys.libraries import is_of_library
from caching.keys.names import ORIGINAL, original_of
from caching.locations import MAGIC, Kind, locations_among, protocol_of, texts_among
from caching.tracking.active_recorder import ReadRecorder, current_recorder, recording
from caching.tracking.native_readers import install_wrappers, register_wrapper

# Of the module, its connections and its relations: whatever takes SQL, an expression or a path.
_READERS = (
    *("sql", "query", "from_query", "query_df", "execute", "executemany", "table", "view", "table_function"),
    *("read_csv", "from_csv_auto", "read_json", "read_parquet", "from_parquet"),
    *("filter", "project", "select", "aggregate", "order", "sort", "join"),
)
_DATABASES = "SELECT path FROM duckdb_databases() WHERE path IS NOT NULL"
_JOURNALS = ("", "-wal", "-journal", ".wal")
_ATTACHES = re.compile(r"\battach\b", re.I)
# Rows that are written may hold anything, and a URL among them is not to be asked for its version.
_ONLY_WRITES = re.compile(
    r"\s*insert\b(?!.*\b(from|table|(un)?pivot|describe|summarize|show|call|using|attach|import)\b)", re.I | re.S
)
_QUOTES = ("'", '"', r"\$\w*\$")
_DOTTED = re.compile(r"(?:\w+|\"[^\"]+\")(?:\.(?:\w+|\"[^\"]+\"))+")  # FROM a.csv needs no quotes
_FILE_URL = re.compile(r"^file:(//(localhost)?)?(?=/)")
_SQLITE_OK, _SQLITE_ATTACH = 0, 24  # known without an import
_NAME = re.compile(r"[^\W\d]\w*")
_TABLES = ("__arrow_c_stream__", "__array_interface__", "_duckdb_scan_", "scanner", "collect", "columns")
_READING = "__read__"
_CALL = compile(f"{_READING}()", f"<{__name__}>", "eval")


def watch_sql_reads() -> None:
    """Wrap the entry points of DuckDB and sqlite3, now or when they are imported."""
    on_import("duckdb", _wrap_duckdb)
    on_import("sqlite3", _wrap_sqlite)


def record_database(recorder: ReadRecorder, name: str) -> None:
    """Record a database that is opened, and the files beside it that may hold its latest changes."""
    if name.startswith("file:"):
        parts = urlsplit(name)
        name = "" if "mode=memory" in parts.query else unquote(parts.path)
    if name and not name.startswith(":"):
        for suffix in _JOURNALS:
            recorder.read(name + suffix)


def _wrap_sqlite(module: ModuleType) -> None:
    if original_of(module.connect) is module.connect:
        register_wrapper(_connecting_sqlite(module.connect))
    install_wrappers("sqlite3", "_sqlite3")


def _connecting_sqlite(connect: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(connect)
    def connecting(*args: Any, **kwargs: Any) -> Any:
        connection = connect(*args, **kwargs)
        if current_recorder() is not None:
            # The file that it opens first, an audit event names; to attach another it asks for leave.
            connection.set_authorizer(_leave)
        return connection

    vars(connecting)[ORIGINAL] = connect
    return connecting


def _leave(action: int, name: str | None, *_: str | None) -> int:
    recorder = current_recorder()
    if action == _SQLITE_ATTACH and recorder is not None:
        if name is None:
            recorder.problem = recorder.problem or "it attaches a database whose name is no literal of its SQL"
        else:
            _guarded(recorder, lambda: record_database(recorder, name))
    return _SQLITE_OK


def _wrap_duckdb(module: ModuleType) -> None:
    for holder in (module, module.DuckDBPyConnection, module.DuckDBPyRelation):
        for name in _READERS:
            reader = getattr(holder, name, None)
            if callable(reader) and original_of(reader) is reader:
                wrapper = _recording(reader, module)
                if holder is module:
                    register_wrapper(wrapper)
                else:
                    setattr(holder, name, wrapper)
    if original_of(module.connect) is module.connect:
        register_wrapper(_connecting_duckdb(module.connect))
    install_wrappers("duckdb", "_duckdb")


def _connecting_duckdb(connect: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(connect)
    def connecting(*args: Any, **kwargs: Any) -> Any:
        recorder = current_recorder()
        database = args[0] if args else kwargs.get("database", "")
        if recorder is not None and isinstance(database, str | os.PathLike):
            _guarded(recorder, lambda: record_database(recorder, os.path.expanduser(os.fsdecode(database))))
        return connect(*args, **kwargs)

    vars(connecting)[ORIGINAL] = connect
    return connecting


def _recording(read: Callable[..., Any], module: ModuleType) -> Callable[..., Any]:
    @functools.wraps(read)
    def reader(*args: Any, **kwargs: Any) -> Any:
        recorder = current_recorder()
        if recorder is not None:
            _guarded(recorder, lambda: _report(recorder, [*args, *kwargs.values()]))
        # DuckDB finds tables among the variables of the frame that calls it: those of the caller, not of this one.
        caller = sys._getframe(1)
        if recorder is not None:
            _guarded(recorder, lambda: _check_variables(recorder, caller, [*args, *kwargs.values()]))
        variables = {**caller.f_locals, _READING: functools.partial(read, *args, **kwargs)}
        answer = eval(_CALL, caller.f_globals, variables)  # noqa: S307 - the text is this module's
        if recorder is not None:
            _guarded(recorder, lambda: _check_databases(recorder, module, args, kwargs))
        return answer

    vars(reader)[ORIGINAL] = read
    return reader


def _check_variables(recorder: ReadRecorder, caller: FrameType, values: list[Any]) -> None:
    """Make the result uncacheable if SQL names a table that is a variable of the module: the key does not hold it."""
    for text in (value for value in values if isinstance(value, str)):
        for name in _NAME.findall(text):
            value = caller.f_globals.get(name)
            is_table = name not in caller.f_locals and any(hasattr(value, table) for table in _TABLES)
            if is_table and not recorder.has_in_key(caller.f_globals, name):
                recorder.problem = recorder.problem or f"its SQL reads the variable {name}. Pass that as an argument"


def _guarded(recorder: ReadRecorder, note: Callable[[], None]) -> None:
    try:
        note()
    except Exception as error:  # noqa: BLE001 - what cannot be noted must not break the user's own read
        recorder.problem = recorder.problem or f"what it reads cannot be followed: {error!r}"


def _report(recorder: ReadRecorder, values: list[Any]) -> None:
    # A statement that was parsed before keeps its SQL.
    parsed = [value.query for value in values if type(value).__name__ == "Statement"]
    if any(isinstance(text, str) and _ONLY_WRITES.match(text) for text in [*values, *parsed]):
        return
    for text in dict.fromkeys(text for text, _ in texts_among([values, parsed], 0)):
        with recording(None):
            found = list(_locations(text))
        for location, kind in found:
            recorder.read(os.path.join(location, "") if kind == "tree" else location, kind=kind)
        if _ATTACHES.search(text):
            for piece in re.split("|".join(_QUOTES), text)[1::2]:
                if protocol_of(piece) is None:
                    record_database(recorder, os.path.expanduser(piece))


def _locations(text: str) -> Iterator[tuple[str, Kind]]:
    # A slash or a dot by itself parts texts; it does not mean everything below it.
    pieces = [piece for piece in dict.fromkeys(_pieces(text)) if piece.strip("./~ ")]
    names = [os.path.expanduser(_FILE_URL.sub("", piece)) for piece in pieces]
    for location, kind in locations_among([names]):
        if kind == "remote" or not is_of_library(os.path.abspath(location)):
            yield location, kind
    # What matches nothing today is no error to glob().
    yield from ((name, "glob") for name in names if _is_pattern(name))


def _pieces(text: str) -> Iterator[str]:
    """Yield texts that may be file names in SQL: the whole, quoted parts, and words such as `a.csv`."""
    yield text
    for escaped in (text, text.replace("''", "'"), text.replace("''", "\0").replace('""', "\1")):
        for quote in _QUOTES:
            yield from (part.replace("\0", "'").replace("\1", '"') for part in re.split(quote, escaped))
    yield from (word.replace('"', "") for word in _DOTTED.findall(text))


def _is_pattern(name: str) -> bool:
    return bool(MAGIC.search(name)) and not (re.search(r"\s", name) or protocol_of(name) or os.path.exists(name))


def _check_databases(recorder: ReadRecorder, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Make the result uncacheable if a database was opened before the run: its path may name another by now."""
    if args and isinstance(args[0], module.DuckDBPyRelation):
        return  # the call that made it was checked
    is_method = args and isinstance(args[0], module.DuckDBPyConnection)
    given = args[0] if is_method else kwargs.get("connection") or kwargs.get("conn")
    connection = given or module.default_connection()
    with recording(None), connection.cursor() as cursor:
        paths = [path for (path,) in cursor.execute(_DATABASES).fetchall()]
    for path in paths:
        if not recorder.knows(path):
            recorder.problem = recorder.problem or f"it reads {path}, which was opened before it ran"
