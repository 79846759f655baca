"""The difference of two frames: what differs is said, what is the same is not, and nothing grows with the data."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loaders.comparison.data_diff import DataDiff, diff_frames
from loaders.comparison.html import as_html
from loaders.comparison.text import column_rows, difference_lines, row_lines
from loaders.contracts import MARKETING_SPEND


def as_text(found: DataDiff) -> str:
    return "\n".join([*row_lines(found), *map("  ".join, column_rows(found)), *difference_lines(found)])


def diff(left: pd.DataFrame, right: pd.DataFrame, *key: str) -> DataDiff:
    return diff_frames(left, right, dataset="t", names=("a", "b"), key=key)


FRAME = pd.DataFrame(
    {
        "k": [1, 2, 3, 4],
        "x": [1.0, float("nan"), 3.0, 4.0],
        "s": pd.Series(["u", "v", None, "u"], dtype="str"),
        "t": pd.to_datetime(["2024-01-01", "2024-01-02", None, "2024-01-04"]),
        "d": pd.array([1, None, 3, 4], "Int64"),
        "e": pd.Series(pa.array([[1], [2, 3], None, []]), dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
    }
)


@pytest.mark.parametrize("key", [("k",), ("k", "s"), ()])
def test_frame_is_the_same_as_itself_in_any_order(key: tuple[str, ...]) -> None:
    found = diff(FRAME, FRAME.sample(frac=1, random_state=3), *key)
    assert found.same, as_text(found)
    assert found.common == 4


CHANGES: dict[str, Any] = {"x": 9.0, "s": "w", "t": pd.Timestamp("2025-01-01"), "d": 7}


@pytest.mark.parametrize("column", CHANGES)
@pytest.mark.parametrize("row", [0, 1, 2])
def test_changed_value_is_found_with_its_key_nulls_included(column: str, row: int) -> None:
    other = FRAME.copy()
    other.loc[row, column] = CHANGES[column]
    found = diff(FRAME, other, "k")
    assert [c.name for c in found.columns if c.changed] == [column]
    changed = next(c for c in found.columns if c.changed)
    assert changed.examples[0][0] == str(FRAME["k"][row])
    assert not diff(FRAME, other).same


def test_rows_of_one_side_are_counted_with_their_keys() -> None:
    other = pd.concat([FRAME.iloc[1:], FRAME.iloc[:1].assign(k=9)])
    found = diff(FRAME, other, "k")
    assert (found.only, found.only_examples, found.common) == ((1, 1), (("1",), ("9",)), 3)


def test_without_a_key_repeated_rows_count_as_often_as_they_stand() -> None:
    left, right = pd.DataFrame({"x": [1, 1, 1, 2]}), pd.DataFrame({"x": [1, 2, 2]})
    found = diff(left, right)
    assert (found.only, found.common) == ((2, 1), 2)


def test_columns_of_one_side_and_of_another_type_are_differences() -> None:
    found = diff(FRAME, FRAME.drop(columns="x").assign(k=FRAME["k"].astype("int32"), new=1), "k")
    assert {c.name for c in found.columns if c.differs} == {"x", "k", "new"}
    assert "missing" in as_text(found)
    ET.fromstring(
        as_html(found).partition("<svg")[1] + as_html(found).partition("<svg")[2].partition("</svg>")[0] + "</svg>"
    )


def test_empty_frames_are_compared() -> None:
    assert diff(FRAME.iloc[:0], FRAME.iloc[:0], "k").same
    found = diff(FRAME, FRAME.iloc[:0], "k")
    assert found.only == (4, 0)
    assert as_text(found)
    assert as_html(found)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["x", "y", None]), st.integers(-3, 3))),
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["x", "y", None]), st.integers(-3, 3))),
)
def test_counts_are_those_of_a_naive_comparison(left: list[Any], right: list[Any]) -> None:
    unique = [{row[:2]: row[2] for row in rows} for rows in (left, right)]
    frames = [
        pd.DataFrame([(*key, value) for key, value in rows.items()], columns=["a", "b", "v"]).astype({"b": "str"})
        for rows in unique
    ]
    found = diff(*frames, "a", "b")
    common = unique[0].keys() & unique[1].keys()
    assert found.only == (len(unique[0].keys() - common), len(unique[1].keys() - common))
    changed = next(column for column in found.columns if column.name == "v").changed
    if len(unique[0]) and len(unique[1]):
        assert changed == sum(unique[0][key] != unique[1][key] for key in common)


def test_a_large_difference_has_a_short_report() -> None:
    rows = 100_000
    rng = np.random.default_rng(0)
    left = pd.DataFrame(
        {"k": np.arange(rows), "x": rng.random(rows), "s": pd.Series(np.arange(rows)).astype("str") * 9}
    )
    right = left.assign(k=left["k"] + rows // 2, x=-left["x"], s="y" * 10_000)
    found = diff(left, right, "k")
    assert found.only == (rows // 2, rows // 2)
    assert next(column for column in found.columns if column.name == "x").changed == rows // 2
    assert len(as_text(found)) < 6_000
    assert len(as_html(found)) < 30_000
    assert len(json.dumps(found.as_dict(), default=str)) < 200_000


def test_values_and_names_are_escaped_in_the_page() -> None:
    left = pd.DataFrame({"k": ["<b>", "x"], "v": ["<script>alert(1)</script>", "a"]})
    page = as_html(diff(left, left.assign(v=["&", "a"]), "k"))
    assert "<script" not in page
    assert "<b>" not in page.replace("<b class", "")


def test_generated_data_is_the_same_for_one_seed_and_differs_for_another() -> None:
    first, again, other = (MARKETING_SPEND.example(50, seed) for seed in (1, 1, 2))
    assert diff(first, again, "week").same
    assert not diff(first, other, "week").same
