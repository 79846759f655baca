"""The version of a location, which the cache records at a read and compares before a hit.

The same function of listings and headers serves both, so that what was read and what is there now compare equal
where they are. Local files need nothing from here: the cache observes those itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote, unquote

from caching import record_read, register_version
from loaders.clients.client import client_for
from loaders.clients.location import OBJECT_STORES, Location, parse_location
from loaders.clients.progress import Tracker
from loaders.clients.source import MissingError
from loaders.reading.parts import Part, folder_parts, parts_of
from loaders.schema.format_options import FormatOptions

_VERSIONED = (*OBJECT_STORES, "http", "https")
# The recorded location of an object in a chosen version: the id, then the location.
_CHOSEN = "sourceswap-version"


def record_local(location: Location, parts: Iterable[Part]) -> None:
    """Record local files before they are read, so that the cache notices later changes."""
    for part in parts:
        record_read(part.location.path)
        if part.location.path != location.path:
            record_read(str(Path(part.location.path).parent))


def record_remote(location: Location, versions: dict[str, str], version: str | None = None) -> None:
    """Record the version of each part of a remote location that was read; `version` is the one that was chosen."""
    if location.protocol not in _VERSIONED:
        record_read(location.url)
    elif version is not None:
        chosen = f"{_CHOSEN}://{quote(version, safe='')}/{location.url}"
        record_read(chosen, _combined(location, versions), instead_of=location.url)
    else:
        record_read(location.url, _combined(location, versions))


def version_of(url: str) -> str | None:
    """Return the present version of a location; None if nothing is there."""
    location = parse_location(url)
    try:
        parts = parts_of(location, FormatOptions())
        if [part.location for part in parts] != [location]:
            return _listed(location, parts)
        return _combined(location, {location.url: _present(location)})
    except MissingError as missing:
        parts = folder_parts(location, FormatOptions(), missing)
        return _listed(location, parts) if parts else None


def _chosen_version_of(url: str) -> str | None:
    """Return the version of an object of which a version was chosen; None if that version is gone."""
    version, _, inner = url.removeprefix(f"{_CHOSEN}://").partition("/")
    try:
        return _present(parse_location(inner), unquote(version))
    except MissingError:
        return None


def _present(location: Location, version: str | None = None) -> str:
    return client_for(location).open(location, Tracker("", location.shown), version).version


def _listed(location: Location, parts: Iterable[Part]) -> str:
    return _combined(location, {part.location.url: part.version or "" for part in parts})


def _combined(location: Location, versions: dict[str, str]) -> str:
    if list(versions) == [location.url]:
        return versions[location.url]
    lines = "\n".join(f"{url} {version}" for url, version in sorted(versions.items()))
    return f"{len(versions)} parts {hashlib.sha256(lines.encode()).hexdigest()}"


def register() -> None:
    """Register this module with the cache for the versions of remote locations."""
    for protocol in _VERSIONED:
        register_version(protocol, version_of)
    register_version(_CHOSEN, _chosen_version_of)
