"""Coroutine functions under the synchronous driver of a run."""

from __future__ import annotations

from typing import Any

import pytest

from loaders import ConfigError, build_driver, load_config
from tests.checking.conftest import Edited

LOADERS = ("shop/local.py", "shop/qa.py", "shop/prod.py")


def test_dataset_that_is_async_in_every_source_is_an_error_in_each(edited: Edited) -> None:
    changes: dict[str, Any] = {path: {"def customers": "async def customers"} for path in LOADERS}
    report = edited(changes)
    assert {(found.rule, found.file, found.function) for found in report.errors} == {
        ("async-function", path, "customers") for path in LOADERS
    }
    with pytest.raises(ConfigError, match="runs synchronously"):
        build_driver(load_config("local"))


@pytest.mark.parametrize("body", ["return 1.0", "yield 1.0"])
def test_async_function_of_the_dataflow_is_an_error(edited: Edited, body: str) -> None:
    text = f"\n\nasync def share(orders_amount: pd.Series) -> float:\n    {body}\n"
    report = edited({"shop/features.py": {"def largest_order": f"{text.strip()}\n\n\ndef largest_order"}})
    assert [(found.rule, found.file) for found in report.errors] == [("async-function", "shop/features.py")]


def test_private_coroutine_that_a_loader_runs_is_no_finding(edited: Edited) -> None:
    helper = "\n\nasync def _ready() -> None:\n    return None\n\n\n@extract_columns(*CUSTOMERS"
    assert not edited({path: {"\n\n@extract_columns(*CUSTOMERS": helper} for path in LOADERS}).findings
