"""Record the files that native code opens without audit events, by wrapping its Python entry points.

`pandas.read_parquet` hands its path to pyarrow, which opens it in C++; polars reads all by itself. From the first
recorded run on the functions and classes named here are wrapped, those of a module that is imported only later as soon
as it is there. A folder counts with all files below it. SQL that names a file is another matter (`sql_reads.py`). What
is opened in other ways (`pyarrow.OSFile`, a file system object's `open_input_file`) stays unseen.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

from caching.import_hooks import on_import
from caching.keys.libraries import is_of_library
from caching.keys.names import ORIGINAL, original_of
from caching.locations import MAGIC, Kind, local_path, protocol_of, texts_among
from caching.tracking.active_recorder import current_recorder, recording

# By module: its readers, each with the name of the parameter that says what to open, always the first.
_READERS: dict[str, dict[str, str]] = {
    "pyarrow": {"memory_map": "path", "input_stream": "source"},
    "pyarrow.csv": {"read_csv": "input_file", "open_csv": "input_file"},
    "pyarrow.json": {"read_json": "input_file", "open_json": "input_file"},
    "pyarrow.dataset": {"dataset": "source", "parquet_dataset": "metadata_path"},
    "pyarrow.feather": {"read_table": "source", "read_feather": "source"},
    "pyarrow.orc": {"read_table": "source", "ORCFile": "source"},
    "pyarrow.parquet": {
        "read_metadata": "where",
        "read_schema": "where",
        "ParquetFile": "source",
        "ParquetDataset": "path_or_paths",
    },
    "polars": {
        "read_avro": "source",
        "read_csv": "source",
        "read_excel": "source",
        "read_ipc": "source",
        "read_ipc_schema": "source",
        "read_ipc_stream": "source",
        "read_json": "source",
        "read_lines": "source",
        "read_ndjson": "source",
        "read_ods": "source",
        "read_parquet": "source",
        "read_parquet_metadata": "source",
        "read_parquet_schema": "source",
        "scan_csv": "source",
        "scan_ipc": "source",
        "scan_lines": "source",
        "scan_ndjson": "source",
        "scan_parquet": "source",
    },
}
_BY_ITS_OWN = "-"
# Imports look for files through these; what they find is code.
_IMPORTING = ("posix", "nt", "importlib._bootstrap_external", "_frozen_importlib_external")
# By the identity of the original, which its wrapper keeps.
_wrapped: dict[int, Any] = {}


def watch_native_reads() -> None:
    """Wrap the readers of modules that are loaded, and of others when they are imported."""
    for name in _READERS:
        on_import(name, _wrap_readers)
    _install_wrappers(list(sys.modules.values()))


def _wrap_readers(module: ModuleType) -> None:
    for name, parameter in _READERS[module.__name__].items():
        reader = vars(module).get(name)
        if isinstance(reader, type):
            if "__init__" in vars(reader):
                reader.__init__ = _recording(reader.__init__, parameter, position=1)  # type: ignore[misc]
        elif callable(reader) and original_of(reader) is reader:
            register_wrapper(_recording(reader, parameter, position=0))
    install_wrappers(module.__name__.partition(".")[0])


def register_wrapper(wrapper: Callable[..., Any]) -> None:
    """Register a wrapper as the replacement of its original."""
    _wrapped[id(original_of(wrapper))] = wrapper


def install_wrappers(*libraries: str) -> None:
    """Replace originals by their wrappers in the modules of these libraries; of all where none is named."""
    modules = list(sys.modules.items())
    _install_wrappers(held for name, held in modules if not libraries or name.partition(".")[0] in libraries)


def _install_wrappers(holders: Iterable[ModuleType]) -> None:
    """Replace originals by their wrappers in these modules, under whatever name."""
    for holder in holders:
        if isinstance(holder, ModuleType):
            names = object.__getattribute__(holder, "__dict__")  # of a lazy module without loading it
            if names.get("__name__") in _IMPORTING:
                continue
            for name, held in list(names.items()):
                if id(held) in _wrapped:
                    names[name] = _wrapped[id(held)]


def _recording(read: Callable[..., Any], parameter: str, *, position: int) -> Callable[..., Any]:
    @functools.wraps(read)
    def reader(*args: Any, **kwargs: Any) -> Any:
        if current_recorder() is not None:
            _report(args[position] if len(args) > position else kwargs.get(parameter), kwargs.get("filesystem"))
        return read(*args, **kwargs)

    vars(reader)[ORIGINAL] = read
    return reader


def _report(source: Any, filesystem: Any) -> None:
    recorder = current_recorder()
    if recorder is None:
        return
    try:
        with recording(None):
            found = list(_locations(source, _scheme_of(filesystem)))
        for location, kind in found:
            recorder.read(location, kind=kind)
    except Exception as error:  # noqa: BLE001 - what cannot be noted must not break the user's own read
        recorder.problem = recorder.problem or f"what it reads cannot be followed: {error!r}"


def _scheme_of(filesystem: Any) -> str:
    """Return what a path of a file system lacks to be a URL; raise for one that no URL gives.

    That one is another store than the one that a later process would ask for the version. What a file system of
    fsspec's reads, local ones included, is recorded there (`fsspec_reads`).
    """
    if filesystem is None or type(filesystem).__name__ == "LocalFileSystem":
        return ""
    from pyarrow.fs import FileSystem, PyFileSystem

    if not isinstance(filesystem, FileSystem) or isinstance(filesystem, PyFileSystem):
        return _BY_ITS_OWN
    scheme = f"{filesystem.type_name.replace('gcs', 'gs')}://"
    if FileSystem.from_uri(scheme + "bucket/key")[0].equals(filesystem):
        return scheme
    raise ValueError(f"a {type(filesystem).__name__} with options of its own")


def _locations(source: Any, scheme: str) -> Iterator[tuple[str, Kind]]:
    if scheme == _BY_ITS_OWN:
        return
    for text, _ in texts_among([source], 0):
        text = text if protocol_of(text) else scheme + text
        if protocol_of(text) is not None:
            yield text, "remote"
            continue
        path = local_path(text)
        if not os.path.exists(path):
            path = os.path.expanduser(path)
        if is_of_library(os.path.abspath(path)):
            continue
        if os.path.isdir(path):
            # Under another name than a mere listing of the folder, which knows less.
            yield os.path.join(path, ""), "tree"
        else:
            yield path, "glob" if MAGIC.search(path) and not os.path.exists(path) else "file"
