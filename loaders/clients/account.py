"""Endpoint, region and credentials of an environment's S3, from its settings and then the AWS chain."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loaders.clients.signing import Credentials
from loaders.config.storage import (
    StorageSettings,
    endpoint_problem,
    profile_place,
    region_problem,
    shown_endpoint,
)
from loaders.errors import ConfigError, ReadError
from loaders.redaction import first_line

_DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True)
class Account:
    """An S3 endpoint (None is Amazon's own), a region, and the credentials, which may be renewed between requests."""

    endpoint_url: str | None = field(repr=False)
    region: str
    ca_bundle: str | None
    credentials: Callable[[], Credentials | None] = field(repr=False)


def resolve_account(settings: StorageSettings) -> Account:
    """Return the account that the settings and the AWS chain give; no request is made for keys in the environment.

    Raises:
        ReadError: the chain holds no credentials.
        ConfigError: the profile does not exist.
    """
    if settings.profile is None and not _has_aws_files() and (settings.anonymous or _has_keys()):
        return _from_environment(settings)
    return _from_botocore(settings)


def _has_keys() -> bool:
    return bool(_variable("AWS_ACCESS_KEY_ID") and _variable("AWS_SECRET_ACCESS_KEY"))


def _variable(*names: str) -> str | None:
    """Return the first of the variables that is set, without the line end that a file or a paste leaves in one."""
    return next((value for name in names if (value := os.environ.get(name, "").strip())), None)


def _has_aws_files() -> bool:
    """Tell whether the AWS files, or a variable that only botocore knows to follow, may say more than the variables."""
    if os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE"):
        return True
    config = os.environ.get("AWS_CONFIG_FILE", "~/.aws/config")
    credentials = os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")
    # A variable that points at /dev/null says that there are none.
    return any(Path(path).expanduser().is_file() for path in (config, credentials))


def _from_environment(settings: StorageSettings) -> Account:
    """Return the account of plain environment variables, without botocore, whose import takes a sixth of pandas'."""
    ignored = (_variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") or "").lower() == "true"
    endpoint = None if ignored else _variable("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    credentials = None
    if not settings.anonymous:
        credentials = _credentials(
            _variable("AWS_ACCESS_KEY_ID"),
            _variable("AWS_SECRET_ACCESS_KEY"),
            _variable("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"),
        )
    return Account(
        _endpoint(settings.endpoint_url or endpoint),
        _region(settings.region or _region_variable()),
        _variable("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"),
        lambda: credentials,
    )


def _credentials(access_key: str | None, secret_key: str | None, token: str | None) -> Credentials:
    """Return the credentials without white space around them, or the error for what no header could carry.

    The values are never shown, not even in part.
    """
    cleaned = [(value or "").strip() for value in (access_key, secret_key, token)]
    for what, value in zip(("access key", "secret key", "session token"), cleaned, strict=True):
        sent = what != "secret key"
        if any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in value) or (
            sent and not value.isascii()
        ):
            raise ConfigError(
                f"The AWS {what} holds a line end or another character that cannot be part of one. "
                "Set it again: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or the profile."
            )
    if not cleaned[0] or not cleaned[1]:
        raise ReadError("The AWS access key or secret key is empty. Set both, or storage.anonymous: true.")
    return Credentials(cleaned[0], cleaned[1], cleaned[2] or None)


def _endpoint(endpoint: str | None) -> str | None:
    """Return the endpoint, or the error for what is none; the settings are checked already, the AWS chain is not."""
    cleaned = (endpoint or "").strip()
    if not cleaned:
        return None
    if problem := endpoint_problem(cleaned):
        raise ConfigError(
            f"The S3 endpoint {problem}; found {shown_endpoint(cleaned)}. "
            "Correct AWS_ENDPOINT_URL, or what the AWS profile says."
        )
    return cleaned


def _region(region: str | None) -> str:
    cleaned = (region or "").strip() or _DEFAULT_REGION
    if problem := region_problem(cleaned):
        raise ConfigError(
            f"The S3 region {problem}; found {cleaned!r}. Correct AWS_REGION, or what the AWS profile says."
        )
    return cleaned


def _region_variable() -> str | None:
    # Amazon's newer SDKs read the first, botocore only the second.
    return _variable("AWS_REGION", "AWS_DEFAULT_REGION")


def _from_botocore(settings: StorageSettings) -> Account:
    import botocore.exceptions
    import botocore.session
    from botocore.configprovider import ConfiguredEndpointProvider

    session = botocore.session.Session(profile=settings.profile)
    try:
        scoped = session.get_scoped_config()
        region = settings.region or _region_variable() or session.get_config_variable("region")
        ca_bundle = session.get_config_variable("ca_bundle")
        ignored = session.get_config_variable("ignore_configured_endpoint_urls")
        endpoint = ConfiguredEndpointProvider(session.full_config, scoped, "s3").provide() if not ignored else None
        found = None if settings.anonymous else session.get_credentials()
    except botocore.exceptions.ProfileNotFound as error:
        place = profile_place() if settings.profile else ""
        said = first_line(str(error)).removesuffix(".")
        raise ConfigError(
            f"{place}{said}. Correct storage.profile or AWS_PROFILE, or add it to ~/.aws/config."
        ) from None
    except botocore.exceptions.BotoCoreError as error:
        raise ReadError(f"The AWS configuration cannot be used: {first_line(str(error))}.") from None
    if found is None and not settings.anonymous:
        raise ReadError(
            "No AWS credentials were found. Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "or storage.profile in the environment's config; for a public bucket set storage.anonymous: true."
        )
    return Account(
        _endpoint(settings.endpoint_url or endpoint),
        _region(region),
        ca_bundle,
        lambda: _frozen(found) if found else None,
    )


_renewing = threading.Lock()


def _frozen(credentials: Any) -> Credentials:
    import botocore.exceptions

    try:
        with _renewing:
            keys = credentials.get_frozen_credentials()
    except botocore.exceptions.BotoCoreError as error:
        said = first_line(str(error))
        raise ReadError(f"The AWS credentials could not be renewed: {said}. Log in again (aws sso login).") from None
    return _credentials(keys.access_key, keys.secret_key, keys.token)
