"""One module that serves two sources, or two environments of one source, is looked at in each of its forms."""

from __future__ import annotations

from typing import Any

import pytest

from tests.checking.conftest import Edited
from tests.checking.projects import PROJECTS

SHOP = PROJECTS["shop"]


def switched() -> str:
    """The shop's sources in one module, by @config.when."""
    head, _, bodies = SHOP.files["shop/local.py"].partition("\n\n@")
    text = head.replace("import extract_columns", "import config, extract_columns")
    for source, protocol in (("local", "file"), ("qa", "s3"), ("prod", "s3")):
        body = "@" + bodies.replace('"file"', f'"{protocol}"')
        for dataset in ("orders", "customers"):
            body = body.replace(f"def {dataset}(", f"def {dataset}__{source}(")
        text += "\n\n" + body.replace("@extract", f'@config.when(data_source="{source}")\n@extract')
    return text


BASE = {"shop.local": "shop.all", "shop.qa": "shop.all", "shop.prod": "shop.all"}


def test_switching_module_of_all_sources_has_no_finding(edited: Edited) -> None:
    report = edited({"shop/all.py": switched(), "configs/base.yaml": BASE})
    assert not report.findings, report
    assert report.sources == ("local", "prod", "qa")


@pytest.mark.parametrize("source", ["local", "qa", "prod"])
@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("return read_table(customers_path, CUSTOMERS", "return read_table(customers_path, ORDERS", "contract-used"),
        ("return read_table(customers_path", "return raed_table(customers_path", "undefined-name"),
        ("return read_table(customers_path", "read_table(customers_path", "no-result"),
    ],
)
def test_mistake_in_the_variant_of_any_source_is_found_there(
    edited: Edited, source: str, old: str, new: str, rule: str
) -> None:
    head, mark, body = switched().partition(f"def customers__{source}(")
    report = edited({"shop/all.py": head + mark + body.replace(old, new, 1), "configs/base.yaml": BASE})
    assert rule in {found.rule for found in report.errors}, report
    assert f"customers__{source}" in {found.function for found in report.errors}


def by_region(second: str) -> dict[str, Any]:
    """Production with two variants of orders, chosen by an input, and an environment for each."""
    text = SHOP.files["shop/prod.py"].replace("import extract_columns", "import config, extract_columns")
    start, mark, rest = text.partition("@extract_columns(*ORDERS")
    orders, end, customers = rest.partition("\n\n\n")
    variants = [
        f'@config.when(region="{region}")\n{mark}{orders.replace("def orders(", f"def orders__{region}(")}'
        for region in ("eu", "us")
    ]
    changed = variants[1].replace("return read_table(orders_path, ORDERS", second)
    config = SHOP.files["configs/prod.yaml"]
    return {
        "shop/prod.py": f"{start}{variants[0]}\n\n\n{changed}{end}{customers}",
        "configs/prod.yaml": config.replace("inputs:\n", "inputs:\n  region: eu\n"),
        "configs/prod-us.yaml": config.replace("inputs:\n", "inputs:\n  region: us\n").replace("shop-prod", "shop-us"),
    }


def test_variants_by_another_input_have_no_finding(edited: Edited) -> None:
    report = edited(by_region("return read_table(orders_path, ORDERS"))
    assert not report.findings, report


@pytest.mark.parametrize(
    ("second", "rule"),
    [
        ("return read_table(orders_path, CUSTOMERS", "contract-used"),
        ("return raed_table(orders_path, ORDERS", "undefined-name"),
    ],
)
def test_variant_of_a_second_environment_is_looked_at(edited: Edited, second: str, rule: str) -> None:
    report = edited(by_region(second))
    assert rule in {found.rule for found in report.errors}, report


def test_variant_that_a_second_environment_lacks_is_missing_there(edited: Edited) -> None:
    changes = by_region("return read_table(orders_path, ORDERS")
    changes["shop/prod.py"] = changes["shop/prod.py"].replace('region="us"', 'region="asia"')
    report = edited(changes)
    assert [found.rule for found in report.errors][:1] == ["dataset-missing"], report


def test_two_modules_under_one_name_are_both_looked_at(edited: Edited) -> None:
    qa = {"data_source: qa\n": "data_source: qa\nsources:\n  prod: shop.old\n"}
    old = SHOP.files["shop/prod.py"].replace("customers_path", "customers_file")
    report = edited({"shop/old.py": old, "configs/qa.yaml": qa})
    assert [(found.rule, found.file) for found in report.errors] == [("inputs", "shop/old.py")]
