"""Requests to an S3 bucket: obstore carries the bytes, and boto3 knows the account and the lists."""

from __future__ import annotations

import asyncio
import difflib
import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import obstore
import obstore.store

from loaders.clients.account import Account, resolve_account
from loaders.clients.bucket import Bucket, Pin, without_markers
from loaders.clients.checksums import Checksum, expected, md5_of_etag
from loaders.clients.location import Location
from loaders.clients.retry import Deadline, TryAgainError
from loaders.clients.source import Listed, MissingError, PartialListError, Range
from loaders.clients.store_errors import STATUS_CODES, StoreRefusedError, refusal_or_retry
from loaders.config.storage import StorageSettings, region_problem
from loaders.errors import ConfigError, ReadError
from loaders.redaction import first_line, redact

# Up to this size to compute an MD5 costs less than to ask for another checksum.
_MD5_BYTES = 4 << 20
# The sizes of the parts of an object with more parts are not requested.
_MOST_PARTS = 1000
# A list ends, or is an error. Where many objects were deleted, stores return empty pages; no store so many in a row.
_MOST_EMPTY_PAGES = 100
_MOST_PAGES = 10_000
_REGION_CODES = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
_ASKED_STATUSES = {301, 307, 400, 401, 403, 404, 405, 416}
_CLARIFYING_SECONDS = 3.0
_CREDENTIALS = (
    "Check AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or storage.profile in the environment's config."
)


class OtherRegionError(TryAgainError):
    """Raised when the bucket is in another region than the request was signed for; the next one uses that region."""


class S3(Bucket):
    """An S3 bucket."""

    def __init__(self, bucket: str, settings: StorageSettings, account: Account | None = None) -> None:
        super().__init__("s3", bucket, settings)
        self._use(account or resolve_account(settings))

    async def checksums(self, key: str, pin: Pin, deadline: Deadline) -> AsyncIterator[Checksum | None]:
        """Yield the checksums that the object may have, the most probable first; None if it has none."""
        is_small = pin.size_bytes <= _MD5_BYTES
        etag = md5_of_etag(pin.etag, pin.size_bytes) if self.settings.etag_is_md5 and is_small else None
        if etag is not None:
            # An MD5 that matches is proof. Of an encrypted object the ETag only looks like one; the headers tell.
            yield etag
        headers = await self._head(key, pin, deadline)
        stored = expected(headers, etag_is_md5=self.settings.etag_is_md5)
        if etag is not None and stored == etag[0]:
            return
        if stored is None or stored.parts is None:
            yield (stored, [(0, pin.size_bytes)]) if stored else None
            return
        first = await self._part_bytes(key, pin, 1, deadline)
        even = first and -(-pin.size_bytes // first) == stored.parts
        if first and even:
            # Nearly every uploader makes all parts but the last of one size.
            starts = range(0, pin.size_bytes, first)
            yield stored, [(start, min(start + first, pin.size_bytes)) for start in starts]
        parts = await self._parts(key, pin, stored.parts, deadline) if first else None
        if parts is not None or not even:
            yield (stored, parts) if parts else None

    async def explained(self, location: Location, error: StoreRefusedError, deadline: Deadline) -> ReadError:
        """Return the error for a refused request: what was refused and what to do.

        Raises:
            OtherRegionError: the request can be repeated for the region of the bucket.
        """
        key = self.key_of(location)
        error = await self._with_reason(key, error, deadline)
        shown, store = location.shown, self.endpoint
        match error.code or STATUS_CODES.get(error.status, ""):
            case "NoSuchBucket":
                reason = (
                    f"there is no bucket '{self.bucket}' at {store}. Correct the location, or storage.endpoint_url."
                )
            case "NoSuchKey" | "NoSuchVersion" | "NotFound" | "" if error.status == 404:
                missing = MissingError(f"'{shown}': {await self._missing(key, deadline)}")
                missing.deadline = deadline
                return missing
            case "InvalidAccessKeyId":
                reason = f"{store} does not know the access key. {_CREDENTIALS}"
            case "SignatureDoesNotMatch":
                reason = f"the secret key does not belong to the access key, says {store}. {_CREDENTIALS}"
            case "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired":
                reason = f"the credentials have expired or their token is not valid ({error.code}). Log in again."
            case "AccessDenied" | "AllAccessDisabled":
                reason = f"access denied by {store}. " + (
                    "The bucket is not public: unset storage.anonymous and give credentials."
                    if self.settings.anonymous
                    else "These credentials may not read it: they need s3:GetObject, and s3:ListBucket to tell a "
                    f"missing object. {_CREDENTIALS}"
                )
            case "RequestTimeTooSkewed":
                reason = "this machine's clock differs too much from the store's. Set the clock."
            case "PermanentRedirect" | "TemporaryRedirect" | "AuthorizationHeaderMalformed":
                reason = (
                    f"{store} answered {error}. The bucket is in another region, or at another endpoint: set "
                    "storage.region or AWS_REGION, or storage.endpoint_url."
                )
            case "MethodNotAllowed":
                reason = f"{store} answered {error}. Check storage.endpoint_url: what is there may be no S3."
            case _:
                reason = f"{store} answered {error}."
        return ReadError(f"'{shown}': {reason}")

    async def list(self, folder: Location, deadline: Deadline) -> list[Listed]:
        """Return all objects below a folder; by boto3, because obstore does not report whether a list is complete."""
        prefix = self.key_of(folder)
        found: dict[str, Listed] = {}
        tokens: set[str | None] = {None}
        empty = 0
        more: dict[str, Any] = {}
        while True:
            try:
                page = await deadline.retry("listing", lambda more=more: self._page(prefix, more, deadline))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            except StoreRefusedError as error:
                raise await self.explained(folder, error, deadline) from None
            before = len(found)
            for item in page.get("Contents", ()):
                listed = self._listed(item, prefix, deadline)
                found.setdefault(listed.path, listed)
            token = page.get("NextContinuationToken")
            empty = 0 if len(found) > before else empty + 1
            if not token and not page.get("IsTruncated"):
                return without_markers(found)
            # A store that reports the end and gives a token is asked for more, and may be done any time.
            if not page.get("IsTruncated") and (token in tokens or empty):
                return without_markers(found)
            problem = _list_problem(token, tokens, empty, len(found))
            if problem:
                raise _uncertain(deadline, problem, PartialListError if found else ReadError)
            tokens.add(token)
            more = {"ContinuationToken": token}

    def _use(self, account: Account) -> None:
        self.account = account
        self.endpoint = redact(account.endpoint_url)
        self._obstore = self._boto3 = None

    def _opened(self) -> Any:
        account = self.account
        endpoint = account.endpoint_url
        if self.settings.virtual_hosted:
            scheme, _, host = endpoint.partition("://")
            endpoint = f"{scheme}://{self.bucket}.{host}"
        config: dict[str, Any] = {
            **account.credentials,
            "region": account.region,
            "endpoint": endpoint,
            # Else the variable of this name would come before the endpoint.
            "aws_endpoint_url_s3": endpoint,
            "virtual_hosted_style_request": self.settings.virtual_hosted,
        }
        if self.settings.anonymous:
            config["skip_signature"] = True
        if self.settings.requester_pays:
            config["request_payer"] = True
        more: dict[str, Any] = {"credential_provider": account.provider} if account.provider else {}
        if account.ca_bundle:
            more["client_options"] = {"root_certificate": _certificates(account.ca_bundle)}
        return self.opened(obstore.store.S3Store, self.bucket, config=config, **more)

    async def _ask(self, name: str, deadline: Deadline, **parameters: Any) -> Any:
        """Return the answer to a request of boto3, which is made once."""
        import botocore.exceptions

        if self.settings.requester_pays:
            parameters["RequestPayer"] = "requester"
        # Making the client takes longer than some stall timeouts: it imports boto3.
        ask = getattr(await asyncio.to_thread(self._boto3_client), name)
        try:
            answer = asyncio.to_thread(ask, Bucket=self.bucket, **parameters)
            return await deadline.within(answer, "stalled before an answer came")
        except botocore.exceptions.ClientError as error:
            raise _converted(error.response) from None
        except botocore.exceptions.ParamValidationError as error:
            raise StoreRefusedError(400, "InvalidRequest", first_line(str(error))) from None
        except RecursionError:
            # boto3 asks for the region again and again if the store redirects and names none.
            raise StoreRefusedError(301) from None
        except (botocore.exceptions.BotoCoreError, ValueError, TypeError) as error:
            raise TryAgainError(f"no answer of the store could be used: {first_line(str(error))}") from None

    def _boto3_client(self) -> Any:
        if self._boto3 is None:
            from botocore import UNSIGNED
            from botocore.config import Config

            settings = self.settings
            config = Config(
                connect_timeout=settings.connect_timeout_seconds,
                read_timeout=settings.stall_timeout_seconds,
                retries={"total_max_attempts": 1},
                user_agent_extra="sourceswap",
                s3={"addressing_style": "virtual" if settings.virtual_hosted else "path"},
                **({"signature_version": UNSIGNED} if settings.anonymous else {}),
            )
            self._boto3 = self.account.session().client(
                "s3",
                region_name=self.account.region,
                endpoint_url=self.account.endpoint_url,
                verify=self.account.ca_bundle,
                config=config,
            )
        return self._boto3

    async def _head(self, key: str, pin: Pin, deadline: Deadline, **query: str) -> dict[str, str]:
        """Return the headers of the pinned version, with its checksum and encryption, which obstore does not show."""
        headers = {"if-match": pin.etag} | (
            {"x-amz-request-payer": "requester"} if self.settings.requester_pays else {}
        )
        query |= {"versionId": pin.requested} if pin.requested else {}

        async def ask() -> dict[str, str]:
            asking = asyncio.to_thread(self._signed_head, key, headers, query)
            return await deadline.within(asking, "stalled before an answer came")

        try:
            return await deadline.retry("HEAD", ask)
        except StoreRefusedError as error:
            if error.status == 412:
                raise TryAgainError("it was overwritten while its checksum was asked for") from None
            raise

    def _signed_head(self, key: str, headers: dict[str, str], query: dict[str, str]) -> dict[str, str]:
        # Imported here, in a thread: the bytes are on their way meanwhile.
        from loaders.clients.signed_head import signed_head

        return signed_head(self.account, self.bucket, key, headers, query, self.settings.stall_timeout_seconds)

    async def _part_bytes(self, key: str, pin: Pin, number: int, deadline: Deadline) -> int | None:
        """Return the size of a part; None if the store does not tell it."""
        try:
            headers = await self._head(key, pin, deadline, partNumber=str(number))
        except StoreRefusedError:
            return None
        return int(headers["content-length"]) if headers.get("content-length", "").isdecimal() else None

    async def _parts(self, key: str, pin: Pin, count: int, deadline: Deadline) -> Sequence[Range] | None:
        """Return the parts in which the object was uploaded; None if that is unknown."""
        if count > _MOST_PARTS:
            return None
        numbers = range(1, count + 1)
        sizes = await asyncio.gather(*(self._part_bytes(key, pin, number, deadline) for number in numbers))
        if None in sizes:
            return None
        ends = list(itertools.accumulate(size or 0 for size in sizes))
        return list(itertools.pairwise([0, *ends])) if ends[-1] == pin.size_bytes else None

    async def _page(self, prefix: str, more: dict[str, str], deadline: Deadline) -> dict[str, Any]:
        page: dict[str, Any] = await self._ask("list_objects_v2", deadline, Prefix=prefix, **more)
        return page

    def _listed(self, item: dict[str, Any], prefix: str, deadline: Deadline) -> Listed:
        key, size = item.get("Key", ""), item.get("Size", 0)
        if not key.startswith(prefix):
            raise _uncertain(deadline, f"it has {key[:200]!r}, which does not begin with {prefix!r} as requested")
        if size < 0:
            raise _uncertain(deadline, f"it gives {str(size)[:40]!r} for the size of {key[:200]!r}")
        return Listed(f"{self.bucket}/{key}", size, self.version(item.get("ETag", ""), size))

    async def _with_reason(self, key: str, error: StoreRefusedError, deadline: Deadline) -> StoreRefusedError:
        """Return the refusal with the store's reason, which the answer to a HEAD does not have.

        Raises:
            OtherRegionError: the bucket is in another region; from now on requests go there.
        """
        if not error.code and error.status in _ASKED_STATUSES:
            try:
                options: Any = {"range": (0, 1)}
                await self.request(lambda store: obstore.get_async(store, key, options=options), _brief(deadline))
            except StoreRefusedError as reason:
                error = reason if reason.status == error.status else error
            except TryAgainError:
                pass
        if error.status in (301, 307, 400) or error.code in _REGION_CODES:
            region = error.region or await self._bucket_region()
            if region_problem(region) is None and region != self.account.region:
                before, account = self.account, resolve_account(self.settings, region)
                self._use(account)
                raise OtherRegionError(f"the bucket is in {region}, not {before.region}")
        return error

    async def _bucket_region(self) -> str:
        """Return the region that the store names for the bucket, also without a signature; "" if it names none."""
        # boto3 asks without end if a store names none.
        import aiohttp

        url = f"{self.account.endpoint_url}/{self.bucket}"
        timeout = aiohttp.ClientTimeout(total=_CLARIFYING_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(trust_env=True, timeout=timeout) as session,
                session.head(url, allow_redirects=False) as answer,
            ):
                return answer.headers.get("x-amz-bucket-region", "")
        except (aiohttp.ClientError, OSError):
            return ""

    async def _missing(self, key: str, deadline: Deadline) -> str:
        folder, _, name = key.rpartition("/")
        prefix = f"{folder}/" if folder else ""
        hint = ""
        try:
            page = await self._ask("list_objects_v2", _brief(deadline), Prefix=prefix)
            keys = [str(item["Key"])[len(prefix) :] for item in page.get("Contents", ())]
            near = difflib.get_close_matches(name, keys, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
        except StoreRefusedError as error:
            hint = f" A folder of this name would not be seen: the store refused to list it ({error})."
        except TryAgainError:
            hint = " A folder of this name would not be seen: the store did not list it."
        return f"there is no object '{key}' in bucket '{self.bucket}'.{hint} Correct the location, or upload it."


def _converted(response: Any) -> Exception:
    error, metadata = response.get("Error", {}), response.get("ResponseMetadata", {})
    status = int(metadata.get("HTTPStatusCode") or 0)
    code = str(error.get("Code") or "")
    region = metadata.get("HTTPHeaders", {}).get("x-amz-bucket-region") or str(error.get("Region") or "")
    # For an answer without a body boto3 gives the status as the code.
    return refusal_or_retry(status, "" if code.isdecimal() else code, str(error.get("Message") or ""), region)


def _list_problem(token: str | None, tokens: set[str | None], empty: int, count: int) -> str | None:
    if not token:
        return "it says that there is more, and gives no NextContinuationToken to ask for it"
    if token in tokens:
        return "it leads back to a page that came before, without an end"
    if empty > _MOST_EMPTY_PAGES:
        return f"{empty} pages in a row brought nothing new, and each says that there is more"
    if len(tokens) >= _MOST_PAGES:
        return f"it goes on after {_MOST_PAGES:,} pages with {count:,} objects"
    return None


def _uncertain(deadline: Deadline, reason: str, kind: type[ReadError] = ReadError) -> ReadError:
    """Return the error for a list that may lack objects or have others; one less would be a wrong frame."""
    return kind(
        f"'{deadline.location}': the store's list of objects is unreliable: {reason}. Nothing of it was used. "
        "Check storage.endpoint_url, and that the store speaks S3's ListObjectsV2; or name the file itself."
    )


def _brief(deadline: Deadline) -> Deadline:
    """Return the deadline for a request that only makes an error clearer: a few seconds of what is left."""
    seconds = max(0.01, min(_CLARIFYING_SECONDS, deadline.left()))
    return Deadline(replace(deadline.settings, attempts=1, deadline_seconds=seconds), deadline.location)


def _certificates(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"The certificates in '{path}' (AWS_CA_BUNDLE) cannot be read: {error.strerror}.") from None
