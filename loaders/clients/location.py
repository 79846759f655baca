"""Locations: the path or URL of a dataset, parsed, and shown without secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import PurePosixPath

from loaders.config.project_root import project_root
from loaders.errors import ConfigError, ReadError
from loaders.redaction import redact

#: The protocols of object stores.
OBJECT_STORES = ("s3", "gs", "az", "abfs", "abfss")
_ALIASES = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "azure": "az", "adl": "az"}
_PROTOCOL = re.compile(r"^([A-Za-z][A-Za-z0-9+.\-]*(?:::[A-Za-z][A-Za-z0-9+.\-]*)*)://")
_QUERY = re.compile(r"\?.*$", re.DOTALL)
_MAGIC = re.compile(r"[*?\[]")
# It may become part of a host's name: no character that would end one.
_BUCKET = re.compile(r"[A-Za-z0-9._\-]+")
# Azure's driver writes the account behind the container.
_AZURE_CONTAINER = re.compile(r"[A-Za-z0-9_\-]+@[A-Za-z0-9_\-]+\.[A-Za-z0-9.\-]+")


@dataclass(frozen=True, repr=False)
class Location:
    """A parsed location: `url` as written, `path` after the protocol; print only `shown`."""

    protocol: str
    path: str
    url: str

    def __repr__(self) -> str:
        return f"Location({self.shown!r})"

    @property
    def shown(self) -> str:
        """The location without user, password and query."""
        if self.protocol == "file" and "://" not in self.url:
            return self.url
        return redact(self.url)

    @property
    def name(self) -> str:
        """The last component of the path, from which the format is determined."""
        path = _QUERY.sub("", self.path) if self.protocol in ("http", "https") else self.path
        return PurePosixPath(path).name

    @property
    def is_glob(self) -> bool:
        """Whether the path is a pattern; a URL's `?` starts its query."""
        return self.protocol not in ("http", "https") and _MAGIC.search(self.path) is not None

    def at(self, path: str) -> Location:
        """Return the location of another path of the same protocol."""
        return Location(self.protocol, path, path if self.protocol == "file" else f"{self.protocol}://{path}")


def parse_location(location: str | os.PathLike[str]) -> Location:
    """Return a parsed location; text without `protocol://` is a local path from the project's root.

    >>> parse_location("s3://acme/spend.csv").protocol
    's3'
    >>> parse_location("data/spend.csv").protocol
    'file'
    """
    if not isinstance(location, str | os.PathLike):
        raise ReadError(f"A location is a path or a URL; found {type(location).__name__}.")
    text = os.fspath(location)
    if not text:
        raise ConfigError("The location is empty; give a path or a URL.")
    found = _PROTOCOL.match(text)
    if found is None:
        return Location("file", str(project_root() / text), text)
    protocol = found[1].lower()
    path = text[found.end() :]
    if protocol not in ("file", "local") and not _is_unicode(text):
        shown = redact(text).encode("ascii", "backslashreplace").decode()
        raise ReadError(f"'{shown}' holds characters that are none (lone surrogates). Correct the location.")
    if protocol in ("file", "local"):
        return Location("file", path, text)
    return Location(_ALIASES.get(protocol, protocol), path, text)


def bucket_and_key(location: Location) -> tuple[str, str]:
    """Return bucket and key of a location in an object store; the key is "" for a whole bucket."""
    bucket, _, key = location.path.partition("/")
    is_azure = location.protocol in ("abfs", "abfss") and _AZURE_CONTAINER.fullmatch(bucket)
    if is_azure:
        return bucket, key
    if "@" in bucket or ":" in bucket:
        # Not shown: who writes this means the first part for a user and password.
        raise ReadError(
            f"'{location.protocol}://***/{key}': the name of a bucket holds no '@' and no ':'. "
            "Keys are not written into a location: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    if not _BUCKET.fullmatch(bucket):
        raise ReadError(f"'{location.shown}' names no bucket; write {location.protocol}://bucket/key.")
    return bucket, key


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def refuse_others(location: Location, allow: Collection[str] | None, source: str) -> None:
    """Raise ConfigError for a protocol that the source does not read."""
    if allow is None or location.protocol in allow:
        return
    reads = " and ".join("local files" if protocol == "file" else f"{protocol}:// locations" for protocol in allow)
    raise ConfigError(
        f"Source '{source}' reads only {reads}; found '{location.shown}'. "
        "Correct the location in the environment's config, or choose the data source that reads it."
    )
