"""Request the stored checksum of an S3 object, which obstore does not show.

Amazon's awscrt signs the request, and Python's urllib sends it: importing boto3 takes half as long as importing pandas.
"""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from awscrt import auth, http

from loaders.clients.account import Account
from loaders.clients.retry import TryAgainError
from loaders.clients.store_errors import refusal_or_retry
from loaders.redaction import first_line

_UNESCAPED = "/~-._"
_SIGNING_SECONDS = 10


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the signature is for one host."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Return no request."""


def signed_head(
    account: Account, bucket: str, key: str, headers: Mapping[str, str], query: Mapping[str, str], timeout: float
) -> dict[str, str]:
    """Return the headers of an object, by their names in lower case.

    Raises:
        TryAgainError: no answer came, or one that asks for another attempt.
        StoreRefusedError: the store refused.
    """
    host = urlsplit(account.endpoint_url).netloc
    path = f"/{quote(bucket)}/{quote(key, safe=_UNESCAPED)}" + (f"?{urlencode(query)}" if query else "")
    sent = {"Host": host, "x-amz-checksum-mode": "ENABLED", **headers}
    request = http.HttpRequest("HEAD", path, http.HttpHeaders([*sent.items()]))
    keys = account.provider() if account.provider else account.credentials
    if keys:
        config = auth.AwsSigningConfig(
            algorithm=auth.AwsSigningAlgorithm.V4,
            signature_type=auth.AwsSignatureType.HTTP_REQUEST_HEADERS,
            credentials_provider=auth.AwsCredentialsProvider.new_static(
                keys["access_key_id"], keys["secret_access_key"], keys.get("session_token") or keys.get("token")
            ),
            region=account.region,
            service="s3",
            use_double_uri_encode=False,
            should_normalize_uri_path=False,
            signed_body_value=auth.AwsSignedBodyValue.EMPTY_SHA256,
            signed_body_header_type=auth.AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256,
        )
        auth.aws_sign_request(request, config).result(_SIGNING_SECONDS)
    opener = _opener(account.endpoint_url[:6] == "https:", account.ca_bundle)
    url = account.endpoint_url + request.path
    try:
        made = urllib.request.Request(url, method="HEAD", headers=dict(request.headers))  # noqa: S310 — an S3 endpoint
        with opener.open(made, timeout=timeout) as answer:
            return {name.lower(): value for name, value in answer.headers.items()}
    except urllib.error.HTTPError as error:
        region = error.headers.get("x-amz-bucket-region", "")
        raise refusal_or_retry(error.code, "", "", region) from None
    except (OSError, ValueError) as error:
        raise TryAgainError(f"no answer about the checksum: {first_line(str(error))}") from None


@lru_cache(maxsize=8)
def _opener(encrypted: bool, ca_bundle: str | None) -> urllib.request.OpenerDirector:
    """Return what sends requests; it is kept, because to read the certificates takes longer than a request."""
    context = ssl.create_default_context(cafile=ca_bundle) if encrypted else None
    return urllib.request.build_opener(_NoRedirects, urllib.request.HTTPSHandler(context=context))
