"""The version of a location, which the cache records at a read and compares before a hit.

The same function of listings and headers serves both, so that what was read and what is there now compare equal
where they are. Local files need nothing from here: the cache observes those itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from caching import record_read, register_version
from loaders.clients.http_object import http_version
from loaders.clients.location import Location, parse_location
from loaders.clients.progress import Tracker
from loaders.clients.s3 import S3Object
from loaders.clients.s3_client import client_for
from loaders.clients.source import MissingError
from loaders.reading.parts import Part, folder_parts, parts_of
from loaders.schema.format_options import FormatOptions

_OWN_PROTOCOLS = ("s3", "http", "https")


def record_local(location: Location, parts: Iterable[Part]) -> None:
    """Record local files before they are read, so that the cache notices later changes."""
    for part in parts:
        record_read(part.location.path)
        if part.location.path != location.path:
            record_read(str(Path(part.location.path).parent))


def record_remote(location: Location, versions: dict[str, str]) -> None:
    """Record the version of each part of a remote location that was read."""
    if location.protocol in _OWN_PROTOCOLS:
        record_read(location.url, _combined(location, versions))
    else:
        record_read(location.url)


def version_of(url: str) -> str | None:
    """Return the present version of a location; None if nothing is there."""
    location = parse_location(url)
    tracker = Tracker("", location.shown)
    try:
        if location.protocol != "s3":
            return _combined(location, {location.url: http_version(location)})
        parts = parts_of(location, FormatOptions())
        if [part.location for part in parts] != [location]:
            return _listed(location, parts)
        return _combined(location, {location.url: S3Object(location, client_for(), tracker).version})
    except MissingError as missing:
        parts = folder_parts(location, FormatOptions(), missing) if location.protocol == "s3" else []
        return _listed(location, parts) if parts else None


def _listed(location: Location, parts: Iterable[Part]) -> str:
    return _combined(location, {part.location.url: part.version or "" for part in parts})


def _combined(location: Location, versions: dict[str, str]) -> str:
    if list(versions) == [location.url]:
        return versions[location.url]
    lines = "\n".join(f"{url} {version}" for url, version in sorted(versions.items()))
    return f"{len(versions)} parts {hashlib.sha256(lines.encode()).hexdigest()}"


def register() -> None:
    """Register this module with the cache for the versions of remote locations."""
    for protocol in _OWN_PROTOCOLS:
        register_version(protocol, version_of)
