"""The example project on all flights of 2013: its own modules, from CSV files and from Parquet on a real S3."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from loaders.sandbox.s3_server import S3Server

EXAMPLE = Path(__file__).parents[2] / "examples" / "nyc_flights"
COMMAND = Path(sys.executable).with_name("sourceswap")
TABLES = ("airlines", "airports", "flights", "planes", "weather")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, its data fetched by the documented command."""
    folder = tmp_path_factory.mktemp("example") / "nyc_flights"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("data", "__pycache__"))
    subprocess.run([sys.executable, "fetch_data.py"], cwd=folder, check=True, capture_output=True)
    return folder


def run(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SOURCESWAP_CACHE_DIR": str(project / "cache")}
    return subprocess.run(
        [str(COMMAND), "run", *words],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_delay_by_carrier_is_that_of_the_whole_year(project: Path) -> None:
    result = run(project, "--env", "local", "-s", "delay_by_carrier", "-o", "delays.csv")
    assert result.returncode == 0, result.stderr
    assert "336,776 rows" in result.stderr
    delays = pd.read_csv(project / "delays.csv").set_index("airline")
    flights = pd.read_csv(project / "data" / "flights.csv")
    names = pd.read_csv(project / "data" / "airlines.csv").set_index("carrier")["name"]
    expected = flights.groupby("carrier")["arr_delay"].mean().rename(names).round(2)
    pd.testing.assert_series_equal(
        delays["mean_arr_delay"].sort_index(), expected.sort_index(), check_names=False, check_index_type=False
    )


def test_every_output_is_the_same_from_csv_files_and_from_parquet_on_s3(
    project: Path, s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = s3_server.client()
    for table in TABLES:
        frame = pd.read_csv(
            project / "data" / f"{table}.csv", na_values=["NA"], keep_default_na=False, dtype_backend="pyarrow"
        )
        if "time_hour" in frame:
            frame["time_hour"] = pd.to_datetime(frame["time_hour"], utc=True).dt.as_unit("s")
        sink = pa.BufferOutputStream()
        frame.to_parquet(sink, index=False)
        client.put_object(Bucket=s3_bucket, Key=f"{table}.parquet", Body=sink.getvalue().to_pybytes())
    monkeypatch.setenv("FLIGHTS_BUCKET", s3_bucket)
    local = run(project, "--env", "local")
    prod = run(project, "--env", "prod")
    assert prod.returncode == 0, prod.stderr
    assert prod.stdout == local.stdout
    for table in ("airlines", "flights", "planes", "weather"):
        assert f"s3://{s3_bucket}/{table}.parquet" in prod.stderr
    again = run(project, "--env", "prod")
    assert again.stdout == local.stdout
    assert again.stderr.count("  hit  ") == 4
