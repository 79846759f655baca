"""Tables that DuckDB's SQL names: variables of the module belong to the key, those of the function need not."""

from __future__ import annotations

from typing import Any

import duckdb
import pandas as pd

from caching import CacheEvent, function_cache
from tests.caching.answers import answers

NUMBERS = pd.DataFrame({"a": [1, 2]})


def test_a_table_of_the_module_that_sql_names_is_part_of_the_key(own_events: list[CacheEvent]) -> None:
    @function_cache
    def load(x: int) -> Any:
        return duckdb.sql("select sum(a) from NUMBERS").fetchall()

    _, said = answers(lambda: load(1))
    assert said == []
    assert [event.outcome for event in own_events] == ["miss", "hit"]
    globals()["NUMBERS"] = pd.DataFrame({"a": [5]})
    assert load(1) == [(5,)]


def test_a_table_of_the_module_that_computed_sql_names_is_not_cached(own_events: list[CacheEvent]) -> None:
    @function_cache
    def load(name: str) -> Any:
        return duckdb.sql(f"select sum(a) from {name[::-1]}").fetchall()

    globals()["OTHERS"] = pd.DataFrame({"a": [3]})
    _, said = answers(lambda: load("SREHTO"))
    assert "OTHERS" in said[0]
    globals()["OTHERS"] = pd.DataFrame({"a": [4]})
    assert load("SREHTO") == [(4,)]


def test_a_local_table_that_sql_names_is_cached(own_events: list[CacheEvent]) -> None:
    @function_cache
    def load(table: pd.DataFrame) -> Any:
        doubled = table * 2  # noqa: F841 - the SQL names it
        return duckdb.sql("select sum(a) from doubled").fetchall()

    results, said = answers(lambda: load(pd.DataFrame({"a": [1, 2]})))
    assert (results, said, own_events[-1].outcome) == ([[(6,)]] * 2, [], "hit")
