"""Inputs of a dataset have one default in every source."""

from __future__ import annotations

from typing import Any

import pytest

from tests.checking.conftest import Edited

LOADERS = ("shop/local.py", "shop/qa.py", "shop/prod.py")


def with_defaults(*defaults: str, name: str = "decimals: int") -> dict[str, Any]:
    """Give orders another input in each source, with a default of its own."""
    return {
        path: {
            "orders_path: str": f"orders_path: str, {name} = {default}",
            "return read_table(orders_path, ORDERS": "return read_table(str(orders_path) * bool(decimals + 1), ORDERS",
        }
        for path, default in zip(LOADERS, defaults, strict=True)
    }


@pytest.mark.parametrize(
    ("defaults", "culprits"), [(("2", "2", "3"), {"shop.prod"}), (("None", "3", "3"), {"shop.local"})]
)
def test_other_default_of_an_input_is_an_error(edited: Edited, defaults: tuple[str, ...], culprits: set[str]) -> None:
    report = edited(with_defaults(*defaults))
    found = [finding for finding in report.errors if finding.rule == "input-default"]
    assert {finding.module for finding in found} == culprits, report
    assert all("decimals=3" in finding.expected + finding.found and finding.line for finding in found)


def test_default_that_equals_by_another_spelling_has_no_finding(edited: Edited) -> None:
    report = edited(with_defaults("2", "1 + 1", "int('2')"))
    assert "input-default" not in {finding.rule for finding in report.findings}, report


def test_other_default_of_a_location_is_a_warning(edited: Edited) -> None:
    defaults = ("'data/o.csv'", "'s3://qa/o.parquet'", "'s3://prod/o.parquet'")
    report = edited(
        {path: {"orders_path: str": f"orders_path: str = {d}"} for path, d in zip(LOADERS, defaults, strict=True)}
    )
    assert report.ok, report
    assert {finding.rule for finding in report.warnings} == {"input-default"}
