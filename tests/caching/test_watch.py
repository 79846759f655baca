"""What changes in place, between two calls in one process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from caching import LocalCache, activate, function_cache


class Items(list):  # type: ignore[type-arg]
    pass


class Table(dict):  # type: ignore[type-arg]
    pass


class Names(set):  # type: ignore[type-arg]
    pass


FRAME = pd.DataFrame({"a": [1, 2]})
SERIES = pd.Series([1, 2])
ARRAY = np.array([1, 2])
NESTED = (pd.Series([1]),)
OBJECTS = np.array([{"a": 1}], dtype=object)
ITEMS, TABLE, NAMES = Items([1]), Table(a=1), Names({"a"})


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path) -> Iterator[None]:
    with activate(LocalCache(tmp_path)):
        yield


def frame() -> str:
    return f"{FRAME.to_dict()} {FRAME.attrs} {FRAME.index.name}"


def series() -> int:
    return int(SERIES.sum())


def total() -> int:
    return int(ARRAY.sum())


def nested() -> int:
    return int(NESTED[0].sum())


def objects() -> int:
    return int(OBJECTS[0]["a"])


def items() -> list[Any]:
    return list(ITEMS)


def table() -> dict[str, Any]:
    return dict(TABLE)


def names() -> list[str]:
    return sorted(NAMES)


@pytest.mark.parametrize(
    ("function", "change"),
    [
        (frame, lambda: FRAME.loc.__setitem__((0, "a"), 5)),
        (frame, lambda: FRAME.__setitem__("b", 5)),
        (frame, lambda: FRAME.attrs.__setitem__("unit", "EUR")),
        (frame, lambda: setattr(FRAME.index, "name", "week")),
        (series, lambda: SERIES.__setitem__(0, 5)),
        (total, lambda: ARRAY.__setitem__(0, 5)),
        (nested, lambda: NESTED[0].__setitem__(0, 5)),
        (objects, lambda: OBJECTS[0].__setitem__("a", 5)),
        (items, lambda: ITEMS.append(2)),
        (table, lambda: TABLE.update(b=2)),
        (names, lambda: NAMES.add("b")),
    ],
)
def test_a_global_changed_in_place_is_noticed(function: Callable[[], Any], change: Callable[[], Any]) -> None:
    cached = function_cache(function)
    before = cached()
    assert cached() == before
    change()
    assert cached() == function() != before
