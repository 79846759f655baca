"""How S3 and other stores are reached: the settings of the environment that runs. None of them is a secret.

Credentials come from the AWS chain (environment variables, profile, instance role), never from here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from loaders.errors import ConfigError

MEBIBYTE = 1 << 20

#: Set inside a sandbox to the endpoint of its S3.
SANDBOX_VARIABLE = "SOURCESWAP_SANDBOX"


@dataclass(frozen=True, kw_only=True)
class StorageSettings:
    """Endpoint, account and patience of an environment's object store; times in seconds.

    What is None is left to the AWS chain: `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_PROFILE`.

    Args:
        endpoint_url: of an S3 that is not Amazon's.
        region: of the buckets.
        profile: in the AWS configuration files.
        anonymous: send requests unsigned, for public buckets.
        connect_timeout_seconds: until a connection stands.
        stall_timeout_seconds: until the first byte of an answer, and between any two bytes.
        minimum_rate_bytes: a connection that brings fewer bytes a second, over one stall timeout, is given up.
        deadline_seconds: for one object, every try included; None is five minutes plus a second for each MiB.
        attempts: tries for each request; they wait longer from one to the next.
        verify: what is fetched so that it can be checked. "object" fetches whole objects and checks them against
            their stored checksum; "ranges" fetches only what is needed of a Parquet file, which length, ETag and the
            file's own page checksums guard; "auto" is "object" over plain HTTP, where nothing else guards the wire,
            else "ranges".
        etag_is_md5: whether a plain ETag is taken as the object's MD5, where no other checksum is stored. Turn it off
            for a store whose ETags only look like one.
        range_bytes: size of the ranges in which large objects are fetched.
        connections: requests at a time, to one store.
    """

    # Configuration files are validated against this class; an unknown key is an error there.
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    anonymous: bool = False
    connect_timeout_seconds: float = 5.0
    stall_timeout_seconds: float = 10.0
    minimum_rate_bytes: int = 16 << 10
    deadline_seconds: float | None = None
    attempts: int = 5
    verify: Literal["auto", "object", "ranges"] = "auto"
    etag_is_md5: bool = True
    range_bytes: int = 16 * MEBIBYTE
    connections: int = 16

    def deadline_for(self, size_bytes: int) -> float:
        """Return the seconds that reading an object of this size may take."""
        if self.deadline_seconds is not None:
            return self.deadline_seconds
        return 300.0 + size_bytes / MEBIBYTE


_active: ContextVar[StorageSettings | None] = ContextVar("sourceswap_storage", default=None)


def active_storage() -> StorageSettings:
    """Return the settings of the environment that runs, the defaults outside of one."""
    return _active.get() or StorageSettings()


@contextmanager
def use_storage(settings: StorageSettings) -> Iterator[None]:
    """Make the settings the active ones for reads in this context."""
    token = _active.set(settings)
    try:
        yield
    finally:
        _active.reset(token)


def in_sandbox(settings: StorageSettings) -> StorageSettings:
    """Return the settings as they hold here: inside a sandbox its S3 takes the place of every store and account.

    Raises ConfigError where the variable names an endpoint that is not on this machine: a sandbox never touches a
    real bucket.
    """
    endpoint = os.environ.get(SANDBOX_VARIABLE)
    if not endpoint:
        return settings
    if urlsplit(endpoint).hostname not in ("127.0.0.1", "localhost", "::1"):
        raise ConfigError(
            f"{SANDBOX_VARIABLE} is '{endpoint}', which is not on this machine. `sourceswap sandbox` sets it; unset it."
        )
    return replace(settings, endpoint_url=endpoint, region=None, profile=None, anonymous=False)
