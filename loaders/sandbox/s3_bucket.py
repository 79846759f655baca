"""A bucket of the local S3 server, filled from frames and files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loaders.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from loaders.contract import DatasetContract
    from loaders.sandbox.s3_server import S3Server


@dataclass(frozen=True)
class S3Bucket:
    """A bucket of the local S3 server."""

    name: str
    server: S3Server

    @cached_property
    def client(self) -> Any:
        """A boto3 client of the server."""
        return self.server.client()

    def location(self, key: str = "") -> str:
        """Return the location of an object, or of the whole bucket."""
        return f"s3://{self.name}/{key}"

    def put(self, key: str, content: pd.DataFrame | Path | bytes, contract: DatasetContract | None = None) -> str:
        """Store a frame, a file or bytes as an object and return its location.

        A frame needs its contract and is checked against it; the ending of the key determines the format.
        """
        self.server.write(self.name, key, _body(key, content, contract))
        return self.location(key)

    def keys(self) -> list[str]:
        """Return the keys of all objects, sorted."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return sorted(item["Key"] for page in pages for item in page.get("Contents", []))


def _body(key: str, content: pd.DataFrame | Path | bytes, contract: DatasetContract | None) -> bytes:
    if isinstance(content, bytes):
        return content
    if isinstance(content, Path):
        return content.read_bytes()
    from loaders.conforming import conform
    from loaders.project.writing import encode_table

    if contract is None:
        raise ConfigError(f"Storing a frame as '{key}' needs its contract: put('{key}', frame, CONTRACT).")
    return encode_table(conform(content, contract, location=f"the frame for '{key}'"), contract, key)
