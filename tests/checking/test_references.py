"""References of contracts lead to datasets and columns that exist."""

from __future__ import annotations

import pytest

from tests.checking.conftest import Edited

REFERENCE = '"customers.customers_name"'


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ('"buyers.name"', "a dataset: 'customers', 'orders'"),
        ('"customer.name"', "Did you mean 'customers'?"),
        ('"customers.title"', "'customers_name', 'customers_country', 'customers_age'"),
        ('"orders.order"', "Did you mean 'order_id'?"),
    ],
)
def test_reference_to_nothing_is_an_error_at_its_contract(edited: Edited, reference: str, expected: str) -> None:
    report = edited({"shop/contracts.py": {REFERENCE: reference}})
    (found,) = report.errors
    assert (found.rule, found.dataset, found.file) == ("reference-unknown", "orders", "shop/contracts.py")
    assert found.line == 8
    assert expected in str(report)


def test_reference_to_a_column_of_another_kind_is_an_error(edited: Edited) -> None:
    report = edited({"shop/contracts.py": {REFERENCE: '"customers.age"'}})
    assert [found.rule for found in report.errors] == ["reference-type"]
    assert "int16" in str(report)


@pytest.mark.parametrize("reference", ['"customers.name"', '"customers.country"', '"orders.customer"'])
def test_reference_with_or_without_prefix_or_to_itself_passes(edited: Edited, reference: str) -> None:
    assert not edited({"shop/contracts.py": {REFERENCE: reference}}).findings


def test_reference_to_a_dataset_that_no_source_exports_but_a_contract_describes_passes(edited: Edited) -> None:
    text = "\n\nCITIES = DatasetContract('cities', pa.schema([('city', pa.string())]))\n"
    contracts = {"CUSTOMERS = Data": f"{text}CUSTOMERS = Data", REFERENCE: '"cities.city"'}
    assert not edited({"shop/contracts.py": contracts}).findings
