"""What every test shares: an environment without the machine's AWS settings and cache, and a real S3."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from loaders.sandbox.s3_server import S3Server


@pytest.fixture(autouse=True)
def no_aws_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def shared_cache_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def no_cache_of_this_machine(shared_cache_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCESWAP_CACHE_DIR", str(shared_cache_directory))


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture
def s3_bucket(
    s3_server: S3Server, no_aws_settings_of_this_machine: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The name of an empty bucket; the environment points every AWS client at its server."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)  # it keeps the credentials of an earlier test
    client = s3_server.client()
    name = f"test-{os.urandom(6).hex()}"
    client.create_bucket(Bucket=name)
    yield name
    client.delete_bucket(Bucket=name)  # this server deletes what is in it as well
