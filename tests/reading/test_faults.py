"""The fault table: what networks and stores do to a read, on each format, gives the right frame or a clear error."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from functools import cache

import pandas as pd
import pandas.testing
import pyarrow as pa
import pytest

from loaders import ReadError, read_table
from loaders.config.storage import use_storage
from loaders.conforming import conform
from tests.fault_proxy import FaultProxy, Kind
from tests.reading.conftest import FORMATS, IMPATIENT, ORDERS, Put, encoded, orders

pytestmark = pytest.mark.usefixtures("impatient")

TWO_TRIES = replace(IMPATIENT, attempts=2)

# What one occurrence of a fault is recovered from, and what a fault that stays is called in the error.
FAULTS: dict[Kind, str] = {
    "503": "503 SlowDown",
    "500": "500 InternalError",
    "429": "429 TooManyRequests",
    "reset": "the connection broke",
    "reset mid-body": "the connection broke",
    "short": "the body ended",
    "stall": "stalled",
    "stall mid-body": "stalled",
    "slow": "slower than",
    "half": "the answer announces",
    "bit flip": "altered",
    "html": "text/html",
}


@cache
def files() -> dict[str, bytes]:
    return {name: encoded(orders(), name) for name in FORMATS}


@cache
def frame(seed: int = 1) -> pd.DataFrame:
    return conform(orders(seed=seed), ORDERS, location="memory")


def read_within(location: str, seconds: float) -> pd.DataFrame:
    started = time.monotonic()
    try:
        return read_table(location, ORDERS)
    finally:
        assert time.monotonic() - started < seconds


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes_is_recovered_from(fault: Kind, format_name: str, proxy: FaultProxy, put: Put) -> None:
    location = put(f"orders.{format_name}", files()[format_name])
    proxy.inject(fault, on="GET", times=1)
    pandas.testing.assert_frame_equal(read_within(location, 5), frame())
    assert len(proxy.requests) <= 4


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_stays_is_an_error_in_time(fault: Kind, format_name: str, proxy: FaultProxy, put: Put) -> None:
    location = put(f"orders.{format_name}", files()[format_name])
    proxy.inject(fault, on="GET", times=None)
    with use_storage(TWO_TRIES), pytest.raises(ReadError) as caught:
        read_within(location, IMPATIENT.deadline_for(0) + 1)
    message = str(caught.value)
    assert location in message
    assert "try 1" in message
    assert FAULTS[fault] in message
    assert len(proxy.requests) <= 12


@pytest.mark.parametrize("fault", ["503", "500", "429", "reset", "stall", "html"])
def test_faults_of_the_first_request_are_recovered_from(fault: Kind, proxy: FaultProxy, put: Put) -> None:
    location = put("orders.csv", files()["csv"])
    proxy.inject(fault, on="HEAD", times=1)
    pandas.testing.assert_frame_equal(read_within(location, 5), frame())


@pytest.mark.parametrize("fault", ["stall", "html", "503"])
def test_faults_of_the_first_request_that_stay_are_errors(fault: Kind, proxy: FaultProxy, put: Put) -> None:
    location = put("orders.csv", files()["csv"])
    proxy.inject(fault, on="HEAD", times=None)
    with pytest.raises(ReadError, match="try 1"):
        read_within(location, 5)


@pytest.mark.parametrize("format_name", FORMATS)
def test_an_object_overwritten_between_requests_is_read_in_one_version(
    format_name: str, proxy: FaultProxy, put: Put
) -> None:
    location = put(f"orders.{format_name}", files()[format_name])
    replace = encoded(orders(seed=2), format_name)
    proxy.inject("nothing", on="HEAD", then=lambda: put(f"orders.{format_name}", replace))
    pandas.testing.assert_frame_equal(read_within(location, 5), frame(2))


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_connection_that_breaks_and_an_overwritten_object_never_mix(
    format_name: str, proxy: FaultProxy, put: Put
) -> None:
    location = put(f"orders.{format_name}", files()[format_name])
    replace = encoded(orders(seed=2), format_name)
    proxy.inject("reset mid-body", on="GET", then=lambda: put(f"orders.{format_name}", replace))
    pandas.testing.assert_frame_equal(read_within(location, 5), frame(2))


def test_an_object_that_never_rests_is_an_error(proxy: FaultProxy, put: Put) -> None:
    location = put("orders.csv", files()["csv"])
    seeds = iter(range(3, 100))
    proxy.inject(
        "nothing", on="HEAD", times=None, then=lambda: put("orders.csv", encoded(orders(seed=next(seeds)), "csv"))
    )
    with pytest.raises(ReadError, match="was overwritten while it was read"):
        read_within(location, 5)


RANGES = replace(IMPATIENT, range_bytes=50_000, verify="object")
RANGE_FAULTS = [*FAULTS, "range ignored"]


@pytest.mark.parametrize("fault", RANGE_FAULTS)
def test_parallel_ranges_recover_from_a_fault_that_passes(fault: Kind, proxy: FaultProxy, put: Put) -> None:
    location = put("orders.csv", files()["csv"])
    proxy.inject(fault, on="RANGE", times=1, skip=1)
    with use_storage(RANGES):
        pandas.testing.assert_frame_equal(read_within(location, 6), frame())
    assert len([request for request in proxy.requests if request.range]) > 4


@pytest.mark.parametrize("fault", RANGE_FAULTS)
def test_parallel_ranges_give_up_on_a_fault_that_stays(fault: Kind, proxy: FaultProxy, put: Put) -> None:
    location = put("orders.csv", files()["csv"])
    proxy.inject(fault, on="RANGE", times=None, skip=1)
    with use_storage(replace(RANGES, attempts=2)), pytest.raises(ReadError, match="try 1"):
        read_within(location, 6)


COLUMNS = replace(IMPATIENT, verify="ranges")
WANTED = ("order_id", "amount")


@cache
def wide_parquet() -> bytes:
    """A file of many columns, so that two of them are a small part of it."""
    table = orders(6000)
    noise = pa.array([f"{i * 7919 % 100_003:x}" * 9 for i in range(len(table))])
    for number in range(5):
        table = table.append_column(f"noise_{number}", noise)
    return encoded(table, "parquet")


@pytest.mark.parametrize("times", [1, None])
@pytest.mark.parametrize("fault", RANGE_FAULTS)
def test_column_chunks_by_range_are_right_or_an_error(
    fault: Kind, times: int | None, proxy: FaultProxy, put: Put
) -> None:
    location = put("orders.parquet", wide_parquet())
    # Past the footer; a flipped bit in a page is found by the page's own checksum, which the file carries.
    proxy.inject(fault, on="RANGE", times=times, skip=1)
    with use_storage(replace(COLUMNS, attempts=2)):
        started = time.monotonic()
        found = None
        with contextlib.suppress(ReadError):
            found = read_table(location, ORDERS, columns=WANTED)
        assert time.monotonic() - started < 6
    if fault != "bit flip":  # it may hit what nobody needs, and cannot be told from what the store has
        assert (found is None) == (times is None)
    if found is not None:
        expected = conform(orders(6000), ORDERS, location="memory", columns=WANTED)
        pandas.testing.assert_frame_equal(found, expected)


def test_column_chunks_of_an_overwritten_file_never_mix(proxy: FaultProxy, put: Put) -> None:
    location = put("orders.parquet", wide_parquet())
    table = orders(6000, seed=2)
    proxy.inject("nothing", on="RANGE", then=lambda: put("orders.parquet", encoded(table, "parquet")))
    with use_storage(COLUMNS):
        found = read_table(location, ORDERS, columns=WANTED)
    pandas.testing.assert_frame_equal(found, conform(table, ORDERS, location="memory", columns=WANTED))


def test_a_store_that_is_not_there_is_an_error_in_time(proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    with pytest.raises(ReadError, match=r"no connection to 127\.0\.0\.1:9"):
        read_within("s3://bucket/orders.csv", 5)
