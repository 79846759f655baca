"""Google Cloud Storage and Azure: what the fault table promises for S3 holds for them, as far as servers here allow.

SeaweedFS speaks the XML interface of Google Cloud Storage, in which obstore reads; PyPI's emulator speaks the JSON one
alone. Azurite, from npm, is Microsoft's own emulator.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import obstore
import pandas.testing
import pytest

from loaders import ReadError, read_table
from loaders.clients.client import client_for
from loaders.clients.location import parse_location
from loaders.clients.source import MissingError
from loaders.config.storage import StorageSettings, use_storage
from loaders.conforming import conform
from loaders.reading.versions import version_of
from loaders.sandbox.s3_server import S3Server
from tests.azurite import ACCOUNT, azurite
from tests.fault_proxy import FaultProxy, Kind
from tests.reading.conftest import IMPATIENT, ORDERS, Put, encoded, orders

PARQUET = encoded(orders(), "parquet")
FRAME = conform(orders(), ORDERS, location="memory")
OTHER = encoded(orders(seed=2), "parquet")
FAULTS: dict[Kind, str] = {
    "503": "503 SlowDown",
    "429": "429 TooManyRequests",
    "reset": "the connection broke",
    "reset mid-body": "the connection broke",
    "short": "the body ended",
    "stall": "stalled",
    "stall mid-body": "stalled",
    "slow": "slower than",
    "half": "the answer announces",
    "html": "of a proxy in between",
}


class Store:
    """A bucket or container behind a fault proxy."""

    def __init__(self, proxy: FaultProxy, protocol: str, bucket: str, put: Any, settings: StorageSettings) -> None:
        self.proxy, self.settings, self._put, self._root = proxy, settings, put, f"{protocol}://{bucket}"

    def put(self, key: str, data: bytes) -> str:
        self._put(key, data)
        return f"{self._root}/{key}"


@pytest.fixture(scope="module", params=["gs", "az"])
def shared_store(request: pytest.FixtureRequest, s3_server: S3Server) -> Iterator[Store]:
    name = f"{request.param}-{os.urandom(6).hex()}"
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "gs":
            client = s3_server.client()
            client.create_bucket(Bucket=name)
            rule = {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject", "s3:ListBucket"]}
            rule["Resource"] = [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]
            client.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [rule]}))
            with FaultProxy(s3_server) as proxy:
                settings = replace(IMPATIENT, endpoint_url=proxy.endpoint_url, anonymous=True)
                put = lambda key, data: client.put_object(Bucket=name, Key=key, Body=data)  # noqa: E731
                yield Store(proxy, "gs", name, put, settings)
            return
        folder = request.config.cache.mkdir("azurite") if request.config.cache else None
        assert folder is not None
        with azurite(folder) as server, FaultProxy(server) as proxy:  # type: ignore[arg-type]  # it has an endpoint too
            server.create(name)
            for variable, value in server.environment().items():
                patch.setenv(variable, value)
            settings = replace(IMPATIENT, endpoint_url=f"{proxy.endpoint_url}/{ACCOUNT}")
            store = server.store(name)
            yield Store(proxy, "az", name, lambda key, data: obstore.put(store, key, data), settings)


@pytest.fixture
def store(shared_store: Store) -> Iterator[Store]:
    shared_store.proxy.clear()
    with use_storage(shared_store.settings):
        yield shared_store


def read(location: str, seconds: float = 6) -> Any:
    started = time.monotonic()
    try:
        return read_table(location, ORDERS)
    finally:
        assert time.monotonic() - started < seconds


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes_is_recovered_from(fault: Kind, store: Store) -> None:
    location = store.put("orders.parquet", PARQUET)
    store.proxy.inject(fault, on="GET", times=1)
    pandas.testing.assert_frame_equal(read(location), FRAME)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_stays_is_an_error_in_time(fault: Kind, store: Store) -> None:
    location = store.put("orders.parquet", PARQUET)
    store.proxy.inject(fault, on="GET", times=None)
    with use_storage(replace(store.settings, attempts=2)), pytest.raises(ReadError) as caught:
        read(location)
    assert location in str(caught.value)
    assert "try 1" in str(caught.value)
    assert FAULTS[fault] in str(caught.value)


def test_an_object_overwritten_between_requests_is_read_in_one_version(store: Store) -> None:
    location = store.put("orders.parquet", PARQUET)
    store.proxy.inject("nothing", on="HEAD", then=lambda: store.put("orders.parquet", OTHER))
    pandas.testing.assert_frame_equal(read(location), conform(orders(seed=2), ORDERS, location="memory"))


def test_ranges_are_of_one_version(store: Store) -> None:
    location = store.put("orders.parquet", PARQUET)
    store.proxy.inject("nothing", on="GET", then=lambda: store.put("orders.parquet", OTHER))
    with use_storage(replace(store.settings, range_bytes=20_000, connections=1)):
        pandas.testing.assert_frame_equal(read(location), conform(orders(seed=2), ORDERS, location="memory"))


def test_a_folder_is_read_in_the_order_of_its_parts_and_has_a_version(store: Store) -> None:
    for number in (2, 1):
        store.put(f"parts/day={number}/{number}.parquet", encoded(orders(seed=number), "parquet"))
    location = store.put("parts/_SUCCESS", b"").removesuffix("/_SUCCESS")
    found = read(location)
    assert list(found["order_id"][[0, 3000]]) == [1_000_000, 2_000_000]
    assert len(read(f"{location}/day=*/*.parquet")) == 6000
    before = version_of(location)
    assert before == version_of(location)
    store.put("parts/day=1/1.parquet", OTHER)
    assert version_of(location) != before


def test_an_object_that_is_not_there_is_missing(store: Store) -> None:
    location = store.put("orders.parquet", PARQUET).replace("orders", "other")
    with pytest.raises(MissingError, match="does not exist"):
        read(location)
    assert version_of(location) is None


@pytest.mark.parametrize("shared_store", ["az"], indirect=True)
def test_wrong_credentials_are_told_and_never_shown(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    location = store.put("orders.parquet", PARQUET)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "SFVTSA==")
    with pytest.raises(ReadError, match="access denied") as caught:
        read(location)
    assert "SFVTSA" not in str(caught.value)


@pytest.mark.parametrize("shared_store", ["az"], indirect=True)
def test_what_is_written_is_read(store: Store) -> None:
    location = store.put("orders.parquet", PARQUET).replace("orders", "written")
    client_for(parse_location(location)).write(parse_location(location), OTHER)
    pandas.testing.assert_frame_equal(read(location), conform(orders(seed=2), ORDERS, location="memory"))


def test_an_object_in_s3_is_read_through_s3fs_if_the_settings_say_so(
    proxy: FaultProxy, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = put("orders.parquet", PARQUET)
    settings = replace(IMPATIENT, client="fsspec", endpoint_url=proxy.endpoint_url)
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name)
    with use_storage(settings):
        pandas.testing.assert_frame_equal(read_table(location, ORDERS), FRAME)
        assert len(read_table(location.removesuffix("/orders.parquet"), ORDERS)) == len(FRAME)
    assert any("aiobotocore" in request.headers.get("user-agent", "").lower() for request in proxy.requests)
