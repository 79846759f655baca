"""`sample` and `show` of large data read little more than the rows that they take."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from loaders.sandbox.s3_server import S3Server
from tests.cli.conftest import Run
from tests.fault_proxy import FaultProxy

ROWS = 2_000_000


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    days = pa.array([n * 7 % 20_000 for n in range(ROWS)], pa.int32())
    weeks = pa.array(range(ROWS), pa.int32()).cast(pa.date32())
    table = pa.table({"week": weeks, "spend": days.cast(pa.float64()), "signups": days.cast(pa.int64())})
    sinks = {"csv": io.BytesIO(), "parquet": io.BytesIO()}
    pyarrow.csv.write_csv(table, sinks["csv"])
    pq.write_table(table, sinks["parquet"], row_group_size=50_000, compression="none", use_dictionary=False)
    return {name: sink.getvalue() for name, sink in sinks.items()}


@pytest.fixture(params=["csv", "parquet"])
def place(
    request: pytest.FixtureRequest,
    files: dict[str, bytes],
    s3_server: S3Server,
    s3_bucket: str,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[str, FaultProxy, int]]:
    """The location of a large file, the proxy before its store, and its size."""
    data = files[request.param]
    assert len(data) > 30 << 20
    s3_server.client().put_object(Bucket=s3_bucket, Key=f"a.{request.param}", Body=data)
    config = project / "configs" / "prod.yaml"
    config.write_text(config.read_text() + "storage: {verify: ranges}\n")
    with FaultProxy(s3_server) as proxy:
        for name, value in proxy.environment().items():
            monkeypatch.setenv(name, value)
        yield f"marketing_spend_data_path=s3://{s3_bucket}/a.{request.param}", proxy, len(data)


def test_a_sample_reads_a_small_part(
    place: tuple[str, FaultProxy, int], sourceswap: Run, project: Path, tmp_path: Path
) -> None:
    location, proxy, size = place
    result = sourceswap("sample", "--rows", "1000", "-e", "prod", "--params", location, "--force")
    assert result.returncode == 0, result.stderr
    assert "1,000 of more rows" in result.stderr
    written = next((project / "examples").rglob("marketing_spend*.csv"))
    frame = pd.read_csv(written)
    assert len(frame) == 1000
    assert list(frame["week"][[0, 999]]) == ["1970-01-01", "1972-09-26"]
    assert proxy.bytes_sent() < 0.1 * size


def test_a_preview_reads_a_small_part(place: tuple[str, FaultProxy, int], sourceswap: Run) -> None:
    location, proxy, size = place
    result = sourceswap("show", "marketing_spend", "--rows", "3", "-e", "prod", "--params", location)
    assert result.returncode == 0, result.stderr
    assert "more rows; the first 3" in result.stdout
    assert proxy.bytes_sent() < 0.1 * size
