"""The files that a location stands for: itself, those that a pattern matches, or the parts in a folder."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from loaders.errors import ReadError
from loaders.format_options import FormatOptions
from loaders.reading.compression import split_compression
from loaders.reading.formats import format_by_name
from loaders.reading.location import Location

_MAGIC = re.compile(r"[*?\[]")
_PARTITION = re.compile(r"([^=]+)=(.*)")
# How Hive, Spark and Arrow name the folder of rows whose partition column is null.
_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Part:
    """One file of a dataset, and the columns that its path tells."""

    location: Location
    partitions: Mapping[str, str | None]


def parts_of(location: Location, options: FormatOptions) -> list[Part]:
    """Return the files in the order of their paths; a location that names a single file may not exist."""
    if location.protocol == "file":
        paths = _local_paths(location, options)
    elif location.protocol == "s3":
        paths = _s3_paths(location, options)
    elif location.protocol in ("http", "https"):
        paths = None
    else:
        paths = _fsspec_paths(location, options)
    if paths is None:
        return [_part(location, options)]
    if not paths:
        what = "matches no file" if location.is_glob else "is a folder without parts of a known format"
        raise ReadError(f"'{location.shown}' {what}. Correct the location, or put files there.")
    return [_part(location.at(path), options) for path in sorted(paths, key=_order)]


def folder_parts(location: Location, options: FormatOptions) -> list[Part]:
    """Return the parts in the folder that an S3 location names, none where there is no such folder."""
    paths = _s3_paths(location.at(location.path.rstrip("/") + "/"), options) or []
    return [_part(location.at(path), options) for path in sorted(paths, key=_order)]


def _part(location: Location, options: FormatOptions) -> Part:
    partitions: dict[str, str | None] = {}
    if options.hive_partitions and location.protocol not in ("http", "https"):
        for component in location.path.split("/")[:-1]:
            found = _PARTITION.fullmatch(component)
            if found:
                value = unquote(found[2])
                partitions[unquote(found[1])] = None if value == _NULL_PARTITION else value
    return Part(location, partitions)


def _order(path: str) -> tuple[str, ...]:
    """Sort by component, so that a folder's files stay together whatever characters follow its name."""
    return tuple(path.split("/"))


def _local_paths(location: Location, options: FormatOptions) -> list[str] | None:
    path = location.path
    if Path(path).is_dir():
        return _in_folder(path, (str(found) for found in _walk(Path(path))), options)
    if not location.is_glob or os.path.lexists(path):
        return None
    return [found for found in glob.glob(path, recursive=True) if Path(found).is_file()]  # noqa: PTH207 — keeps the user's spelling


def _walk(folder: Path) -> Iterable[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise ReadError(f"'{folder}' cannot be listed: {error.strerror}.") from None
    for entry in entries:
        if entry.is_dir():
            yield from _walk(entry)
        else:
            yield entry


def _s3_paths(location: Location, options: FormatOptions) -> list[str] | None:
    from loaders.reading.patience import Patience
    from loaders.reading.s3_client import StoreRefusedError, client_for
    from loaders.reading.s3_refusal import refusal

    bucket, _, key = location.path.partition("/")
    pattern = _MAGIC.search(key)
    if pattern is None and key and not key.endswith("/"):
        return None
    if not bucket or _MAGIC.search(bucket):
        raise ReadError(f"'{location.shown}' names no bucket; write s3://bucket/key.")
    prefix = key if pattern is None else key[: pattern.start()]
    client = client_for()
    try:
        keys = [found.key for found in client.list(bucket, prefix, Patience(client.settings, location.shown))]
    except StoreRefusedError as error:
        raise refusal(client, location, bucket, key, error) from None
    if pattern is None:
        return [f"{bucket}/{found}" for found in _in_folder(key, keys, options)]
    matches = re.compile(_translated(key)).fullmatch
    return [f"{bucket}/{found}" for found in keys if matches(found) and not found.endswith("/")]


def _fsspec_paths(location: Location, options: FormatOptions) -> list[str] | None:
    from loaders.reading.fsspec_object import file_system

    fs, path = file_system(location)
    if location.is_glob:
        found = [name for name in fs.glob(path) if fs.isfile(name)]
    elif fs.isdir(path):
        found = _in_folder(path, fs.find(path), options)
    else:
        return None
    return [str(name).removeprefix("/") if location.path[:1] != "/" else str(name) for name in found]


def _in_folder(folder: str, paths: Iterable[str], options: FormatOptions) -> list[str]:
    """Return the paths that are parts: no hidden files, no markers such as `_SUCCESS`, only formats that are read."""
    depth = len(folder.rstrip("/"))
    found = []
    for path in paths:
        components = path[depth:].strip("/").split("/")
        if any(component.startswith((".", "_")) and "=" not in component for component in components):
            continue
        if format_by_name(split_compression(components[-1])[0], FormatOptions()) or (options.format and components[-1]):
            found.append(path)
    return found


def _translated(pattern: str) -> str:
    """Return a glob as a regular expression: `*` and `?` stay within a folder, `**/` spans any number."""
    text = ""
    position = 0
    while position < len(pattern):
        if pattern.startswith("**/", position):
            text, position = text + "(?:.*/)?", position + 3
        elif pattern.startswith("**", position):
            text, position = text + ".*", position + 2
        elif pattern[position] in "*?":
            text, position = text + ("[^/]*" if pattern[position] == "*" else "[^/]"), position + 1
        elif pattern[position] == "[" and "]" in pattern[position + 2 :]:
            end = pattern.index("]", position + 2)
            inner = pattern[position + 1 : end].replace("\\", "\\\\")
            inner = "^" + inner[1:] if inner.startswith("!") else inner
            text, position = f"{text}[{inner}]", end + 1
        else:
            text, position = text + re.escape(pattern[position]), position + 1
    return text
