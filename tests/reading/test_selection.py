"""Only a loader that does nothing with its frame may be given fewer columns than its contract has."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hamilton.function_modifiers import check_output, config, extract_columns, tag

import loaders
from caching import function_cache
from loaders import DatasetContract, read_table
from loaders.conforming import conform
from loaders.reading.passthrough import is_passthrough, passage
from loaders.reading.selection import Selection, use_selection
from tests.reading.conftest import ORDERS, encoded, orders

ROOT = "data"
this_module = sys.modules[__name__]


def _read(path: str) -> pd.DataFrame:
    return read_table(path, ORDERS, allow=("file",))


def own_decorator(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs).head(3)

    return wrapper


def plain(path: str) -> pd.DataFrame:
    """With a docstring."""
    return read_table(path, ORDERS)


def with_options(path: str) -> pd.DataFrame:
    return read_table(f"{ROOT}/{path}", ORDERS, allow=("file", "s3"))


def from_a_module(path: str) -> pd.DataFrame:
    return loaders.read_table(path, ORDERS)


def through_a_helper(path: str) -> pd.DataFrame:
    return _read(path)


@extract_columns(*ORDERS.columns)
@function_cache
def decorated(path: str) -> pd.DataFrame:
    return read_table(path, ORDERS)


@config.when(data_source="local")
@tag(owner="me")
@extract_columns(*ORDERS.columns)
@function_cache(ttl_seconds=5)
def switched__local(path: str) -> pd.DataFrame:
    return read_table(path, ORDERS)


class Table(dict[str, Any]):
    """A table that computes."""

    def __missing__(self, name: str) -> Any:
        return ORDERS


CONTRACTS = {"orders": ORDERS}
COMPUTED = Table()
BY_ANYTHING = {"orders": {1: ORDERS}, 1: ORDERS}


def from_a_table(path: str) -> pd.DataFrame:
    return read_table(f"{ROOT}/{path}", CONTRACTS["orders"], allow=("file",))


def from_a_table_in_a_module(path: str) -> pd.DataFrame:
    return read_table(path, this_module.CONTRACTS["orders"])


def from_a_computing_table(path: str) -> pd.DataFrame:
    return read_table(path, COMPUTED["orders"])


def from_a_table_by_argument(path: str) -> pd.DataFrame:
    return read_table("x", CONTRACTS[path])


def from_a_table_of_other_keys(path: str) -> pd.DataFrame:
    return read_table(path, BY_ANYTHING["orders"])  # type: ignore[arg-type]


def of_an_argument(path: Any) -> pd.DataFrame:
    return read_table(path["orders"], ORDERS)


def of_an_attribute(path: Any) -> pd.DataFrame:
    return read_table(path.parts["orders"], ORDERS)


def of_an_attribute_of_a_table(path: str) -> pd.DataFrame:
    return read_table(path, CONTRACTS.tables["orders"])  # type: ignore[attr-defined,no-any-return]


def of_another_function_behind_it(path: str) -> pd.DataFrame:
    return plain.cleaned(path)  # type: ignore[attr-defined,no-any-return]


def in_a_table_of_functions(path: str) -> pd.DataFrame:
    return CONTRACTS["orders"](path)  # type: ignore[operator,no-any-return]


def method_on_it(path: str) -> pd.DataFrame:
    return read_table(path, ORDERS).head(5)


def through_a_variable(path: str) -> pd.DataFrame:
    frame = read_table(path, ORDERS)
    frame["note"] = frame["note"].str.upper()
    return frame


def one_of_two(path: str) -> pd.DataFrame:
    return read_table(path, ORDERS) if path else read_table("x", ORDERS).dropna()


def in_a_function(path: str) -> pd.DataFrame:
    return pd.DataFrame(read_table(path, ORDERS))


def with_another_call(path: str) -> pd.DataFrame:
    return read_table(Path(ROOT).joinpath(path), ORDERS)


def arithmetic(path: str) -> Any:
    return 1 + read_table(path, ORDERS)


def in_a_tuple(path: str) -> Any:
    return (read_table(path, ORDERS),)


def of_its_own_columns(path: str) -> pd.DataFrame:
    return read_table(path, ORDERS, columns=("amount", "note"), allow=("file",))


async def asynchronous(path: str) -> pd.DataFrame:
    return read_table(path, ORDERS)


def another_function(path: str) -> pd.DataFrame:
    return pd.read_csv(path)


def parameter_of_that_name(path: str, read_table: Any) -> pd.DataFrame:
    return read_table(path, ORDERS)  # type: ignore[no-any-return]


@own_decorator
def decorated_by_others(path: str) -> pd.DataFrame:
    return read_table(path, ORDERS)


@function_cache
@own_decorator
def decorated_by_others_below_the_cache(path: str) -> pd.DataFrame:
    return read_table(path, ORDERS)


@extract_columns(*ORDERS.columns)
@own_decorator
@function_cache
def decorated_by_others_above_the_cache(path: str) -> pd.DataFrame:
    return read_table(path, ORDERS)


@check_output(importance="fail", data_type=pd.DataFrame)
def checked_as_a_whole(path: str) -> pd.DataFrame:
    return read_table(path, ORDERS)


def recursive(path: str) -> Any:
    return recursive(path)


@pytest.mark.parametrize(
    "function",
    [
        plain,
        with_options,
        from_a_module,
        through_a_helper,
        decorated,
        switched__local,
        _read,
        from_a_table,
        from_a_table_in_a_module,
    ],
)
def test_a_function_that_only_reads_passes_the_frame_through(function: Callable[..., Any]) -> None:
    assert is_passthrough(function)


@pytest.mark.parametrize(
    "function",
    [
        *(method_on_it, through_a_variable, one_of_two, in_a_function, with_another_call, arithmetic, in_a_tuple),
        *(
            of_its_own_columns,
            asynchronous,
            another_function,
            parameter_of_that_name,
            decorated_by_others,
            checked_as_a_whole,
            recursive,
        ),
        *(from_a_computing_table, from_a_table_by_argument, from_a_table_of_other_keys, of_an_argument),
        *(of_an_attribute, of_an_attribute_of_a_table, of_another_function_behind_it, in_a_table_of_functions),
        *(decorated_by_others_above_the_cache, decorated_by_others_below_the_cache),
        *(functools.partial(plain, "x"), pd.read_csv, len),
    ],
)
def test_a_function_that_may_do_more_does_not(function: Callable[..., Any]) -> None:
    assert not is_passthrough(function)


def selected(function: Callable[..., Any], *columns: str) -> Any:
    codes = passage(function)
    assert codes is not None
    return use_selection(Selection(columns, codes))


@pytest.fixture(params=["csv", "jsonl", "parquet", "feather"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    file = tmp_path / f"orders.{request.param}"
    file.write_bytes(encoded(orders(50), request.param))
    return str(file)


@pytest.mark.parametrize("function", [plain, through_a_helper])
def test_a_selection_reads_only_its_columns(function: Callable[..., Any], path: str) -> None:
    whole = function(path)
    with selected(function, "amount", "order_id"):
        pd.testing.assert_frame_equal(function(path), whole[["order_id", "amount"]])
    pd.testing.assert_frame_equal(function(path), whole)


def test_a_selection_is_for_its_loader_alone(path: str) -> None:
    with selected(plain, "amount"):
        assert list(through_a_variable(path)) == list(ORDERS.columns)
        assert list(through_a_helper(path)) == list(ORDERS.columns)
        assert list(read_table(path, ORDERS)) == list(ORDERS.columns)
        assert list(read_table(path, ORDERS, columns=["note"])) == ["note"]


def test_rules_about_columns_that_are_not_read_are_not_applied(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    table = orders(3)
    file.write_bytes(encoded(table.slice(0, 1), "csv") + encoded(table, "csv").split(b"\n", 1)[1])
    with pytest.raises(loaders.ContractError, match="more than one row"):
        read_table(file, ORDERS)
    assert len(read_table(file, ORDERS, columns=["weight"])) == 4


def test_an_unknown_column_is_refused(path: str) -> None:
    with pytest.raises(loaders.ConfigError, match=r"'amuont' \(did you mean 'amount'\?\)"):
        read_table(path, ORDERS, columns=["amuont"])


def test_no_columns_are_a_frame_of_rows_alone(path: str) -> None:
    assert read_table(path, ORDERS, columns=[]).shape == (50, 0)


def test_columns_of_a_prefix_are_selected_by_node_name(tmp_path: Path) -> None:
    contract = DatasetContract("shops", ORDERS.schema, prefix="shops_")
    file = tmp_path / "shops.parquet"
    file.write_bytes(encoded(orders(5), "parquet"))
    assert list(read_table(file, contract, columns=["shops_note"])) == ["shops_note"]


@pytest.mark.parametrize("names", [[name] for name in ORDERS.columns] + [list(ORDERS.columns[::2])])
@pytest.mark.parametrize("group_rows", [50, 3000])
def test_any_columns_of_a_parquet_file_are_found_in_their_ranges(
    names: list[str], group_rows: int, tmp_path: Path
) -> None:
    """Whatever gaps there are between them; a byte that was not fetched is never made up."""
    table = orders(6000)
    file = tmp_path / "orders.parquet"
    pq.write_table(table, file, row_group_size=group_rows)
    whole = conform(table, ORDERS, location="memory")
    pd.testing.assert_frame_equal(read_table(file, ORDERS, columns=names), whole[names])
