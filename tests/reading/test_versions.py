"""Versions of objects: the one that is asked for is read, and the cache keeps it apart from the others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from caching import LocalCache, function_cache
from loaders import DatasetContract, ReadError, read_table
from loaders.clients.source import MissingError
from loaders.config.storage import use_storage
from tests.fault_proxy import FaultProxy
from tests.reading.conftest import IMPATIENT

NUMBERS = DatasetContract("numbers", pa.schema([pa.field("a", pa.int64())]))
pytestmark = pytest.mark.usefixtures("impatient")


class Versions:
    """An object in a bucket that keeps its versions, behind the fault proxy."""

    def __init__(self, client: Any, bucket: str, proxy: FaultProxy) -> None:
        self.client, self.bucket, self.proxy = client, bucket, proxy
        self.location = f"s3://{bucket}/numbers.csv"

    def put(self, number: int) -> str:
        found = self.client.put_object(Bucket=self.bucket, Key="numbers.csv", Body=f"a\n{number}\n".encode())
        return str(found["VersionId"])

    def delete(self, version: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key="numbers.csv", VersionId=version)


@pytest.fixture
def versions(proxy: FaultProxy, s3_client: Any) -> Iterator[Versions]:
    bucket = f"versions-{os.urandom(6).hex()}"
    s3_client.create_bucket(Bucket=bucket)
    s3_client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    yield Versions(s3_client, bucket, proxy)
    s3_client.delete_bucket(Bucket=bucket)


def number(location: str, version: str | None = None) -> int:
    return int(read_table(location, NUMBERS, version=version)["a"][0])


def test_the_version_that_is_asked_for_is_read(versions: Versions) -> None:
    first, second = versions.put(1), versions.put(2)
    assert number(versions.location) == 2
    assert (number(versions.location, first), number(versions.location, second)) == (1, 2)
    with use_storage(replace(IMPATIENT, version=first)):
        assert number(versions.location) == 1


def test_a_version_that_is_gone_is_missing(versions: Versions) -> None:
    first = versions.put(1)
    versions.put(2)
    versions.delete(first)
    with pytest.raises(MissingError, match="there is no object"):
        number(versions.location, first)


def test_a_chosen_version_is_a_hit_whatever_is_written_meanwhile(versions: Versions, tmp_path: Path) -> None:
    runs = []

    @function_cache(LocalCache(cache_directory=tmp_path))
    def numbers(location: str, version: str | None) -> pd.DataFrame:
        runs.append(version)
        return read_table(location, NUMBERS, version=version)

    first = versions.put(1)
    assert [int(numbers(versions.location, chosen)["a"][0]) for chosen in (first, None)] == [1, 1]
    versions.put(2)
    assert [int(numbers(versions.location, chosen)["a"][0]) for chosen in (first, None)] == [1, 2]
    assert runs == [first, None, None]
    versions.delete(first)
    with pytest.raises(MissingError):
        numbers(versions.location, first)


def test_a_version_of_a_place_without_versions_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "numbers.csv").write_text("a\n1\n")
    for location in (str(tmp_path / "numbers.csv"), "memory://numbers.csv", "http://127.0.0.1:9/numbers.csv"):
        with pytest.raises(ReadError, match="version"):
            number(location, "1")
