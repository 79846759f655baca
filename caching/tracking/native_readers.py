"""Record the files that native code opens without audit events, by wrapping its Python entry points.

`pandas.read_parquet` hands its path to pyarrow, which opens it in C++; polars reads all by itself. From the first
recorded run on the functions and classes named here are wrapped, those of a module that is imported only later as soon
as it is there. A folder counts with all files below it. SQL that names a file is another matter (`sql_reads.py`). What
is opened in other ways (`pyarrow.OSFile`, a file system object's `open_input_file`) stays unseen.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from caching.import_hooks import on_import
from caching.keys.libraries import is_of_library
from caching.keys.names import original_of
from caching.locations import MAGIC, Kind, local_path, protocol_of, texts_among
from caching.tracking.active_recorder import ReadRecorder, recording
from caching.tracking.wrapping import Note, install_wrappers, register_wrapper, wrap_methods, wrapped

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


def watch_native_reads() -> None:
    """Wrap the readers of modules that are loaded, and of others when they are imported."""
    for name in _READERS:
        on_import(name, _wrap_readers)
    install_wrappers()


def _wrap_readers(module: ModuleType) -> None:
    for name, parameter in _READERS[module.__name__].items():
        reader = vars(module).get(name)
        if isinstance(reader, type):
            if "__init__" in vars(reader):
                wrap_methods(reader, ["__init__"], _note_of(parameter, position=1))
        elif callable(reader) and original_of(reader) is reader:
            register_wrapper(wrapped(reader, _note_of(parameter, position=0)))
    install_wrappers(module.__name__.partition(".")[0])


def _note_of(parameter: str, position: int) -> Note:
    """Return what records a call of a reader that takes its source as this parameter."""

    def note(recorder: ReadRecorder, *args: Any, **kwargs: Any) -> None:
        source = args[position] if len(args) > position else kwargs.get(parameter)
        _report(recorder, source, kwargs.get("filesystem"))

    return note


def _report(recorder: ReadRecorder, source: Any, filesystem: Any) -> None:
    if hasattr(filesystem, "unstrip_protocol") or hasattr(filesystem, "handler"):
        return  # of fsspec, by itself or within one of pyarrow's: recorded there
    try:
        with recording(None):
            found = list(_locations(source, filesystem))
        for location, kind in found:
            if location:
                recorder.read(location, kind=kind)
            else:
                recorder.use_unversioned(f"it reads through a {type(filesystem).__name__} with options of its own")
    except Exception as error:  # noqa: BLE001 - what cannot be noted must not break the user's own read
        recorder.problem = recorder.problem or f"what it reads cannot be followed: {error!r}"


def _url_of(path: str, filesystem: Any) -> str:
    """Return the URL of a path in a remote file system; an empty text where a URL gives another file system.

    A later process would then ask another store for the version.
    """
    from pyarrow.fs import FileSystem

    url = f"{filesystem.type_name.replace('gcs', 'gs')}://{path}"
    try:
        return url if FileSystem.from_uri(url)[0].equals(filesystem) else ""
    except (OSError, ValueError, NotImplementedError):
        return ""


def _locations(source: Any, filesystem: Any) -> Iterator[tuple[str, Kind]]:
    is_remote = filesystem is not None and type(filesystem).__name__ != "LocalFileSystem"
    for text, _ in texts_among([source], 0):
        if protocol_of(text) is not None or is_remote:
            yield text if protocol_of(text) else _url_of(text, filesystem), "remote"
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
