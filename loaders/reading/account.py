"""Where an environment's S3 is and who asks: the settings of the environment, then the AWS chain."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loaders.errors import ConfigError, ReadError
from loaders.reading.signing import Credentials
from loaders.storage import StorageSettings, profile_place

_DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True)
class Account:
    """An S3 endpoint (None is Amazon's own), a region, and the credentials, which may be renewed between requests."""

    endpoint_url: str | None
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
    return bool(os.environ.get("AWS_ACCESS_KEY_ID") and os.environ.get("AWS_SECRET_ACCESS_KEY"))


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
    environment = os.environ
    ignored = environment.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true"
    endpoint = None if ignored else environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    credentials = None
    if not settings.anonymous:
        credentials = Credentials(
            environment["AWS_ACCESS_KEY_ID"],
            environment["AWS_SECRET_ACCESS_KEY"],
            environment.get("AWS_SESSION_TOKEN") or environment.get("AWS_SECURITY_TOKEN"),
        )
    return Account(
        settings.endpoint_url or endpoint or None,
        settings.region or _region_variable() or _DEFAULT_REGION,
        environment.get("AWS_CA_BUNDLE") or environment.get("REQUESTS_CA_BUNDLE"),
        lambda: credentials,
    )


def _region_variable() -> str | None:
    # Amazon's newer SDKs read the first, botocore only the second.
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")


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
        said = str(error).removesuffix(".")
        raise ConfigError(
            f"{place}{said}. Correct storage.profile or AWS_PROFILE, or add it to ~/.aws/config."
        ) from None
    except botocore.exceptions.BotoCoreError as error:
        raise ReadError(f"The AWS configuration cannot be used: {error}.") from None
    if found is None and not settings.anonymous:
        raise ReadError(
            "No AWS credentials were found. Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "or storage.profile in the environment's config; for a public bucket set storage.anonymous: true."
        )
    return Account(
        settings.endpoint_url or endpoint or None,
        region or _DEFAULT_REGION,
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
        raise ReadError(f"The AWS credentials could not be renewed: {error}. Log in again (aws sso login).") from None
    return Credentials(keys.access_key, keys.secret_key, keys.token)
