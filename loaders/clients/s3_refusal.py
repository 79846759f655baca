"""Explain why an S3 store refused a request, and what to do."""

from __future__ import annotations

import difflib
from dataclasses import replace

from loaders.clients.location import Location
from loaders.clients.retry import Deadline, TryAgainError
from loaders.clients.s3_client import OtherRegionError, S3Client, StoreRefusedError
from loaders.clients.source import MissingError
from loaders.errors import ReadError

_CREDENTIALS = (
    "Check AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or storage.profile in the environment's config."
)
_ASKED_STATUSES = {301, 307, 400, 401, 403, 404, 405, 416}
# What a status means of itself, where the store says no more.
_CODES = {
    301: "PermanentRedirect",
    307: "TemporaryRedirect",
    401: "AccessDenied",
    403: "AccessDenied",
    404: "NoSuchKey",
    405: "MethodNotAllowed",
}
_CLARIFYING_SECONDS = 3.0


def refusal(client: S3Client, location: Location, bucket: str, key: str, error: StoreRefusedError) -> ReadError:
    """Return the error for a refused request; a HEAD carries no reason, so a GET asks for it.

    Raises:
        OtherRegionError: the request is to be made again, signed for the region where the bucket is.
    """
    error = _with_reason(client, bucket, key, error)
    shown, store = location.shown, client.endpoint
    match error.code or _CODES.get(error.status, ""):
        case "NoSuchBucket":
            said = f"there is no bucket '{bucket}' at {store}. Correct the location, or storage.endpoint_url."
        case "NoSuchKey" | "NotFound" | "":
            if error.status == 404:
                missing = MissingError(f"'{shown}': {_missing(client, bucket, key, error.deadline)}")
                missing.deadline = error.deadline
                return missing
            said = f"{store} answered {error}."
        case "InvalidAccessKeyId":
            said = f"{store} does not know the access key. {_CREDENTIALS}"
        case "SignatureDoesNotMatch":
            said = f"the secret key does not belong to the access key, says {store}. {_CREDENTIALS}"
        case "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired":
            said = f"the credentials have expired or their token is not valid ({error.code}). Log in again."
        case "AccessDenied" | "AllAccessDisabled":
            said = f"access denied by {store}. " + (
                "The bucket is not public: unset storage.anonymous and give credentials."
                if client.settings.anonymous
                else "These credentials may not read it: they need s3:GetObject, and s3:ListBucket to tell a missing "
                f"object. {_CREDENTIALS}"
            )
        case "RequestTimeTooSkewed":
            said = "this machine's clock differs too much from the store's. Set the clock."
        case "PermanentRedirect" | "TemporaryRedirect" | "AuthorizationHeaderMalformed":
            said = (
                f"{store} answered {error}. The bucket is in another region, or at another endpoint: set "
                "storage.region or AWS_REGION, or storage.endpoint_url."
            )
        case "MethodNotAllowed":
            said = f"{store} answered {error}. Check storage.endpoint_url: what is there may be no S3."
        case _:
            said = f"{store} answered {error}."
    return ReadError(f"'{shown}': {said}")


def _with_reason(client: S3Client, bucket: str, key: str, error: StoreRefusedError) -> StoreRefusedError:
    """Return what the store answers to a GET, where a HEAD was refused, whose answer has no body to say why.

    Raises:
        OtherRegionError: because the bucket is in another region; from now on the client asks there.
    """
    if error.code or error.method != "HEAD" or error.status not in _ASKED_STATUSES:
        return error
    try:
        with client.request("GET", bucket, key, _brief(error.deadline), headers={"range": "bytes=0-0"}):
            return error
    except OtherRegionError:
        raise
    except TryAgainError:
        return error
    except StoreRefusedError as reason:
        reason.deadline = error.deadline
        return reason if reason.status == error.status else error


def _missing(client: S3Client, bucket: str, key: str, deadline: Deadline) -> str:
    folder, _, name = key.rpartition("/")
    prefix = f"{folder}/" if folder else ""
    hint = ""
    try:
        found = client.list(bucket, prefix, _brief(deadline), limit=1000)
        near = difflib.get_close_matches(name, [listed.key[len(prefix) :] for listed in found], n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
    except StoreRefusedError as error:
        hint = f" A folder of this name would not be seen: the store refused to list it ({error})."
    except ReadError:
        hint = " A folder of this name would not be seen: the store did not list it."
    return f"there is no object '{key}' in bucket '{bucket}'.{hint} Correct the location, or upload it."


def _brief(deadline: Deadline) -> Deadline:
    """Return the deadline for a request that only makes an error clearer: one try, of what is left a few seconds."""
    seconds = max(0.0, min(_CLARIFYING_SECONDS, deadline.left()))
    return Deadline(replace(deadline.settings, attempts=1, deadline_seconds=seconds), deadline.location)
