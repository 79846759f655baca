"""The versions of remote locations, from a registered function of the protocol or from fsspec."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from caching.keys.values import digest
from caching.locations import BY_FSSPEC, MAGIC, protocol_of
from caching.tracking.active_recorder import recording

_versions: dict[str, Callable[[str], str | None]] = {}


def register_version(protocol: str, version_of: Callable[[str], str | None]) -> None:
    """Register the function that returns the present version of a protocol's locations (`"s3"`: for `s3://…`).

    It returns None where there is none, and raises what a reader would raise.
    """
    _versions[protocol] = version_of


def remote_version(location: str) -> str | None:
    """Return the version of a remote location, by the registered function of its protocol, else by fsspec."""
    protocol = protocol_of(location) or ""
    version_of = _versions.get(protocol) or _versions.get(protocol.partition("+")[0])
    location = location.removeprefix(BY_FSSPEC)
    with recording(None):
        return version_of(location) if version_of is not None else _version_by_fsspec(location)


def _version_by_fsspec(location: str) -> str | None:
    import fsspec

    fs, path = fsspec.core.url_to_fs(location)
    fs.invalidate_cache()
    if MAGIC.search(path):
        found = fs.glob(path, detail=True)
    elif fs.isdir(path):
        found = fs.find(path, detail=True)
    else:
        found = {path: fs.info(path)}
    facts = {name: _identity(info) for name, info in sorted(found.items())}
    endpoint = str(getattr(fs, "endpoint_url", None) or os.environ.get("AWS_ENDPOINT_URL", ""))
    return digest(f"{endpoint}\n{facts!r}".encode("utf-8", "surrogatepass")) if all(facts.values()) else None


def _identity(info: Mapping[str, Any]) -> list[str]:
    names = (
        "ETag",
        "etag",
        "VersionId",
        "version_id",
        "LastModified",
        "Last-Modified",
        "last_modified",
        "mtime",
    )
    known = [f"{name}={info[name]}" for name in (*names, "created", "md5", "generation") if info.get(name)]
    return [f"size={info.get('size')}", *known] if known else []
