"""Storage settings: how an environment reaches S3 and other stores. None of them is a secret.

Credentials come from the AWS chain (environment variables, profile, instance role), never from here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from caching.threads import InheritedVar
from loaders.errors import ConfigError, OptionError

MEBIBYTE = 1 << 20

#: Set inside a sandbox to the endpoint of its S3.
SANDBOX_VARIABLE = "SOURCESWAP_SANDBOX"


_VERIFY = ("auto", "object", "ranges")
_HOST_AND_PORT = "must name a host, and a port within 1 and 65535 if any, such as http://localhost:9000"
_LONGEST_SECONDS = 7 * 86_400
_SECONDS = (int | float, 0, _LONGEST_SECONDS, f"a number of seconds greater than 0 and at most {_LONGEST_SECONDS:,}")
# By setting: its type, the least and the most that make sense, and how an error says so. Sockets take no longer
# timeouts, a range below a few KiB is all overhead, and each connection is a thread.
_BOUNDS: Mapping[str, tuple[Any, int, int, str]] = {
    "connect_timeout_seconds": _SECONDS,
    "stall_timeout_seconds": _SECONDS,
    "deadline_seconds": _SECONDS,
    "minimum_rate_bytes": (int, 1, 1 << 40, "a whole number of bytes greater than 0"),
    "attempts": (int, 1, 100, "a whole number within 1 and 100"),
    "range_bytes": (int, 4 << 10, 1 << 40, "a whole number of bytes, at least 4096 (4 KiB)"),
    "connections": (int, 1, 256, "a whole number within 1 and 256"),
}


@dataclass(frozen=True, kw_only=True)
class StorageSettings:
    """Endpoint, account, retries and timeouts of an environment's object store; times in seconds.

    What is None is left to the AWS chain: `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_PROFILE`. Raises ConfigError for a
    value that no store can have.

    Args:
        endpoint_url: of an S3 that is not Amazon's: http:// or https://, a host, a port and a path if need be.
        region: of the buckets.
        profile: in the AWS configuration files.
        anonymous: send requests unsigned, for public buckets.
        connect_timeout_seconds: until a connection stands.
        stall_timeout_seconds: until the first byte of an answer, and between any two bytes.
        minimum_rate_bytes: a connection that brings fewer bytes a second, over one stall timeout, is given up.
        deadline_seconds: for one object, every try included; None is five minutes plus a second for each MiB.
        attempts: tries for each request, at most 100; they wait longer from one to the next.
        verify: what is fetched so that it can be checked. "object" fetches whole objects and checks them against
            their stored checksum; "ranges" fetches only what is needed of a Parquet file, which length, ETag and the
            file's own page checksums guard; "auto" is "object" over plain HTTP, where nothing else guards the wire,
            else "ranges".
        etag_is_md5: whether a plain ETag is taken as the object's MD5, where no other checksum is stored. Turn it off
            for a store whose ETags only look like one.
        range_bytes: size of the ranges in which large objects are fetched, at least 4 KiB.
        connections: requests at a time, to one store; at most 256.
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

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            problem = _problem(name, value)
            if problem:
                raise _refused(name, value, problem)

    def deadline_for(self, size_bytes: int) -> float:
        """Return the seconds allowed for reading an object of this size."""
        if self.deadline_seconds is not None:
            return self.deadline_seconds
        return 300.0 + size_bytes / MEBIBYTE


def _problem(name: str, value: Any) -> str | None:
    """Return what a setting must be, if it is not."""
    if value is None and name in ("endpoint_url", "region", "profile", "deadline_seconds"):
        return None
    if name in _BOUNDS:
        kind, lowest, highest, said = _BOUNDS[name]
        # A boolean is an int to Python, NaN is neither below nor above.
        fits = isinstance(value, kind) and not isinstance(value, bool) and lowest <= value <= highest and value > 0
        return None if fits else f"must be {said}"
    match name:
        case "endpoint_url":
            return endpoint_problem(value)
        case "region":
            return region_problem(value)
        case "profile":
            return None if isinstance(value, str) else "must be the name of a profile"
        case "verify":
            return None if value in _VERIFY else f"must be one of {', '.join(_VERIFY)}"
    return None if isinstance(value, bool) else "must be true or false"


def refuse_booleans(section: Mapping[str, Any]) -> None:
    """Raise OptionError for a boolean in place of a number."""
    for name, value in section.items():
        if isinstance(value, bool) and name in _BOUNDS:
            raise _refused(name, value, f"must be {_BOUNDS[name][3]}")


def _refused(name: str, value: Any, problem: str) -> OptionError:
    shown = shown_endpoint(value) if name == "endpoint_url" else repr(value)
    return OptionError("Storage setting", name, problem, shown)


def region_problem(region: Any) -> str | None:
    """Return what a region must be, if it is not; it becomes part of a host name."""
    fits = isinstance(region, str) and re.fullmatch(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*", region)
    return None if fits else "must be a word of letters, digits and hyphens, such as eu-west-1"


def endpoint_problem(url: Any) -> str | None:
    """Return what an endpoint must be, if it is not.

    >>> endpoint_problem("localhost:9000")
    'must begin with http:// or https://'
    """
    if not isinstance(url, str) or not re.match(r"https?://", url, re.IGNORECASE):
        return "must begin with http:// or https://"
    # urlsplit() drops some of them silently.
    if re.search(r"[\s\\\x00-\x1f\x7f]", url):
        return "must hold no spaces, backslashes or control characters"
    if re.search(r"[@?#]", url):
        return "must hold no user or password, no query and no fragment; credentials come from the AWS chain"
    try:
        split = urlsplit(url)
        host, port = split.hostname, split.port
    except ValueError:
        return _HOST_AND_PORT
    # A colon is of an IPv6 address, whose brackets urlsplit() has checked.
    if not host or (not re.fullmatch(r"[\w.-]+", host) and ":" not in host) or port == 0:
        return _HOST_AND_PORT
    return None


def shown_endpoint(url: Any) -> str:
    """Return a refused endpoint without password and signature, for an error.

    >>> shown_endpoint("http://me:secret@host:9000")
    "'http://***@host:9000'"
    """
    if not isinstance(url, str):
        return type(url).__name__
    scheme, rest = re.fullmatch(r"(?i:(https?://)?)(.*)", url, re.DOTALL).groups()  # type: ignore[union-attr]  # matches any text
    plain, mark, _ = re.split(r"([?#])", rest, maxsplit=1) if re.search(r"[?#]", rest) else (rest, "", "")
    if "@" in rest:
        # With a mark before the host, a part may belong to either.
        plain = "***" if mark else f"***@{rest.rpartition('@')[2]}"
    elif mark:
        plain += f"{mark}***"
    return repr(f"{scheme or ''}{plain}")


_active: InheritedVar[StorageSettings | None] = InheritedVar("sourceswap_storage", default=None)
_profile_place: InheritedVar[str] = InheritedVar("sourceswap_storage_profile", default="")


def active_storage() -> StorageSettings:
    """Return the storage settings of the running environment, or the defaults."""
    return _active.get() or StorageSettings()


def profile_place() -> str:
    """Return the origin of the profile, for an error about it."""
    return _profile_place.get()


@contextmanager
def use_storage(settings: StorageSettings, profile_place: str = "") -> Iterator[None]:
    """Use these storage settings for reads inside the block."""
    token, place_token = _active.set(settings), _profile_place.set(profile_place)
    try:
        yield
    finally:
        _profile_place.reset(place_token)
        _active.reset(token)


def in_sandbox(settings: StorageSettings) -> StorageSettings:
    """Return the settings; inside a sandbox, with its S3 in place of every endpoint and account.

    Raises ConfigError where the variable names an endpoint that is not on this machine: a sandbox never touches a
    real bucket.
    """
    endpoint = os.environ.get(SANDBOX_VARIABLE)
    if not endpoint:
        return settings
    if urlsplit(endpoint).hostname not in ("127.0.0.1", "localhost", "::1"):
        raise ConfigError(
            f"{SANDBOX_VARIABLE} is {shown_endpoint(endpoint)}, which is not on this machine. "
            "`sourceswap sandbox` sets it; unset it."
        )
    return replace(settings, endpoint_url=endpoint, region=None, profile=None, anonymous=False)
