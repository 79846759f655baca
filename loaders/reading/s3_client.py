"""The three requests that reading S3 takes: HEAD, GET and the list of a prefix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from loaders.errors import ConfigError
from loaders.reading.account import Account, resolve_account
from loaders.reading.http_transport import Answer, HttpTransport
from loaders.reading.patience import Patience, TryAgainError
from loaders.reading.signing import quoted_path, quoted_query, signed_headers
from loaders.redaction import redact
from loaders.storage import StorageSettings, active_storage, endpoint_problem, region_problem, shown_endpoint

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_RETRIED_STATUSES = {408, 425, 429, 500, 502, 503, 504, 509}
_RETRIED_CODES = {"RequestTimeout", "SlowDown", "InternalError", "RequestTimeTooSkewed", "ServiceUnavailable"}
_REGION_CODES = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}


@dataclass(frozen=True)
class Listed:
    """An object as a list of its bucket names it."""

    key: str
    size_bytes: int
    etag: str


class StoreRefusedError(Exception):
    """The store answered, and trying again would not change what it said."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}" if message else f"{status} {code}")
        self.status = status
        self.code = code


class S3Client:
    """Requests to one account's S3, signed, on connections that are kept; safe to use from many threads."""

    def __init__(self, account: Account, settings: StorageSettings) -> None:
        self.account = account
        self.settings = settings
        self.transport = HttpTransport(
            connect_timeout_seconds=settings.connect_timeout_seconds, ca_bundle=account.ca_bundle
        )
        self.executor = ThreadPoolExecutor(settings.connections, thread_name_prefix="sourceswap-s3")
        self._regions: dict[str, str] = {}

    @property
    def endpoint(self) -> str:
        """Where requests go, for an error, and to tell one store's versions from another's."""
        return redact(self.account.endpoint_url or f"s3.{self.account.region}.amazonaws.com")

    def version(self, etag: str, size_bytes: int) -> str:
        """Return what tells one version of an object from another, and one store's from another's."""
        plain = etag.strip('"')
        return f"{self.endpoint} {plain} {size_bytes}"

    @property
    def reads_whole(self) -> bool:
        """Whether only whole objects are fetched: as the settings say, else where nothing guards the wire."""
        plain = (self.account.endpoint_url or "https:").lower().startswith("http:")
        return self.settings.verify == "object" or (self.settings.verify == "auto" and plain)

    @contextmanager
    def request(
        self,
        method: str,
        bucket: str,
        key: str,
        patience: Patience,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Iterator[Answer]:
        """Send a signed request and give its answer, which is one of success.

        Raises:
            TryAgainError: no answer, or one that asks to come back.
            StoreRefusedError: any other answer.
        """
        sent_region = self._region(bucket)
        url = self._url(bucket, key, query or {})
        credentials = self.account.credentials()
        plain = {"Accept-Encoding": "identity", "User-Agent": "sourceswap", **(headers or {})}
        if credentials is not None:
            plain = signed_headers(method, url, plain, credentials, sent_region)
        with self.transport.request(method, url, plain, patience) as answer:
            if answer.status in (200, 206):
                yield answer
                return
            body = b"" if method == "HEAD" else answer.read_all(patience)
        code, message = _error_in(body)
        region = answer.headers.get("x-amz-bucket-region")
        if region and region != sent_region and (answer.status in (301, 307, 400) or code in _REGION_CODES):
            self._regions[bucket] = region
            raise TryAgainError(f"the bucket is in {region}, not {sent_region}")
        if answer.status in _RETRIED_STATUSES or code in _RETRIED_CODES:
            raise TryAgainError(f"the store answered {answer.status} {code}".strip())
        raise StoreRefusedError(answer.status, code, message)

    def list(self, bucket: str, prefix: str, patience: Patience, *, limit: int | None = None) -> Iterator[Listed]:
        """Yield the objects whose keys begin with the prefix, in the order of their keys."""
        token: str | None = None
        while True:
            query = {"list-type": "2", "prefix": prefix}
            if token:
                query["continuation-token"] = token
            if limit:
                query["max-keys"] = str(limit)
            page = patience.insist("listing", lambda query=query: self._page(bucket, query, patience))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            for found in page.iter("Contents"):
                etag = (found.findtext("ETag") or "").strip('"')
                yield Listed(found.findtext("Key") or "", int(found.findtext("Size") or 0), etag)
            token = page.findtext("NextContinuationToken")
            if limit or not token or page.findtext("IsTruncated") != "true":
                return

    def _page(self, bucket: str, query: Mapping[str, str], patience: Patience) -> Element:
        with self.request("GET", bucket, "", patience, query=query) as answer:
            length = answer.length
            body = answer.read_all(patience, limit=8 << 20)
        if length is not None and len(body) != length:
            raise TryAgainError(f"the list broke off after {len(body):,} of {length:,} bytes")
        page = _xml(body)
        if page is None:
            raise TryAgainError("the list is no XML")
        if page.tag != "ListBucketResult":
            raise TryAgainError(f"the list is no list of objects but {page.tag!r}")
        return page

    def _region(self, bucket: str) -> str:
        return self._regions.get(bucket, self.account.region)

    def _url(self, bucket: str, key: str, query: Mapping[str, str]) -> str:
        path = quoted_path(key)
        endpoint = self.account.endpoint_url
        if endpoint is not None:
            base = f"{endpoint.rstrip('/')}/{quote(bucket)}"
        else:
            region = self._region(bucket)
            domain = f"s3.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")
            # A dot in a bucket's name would not match the certificate of *.s3.amazonaws.com.
            base = f"https://{domain}/{bucket}" if "." in bucket else f"https://{bucket}.{domain}"
        return f"{base}/{path}" + (f"?{quoted_query(query)}" if query else "")


def client_for(settings: StorageSettings | None = None) -> S3Client:
    """Return the client of the settings, the active ones if None; one serves all reads under the same conditions."""
    chosen = settings or active_storage()
    return _client(chosen, _chain_state())


@lru_cache(maxsize=16)
def _client(settings: StorageSettings, _state: tuple[str | None, ...]) -> S3Client:
    account = resolve_account(settings)
    # The settings are checked already; what the AWS chain says is not.
    for name, source, value, problem, shown in (
        ("endpoint", "AWS_ENDPOINT_URL", account.endpoint_url, endpoint_problem, shown_endpoint),
        ("region", "AWS_REGION", account.region, region_problem, repr),
    ):
        found = problem(value) if value is not None else None
        if found:
            raise ConfigError(
                f"The S3 {name} {found}; found {shown(value)}. Correct {source}, or what the AWS profile says."
            )
    return S3Client(account, settings)


def _chain_state() -> tuple[str | None, ...]:
    """Return what the AWS chain reads of the environment, and the process: a change of either asks for a new client."""
    import os

    names = sorted(name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy"))
    values = [f"{name}={hash(os.environ[name])}" for name in names]
    return (str(os.getpid()), os.environ.get("HOME"), *values)


def _error_in(body: bytes) -> tuple[str, str]:
    """Return the code and message of an S3 error; other bodies have neither."""
    root = _xml(body)
    return ("", "") if root is None else (root.findtext(".//Code") or "", root.findtext(".//Message") or "")


def _xml(body: bytes) -> Element | None:
    """Return the root of what a store answers, its names without their namespace; None where that is no XML."""
    # Imported here: few reads list anything or meet an error.
    from xml.etree import ElementTree

    try:
        root = ElementTree.fromstring(body)  # noqa: S314 — the store's own answer, bounded in size
    except ElementTree.ParseError:
        return None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root
