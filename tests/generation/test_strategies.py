"""The hypothesis strategy: what it draws obeys the contract, reaches the edges, and shrinks."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from loaders import Check, ConfigError, DatasetContract
from loaders.contracts import MARKETING_SPEND
from loaders.generation.strategies import frames_of
from tests.contract_cases import AIRLINES, CHECKED, RELATED, TYPES, one_column
from tests.contract_oracle import assert_obeys, assert_references_hold

FEW = settings(
    max_examples=15,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
SEARCH = settings(max_examples=500, database=None, derandomize=True, suppress_health_check=list(HealthCheck))


def draws(contract: DatasetContract, check: Callable[[pd.DataFrame], None]) -> None:
    FEW(given(contract.strategy())(check))()


def reaches(contract: DatasetContract, claim: Callable[[Any], bool]) -> bool:
    """Whether some frame is drawn with a value that the claim holds of."""
    try:
        find(contract.strategy(), lambda frame: any(claim(value) for value in frame["value"]), settings=SEARCH)
    except NoSuchExample:
        return False
    return True


@pytest.mark.parametrize("nullable", [True, False], ids=["nullable", "required"])
@pytest.mark.parametrize("arrow_type", TYPES, ids=str)
def test_frames_of_every_type_obey_the_contract(arrow_type: pa.DataType, nullable: bool) -> None:
    contract = one_column(arrow_type, nullable=nullable)
    draws(contract, lambda frame: assert_obeys(frame, contract))


@pytest.mark.parametrize(("arrow_type", "check"), CHECKED, ids=str)
def test_frames_obey_checks(arrow_type: pa.DataType, check: Check) -> None:
    contract = one_column(arrow_type, check=check)
    draws(contract, lambda frame: assert_obeys(frame, contract))


KEY_TYPES = [t for t in TYPES if not pa.types.is_nested(t) and not pa.types.is_interval(t)]


@pytest.mark.parametrize("arrow_type", KEY_TYPES, ids=str)
def test_keys_are_unique(arrow_type: pa.DataType) -> None:
    contract = one_column(arrow_type, key=True)
    draws(contract, lambda frame: assert_obeys(frame, contract))


@FEW
@given(frames_of(RELATED))
def test_references_hold(frames: dict[str, pd.DataFrame]) -> None:
    for contract in RELATED:
        assert_obeys(frames[contract.name], contract)
    assert_references_hold(frames, RELATED)


def test_references_to_a_given_frame_hold() -> None:
    airlines = AIRLINES.example(3)
    legs = DatasetContract(
        "legs",
        pa.schema([pa.field("carrier", pa.string(), nullable=False)]),
        references={"carrier": "airlines.airlines_carrier"},
    )
    FEW(given(legs.strategy(frames={"airlines": airlines}))(lambda frame: subset(frame["carrier"], airlines)))()


def subset(values: pd.Series[Any], airlines: pd.DataFrame) -> None:
    assert set(values) <= set(airlines["airlines_carrier"])


def test_a_required_reference_to_an_empty_frame_leaves_no_rows() -> None:
    legs = DatasetContract(
        "legs",
        pa.schema([pa.field("carrier", pa.string(), nullable=False)]),
        references={"carrier": "airlines.airlines_carrier"},
    )
    empty = AIRLINES.example(0)
    FEW(given(legs.strategy(frames={"airlines": empty}))(lambda frame: none(frame)))()


def none(frame: pd.DataFrame) -> None:
    assert frame.empty


@pytest.mark.parametrize(("fewest", "most"), [(-1, 3), (4, 3)])
def test_impossible_numbers_of_rows_are_refused_at_once(fewest: int, most: int) -> None:
    with pytest.raises(ConfigError, match=f"found {fewest} and {most}"):
        MARKETING_SPEND.strategy(min_rows=fewest, max_rows=most)


@given(st.data())
@FEW
def test_the_number_of_rows_is_as_asked(data: st.DataObject) -> None:
    assert 2 <= len(data.draw(MARKETING_SPEND.strategy(min_rows=2, max_rows=3))) <= 3


def test_without_hypothesis_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "loaders.generation.strategies")
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(ConfigError, match="pip install hypothesis"):
        MARKETING_SPEND.strategy()


def test_it_shrinks_to_one_plain_row() -> None:
    def is_wrong(frame: pd.DataFrame) -> bool:
        return bool((frame["signups"] > 100).any())

    frame = find(MARKETING_SPEND.strategy(), is_wrong, settings=SEARCH)
    assert len(frame) == 1
    assert (frame["week"][0], frame["signups"][0]) == (dt.date(1970, 1, 1), 101)


def test_integers_reach_their_extremes() -> None:
    for extreme in (-(2**63), 2**63 - 1):
        assert reaches(one_column(pa.int64(), nullable=False), lambda value, e=extreme: value == e)  # type: ignore[misc]


def test_nan_is_drawn_where_it_is_a_value_and_only_there() -> None:
    assert reaches(one_column(pa.float64(), nullable=False), np.isnan)
    assert not reaches(one_column(pa.float64(), key=True), np.isnan)
    assert not reaches(one_column(pa.float64(), nullable=False, check=Check(minimum=0)), np.isnan)


def test_empty_and_composed_texts_are_drawn() -> None:
    contract = one_column(pa.string(), nullable=False)
    assert reaches(contract, lambda text: text == "")
    assert reaches(contract, lambda text: "\u0301" in text)


@pytest.mark.parametrize("arrow_type", [pa.date32(), pa.timestamp("us"), pa.timestamp("ns", "Europe/Berlin")], ids=str)
def test_leap_days_are_drawn(arrow_type: pa.DataType) -> None:
    assert reaches(one_column(arrow_type, nullable=False), lambda day: (day.month, day.day) == (2, 29))


@pytest.mark.parametrize(
    ("zone", "folded"), [("Europe/Berlin", "2024-10-27T00:59:59"), ("America/New_York", "2024-11-03T05:59:59")]
)
def test_the_ends_of_summer_time_are_drawn(zone: str, folded: str) -> None:
    change = pd.Timestamp(folded, tz="UTC") + pd.Timedelta(seconds=1)
    assert reaches(one_column(pa.timestamp("s", zone), nullable=False), lambda value: value == change)
