"""Only the columns that the outputs need are read, each is cached by itself, and the outputs are the same."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from caching import CacheEvent
from loaders import ContractError
from loaders.driver import config_from_mapping, plan

SOURCE = """
import pandas as pd
import pyarrow as pa
from hamilton.function_modifiers import extract_columns
from caching import function_cache
from loaders import DatasetContract, read_table

ORDERS = DatasetContract(
    "orders", pa.schema([("id", pa.int64()), ("amount", pa.float64()), ("country", pa.string())]), key="id"
)

@extract_columns(*ORDERS.columns)
@function_cache
def orders(orders_data_path: str) -> pd.DataFrame:
    {body}
"""
FEATURES = """
import pandas as pd

def total(amount: pd.Series) -> float:
    return float(amount.sum())

def by_country(amount: pd.Series, country: pd.Series) -> dict:
    return amount.groupby(country).sum().to_dict()

def rows(orders: pd.DataFrame) -> int:
    return len(orders)
"""
READ = "return read_table(orders_data_path, ORDERS)"

Make = Callable[..., tuple[ModuleType, ModuleType]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCESWAP_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "orders.parquet"
    write(path, [1.0, 2.0, 4.0])
    return path


def write(path: Path, amounts: list[float], countries: tuple[str, ...] = ("de", "fr", "de")) -> None:
    pd.DataFrame({"id": [1, 2, 3], "amount": amounts, "country": countries}).to_parquet(path)


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    monkeypatch.syspath_prepend(tmp_path)
    made: list[str] = []

    def make(body: str = READ) -> tuple[ModuleType, ModuleType]:
        names = [f"{kind}_{tmp_path.name}_{len(made)}".replace("-", "_") for kind in ("source", "features")]
        made.extend(names)
        for name, text in zip(names, (SOURCE.format(body=body), FEATURES), strict=True):
            (tmp_path / f"{name}.py").write_text(text)
        source, features = (__import__(name) for name in names)
        return source, features

    yield make
    for name in made:
        sys.modules.pop(name, None)


def run(
    modules: tuple[ModuleType, ModuleType], data: Path, *outputs: str, **config: object
) -> tuple[list[object], str]:
    """The outputs, and what became of the dataset: the outcome, and of which columns its frame was."""
    source, features = modules
    events: list[CacheEvent] = []
    planned = plan({"data_source": "x", "orders_data_path": str(data), **config}, features, sources={"x": source})
    results = planned.build(observer=events.append).execute([*outputs])
    (event,) = events
    assert isinstance(event.value, pd.DataFrame)
    return [results[output] for output in outputs], f"{event.outcome} {','.join(event.value.columns)}"


def test_only_needed_columns_are_loaded_and_the_outputs_are_the_same(modules: Make, data: Path) -> None:
    made = modules()
    assert run(made, data, "total") == ([7.0], "miss amount")
    assert run(made, data, "total", only_needed_columns=False) == ([7.0], "miss id,amount,country")


def test_only_needed_columns_are_loaded_of_a_contract_of_another_name(
    modules: Make, data: Path, tmp_path: Path
) -> None:
    source, features = modules()
    file = Path(source.__file__ or "")
    file.write_text(file.read_text().replace('DatasetContract(\n    "orders"', 'DatasetContract(\n    "order_lines"'))
    renamed = tmp_path / f"renamed_{file.name}"
    file.rename(renamed)
    assert run((__import__(renamed.stem), features), data, "total") == ([7.0], "miss amount")


def test_cached_columns_are_reused_and_only_the_others_are_read(modules: Make, data: Path) -> None:
    made = modules()
    run(made, data, "total")
    assert run(made, data, "total") == ([7.0], "hit amount")
    assert run(made, data, "by_country") == ([{"de": 5.0, "fr": 2.0}], "miss amount,country")
    assert run(made, data, "by_country") == ([{"de": 5.0, "fr": 2.0}], "hit amount,country")


def test_a_whole_frame_in_the_cache_serves_every_selection(modules: Make, data: Path) -> None:
    made = modules()
    assert run(made, data, "rows") == ([3], "miss id,amount,country")
    assert run(made, data, "total") == ([7.0], "hit id,amount,country")


def test_columns_of_an_older_version_are_never_joined_with_newer_ones(modules: Make, data: Path) -> None:
    made = modules()
    run(made, data, "total")
    status = data.stat()
    write(data, [1.0, 2.0, 5.0], ("de", "de", "fr"))
    os.utime(data, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert run(made, data, "by_country") == ([{"de": 3.0, "fr": 5.0}], "miss amount,country")
    assert run(made, data, "total") == ([8.0], "hit amount")


def test_a_key_of_several_columns_is_checked_whatever_was_cached_before(
    modules: Make, data: Path, tmp_path: Path
) -> None:
    source, features = modules()
    text = SOURCE.format(body=READ).replace('key="id"', 'key=("id", "country")')
    (tmp_path / f"{source.__name__}_b.py").write_text(text)
    made = (__import__(f"{source.__name__}_b"), features)
    pd.DataFrame({"id": [1, 1], "amount": [1.0, 2.0], "country": ["de", "de"]}).to_parquet(data)
    assert [run(made, data, column)[1] for column in ("id", "country")] == ["miss id", "miss country"]
    with pytest.raises(ContractError, match="more than one row"):
        run(made, data, "id", "country")


def test_a_refresh_reads_the_columns_that_its_plan_names(modules: Make, data: Path) -> None:
    source, features = modules()
    run((source, features), data, "rows")
    planned = plan({"data_source": "x", "orders_data_path": str(data)}, features, sources={"x": source})
    (dataset,) = planned.datasets
    assert planned.call_environment(["total"]).read_columns(dataset) == ("amount",)
    events: list[CacheEvent] = []
    planned.build(cache_mode="refresh", observer=events.append).execute(["total"])
    assert [(event.outcome, list(event.value)) for event in events] == [("refresh", ["amount"])]  # type: ignore[call-overload]


def test_writing_into_a_column_never_reaches_the_cache(modules: Make, data: Path) -> None:
    made = modules()
    run(made, data, "amount")
    for _ in range(2):
        ((amount,), outcome) = run(made, data, "amount")
        assert outcome == "hit amount"
        assert isinstance(amount, pd.Series)
        assert list(amount) == [1.0, 2.0, 4.0]
        amount.iloc[0] = 99.0


@pytest.mark.parametrize(
    "body",
    [
        "return read_table(orders_data_path, ORDERS).dropna()",
        "frame = read_table(orders_data_path, ORDERS)\n    return frame[frame['country'] == 'de']",
        "frame = read_table(orders_data_path, ORDERS)\n    frame['amount'] *= 2\n    return frame",
    ],
)
def test_a_loader_that_works_on_the_frame_gets_every_column(modules: Make, data: Path, body: str) -> None:
    made = modules(body)
    (total,), outcome = run(made, data, "total")
    assert outcome == "miss id,amount,country"
    assert (total,) == tuple(run(made, data, "total", only_needed_columns=False)[0])


def test_formats_of_the_environment_are_part_of_the_key(modules: Make, tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("id,amount,country\n1,2.5,xx\n")
    made = modules()
    assert run(made, path, "country")[0][0].isna().sum() == 0  # type: ignore[attr-defined]
    formats = {"orders": {"null_values": ["", "xx"]}}
    (country,), outcome = run(made, path, "country", formats=formats)
    assert outcome == "miss country"
    assert country.isna().sum() == 1  # type: ignore[attr-defined]


HELPER = """
from hamilton.function_modifiers import extract_columns
from caching import function_cache
from loaders import read_table

@function_cache
def _read(path: str) -> pd.DataFrame:
    return read_table(path, ORDERS)

@extract_columns(*ORDERS.columns)
def orders(orders_data_path: str) -> pd.DataFrame:
    return _read(orders_data_path)
"""
FACTORY = """
from dataclasses import replace

SHOPS = replace(ORDERS, name="shops", prefix="shop_")

def _make(contract):
    def load(orders_data_path: str) -> pd.DataFrame:
        return read_table(orders_data_path, contract)
    load.__name__ = contract.name
    return extract_columns(*contract.columns)(function_cache(load))

orders, shops = _make(ORDERS), _make(SHOPS)
"""
READER = """
import pandas as pd
from caching import function_cache
from loaders import read_table
from {source} import ORDERS

@function_cache
def countries(orders_data_path: str) -> list:
    return [*read_table(orders_data_path, ORDERS)["country"]]

def both(country: pd.Series) -> list:
    return [*country]
"""


@pytest.fixture
def written(modules: Make, tmp_path: Path) -> Callable[[str], tuple[ModuleType, ModuleType]]:
    """A source whose loaders are those of the text, and a dataflow that also reads the data itself."""

    def write(loaders: str) -> tuple[ModuleType, ModuleType]:
        name = f"{modules()[0].__name__}_{hash(loaders) % 997}"
        (tmp_path / f"{name}.py").write_text(SOURCE.partition("@extract_columns")[0] + loaders)
        (tmp_path / f"{name}_flow.py").write_text(READER.format(source=name))
        return __import__(name), __import__(f"{name}_flow")

    return write


@pytest.mark.parametrize(
    ("loaders", "dataset", "output"),
    [
        (HELPER, "orders", "both"),
        (HELPER, "orders", "countries"),
        (FACTORY, "orders", "both"),
        (FACTORY, "shops", "shop_country"),
    ],
)
def test_formats_and_root_count_for_every_function_that_may_read(
    written: Callable[[str], tuple[ModuleType, ModuleType]], tmp_path: Path, loaders: str, dataset: str, output: str
) -> None:
    source, flow = written(loaders)
    for project, country in (("one", "xx"), ("two", "yy")):
        (tmp_path / project).mkdir()
        (tmp_path / project / "orders.csv").write_text(f"id,amount,country\n1,2.5,{country}\n")
        for formats in ({}, {dataset: {"null_values": ["", country]}}):
            config = {"data_source": "x", "orders_data_path": "orders.csv", "formats": formats}
            placed = replace(config_from_mapping(config), root=tmp_path / project)
            planned = plan(placed, flow, sources={"x": source})
            value = pd.Series(planned.build().execute([output])[output])
            assert [None if pd.isna(item) else item for item in value] == [None if formats else country]


CHOSEN = """
@extract_columns("id", "amount")
@function_cache
def orders(orders_data_path: str) -> pd.DataFrame:
    return read_table(orders_data_path, ORDERS, columns=("id", "amount"))
"""
OTHER_NAME = """
@extract_columns(*ORDERS.columns)
@function_cache
def orders(orders_data_path: str) -> pd.DataFrame:
    return read_table(orders_data_path, SALES)

from dataclasses import replace
SALES = replace(ORDERS, name="sales")
"""
IN_A_CLASS = """
class Contracts:
    ORDERS = ORDERS

del ORDERS

@extract_columns(*Contracts.ORDERS.columns)
@function_cache
def orders(orders_data_path: str) -> pd.DataFrame:
    return read_table(orders_data_path, Contracts.ORDERS)
"""


@pytest.mark.parametrize("loader", [CHOSEN, OTHER_NAME, IN_A_CLASS])
@pytest.mark.parametrize("outputs", [("amount",), ("id", "amount")])
def test_every_way_to_say_what_is_read_is_cached(
    modules: Make, data: Path, tmp_path: Path, loader: str, outputs: tuple[str, ...]
) -> None:
    source, _ = modules()
    name = f"{source.__name__}_b"
    (tmp_path / f"{name}.py").write_text(SOURCE.partition("@extract_columns")[0] + loader)
    (tmp_path / f"{name}_flow.py").write_text("def ids(id: object) -> object:\n    return id\n")
    made = __import__(name), __import__(f"{name}_flow")
    for outcome in ("miss", "hit"):
        values, found = run(made, data, *outputs)
        assert [list(value) for value in values] == [[1, 2, 3], [1.0, 2.0, 4.0]][-len(outputs) :]  # type: ignore[call-overload]
        assert found.startswith(outcome)


def test_planned_lookup_tells_which_columns_are_missing(modules: Make, data: Path) -> None:
    source, features = modules()
    run((source, features), data, "total")
    planned = plan({"data_source": "x", "orders_data_path": str(data)}, features, sources={"x": source})
    (dataset,) = planned.datasets
    assert planned.lookup(dataset, ["total"], "on") == ("hit", "")
    outcome, reason = planned.lookup(dataset, ["by_country"], "on")
    assert (outcome, reason) == ("miss", "columns that are not cached: country")


@pytest.mark.parametrize("decorator", ["@function_cache", ""])
def test_a_function_that_calls_the_loader_itself_gets_every_column(
    modules: Make, data: Path, tmp_path: Path, decorator: str
) -> None:
    source, _ = modules()
    text = SOURCE.format(body=READ).replace("@function_cache", decorator)
    (tmp_path / f"{source.__name__}_b.py").write_text(text)
    (tmp_path / f"{source.__name__}_flow.py").write_text(
        "import pandas as pd\n"
        f"from {source.__name__}_b import orders as load\n"
        "def total(amount: pd.Series, orders_data_path: str) -> list:\n"
        "    return [float(amount.sum()), list(load(orders_data_path).columns)]\n"
    )
    loader, flow = __import__(f"{source.__name__}_b"), __import__(f"{source.__name__}_flow")
    planned = plan({"data_source": "x", "orders_data_path": str(data)}, flow, sources={"x": loader})
    for _ in range(2):
        assert planned.build().execute(["total"])["total"] == [7.0, ["id", "amount", "country"]]


def test_a_decorator_around_the_cache_sees_every_column_and_is_not_taken_for_the_cache(
    modules: Make, data: Path, tmp_path: Path
) -> None:
    source, features = modules()
    decorator = """
def _in_cents(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        frame = function(*args, **kwargs)
        return frame.assign(amount=frame["amount"] * 100) if "country" in frame else frame
    return wrapper

@extract_columns"""
    text = SOURCE.format(body=READ).replace("@extract_columns", decorator, 1)
    text = "import functools\n" + text.replace("@function_cache", "@_in_cents\n@function_cache")
    (tmp_path / f"{source.__name__}_b.py").write_text(text)
    loader = __import__(f"{source.__name__}_b")
    planned = plan({"data_source": "x", "orders_data_path": str(data)}, features, sources={"x": loader})
    for _ in range(2):
        assert planned.build().execute(["total"])["total"] == 700.0
    assert planned.lookup(planned.datasets[0], ["total"], "on") == ("not cached", "")
