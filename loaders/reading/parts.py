"""List the files of a location: one file, those that match a pattern, or the parts in a folder."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from urllib.parse import unquote

from loaders.clients.client import client_for
from loaders.clients.local import entries, walk
from loaders.clients.location import OBJECT_STORES, Location, bucket_and_key
from loaders.clients.retry import Deadline
from loaders.clients.source import MissingError, PartialListError
from loaders.compression import split_compression
from loaders.errors import ReadError
from loaders.formats.formats import format_by_name
from loaders.schema.format_options import FormatOptions

_MAGIC = re.compile(r"[*?\[]")
_PARTITION = re.compile(r"([^=]+)=(.*)")
# How Hive, Spark and Arrow name the folder of rows whose partition column is null.
_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"


# Paths, each with its version where the listing tells it.
Found = dict[str, str | None]


@dataclass(frozen=True)
class Part:
    """One file of a dataset, the columns that its path gives, and its version if a listing had it."""

    location: Location
    partitions: Mapping[str, str | None]
    version: str | None = None


def parts_of(location: Location, options: FormatOptions) -> list[Part]:
    """Return the files of a location, sorted by path; a single file need not exist."""
    found = _local_paths(location) if location.protocol == "file" else _remote_paths(location)
    if found is None:
        return [_part(location, options)]
    if not found:
        what = "matches no file" if location.is_glob else "is a folder without parts"
        raise ReadError(f"'{location.shown}' {what}. Correct the location, or put files there.")
    return _sorted_parts(location, found, options)


def folder_parts(location: Location, options: FormatOptions, missing: MissingError) -> list[Part]:
    """Return the parts in a remote folder of a location that is not a file; none if there is no such folder.

    Nor if the folder cannot be listed: the error `missing` of the location itself is right then, and an error about a
    folder that nobody named would hide it. The list has the time that the search for the location left.
    """
    if location.protocol in ("file", "http", "https"):
        return []
    try:
        found = _remote_paths(location.at(location.path.rstrip("/") + "/"), missing.deadline)
    except PartialListError:
        raise
    except ReadError:
        return []
    return _sorted_parts(location, found or {}, options)


def _sorted_parts(location: Location, found: Mapping[str, str | None], options: FormatOptions) -> list[Part]:
    return [_part(location.at(path), options, found[path]) for path in sorted(found, key=_order)]


def _part(location: Location, options: FormatOptions, version: str | None = None) -> Part:
    partitions: dict[str, str | None] = {}
    if options.hive_partitions and location.protocol not in ("http", "https"):
        for component in location.path.split("/")[:-1]:
            found = _PARTITION.fullmatch(component)
            if found:
                name, value = (_unquoted(text, location) for text in found.groups())
                partitions[name] = None if value == _NULL_PARTITION else value
    return Part(location, partitions, version)


def _unquoted(text: str, location: Location) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ReadError(
            f"'{location.shown}': the folder's name holds {text!r}, which stands for bytes that are no UTF-8. "
            "Rename the folder, or set FormatOptions(hive_partitions=False) in the contract."
        ) from None


def _order(path: str) -> tuple[str, ...]:
    """Sort by component, so that a folder's files stay together whatever characters follow its name."""
    return tuple(path.split("/"))


def _local_paths(location: Location) -> Found | None:
    path = location.path
    if "\0" in path:
        raise ReadError(f"No file has a name such as {location.shown!r}: it has a zero byte. Correct the location.")
    # Not Path's own, which raises for a name that is too long.
    if os.path.isdir(path):  # noqa: PTH112
        return _in_folder(path, dict.fromkeys(walk(path)))
    literal, pattern = _split(path)
    if not _MAGIC.search(pattern) or os.path.lexists(path):
        return None
    # A link whose target is gone, or a FIFO, is no file, but a part that cannot be read; opening it raises the error.
    names = dict.fromkeys(_matches(literal, pattern.split("/")))
    known = [name for name in names if format_by_name(split_compression(name)[0], FormatOptions())]
    return dict.fromkeys(known or names)


def _split(path: str) -> tuple[str, str]:
    """Return the existing folders at the beginning of a path, and the rest."""
    end = 0
    while (after := path.find("/", end) + 1) and os.path.isdir(path[:after]):  # noqa: PTH112
        end = after
    return path[:end], path[end:]


def _matches(folder: str, pattern: list[str], above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[str]:
    """Yield files that match a pattern, given by its components, like `glob`.

    What is hidden or a marker is left out unless its component of the pattern begins as it does; a folder that cannot
    be listed is an error; and no folder is entered from within itself, by a link.
    """
    component, *rest = pattern
    if component in ("", ".", ".."):
        if rest:
            yield from _matches(f"{folder}{component}/" if component else folder, rest)
        return
    here, names = entries(folder or ".")
    if here in above:
        return
    if component == "**":
        yield from _matches(folder, rest or ["*"], above)
    for name in names:
        hidden = name.startswith((".", "_")) and "=" not in name and component[0] != name[0]
        if hidden or not fnmatch.fnmatchcase(name, component):
            continue
        if os.path.isdir(folder + name):  # noqa: PTH112
            deeper = pattern if component == "**" else rest
            if deeper:
                yield from _matches(f"{folder}{name}/", deeper, above | {here})
        elif not rest and component != "**":
            yield folder + name


def _remote_paths(location: Location, deadline: Deadline | None = None) -> Found | None:
    """Return the files of a folder or pattern; None for a location that may be a single file."""
    bucket, key = bucket_and_key(location) if location.protocol in OBJECT_STORES else ("", location.path)
    is_folder = key.endswith("/") or (bucket and not key)
    if location.protocol in ("http", "https") or not (is_folder or location.is_glob):
        return None
    folder = f"{_literal(key)}/" if location.is_glob else f"{key.rstrip('/')}/"
    # Errors about the folder name the location that the user gave.
    place = replace(location, path=f"{bucket}/{folder.removeprefix('/')}" if bucket else folder)
    listed = client_for(place).list(place, deadline)
    root = f"{bucket}/" if bucket else ""
    keys: Found = {found.path.removeprefix(root): found.version for found in listed}
    chosen = _matching(key, keys) if location.is_glob else _in_folder(folder.removeprefix("/"), keys)
    return {f"{root}{found}": chosen[found] for found in chosen if not found.endswith("/")}


def _matching(pattern: str, keys: Found) -> Found:
    """Return the keys that a pattern matches; an exact name goes first."""
    if pattern in keys:
        return {pattern: keys[pattern]}
    folder = pattern.rstrip("/") + "/"
    inside = {found: keys[found] for found in keys if found.startswith(folder)}
    if inside:
        return _in_folder(folder, inside)
    components = pattern.split("/")
    matching = {found: keys[found] for found in keys if _is_matched(found.split("/"), components)}
    return _in_folder(_literal(pattern), matching, pattern)


def _literal(pattern: str) -> str:
    """Return the literal folders at the beginning of a pattern."""
    magic = _MAGIC.search(pattern)
    return pattern[: magic.start()].rpartition("/")[0] if magic else pattern


def _in_folder(folder: str, paths: Found, pattern: str = "") -> Found:
    """Return the paths that are parts, without hidden files and markers such as `_SUCCESS`.

    Where some have the name of a format, others (a README) are none; where none has, all are.
    """
    depth = len(folder.rstrip("/"))
    named = {component[:1] for component in pattern[depth:].split("/")}
    marks = tuple(mark for mark in "._" if mark not in named)
    visible: Found = {}
    for path, version in paths.items():
        components = path[depth:].removeprefix("/").split("/")
        hidden = any(component.startswith(marks) and "=" not in component for component in components)
        if components[-1] and not hidden:
            visible[path] = version
    known = {path: visible[path] for path in visible if format_by_name(split_compression(path)[0], FormatOptions())}
    return known or visible


def _is_matched(names: list[str], pattern: list[str]) -> bool:
    """Return whether a path matches a glob, both given by their components; `**` stands for any number of folders."""
    if not pattern:
        return not names
    if pattern[0] == "**":
        rest = pattern[1:] or ["*"]
        return any(_is_matched(names[start:], rest) for start in range(len(names)))
    return bool(names) and fnmatch.fnmatchcase(names[0], pattern[0]) and _is_matched(names[1:], pattern[1:])
