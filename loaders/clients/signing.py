"""AWS Signature Version 4 for requests that only read.

Botocore's own signer costs its import, a sixth of pandas', for these few lines; the tests hold them against the
examples in Amazon's documentation and against botocore.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

_EMPTY_HASH = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class Credentials:
    """A key pair, and the token of temporary ones; never printed."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


def signed_headers(
    method: str,
    url: str,
    headers: Mapping[str, str],
    credentials: Credentials,
    region: str,
    *,
    now: dt.datetime | None = None,
) -> dict[str, str]:
    """Return the headers with those that sign a request without a body.

    The path and query of the URL must be quoted as `quoted_path` and `quoted_query` do.
    """
    moment = now or dt.datetime.now(dt.UTC)
    timestamp = moment.strftime("%Y%m%dT%H%M%SZ")
    parts = urlsplit(url)
    signed = {
        **{name.lower(): value for name, value in headers.items()},
        "host": parts.netloc.rpartition("@")[2],
        "x-amz-content-sha256": _EMPTY_HASH,
        "x-amz-date": timestamp,
    }
    if credentials.token:
        signed["x-amz-security-token"] = credentials.token
    names = ";".join(sorted(signed))
    canonical_headers = "".join(f"{name}:{' '.join(signed[name].split())}\n" for name in sorted(signed))
    query = "&".join(sorted(parts.query.split("&"))) if parts.query else ""
    canonical = "\n".join((method, parts.path or "/", query, canonical_headers, names, _EMPTY_HASH))
    scope = f"{timestamp[:8]}/{region}/s3/aws4_request"
    to_sign = "\n".join(("AWS4-HMAC-SHA256", timestamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{credentials.secret_key}".encode()
    # Not `hmac.digest`: it lets other threads run meanwhile, and to have its turn again takes longer than all of this.
    for piece in scope.split("/"):
        key = hmac.new(key, piece.encode(), "sha256").digest()
    signature = hmac.new(key, to_sign.encode(), "sha256").hexdigest()
    signed["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return signed


def quoted_path(path: str) -> str:
    """Return an object's path as it is sent and signed."""
    return quote(path, safe="/-_.~")


def quoted_query(query: Mapping[str, str]) -> str:
    """Return a query as it is sent and signed: sorted, every reserved character quoted."""
    return "&".join(f"{quote(name, safe='-_.~')}={quote(query[name], safe='-_.~')}" for name in sorted(query))
