"""Loader modules made from contracts: what one would write, in the driver, the cache, `check` and YAML."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from loaders import (
    ConfigError,
    DatasetContract,
    assert_interchangeable,
    build_driver,
    check_interchangeable,
    load_config,
    loader_module,
)
from loaders.reading.passthrough import is_passthrough

CONTRACTS = """\
import pyarrow as pa
from loaders import DatasetContract
ORDERS = DatasetContract(
    "orders", pa.schema([pa.field("order_id", pa.int64(), nullable=False), ("amount", pa.float64())]),
    key=("order_id",), description="One row per order.",
)
CUSTOMERS = DatasetContract("customers", pa.schema([("name", pa.string())]), description="One row per customer.")
"""
WRITTEN = """\
import pandas as pd
from hamilton.function_modifiers import extract_columns
from caching import function_cache
from loaders import read_table
from {package}.contracts import CUSTOMERS, ORDERS

@extract_columns(*ORDERS.columns)
@function_cache
def orders(orders_data_path: str) -> pd.DataFrame:
    \"\"\"One row per order.\"\"\"
    return read_table(orders_data_path, ORDERS, allow=("file",))

@extract_columns(*CUSTOMERS.columns)
@function_cache
def customers(customers_data_path: str) -> pd.DataFrame:
    \"\"\"One row per customer.\"\"\"
    return read_table(customers_data_path, CUSTOMERS, allow=("file",))
"""
FEATURES = """\
import pandas as pd

def doubled(amount: pd.Series) -> pd.Series:
    return amount * 2
"""
CONFIG = """\
data_source: {source}
sources:
  local: {package}.written
  made: {{contracts: {package}.contracts, allow: [file]}}
  prod: {{contracts: {package}.contracts, allow: [s3]}}
modules: [{package}.features]
inputs: {{orders_data_path: {root}orders.csv, customers_data_path: {root}customers.csv}}
cache: {{directory: {cache}}}
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a project's package, with environments of written and of generated sources."""
    name = f"made_{tmp_path.name}"
    folder = tmp_path / name
    folder.mkdir()
    (tmp_path / "configs").mkdir()
    (folder / "__init__.py").touch()
    (folder / "contracts.py").write_text(CONTRACTS)
    (folder / "written.py").write_text(WRITTEN.format(package=name))
    (folder / "features.py").write_text(FEATURES)
    (tmp_path / "orders.csv").write_text("order_id,amount\n1,1.5\n2,2.5\n")
    (tmp_path / "customers.csv").write_text("name\nA\n")
    for env, source, root in (("local", "local", ""), ("made", "made", ""), ("prod", "prod", "s3://bucket/")):
        text = CONFIG.format(source=source, package=name, root=root, cache=tmp_path / "cache")
        (tmp_path / "configs" / f"{env}.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def contracts() -> dict[str, DatasetContract]:
    scope: dict[str, Any] = {}
    exec(CONTRACTS, scope)
    return {"orders": scope["ORDERS"], "customers": scope["CUSTOMERS"]}


def test_a_made_module_is_interchangeable_with_a_written_one(package: str) -> None:
    import importlib

    made = loader_module(f"{package}.hand", importlib.import_module(f"{package}.contracts"), allow=("file",))
    written = importlib.import_module(f"{package}.written")
    assert_interchangeable(made, written)
    assert made.orders.__doc__ == written.orders.__doc__ == "One row per order."
    assert is_passthrough(made.orders)


def test_an_environment_names_contracts_in_place_of_a_module(package: str) -> None:
    for env in ("local", "made"):
        results = build_driver(load_config(env)).execute(["doubled", "name"])
        assert list(results["doubled"]) == [3.0, 5.0]
        assert list(results["name"]) == ["A"]
    driver = build_driver({**_inputs("orders.csv"), "data_source": "prod", "sources": _source(package, "s3")})
    with pytest.raises(Exception, match=r"reads only s3://"):
        driver.execute(["orders"])


def _inputs(location: str) -> dict[str, object]:
    return {"orders_data_path": location, "customers_data_path": location}


def _source(package: str, protocol: str) -> dict[str, object]:
    return {"prod": {"contracts": f"{package}.contracts", "allow": protocol}}


def test_check_treats_both_alike(package: str, tmp_path: Path) -> None:
    report = check_interchangeable("configs")
    assert [finding.message for finding in report.findings if finding.severity == "error"] == []
    written = tmp_path / package / "written.py"
    written.write_text(written.read_text().replace("orders_data_path", "order_path"))
    assert "input" in " ".join(finding.rule for finding in check_interchangeable("configs").findings)


def test_a_made_loader_hits_in_another_process(package: str) -> None:
    command = [sys.executable, "-c", "from cli.main import main; main()", "run", "-e", "made", "-s", "doubled"]
    for expected in ("miss", "hit"):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert expected in done.stderr


def test_frames_of_polars(package: str) -> None:
    import polars as pl

    module = loader_module(f"{package}.pl", contracts(), frame="polars")
    driver = build_driver({**_inputs("orders.csv"), "data_source": "x"}, sources={"x": module})
    assert isinstance(driver.execute(["orders"])["orders"], pl.DataFrame)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"contracts": []}, "no DatasetContract"),
        ({"frame": "spark"}, "found frame='spark'"),
        ({"allow": "s3"}, "must be a list"),
        ({"name": "my module"}, "is that of a module"),
    ],
)
def test_impossible_arguments_are_refused(arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        loader_module(**{"name": "made.x", "contracts": contracts(), **arguments})


@pytest.mark.parametrize(
    ("section", "problem"),
    [({"allow": ["s3"]}, "lacks 'contracts'"), ({"contracts": "x", "alow": []}, "unknown key 'alow'.*'allow'")],
)
def test_an_impossible_section_is_refused_with_its_place(
    section: dict[str, object], problem: str, package: str, tmp_path: Path
) -> None:
    import yaml

    path = tmp_path / "configs" / "made.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["sources"]["made"] = section
    path.write_text(yaml.safe_dump(settings))
    with pytest.raises(ConfigError, match=rf"(?s)made\.yaml:\d+.*{problem}"):
        build_driver(load_config("made"))


def test_the_text_of_a_made_function_is_at_hand(package: str) -> None:
    import inspect

    module = loader_module(f"{package}.text", contracts(), allow=("s3",))
    text = inspect.getsource(inspect.unwrap(module.orders))
    assert "return read_table(orders_data_path, CONTRACTS['orders'], allow=('s3',))" in text
    assert pd.DataFrame is inspect.unwrap(module.orders).__annotations__["return"]
