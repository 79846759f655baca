"""Choose the client of a location."""

from __future__ import annotations

import os
from functools import lru_cache

from loaders.clients.location import OBJECT_STORES, Location, bucket_and_key
from loaders.clients.source import Client
from loaders.config.storage import StorageSettings, active_storage


def client_for(location: Location) -> Client:
    """Return the client of a location's protocol, with the active storage settings.

    Each client is imported when it is first needed: a local run needs none of the libraries for remote stores.
    """
    if location.protocol == "file":
        from loaders.clients.local import LocalFiles

        return LocalFiles()
    if location.protocol in ("http", "https"):
        from loaders.clients.http import WebServers

        return WebServers()
    bucket, key = bucket_and_key(location) if location.protocol in OBJECT_STORES else ("", "")
    settings = active_storage()
    if bucket and settings.client != "fsspec":
        from loaders.clients.bucket import can_name

        if can_name(key):
            return _object_store(location.protocol, bucket, settings, _environment())
    from loaders.clients.fsspec import FsspecFiles

    return FsspecFiles()


@lru_cache(maxsize=64)
def _object_store(protocol: str, bucket: str, settings: StorageSettings, _state: tuple[str | None, ...]) -> Client:
    """Return the client of a bucket; one serves all reads under the same conditions, and keeps its connections."""
    from loaders.clients.object_store import ObjectStore

    if protocol == "s3":
        from loaders.clients.s3 import S3

        return ObjectStore(S3(bucket, settings))
    from loaders.clients.bucket import Bucket

    return ObjectStore(Bucket(protocol, bucket, settings))


def _environment() -> tuple[str | None, ...]:
    """Return what the chains of credentials read from the environment, and the process: a change needs a new client."""
    chains = ("AWS_", "GOOGLE_", "AZURE_")
    names = sorted(name for name in os.environ if name.startswith(chains) or name.lower().endswith("_proxy"))
    values = [f"{name}={hash(os.environ[name])}" for name in names]
    return (str(os.getpid()), os.environ.get("HOME"), *values)
