"""A loader that reads in threads of its own reads what it would read without them, wherever its driver reads."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from loaders import Config, build_driver, load_config

LOADERS = """
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pyarrow as pa
from hamilton.function_modifiers import extract_columns

from caching import function_cache
from loaders import DatasetContract, read_table
from loaders.config.storage import active_storage

contract = DatasetContract("days", pa.schema([("day", pa.int64()), ("sales", pa.float64())]))
POOL = ThreadPoolExecutor(2)


@extract_columns("day", "sales")
@function_cache
def days() -> pd.DataFrame:
    names = [f"day-{number}." + "csv" for number in (1, 2)]
    return pd.concat(POOL.map(lambda name: read_table(name, contract), names), ignore_index=True)


def endpoint() -> str:
    return POOL.submit(active_storage).result().endpoint_url or ""
"""


@pytest.fixture
def threaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "threaded_loaders.py").write_text(LOADERS)
    yield __import__("threaded_loaders")
    del sys.modules["threaded_loaders"]


def project(folder: Path, sales: float, endpoint: str = "") -> Config:
    """A project of two files, and its configuration."""
    (folder / "configs").mkdir(parents=True)
    for number in (1, 2):
        (folder / f"day-{number}.csv").write_text(f"day,sales\n{number},{sales}\n")
    lines = ["data_source: days", "sources: {days: threaded_loaders}", f"cache: {{directory: {folder.parent}/cache}}"]
    lines += [f"storage: {{endpoint_url: '{endpoint}'}}"] if endpoint else []
    (folder / "configs" / "dev.yaml").write_text("\n".join(lines))
    return load_config("dev", folder / "configs")


def test_each_driver_reads_its_own_project_through_one_pool(threaded: ModuleType, tmp_path: Path) -> None:
    drivers = [build_driver(project(tmp_path / name, sales)) for name, sales in (("a", 1.5), ("b", 2.5))]
    for _ in range(2):
        assert [list(driver.execute(["sales"])["sales"]) for driver in drivers] == [[1.5, 1.5], [2.5, 2.5]]


def test_each_driver_reads_its_own_storage_through_one_pool(threaded: ModuleType, tmp_path: Path) -> None:
    urls = ["http://127.0.0.1:9", "http://127.0.0.1:10"]
    drivers = [build_driver(project(tmp_path / url[-2:].strip(":"), 1, url)) for url in urls]
    assert [driver.execute(["endpoint"])["endpoint"] for driver in drivers] == urls


def test_a_file_that_changed_is_read_again_though_a_thread_read_it(threaded: ModuleType, tmp_path: Path) -> None:
    driver = build_driver(project(tmp_path / "a", 1))
    assert list(driver.execute(["sales"])["sales"]) == [1, 1]
    (tmp_path / "a" / "day-2.csv").write_text("day,sales\n2,7\n")
    assert list(driver.execute(["sales"])["sales"]) == [1, 7]
