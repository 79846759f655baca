"""What DuckDB and SQLite read by SQL, besides the cases of `source_cases.py`."""

from __future__ import annotations

import functools
import sqlite3
import warnings
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from caching import CachingWarning, LocalCache, activate, function_cache, register_version
from caching.context import CacheEvent

SEVEN = pd.DataFrame({"a": [7]})


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def outcomes(function: Any, *args: Any) -> tuple[list[Any], list[str], list[str]]:
    """The answers of two calls, how each came about, and the warnings."""
    events: list[CacheEvent] = []
    with warnings.catch_warnings(record=True) as caught, activate(LocalCache("cache"), observer=events.append):
        warnings.simplefilter("always")
        answers = [function(*args), function(*args)]
    told = [str(each.message) for each in caught if issubclass(each.category, CachingWarning)]
    return answers, [event.outcome for event in events], told


@functools.cache
def connection(path: str) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(path)


@function_cache
def by_variables(n: int) -> Any:
    frame = pd.DataFrame({"a": [n]})  # noqa: F841 - the SQL names it
    by_module = duckdb.sql("select * from frame, SEVEN").fetchall()
    by_connection = duckdb.connect().execute("select * from frame").fetchall()
    return by_module, by_connection, duckdb.sql("from range(9) r(a)").filter("a in (from SEVEN)").fetchall()


@function_cache
def by_older_connection(path: str) -> Any:
    return connection(path).execute("select * from t").fetchall()


@function_cache
def by_scratch(folder: str) -> Any:
    path = Path(folder) / "scratch"
    path.mkdir()
    with duckdb.connect(path / "d.duckdb") as own:
        own.execute("create table t as select 1")
        return own.execute("select * from t").fetchall()


@function_cache
def by_texts(n: int) -> Any:
    return duckdb.sql("select string_split('a/b', '/'), '.', '..', count(*) from (select 1 a)").fetchall()


@function_cache
def by_insertion(scheme: str) -> Any:
    own = duckdb.connect()
    own.execute("create table t (a text)")
    own.executemany("insert into t values (?)", [[f"{scheme}://host/{n}"] for n in range(3)])
    return own.execute("select count(*) from t").fetchall()


@function_cache
def by_computed_attachment(name: str) -> Any:
    own = sqlite3.connect(":memory:")
    own.execute("attach ? as y", [f"{name}.db"])
    own.close()


@function_cache
def by_vacuum(n: int) -> Any:
    own = sqlite3.connect(":memory:")
    own.execute("vacuum")
    own.close()


def test_duckdb_finds_the_variables_of_its_caller() -> None:
    expected = [(3, 7)], [(3,)], [(7,)]
    assert outcomes(by_variables, 3) == ([expected, expected], ["miss", "hit"], [])


def test_a_database_that_was_opened_before_is_not_trusted() -> None:
    connection("d.duckdb").execute("create table t as select 1")
    answers, how, told = outcomes(by_older_connection, "d.duckdb")
    assert (answers, how) == ([[(1,)], [(1,)]], ["miss", "miss"])
    assert "which was opened before it ran" in told[0]


def test_a_database_in_a_folder_of_the_run_does_not_count(tmp_path: Path) -> None:
    with activate(LocalCache("cache")):
        assert by_scratch(str(tmp_path)) == by_scratch(str(tmp_path)) == [(1,)]


def test_texts_that_part_others_are_no_folders() -> None:
    assert outcomes(by_texts, 1)[1:] == (["miss", "hit"], [])
    Path("more.txt").write_text("some")
    assert outcomes(by_texts, 1)[1:] == (["hit", "hit"], [])


def test_a_url_in_a_row_that_is_written_is_not_asked_for() -> None:
    asked: list[str] = []
    register_version("rows", lambda location: asked.append(location) or "1")
    assert outcomes(by_insertion, "rows")[1:] == (["miss", "hit"], [])
    assert asked == []


def test_a_database_whose_name_sqlite_computes_is_not_cached() -> None:
    _, how, told = outcomes(by_computed_attachment, "d")
    assert how == ["miss", "miss"]
    assert "no literal" in told[0]
    assert outcomes(by_vacuum, 1)[1:] == (["miss", "hit"], [])
