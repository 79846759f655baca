"""What to tell a user of an S3 store that answered no: which thing is wrong, and what to do."""

from __future__ import annotations

import difflib

from loaders.errors import ReadError
from loaders.reading.location import Location
from loaders.reading.patience import Patience, TryAgainError
from loaders.reading.s3_client import S3Client, StoreRefusedError
from loaders.reading.source import MissingError

_CREDENTIALS = (
    "Check AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or storage.profile in the environment's config."
)


def refusal(client: S3Client, location: Location, bucket: str, key: str, error: StoreRefusedError) -> ReadError:
    """Return the error for a refused request; a HEAD carries no reason, so a GET asks for it."""
    error = _with_reason(client, location, bucket, key, error)
    shown, store = location.shown, client.endpoint
    match error.code:
        case "NoSuchBucket":
            said = f"there is no bucket '{bucket}' at {store}. Correct the location, or storage.endpoint_url."
        case "NoSuchKey" | "NotFound" | "":
            if error.status == 404:
                return MissingError(f"'{shown}': {_missing(client, location, bucket, key)}")
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
        case _:
            said = f"{store} answered {error}."
    return ReadError(f"'{shown}': {said}")


def _with_reason(
    client: S3Client, location: Location, bucket: str, key: str, error: StoreRefusedError
) -> StoreRefusedError:
    if error.code or error.status not in (400, 401, 403, 404):
        return error
    patience = Patience(client.settings, location.shown)
    try:
        with client.request("GET", bucket, key, patience, headers={"range": "bytes=0-0"}):
            return error
    except StoreRefusedError as reason:
        return reason if reason.status == error.status else error
    except TryAgainError:
        return error


def _missing(client: S3Client, location: Location, bucket: str, key: str) -> str:
    folder, _, name = key.rpartition("/")
    prefix = f"{folder}/" if folder else ""
    try:
        patience = Patience(client.settings, location.shown)
        names = [found.key[len(prefix) :] for found in client.list(bucket, prefix, patience, limit=1000)]
    except (ReadError, StoreRefusedError):
        names = []
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return f"there is no object '{key}' in bucket '{bucket}'.{hint} Correct the location, or upload it."
