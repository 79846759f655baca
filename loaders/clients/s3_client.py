"""The S3 requests that reading needs: HEAD, GET and LIST."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_plus

from loaders.clients.account import Account, resolve_account
from loaders.clients.http_answer import Answer
from loaders.clients.http_transport import HttpTransport
from loaders.clients.retry import Deadline, TryAgainError
from loaders.clients.signing import quoted_path, quoted_query, signed_headers
from loaders.config.storage import StorageSettings, active_storage, region_problem
from loaders.errors import ReadError
from loaders.redaction import first_line, redact

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_RETRIED_STATUSES = {408, 425, 429, 500, 502, 503, 504, 509}
_RETRIED_CODES = {"RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable"}
# A list ends, or is an error. Where many objects were deleted, stores bring empty pages; so many in a row, none does.
_MOST_EMPTY_PAGES = 100
_MOST_PAGES = 10_000
_SIZE = re.compile(r"[0-9]{1,19}")
_CODE = re.compile(r"[A-Za-z0-9._\-]{1,80}")
_REGION_CODES = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}


@dataclass(frozen=True)
class Listed:
    """An object as a list of its bucket names it."""

    key: str
    size_bytes: int
    etag: str


class StoreRefusedError(Exception):
    """The store answered, and trying again would not change what it said.

    `deadline` is that of the request, for those that are made to find out more.
    """

    def __init__(self, status: int, code: str, message: str, *, method: str, deadline: Deadline) -> None:
        said = f"{status} {code}".strip()
        super().__init__(f"{said}: {message}" if message else said)
        self.status = status
        self.code = code
        self.method = method
        self.deadline = deadline


class OtherRegionError(TryAgainError):
    """The bucket is in another region than the one that was signed for; the next request is signed for that one."""


class PartialListError(ReadError):
    """Objects are there, and whether there are more cannot be told."""


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
        """The endpoint of requests, for errors and as part of versions."""
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
        deadline: Deadline,
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
        with self.transport.request(method, url, plain, deadline) as answer:
            if answer.status in (200, 206):
                yield answer
                return
            body = b"" if method == "HEAD" else answer.read_all(deadline)
        code, message, named = _error_in(body)
        region = answer.headers.get("x-amz-bucket-region") or named
        elsewhere = region_problem(region) is None and region != sent_region
        if elsewhere and (answer.status in (301, 307, 400) or code in _REGION_CODES):
            self._regions[bucket] = region
            raise OtherRegionError(f"the bucket is in {region}, not {sent_region}")
        if answer.status in _RETRIED_STATUSES or code in _RETRIED_CODES:
            raise TryAgainError(f"the store answered {answer.status} {code}".strip())
        raise StoreRefusedError(answer.status, code, message, method=method, deadline=deadline)

    def list(self, bucket: str, prefix: str, deadline: Deadline, *, limit: int | None = None) -> Iterator[Listed]:
        """Yield the objects whose keys begin with the prefix, each once, in the store's order; one page under a limit.

        Raises:
            ReadError: the store does not answer, or its list cannot be told to be whole.
            StoreRefusedError: it does not list.
        """
        asked: set[str | None] = {None}
        seen: set[str] = set()
        empty = 0
        token: str | None = None
        while True:
            # Keys may hold what XML cannot say, or alters: control characters and carriage returns.
            query = {"list-type": "2", "prefix": prefix, "encoding-type": "url"}
            if token:
                query["continuation-token"] = token
            if limit:
                query["max-keys"] = str(limit)
            page = deadline.retry("listing", lambda query=query: self._page(bucket, query, deadline))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            fresh = [found for found in _listed(page, prefix, deadline) if found.key not in seen]
            seen.update(found.key for found in fresh)
            yield from fresh
            token = page.findtext("NextContinuationToken")
            truncated = (page.findtext("IsTruncated") or "").strip().lower()
            if limit or (not token and truncated not in ("true", "1")):
                return
            # A store that says that this was all and gives a token is asked for more, and may be done any time.
            done = truncated in ("false", "0")
            empty = 0 if fresh else empty + 1
            if done and (token in asked or not fresh):
                return
            kind = PartialListError if seen else ReadError
            if not token:
                why = "it says that there is more, and gives no NextContinuationToken to ask for it"
                raise _unsure(deadline, why, kind)
            if token in asked:
                raise _unsure(deadline, "it leads back to a page that came before, without an end", kind)
            if empty > _MOST_EMPTY_PAGES:
                why = f"{empty} pages in a row brought nothing new, and each says that there is more"
                raise _unsure(deadline, why, kind)
            if len(asked) >= _MOST_PAGES:
                raise _unsure(deadline, f"it goes on after {_MOST_PAGES:,} pages with {len(seen):,} objects", kind)
            asked.add(token)

    def _page(self, bucket: str, query: Mapping[str, str], deadline: Deadline) -> Element:
        with self.request("GET", bucket, "", deadline, query=query) as answer:
            length = answer.length
            body = answer.read_all(deadline, limit=8 << 20)
        if length is not None and len(body) != length:
            raise TryAgainError(f"the list broke off after {len(body):,} of {length:,} bytes")
        page = _xml(body)
        if page is None:
            raise TryAgainError("the list is no XML")
        if page.tag != "ListBucketResult":
            raise TryAgainError(f"the list is no list of objects but {page.tag[:80]!r}")
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
    return S3Client(resolve_account(settings), settings)


def _chain_state() -> tuple[str | None, ...]:
    """Return what the AWS chain reads of the environment, and the process: a change of either asks for a new client."""
    import os

    names = sorted(name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy"))
    values = [f"{name}={hash(os.environ[name])}" for name in names]
    return (str(os.getpid()), os.environ.get("HOME"), *values)


def _listed(page: Element, prefix: str, deadline: Deadline) -> Iterator[Listed]:
    encoded = (page.findtext("EncodingType") or "").strip().lower() == "url"
    for found in page.iter("Contents"):
        key = found.findtext("Key") or ""
        size = (found.findtext("Size") or "0").strip()
        try:
            key = unquote_plus(key, errors="strict") if encoded else key
        except UnicodeDecodeError:
            raise _unsure(deadline, f"it holds a key that is no UTF-8: {key[:200]!r}") from None
        if not key.startswith(prefix) or not key:
            raise _unsure(deadline, f"it holds {key[:200]!r}, which does not begin with {prefix!r} as asked for")
        if not _SIZE.fullmatch(size):
            raise _unsure(deadline, f"it gives {size[:40]!r} for the size of {key[:200]!r}")
        yield Listed(key, int(size), (found.findtext("ETag") or "").strip('" \t\r\n'))


def _unsure(deadline: Deadline, why: str, kind: type[ReadError] = ReadError) -> ReadError:
    """Return the error for a list that may lack parts or hold others; a part less would be a wrong frame."""
    return kind(
        f"'{deadline.location}': the store's list of objects cannot be relied on: {why}. Nothing of it was used. "
        "Check storage.endpoint_url, and that the store speaks S3's ListObjectsV2; or name the file itself."
    )


def _error_in(body: bytes) -> tuple[str, str, str]:
    """Return code, message and region of an S3 error, as much as may be shown of them; "" for what it does not say."""
    root = _xml(body)
    if root is None:
        return "", "", ""
    code = (root.findtext(".//Code") or "").strip()
    message = first_line(root.findtext(".//Message") or "")
    return code if _CODE.fullmatch(code) else "", message, (root.findtext(".//Region") or "").strip()


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
