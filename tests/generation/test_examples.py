"""Generated examples obey their contracts, are the same each time, and come fast."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from loaders import Check, ConfigError, DatasetContract
from loaders.generation.examples import examples
from loaders.generation.regular_texts import regular_texts
from tests.contract_cases import AIRLINES, CHECKED, LEGS, PEOPLE, RELATED, TEAMS, TYPES, one_column
from tests.contract_oracle import assert_obeys, assert_references_hold


@pytest.mark.parametrize("rows", [0, 1, 300])
@pytest.mark.parametrize("nullable", [True, False], ids=["nullable", "required"])
@pytest.mark.parametrize("arrow_type", TYPES, ids=str)
def test_every_type_has_examples(arrow_type: pa.DataType, nullable: bool, rows: int) -> None:
    contract = one_column(arrow_type, nullable=nullable)
    frame = contract.example(rows)
    assert_obeys(frame, contract)
    assert len(frame) == rows
    if rows == 300:
        nulls = pa.array(frame["value"], from_pandas=True).null_count
        assert (0 < nulls < 100) if nullable else nulls == 0


@pytest.mark.parametrize("nullable", [True, False], ids=["nullable", "required"])
@pytest.mark.parametrize(("arrow_type", "check"), CHECKED, ids=str)
def test_examples_obey_checks(arrow_type: pa.DataType, check: Check, nullable: bool) -> None:
    contract = one_column(arrow_type, nullable=nullable, check=check)
    assert_obeys(contract.example(300), contract)


KEY_TYPES = [t for t in TYPES if not pa.types.is_nested(t) and not pa.types.is_interval(t)]


@pytest.mark.parametrize("arrow_type", KEY_TYPES, ids=str)
def test_keys_of_every_type_are_unique(arrow_type: pa.DataType) -> None:
    rows = 2 if pa.types.is_boolean(arrow_type) else 100
    contract = one_column(arrow_type, key=True)
    assert_obeys(contract.example(rows), contract)


def test_different_values_vary() -> None:
    contract = one_column(pa.int64(), nullable=False)
    assert contract.example(300)["value"].nunique() > 100


def test_all_values_of_a_small_key_are_used() -> None:
    contract = one_column(pa.int8(), key=True)
    assert sorted(contract.example(256)["value"]) == list(range(-128, 128))


def test_more_rows_than_the_key_has_values_is_an_error() -> None:
    contract = one_column(pa.string(), key=True, check=Check(allowed=("a", "b")))
    with pytest.raises(ConfigError, match="3 rows were asked for, but 'value' can have only 2"):
        contract.example(3)


def test_a_key_of_few_values_beside_one_of_many_has_enough() -> None:
    contract = DatasetContract(
        "flags",
        pa.schema([("a", pa.bool_()), ("b", pa.bool_()), ("n", pa.int64())]),
        key=("a", "b", "n"),
    )
    assert_obeys(contract.example(5000), contract)


def test_the_same_seed_gives_the_same_frame_in_every_process() -> None:
    code = "from tests.contract_cases import LEGS; print(LEGS.example(50, seed=3).to_csv())"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {LEGS.example(50, seed=3).to_csv() + "\n"}


def test_another_seed_gives_another_frame() -> None:
    assert not LEGS.example(50, seed=1).equals(LEGS.example(50, seed=2))


def test_a_new_column_leaves_the_others_as_they_were() -> None:
    wider = DatasetContract("people", PEOPLE.schema.append(pa.field("people_name", pa.string())), key=PEOPLE.key)
    narrow = DatasetContract("people", PEOPLE.schema, key=PEOPLE.key)
    pd.testing.assert_frame_equal(wider.example(20)[list(narrow.columns)], narrow.example(20))


def test_references_of_all_contracts_hold() -> None:
    frames = examples(RELATED, rows=200)
    for contract in RELATED:
        assert_obeys(frames[contract.name], contract)
        assert len(frames[contract.name]) == 200
    assert_references_hold(frames, RELATED)


def test_references_to_a_given_frame_hold() -> None:
    airlines = pd.DataFrame({"airlines_carrier": ["AA", "ZZ"], "airlines_name": ["a", "z"]})
    legs = DatasetContract("legs", LEGS.schema, references={"carrier": "airlines.airlines_carrier"})
    assert set(legs.example(50, frames={"airlines": airlines})["carrier"]) == {"AA", "ZZ"}


def test_a_reference_to_an_unknown_column_names_the_nearest() -> None:
    legs = DatasetContract("legs", LEGS.schema, references={"carrier": "airlines.carier"})
    with pytest.raises(ConfigError, match=r"no column 'carier'\. Did you mean 'carrier'"):
        examples([legs, AIRLINES])


def test_references_in_a_circle_are_an_error() -> None:
    a = DatasetContract("a", pa.schema([("x", pa.int64())]), references={"x": "b.y"})
    b = DatasetContract("b", pa.schema([("y", pa.int64())]), references={"y": "a.x"})
    with pytest.raises(ConfigError, match="circle"):
        examples([a, b])


def test_a_dataset_of_few_keys_has_fewer_rows_beside_others() -> None:
    airports = one_column(pa.string(), key=True, check=Check(allowed=("EWR", "JFK")))
    assert {name: len(frame) for name, frame in examples([airports, TEAMS], rows=10).items()} == {"one": 2, "teams": 10}


def test_an_impossible_check_is_an_error_that_says_so() -> None:
    with pytest.raises(ConfigError, match="int64 lies between"):
        one_column(pa.int64(), check=Check(minimum=4.2, maximum=4.8)).example(1)
    with pytest.raises(ConfigError, match="No text was found that matches"):
        one_column(pa.string(), check=Check(pattern="a(?=b)c")).example(1)


def test_source_names_that_are_other_columns_names_do_not_confuse() -> None:
    contract = DatasetContract(
        "swapped", pa.schema([("a", pa.int64()), ("b", pa.string())]), source_names={"a": "b", "b": "a"}
    )
    assert_obeys(contract.example(10), contract)


@pytest.mark.parametrize(
    "pattern",
    [
        r"\d+",
        r"[a-z_][a-z0-9_]*",
        r"^[^@\s]+@[a-z]+\.(com|org)$",
        r"(\w)(\w)\2\1",
        r"(?P<quote>['\"]).*?(?P=quote)",
        r"(a)?b(?(1)c|d)",
        r"\bword\b|(?!x)[w-z]{2}",
        r"[\d\-.]{3}\D\S\s",
        r"(?>a{2,}|b)++c",
        r".{0,3}|\x41\u00e9",
        "[äöü]{2}",
        "",
    ],
)
def test_texts_match_their_pattern(pattern: str) -> None:
    texts = regular_texts(pattern, 200, random.Random(0))
    assert len(texts) == 200
    assert all(re.fullmatch(pattern, text) for text in texts)


def test_distinct_texts_are_all_there_are() -> None:
    texts = regular_texts("[ab]{2}", 10, random.Random(0), distinct=True)
    assert sorted(texts) == ["aa", "ab", "ba", "bb"]


def test_a_hundred_thousand_rows_take_a_second() -> None:
    contract = DatasetContract(
        "wide",
        pa.schema(
            [
                pa.field("id", pa.string(), nullable=False),
                ("day", pa.date32()),
                ("at", pa.timestamp("us", "Europe/Berlin")),
                ("amount", pa.decimal128(12, 2)),
                ("share", pa.float64()),
                ("count", pa.int64()),
                ("kind", pa.string()),
                ("text", pa.string()),
            ]
        ),
        key=("id",),
        checks={"id": Check(pattern=r"[A-Z]{2}\d{8}"), "kind": Check(allowed=("a", "b")), "share": Check(minimum=0)},
    )
    contract.example(10)
    started = time.process_time()
    frame = contract.example(100_000)
    assert time.process_time() - started < 1.0
    assert frame["id"].is_unique
    assert np.isclose(frame["count"].isna().mean(), 0.1, atol=0.01)
