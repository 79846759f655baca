"""Record what is read through fsspec, with the versions that fsspec itself reports.

What is wrapped: the reading methods of `AbstractFileSystem`, the `read` of its files, and `sync`, through which every
operation of a network file system passes. Only file systems without options are recorded: from their URL
alone a later process asks the same store. The connections of others make the result uncacheable (`unversioned`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from caching.import_hooks import on_import
from caching.keys.names import ORIGINAL, original_of
from caching.locations import BY_FSSPEC
from caching.tracking.active_recorder import ReadRecorder, current_recorder, reads_are_versioned, versioned_reads
from caching.tracking.native_readers import install_wrappers, register_wrapper

# Methods that read the paths of their first argument; `AsyncFileSystem` has them as coroutines with an underscore.
_READS = frozenset(
    [
        *("cat", "cat_file", "cat_ranges", "get", "get_file", "info", "ls", "find", "glob", "walk", "du", "size"),
        *("sizes", "exists", "isfile", "isdir", "expand_path", "modified", "created", "checksum", "read_block"),
    ]
)


def watch_fsspec() -> None:
    """Wrap the functions of fsspec, now or when it is imported."""
    on_import("fsspec.spec", _wrap_files)
    on_import("fsspec.asyn", _wrap_sync)
    on_import("fsspec.implementations.memory", lambda module: _wrap_reads(module.MemoryFileSystem))


def _wrap_files(module: ModuleType) -> None:
    _wrap(module.AbstractFileSystem, "open", lambda fs, path="", mode="rb", *_, **__: (fs, path, "r" in mode))
    _wrap_reads(module.AbstractFileSystem)
    _wrap(module.AbstractBufferedFile, "read", lambda file, *_, **__: (file.fs, file.path, True))


def _wrap_reads(owner: type) -> None:
    for name in _READS & vars(owner).keys():
        _wrap(owner, name, lambda fs, path="", *_, **__: (fs, path, True))


def _wrap_sync(module: ModuleType) -> None:
    if original_of(module.sync) is module.sync:
        register_wrapper(_recording(module.sync, _operation))
        install_wrappers()


def _wrap(owner: type, name: str, read_of: Callable[..., tuple[Any, Any, bool]]) -> None:
    method = getattr(owner, name)
    if original_of(method) is method:
        setattr(owner, name, _recording(method, read_of))


def _operation(_loop: Any, function: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any, bool]:
    """Return the file system of an operation, its paths, and whether it reads them."""
    fs = getattr(function, "__self__", None)
    paths = args[0] if args else next(iter(kwargs.values()), None)
    return fs, paths, getattr(function, "__name__", "")[1:] in _READS


def _recording(function: Callable[..., Any], read_of: Callable[..., tuple[Any, Any, bool]]) -> Callable[..., Any]:
    @functools.wraps(function)
    def recording(*args: Any, **kwargs: Any) -> Any:
        recorder = current_recorder()
        if recorder is None or reads_are_versioned():
            return function(*args, **kwargs)
        fs, paths, reads = read_of(*args, **kwargs)
        if not (reads and _is_plain(fs)):
            return function(*args, **kwargs)
        _record(recorder, fs, [paths] if isinstance(paths, str) else paths)
        with versioned_reads():
            return function(*args, **kwargs)

    vars(recording)[ORIGINAL] = function
    return recording


def _is_plain(fs: Any) -> bool:
    """Return whether a file system is the one that its protocol alone gives, and no local one, whose files are seen."""
    protocol = getattr(fs, "protocol", None)
    protocols = (protocol,) if isinstance(protocol, str) else protocol or ()
    return bool(protocols) and "file" not in protocols and not fs.storage_options


def _record(recorder: ReadRecorder, fs: Any, paths: Iterable[Any]) -> None:
    try:
        for path in paths:
            recorder.read(BY_FSSPEC + str(fs.unstrip_protocol(str(path))))
    except Exception as error:  # noqa: BLE001 - what cannot be recorded must not break the user's own read
        recorder.problem = recorder.problem or f"what it reads cannot be followed: {error!r}"
