"""Record what is read through fsspec, with the versions that fsspec itself reports.

What is wrapped: the reading methods of `AbstractFileSystem`, the `read` of its files, and `sync`, through which every
operation of a network file system passes. Only file systems without options are recorded: from their URL
alone a later process asks the same store. The connections of others make the result uncacheable (`unversioned`).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any

from caching.import_hooks import on_import
from caching.keys.names import original_of
from caching.locations import BY_FSSPEC
from caching.tracking.active_recorder import ReadRecorder, reads_are_versioned, versioned_reads
from caching.tracking.wrapping import install_wrappers, register_wrapper, wrap_methods, wrapped

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
    wrap_methods(module.AbstractFileSystem, ["open"], _note_open)
    _wrap_reads(module.AbstractFileSystem)
    wrap_methods(
        module.AbstractBufferedFile, ["read"], lambda recorder, file, *_, **__: _note(recorder, file.fs, file.path)
    )


def _wrap_reads(owner: type) -> None:
    names = _READS & vars(owner).keys()
    wrap_methods(owner, names, lambda recorder, fs, path="", *_, **__: _note(recorder, fs, path))


def _wrap_sync(module: ModuleType) -> None:
    if original_of(module.sync) is module.sync:
        register_wrapper(wrapped(module.sync, _note_operation))
        install_wrappers()


def _note_open(
    recorder: ReadRecorder, fs: Any, path: Any = "", mode: str = "rb", *_: Any, **__: Any
) -> AbstractContextManager[None] | None:
    return _note(recorder, fs, path) if "r" in mode else None


def _note_operation(
    recorder: ReadRecorder, _loop: Any, function: Any, *args: Any, **kwargs: Any
) -> AbstractContextManager[None] | None:
    if getattr(function, "__name__", "")[1:] not in _READS:
        return None
    return _note(recorder, getattr(function, "__self__", None), args[0] if args else next(iter(kwargs.values()), ()))


def _note(recorder: ReadRecorder, fs: Any, paths: Any) -> AbstractContextManager[None] | None:
    """Record paths that are read; return the context in which that opens connections, None if they count."""
    if reads_are_versioned() or not _is_plain(fs):
        return None
    try:
        for path in [paths] if isinstance(paths, str) else paths:
            recorder.read(BY_FSSPEC + str(fs.unstrip_protocol(str(path))))
    except Exception as error:  # noqa: BLE001 - what cannot be recorded must not break the user's own read
        recorder.problem = recorder.problem or f"what it reads cannot be followed: {error!r}"
    return versioned_reads()


def _is_plain(fs: Any) -> bool:
    """Return whether a file system is the one that its protocol alone gives, and no local one, whose files are seen."""
    protocol = getattr(fs, "protocol", None)
    protocols = (protocol,) if isinstance(protocol, str) else protocol or ()
    return bool(protocols) and "file" not in protocols and not fs.storage_options
