"""Storage settings: endpoint, account, retries and timeouts of an environment's object store.

The settings hold no secrets: credentials come from the AWS chain (environment variables, profile, instance role).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from caching.threads import InheritedVar
from loaders.errors import ConfigError, OptionError

MEBIBYTE = 1 << 20

#: The environment variable that holds the endpoint of a sandbox's S3 server.
SANDBOX_VARIABLE = "SOURCESWAP_SANDBOX"


_CHOICES = {"verify": ("auto", "object", "ranges"), "client": ("obstore", "fsspec")}
_SECRET_OPTION = re.compile(r"key|secret|token|password|sas|signature", re.IGNORECASE)
_HOST_AND_PORT = "must name a host, and a port within 1 and 65535 if any, such as http://localhost:9000"
_LONGEST_SECONDS = 7 * 86_400
_SECONDS = (int | float, 0, _LONGEST_SECONDS, f"a number of seconds greater than 0 and at most {_LONGEST_SECONDS:,}")
# By setting: type, minimum, maximum, and their description in errors. Sockets accept no longer timeouts, ranges below
# a few KiB are mostly overhead, and each connection is a thread.
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

    For a value of None the AWS chain applies: `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_PROFILE`. Raises ConfigError for
    an impossible value.

    Args:
        endpoint_url: endpoint of an S3 other than Amazon's: http:// or https://, a host, and optionally port and path.
        region: region of the buckets.
        profile: profile in the AWS configuration files.
        anonymous: send requests unsigned, for public buckets.
        connect_timeout_seconds: limit for establishing a connection.
        stall_timeout_seconds: limit for the first byte of an answer and between any two bytes.
        minimum_rate_bytes: a connection slower than this many bytes per second over one stall timeout is closed.
        deadline_seconds: limit for one object including all attempts; None is five minutes plus a second for each MiB.
        attempts: attempts for each request, at most 100; the wait between them grows.
        verify: how reads are verified. "object" fetches whole objects and checks their stored checksum. "ranges"
            fetches only the needed parts of a Parquet file and checks length, ETag and the file's page checksums.
            "auto" is "object" over plain HTTP, which has no integrity protection, else "ranges".
        etag_is_md5: treat a plain ETag as the object's MD5 if no other checksum is stored. Turn it off for a store
            whose ETags only look like an MD5.
        range_bytes: size of the ranges in which large objects are fetched, at least 4 KiB.
        connections: concurrent requests to one store, at most 256.
        client: "obstore", or "fsspec" to read object stores through s3fs, gcsfs or adlfs, which verify less.
        requester_pays: pay for requests to buckets whose owner does not.
        virtual_hosted: address the bucket in the host name instead of the path.
        version: version id (S3) or generation (Google Cloud Storage) of the object; for an environment that reads one
            object. `read_table(version=…)` chooses it for one dataset.
        options: further options of obstore's store, by name; not for secrets, which come from the environment.
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
    client: Literal["obstore", "fsspec"] = "obstore"
    requester_pays: bool = False
    virtual_hosted: bool = False
    version: str | None = None
    options: Mapping[str, str] = field(default_factory=dict, hash=False)

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
    """Return the condition that a setting violates, or None."""
    if value is None and name in ("endpoint_url", "region", "profile", "deadline_seconds", "version"):
        return None
    if name in _BOUNDS:
        kind, lowest, highest, expected = _BOUNDS[name]
        # A boolean is an int in Python, and NaN is neither below nor above a bound.
        fits = isinstance(value, kind) and not isinstance(value, bool) and lowest <= value <= highest and value > 0
        return None if fits else f"must be {expected}"
    match name:
        case "endpoint_url":
            return endpoint_problem(value)
        case "region":
            return region_problem(value)
        case "profile":
            return None if isinstance(value, str) else "must be the name of a profile"
        case "verify" | "client":
            choices = _CHOICES[name]
            return None if value in choices else f"must be one of {', '.join(choices)}"
        case "version":
            return None if isinstance(value, str) and value else "must be the id of a version"
        case "options":
            return _options_problem(value)
    return None if isinstance(value, bool) else "must be true or false"


def _options_problem(options: Any) -> str | None:
    if not isinstance(options, Mapping) or not all(
        isinstance(name, str) and isinstance(value, str | bool | int) for name, value in options.items()
    ):
        return "must map names of obstore's options to text, numbers or booleans"
    secret = next((name for name in options if _SECRET_OPTION.search(name) and name != "skip_signature"), None)
    return f"must not hold {secret!r}: credentials come from the environment's variables" if secret else None


def refuse_booleans(section: Mapping[str, Any]) -> None:
    """Raise OptionError for a boolean in place of a number."""
    for name, value in section.items():
        if isinstance(value, bool) and name in _BOUNDS:
            raise _refused(name, value, f"must be {_BOUNDS[name][3]}")


def _refused(name: str, value: Any, problem: str) -> OptionError:
    shown = shown_endpoint(value) if name == "endpoint_url" else repr(value)
    if name == "options":
        shown = repr(sorted(map(str, value))) if isinstance(value, Mapping) else type(value).__name__
    return OptionError("Storage setting", name, problem, shown)


def region_problem(region: Any) -> str | None:
    """Return the condition that a region violates, or None; a region becomes part of a host name."""
    fits = isinstance(region, str) and re.fullmatch(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*", region)
    return None if fits else "must be a word of letters, digits and hyphens, such as eu-west-1"


def endpoint_problem(url: Any) -> str | None:
    """Return the condition that an endpoint violates, or None.

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
    # A colon belongs to an IPv6 address; urlsplit() has checked its brackets.
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
        # A mark before the host makes it unclear which parts belong to a password.
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
    """Return the settings; inside a sandbox, its S3 server replaces endpoint and account.

    Raises ConfigError if the variable names an endpoint on another machine: a sandbox never uses a real bucket.
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
