"""The S3 account of an environment: endpoint, region and credentials, from its settings and then the AWS chain."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
# Only boto3 knows what these mean for the endpoint.
_ENDPOINT_VARIABLES = ("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT")


@dataclass(frozen=True)
class Account:
    """An S3 endpoint, a region and credentials.

    Attributes:
        credentials: obstore's options for fixed keys; empty for an anonymous account or one with a provider.
        provider: returns keys that are renewed, for obstore; None for fixed keys.
        session: returns the boto3 session of the account.
    """

    endpoint_url: str = field(repr=False)
    region: str
    ca_bundle: str | None
    credentials: Mapping[str, str] = field(repr=False)
    provider: Callable[[], Any] | None = field(repr=False)
    session: Callable[[], Any] = field(repr=False)


def resolve_account(settings: StorageSettings, region: str | None = None) -> Account:
    """Return the account of the settings and the AWS chain; boto3 is imported only if variables are not enough.

    `region` is the bucket's, if the store has named it.

    Raises:
        ReadError: there are no credentials, or they cannot be renewed.
        ConfigError: the profile does not exist, or endpoint or region are impossible.
    """
    region = region or settings.region or _region_variable()
    is_plain = settings.profile is None and not _has_aws_files() and not _variable(*_ENDPOINT_VARIABLES)
    if is_plain and (settings.anonymous or _has_keys()) and not (region or "").startswith("cn-"):
        return _from_variables(settings, region)
    return _from_boto3(settings, region)


def _from_variables(settings: StorageSettings, region: str | None) -> Account:
    """Return the account of environment variables, without boto3, whose import takes half as long as pandas'."""
    ignored = (_variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") or "").lower() == "true"
    configured = None if ignored else _variable("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    region = _region(region)
    credentials = {} if settings.anonymous else _keys(*_key_variables())
    return Account(
        _endpoint(settings.endpoint_url or configured) or f"https://s3.{region}.amazonaws.com",
        region,
        _variable("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"),
        credentials,
        None,
        lambda: _session_of(credentials),
    )


def account_of_keys(endpoint_url: str, region: str, access_key: str, secret_key: str) -> Account:
    """Return the account of a store whose keys are known, such as a local server."""
    credentials = _keys(access_key, secret_key, None)
    return Account(endpoint_url, region, None, credentials, None, lambda: _session_of(credentials))


def _session_of(credentials: Mapping[str, str]) -> Any:
    import boto3

    return boto3.Session(
        aws_access_key_id=credentials.get("access_key_id"),
        aws_secret_access_key=credentials.get("secret_access_key"),
        aws_session_token=credentials.get("session_token"),
    )


def _from_boto3(settings: StorageSettings, region: str | None) -> Account:
    import boto3
    import botocore.exceptions
    import botocore.session
    from botocore.config import Config

    core = botocore.session.Session(profile=settings.profile)
    try:
        session = boto3.Session(botocore_session=core)
        region = _region(region or session.region_name)
        # The client knows the endpoints of profiles, services, FIPS, dual-stack and China.
        regional = Config(s3={"us_east_1_regional_endpoint": "regional"})
        client = session.client("s3", region_name=region, endpoint_url=settings.endpoint_url, config=regional)
        endpoint = client.meta.endpoint_url
        ca_bundle = core.get_config_variable("ca_bundle")
        found = None if settings.anonymous else session.get_credentials()
        keys = found and found.get_frozen_credentials()
    except botocore.exceptions.ProfileNotFound as error:
        place = profile_place() if settings.profile else ""
        reason = first_line(str(error)).removesuffix(".")
        raise ConfigError(
            f"{place}{reason}. Correct storage.profile or AWS_PROFILE, or add it to ~/.aws/config."
        ) from None
    except ValueError as error:
        raise ConfigError(f"The AWS configuration cannot be used: {first_line(str(error))}.") from None
    except botocore.exceptions.BotoCoreError as error:
        reason = first_line(str(error)).removesuffix(".")
        raise ReadError(f"The AWS credentials cannot be used: {reason}. Log in again (aws sso login).") from None
    if settings.anonymous:
        return Account(_endpoint(endpoint) or "", region, ca_bundle, {}, None, lambda: session)
    if keys is None:
        raise ReadError(
            "No AWS credentials were found. Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "or storage.profile in the environment's config; for a public bucket set storage.anonymous: true."
        )
    _keys(keys.access_key, keys.secret_key, keys.token)
    from obstore.auth.boto3 import Boto3CredentialProvider

    return Account(_endpoint(endpoint) or "", region, ca_bundle, {}, Boto3CredentialProvider(session), lambda: session)


def _has_keys() -> bool:
    return bool(_variable("AWS_ACCESS_KEY_ID") and _variable("AWS_SECRET_ACCESS_KEY"))


def _key_variables() -> tuple[str | None, str | None, str | None]:
    token = _variable("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
    return _variable("AWS_ACCESS_KEY_ID"), _variable("AWS_SECRET_ACCESS_KEY"), token


def _variable(*names: str) -> str | None:
    """Return the first of the variables that is set, without the line end that a file or a paste leaves in one."""
    return next((value for name in names if (value := os.environ.get(name, "").strip())), None)


def _has_aws_files() -> bool:
    """Return whether the AWS files, or a variable that only boto3 can follow, may change the account."""
    if os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE"):
        return True
    config = os.environ.get("AWS_CONFIG_FILE", "~/.aws/config")
    credentials = os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")
    # A variable that is /dev/null means that there are none.
    return any(Path(path).expanduser().is_file() for path in (config, credentials))


def _keys(access_key: str | None, secret_key: str | None, token: str | None) -> dict[str, str]:
    """Return obstore's options for keys, without white space around them.

    Raises for characters that no header can carry; the values are never shown, not even in part.
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
    names = ("access_key_id", "secret_access_key", "session_token")
    return {name: value for name, value in zip(names, cleaned, strict=True) if value}


def _endpoint(endpoint: str | None) -> str | None:
    """Return an endpoint of the AWS chain, which is not validated yet; ConfigError if it is impossible."""
    cleaned = (endpoint or "").strip().rstrip("/")
    if not cleaned:
        return None
    if problem := endpoint_problem(cleaned):
        raise ConfigError(
            f"The S3 endpoint {problem}; found {shown_endpoint(cleaned)}. "
            "Correct AWS_ENDPOINT_URL, or the endpoint of the AWS profile."
        )
    return cleaned


def _region(region: str | None) -> str:
    cleaned = (region or "").strip() or _DEFAULT_REGION
    if problem := region_problem(cleaned):
        raise ConfigError(
            f"The S3 region {problem}; found {cleaned!r}. Correct AWS_REGION, or the region of the AWS profile."
        )
    return cleaned


def _region_variable() -> str | None:
    # Amazon's newer SDKs read the first, boto3 only the second.
    return _variable("AWS_REGION", "AWS_DEFAULT_REGION")
