"""Loader modules of polars: the driver, the cache, the test kit and the command line take their frames."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

from loaders import build_driver, check_interchangeable, load_config

SOURCESWAP = (sys.executable, "-c", "from cli.main import main; main()")
LOADER = """\
import polars as pl
from hamilton.function_modifiers import extract_columns
from caching import function_cache
from loaders import read_polars
from shop.contracts import ORDERS

@extract_columns(*ORDERS.columns)
@function_cache
def orders(orders_path: str) -> pl.DataFrame:
    \"\"\"One row per order.\"\"\"
    return read_polars(orders_path, ORDERS, allow=("{protocol}",))
"""
CONTRACTS = """\
import pyarrow as pa
from loaders import DatasetContract
ORDERS = DatasetContract(
    "orders",
    pa.schema([pa.field("order_id", pa.int64(), nullable=False), ("amount", pa.float64()), ("country", pa.string())]),
    key=("order_id",),
    description="One row per order.",
)
"""
FEATURES = """\
import polars as pl

def doubled(amount: pl.Series) -> pl.Series:
    return (amount * 2).rename("doubled")

def total(doubled: pl.Series) -> float:
    return float(doubled.sum())
"""
CONFIG = """\
data_source: {source}
sources: {{local: shop.local, prod: shop.prod}}
modules: [shop.features]
inputs: {{orders_path: {location}}}
cache: {{directory: {cache}}}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = tmp_path / "shop"
    package.mkdir()
    (tmp_path / "configs").mkdir()
    (package / "__init__.py").touch()
    (package / "contracts.py").write_text(CONTRACTS)
    (package / "features.py").write_text(FEATURES)
    (package / "local.py").write_text(LOADER.format(protocol="file"))
    (package / "prod.py").write_text(LOADER.format(protocol="s3"))
    (tmp_path / "orders.csv").write_text("order_id,amount,country\n1,1.5,DE\n2,2.5,FR\n")
    for source, location in (("local", "orders.csv"), ("prod", "s3://shop/orders.parquet")):
        text = CONFIG.format(source=source, location=location, cache=tmp_path / "cache")
        (tmp_path / "configs" / f"{source}.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


def test_a_dataflow_of_polars_runs_and_hits(project: Path) -> None:
    for _ in range(2):
        results = build_driver(load_config("local")).execute(["doubled", "total", "country"])
        assert isinstance(results["doubled"], pl.Series)
        assert results["doubled"].to_list() == [3.0, 5.0]
        assert results["total"] == 8.0
        assert results["country"].to_list() == ["DE", "FR"]
    (project / "orders.csv").write_text("order_id,amount,country\n1,7.0,DE\n")
    assert build_driver(load_config("local")).execute(["total"])["total"] == 14.0


def test_only_the_needed_columns_are_read_and_cached_each_by_itself(project: Path) -> None:
    def rows(output: str) -> list[object]:
        frame = build_driver(load_config("local")).execute(["orders", output])["orders"]
        return frame.columns

    command = [*SOURCESWAP, "run", "-e", "local", "--dry-run", "-s", "total"]
    first = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "1 of 3" in first
    assert build_driver(load_config("local")).execute(["total"])["total"] == 8.0
    again = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "hit" in again
    assert rows("total") == ["order_id", "amount", "country"]


def test_check_takes_polars_and_tells_kinds_apart(project: Path) -> None:
    assert check_interchangeable("configs").findings == ()
    prod = project / "shop" / "prod.py"
    prod.write_text(prod.read_text().replace("pl.", "pd.").replace("polars as pl", "pandas as pd"))
    prod.write_text(prod.read_text().replace("read_polars", "read_table"))
    rules = {finding.rule for finding in check_interchangeable("configs").findings}
    assert "type" in rules


def test_the_command_line_shows_and_writes_polars(project: Path) -> None:
    def run(*words: str) -> str:
        command = [*SOURCESWAP, *words, "-e", "local"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "3.0" in run("run")
    run("run", "-s", "doubled", "-o", "out.csv")
    assert (project / "out.csv").read_text() == "doubled\n3.0\n5.0\n"
    run("run", "-s", "orders", "-o", "orders-out.parquet")
    assert pl.read_parquet(project / "orders-out.parquet")["country"].to_list() == ["DE", "FR"]
    assert "2 rows" in run("show", "orders")


def test_the_test_kit_serves_frames_of_polars(
    project: Path, memory_loaders: Callable[..., ModuleType], loader_driver: Callable[..., object]
) -> None:
    import shop.contracts  # type: ignore[import-not-found]  # written by the fixture
    import shop.features  # type: ignore[import-not-found]

    frame = pl.DataFrame({"order_id": [1], "amount": [4.0], "country": [None]}, schema_overrides={"country": pl.String})
    driver = loader_driver(shop.features, sources=memory_loaders(shop.contracts.ORDERS, orders=frame))
    assert driver.execute(["total"])["total"] == 8.0  # type: ignore[attr-defined]
