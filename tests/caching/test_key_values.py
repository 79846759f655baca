# ruff: noqa: E501 - a value a place
from __future__ import annotations

import datetime
import decimal
import enum
import itertools
import subprocess
import sys
import uuid
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caching import get_key
from caching.keys.key import ArgumentEncoder

ROOT = Path(__file__).parents[2]


def encode(value: Any) -> bytes:
    return ArgumentEncoder().encode(value)


class Color(enum.Enum):
    RED = 1


class Shade(enum.IntEnum):
    RED = 1


@dataclass
class Range:
    low: int
    high: int


@dataclass
class Other:
    low: int
    high: int


Point = namedtuple("Point", "x y")


class Text(str):
    __slots__ = ()


class Table(dict):
    pass


def series(values: Any, **options: Any) -> pd.Series:
    return pd.Series(values, **options)


DIFFERENT: list[Any] = [
    None, True, 1, 1.0, "1", b"1", bytearray(b"1"), 1 + 0j, 0.0, -0.0, float("nan"), float("inf"), "", b"", (), [], {},
    set(), frozenset(), (1,), [1], [[1]], {1}, frozenset({1}), {1: 1}, {1: 2}, {"a": 1, "b": 2}, {"b": 2, "a": 1},
    OrderedDict(a=1), defaultdict(int, a=1), defaultdict(list, a=1), Counter(a=1), {"a": 1}, Table(a=1),
    deque([1]), deque([1], 3), range(3), range(0, 3, 2), slice(3), ..., Color.RED, Shade.RED, Range(1, 2), Other(1, 2),
    Point(1, 2), (1, 2), Text("1"), Path("a"), PurePosixPath("a"), "a", Path("b"), uuid.UUID(int=1),
    decimal.Decimal("1"), decimal.Decimal("1.0"), datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1),
    datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc), datetime.datetime(2020, 1, 1, fold=1),  # noqa: UP017
    datetime.time(1), datetime.timedelta(1), int, str, Range, Color, len, max, list[int], int | None,
    np.int64(1), np.int32(1), np.float64(1), np.bool_(True), np.array([1]), np.array([1], "i4"), np.array([[1]]),
    np.array(1), np.array([1.0]), np.array([0.0]), np.array([-0.0]), np.array([1], object), np.array(["1"], object),
    np.array(["1"]), np.array([True], object), np.array([[1, 2]]), np.array([[1], [2]]), np.array([1, 2]),
    np.datetime64("2020"), np.datetime64("2020-01-01"), np.dtype("i4"), np.ma.array([1], mask=[True]), np.sum,
    series([1]), series([1], name="a"), series([1], index=[1]), series([1], index=pd.Index([0])), series([1.0]),
    series([1], dtype="Int64"), series([1], dtype="int32"), series(["a"]), series(["a"], dtype=object),
    series(["a"], dtype="string"), series(["a"], dtype=pd.ArrowDtype(pa.string())), series([None], dtype="Int64"),
    series(["a"], dtype=pd.CategoricalDtype(["a", "b"])), series(["a"], dtype=pd.CategoricalDtype(["b", "a"])),
    series(["a"], dtype=pd.CategoricalDtype(["a", "b"], ordered=True)), series(pd.arrays.SparseArray([0, 1])),
    pd.Index([1]), pd.RangeIndex(1, 2), pd.MultiIndex.from_tuples([(1, 2)]), pd.MultiIndex.from_tuples([(1, 3)]),
    pd.date_range("2020", periods=2), pd.date_range("2020", periods=2, tz="UTC"), pd.date_range("2020", periods=2, unit="s"),
    pd.DatetimeIndex(["2020-01-01", "2020-01-02"]), pd.period_range("2020", periods=2), pd.interval_range(0, 2),
    pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]}), pd.DataFrame({"a": [1], "b": [1]}), pd.DataFrame({"b": [1], "a": [1]}),
    pd.DataFrame([[1, 1]], columns=["a", "a"]), pd.DataFrame({"a": [1]}, index=["x"]), pd.DataFrame({"a": []}),
    pd.Timestamp("2020"), pd.Timestamp("2020", tz="UTC"), pd.Timestamp("2020").as_unit("s"), pd.NaT, pd.NA,
    pd.Timedelta(1), pd.Period("2020"), pd.Interval(0, 1), pd.Interval(0, 1, "left"), pd.offsets.Day(2),
    pa.table({"a": [1]}), pa.table({"b": [1]}), pa.table({"a": pa.array([1], pa.int32())}), pa.record_batch({"a": [1]}),
    pa.array([1]), pa.chunked_array([[1]]), pa.scalar(1), pa.int64(), pa.schema([("a", pa.int64())]),
    pa.schema([pa.field("a", pa.int64(), nullable=False)]), pa.schema([("a", pa.int64())], metadata={"k": "v"}),
    pl.DataFrame({"a": [1]}), pl.Series("a", [1]), pl.Series("b", [1]), pl.DataFrame({"a": [1]}, {"a": pl.Int32}),
]  # fmt: skip


def test_values_of_another_type_or_content_never_meet() -> None:
    seen: dict[bytes, Any] = {}
    for value in DIFFERENT:
        encoded = encode(value)
        assert encoded not in seen, f"{value!r} and {seen[encoded]!r}"
        seen[encoded] = value


def test_attributes_of_a_frame_count() -> None:
    frame = pd.DataFrame({"a": [1]})
    before = encode(frame)
    frame.attrs["source"] = "x"
    assert encode(frame) != before


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.array([[1, 2], [3, 4]]), np.array([[1, 2], [3, 4]], order="F")),
        (np.arange(4)[::2], np.array([0, 2])),
        (pa.table({"a": [1, 2, 3]}).slice(1), pa.table({"a": [2, 3]})),
        (pa.chunked_array([[1], [2]]), pa.chunked_array([[1, 2]])),
        ({"a", 1, (2, 3)}, {(2, 3), "a", 1}),
        (pd.DataFrame({"a": ["x", "y"]})[1:].reset_index(drop=True), pd.DataFrame({"a": ["y"]})),
        (series(pd.arrays.IntegerArray(np.array([1, 7]), np.array([False, True]))), series([1, None], dtype="Int64")),
        (float("nan"), -float("nan")),
        (pl.concat([pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [2]})], rechunk=False), pl.DataFrame({"a": [1, 2]})),
    ],
)
def test_memory_layout_does_not_count(one: Any, other: Any) -> None:
    assert encode(one) == encode(other)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary() | st.dates() | st.decimals(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)  # fmt: skip


def exactly(value: Any) -> str:
    return f"{type(value).__name__}:{value!r}"


@given(plain, plain)
def test_the_key_is_the_value(one: Any, other: Any) -> None:
    assert (encode(one) == encode(other)) == (exactly(one) == exactly(other))


@given(
    st.lists(st.text(max_size=3) | st.integers(), max_size=4), st.lists(st.text(max_size=3) | st.integers(), max_size=4)
)
def test_no_two_ways_to_cut_a_sequence_meet(one: list[Any], other: list[Any]) -> None:
    whole = one + other
    cuts = {encode([whole[:cut], whole[cut:]]) for cut in range(len(whole) + 1)}
    assert len(cuts) == len(whole) + 1


def test_a_container_that_holds_itself_has_a_key() -> None:
    loop: list[Any] = [1]
    loop.append(loop)
    assert encode(loop) != encode([1, [1]])


def test_keys_are_the_same_in_every_process() -> None:
    script = (
        "from caching import get_key\n"
        "WORDS = {'a', 'b', 'c', ('d', 'e')}\n"
        "def f(x, y=frozenset('pqrs')):\n    return x in {'k', 'l', 'm'}, WORDS\n"
        "print(get_key(f, ({'u', 'v', 'w'},)))"
    )
    keys = {
        subprocess.check_output([sys.executable, "-c", script], cwd=ROOT, text=True, env={"PYTHONHASHSEED": seed})
        for seed in ("0", "1", "2")
    }
    assert len(keys) == 1


def test_a_file_of_code_edited_after_its_import_does_not_matter(tmp_path: Path) -> None:
    text = "def f(x):\n    return x + 1\n"
    path = tmp_path / "edited.py"
    path.write_text(text)
    module = ModuleType("edited")
    module.__file__ = str(path)
    exec(compile(text, str(path), "exec"), vars(module))
    path.write_text(text.replace("+ 1", "+ 2"))
    key = get_key(module.f, (1,))
    path.write_text(text)
    assert get_key(module.f, (1,)) == key
    exec(compile(text.replace("+ 1", "+ 2"), str(path), "exec"), vars(module))
    assert get_key(module.f, (1,)) != key


def test_functions_of_one_name_in_two_modules_never_meet() -> None:
    modules = [ModuleType("one"), ModuleType("two")]
    for module in modules:
        exec("def f(x):\n    return x", vars(module))
    first, second = (get_key(module.f, (1,)) for module in modules)
    assert (first[0], second[0]) == ("one.f", "two.f")
    assert first[1] != second[1]


def test_lambdas_and_inner_functions_are_told_apart() -> None:
    def make(k: int) -> Any:
        return lambda x: x + k

    functions = [make(1), make(2), lambda x: x + 3, lambda x: x - 3]
    keys = {get_key(function, (1,)) for function in functions}
    assert len(keys) == len(functions)
    assert get_key(make(1), (1,)) in keys


def test_scripts_are_named_after_their_file(tmp_path: Path) -> None:
    names = []
    for folder, name in itertools.product(("p", "q"), ("load", "save")):
        script = tmp_path / folder / f"{name}.py"
        script.parent.mkdir(exist_ok=True)
        script.write_text("from caching import get_key\ndef f(x):\n    return x\nprint(get_key(f, (1,)))\n")
        environment = {"PYTHONPATH": str(ROOT)}
        names.append(subprocess.check_output([sys.executable, script], cwd=tmp_path, text=True, env=environment))
    assert "load.f" in names[0]
    assert names[0] == names[2] != names[1] == names[3]
