"""Whose data an environment reads, and under which format and endpoint."""

from __future__ import annotations

from typing import Any

import pytest

from loaders import ConfigError, load_config
from loaders.checking import Report
from loaders.checking.places import is_production, named_dataset, words
from tests.checking.conftest import Edited

PROD, QA, LOCAL = "configs/prod.yaml", "configs/qa.yaml", "configs/local.yaml"
ORDERS = "s3://${SHOP_BUCKET:-shop-prod}/orders.parquet"
CUSTOMERS = "s3://${SHOP_BUCKET:-shop-prod}/customers.parquet"


def at(report: Report, severity: str = "error") -> list[tuple[str, str, int | None]]:
    found = report.errors if severity == "error" else report.warnings
    return [(finding.rule, finding.file, finding.line) for finding in found]


def env(source: str, orders: str, customers: str, more: str = "") -> str:
    return (
        f"extends: base\ndata_source: {source}\ninputs:\n  orders_path: {orders}\n  customers_path: {customers}\n{more}"
    )


# --- two datasets ---


@pytest.mark.parametrize("location", ["orders.parquet", "./orders.parquet/", "ORDERS/../orders.parquet"])
def test_one_file_of_two_datasets_is_an_error_at_the_one_it_does_not_name(edited: Edited, location: str) -> None:
    files = env("local", "data/orders.parquet", f"data/{location}")
    assert at(edited({LOCAL: files})) == [("location-twice", LOCAL, 5)]


@pytest.mark.parametrize("customers", ["s3://shop-prod/all/customers.parquet", "s3://shop-prod/all/x/"])
def test_folder_of_one_dataset_that_holds_anothers_file_is_an_error(edited: Edited, customers: str) -> None:
    report = edited({PROD: env("prod", "s3://shop-prod/all/", customers)})
    assert [found.rule for found in report.errors] == ["location-twice"]
    assert "from which" in str(report)


def test_one_input_read_by_two_loaders_is_one_location(edited: Edited) -> None:
    paths = ("shop/local.py", "shop/qa.py", "shop/prod.py")
    modules: dict[str, Any] = {path: {"customers_path": "orders_path"} for path in paths}
    configs: dict[str, Any] = {
        LOCAL: {"  customers_path: data/customers.csv\n": ""},
        PROD: {f"  customers_path: {CUSTOMERS}\n": ""},
        QA: {f"  customers_path: {CUSTOMERS}\n".replace("-prod", "-qa"): ""},
    }
    assert {found.rule for found in edited({**modules, **configs}).errors} == {"location-twice"}


def test_folders_beside_each_other_are_apart(edited: Edited) -> None:
    assert not edited({PROD: env("prod", "s3://shop-prod/orders/", "s3://shop-prod/orders_customers/")}).findings


@pytest.mark.parametrize(
    ("orders", "customers"),
    [
        ("s3://shop-prod/2024/customers.csv.gz", "s3://shop-prod/2024/Orders-v2.csv"),
        ("s3://shop-prod/customers/", "s3://shop-prod/orders/*.parquet"),
        ("s3://shop-prod/customer/day=3/", "s3://shop-prod/order/day=3/"),
    ],
)
def test_locations_exchanged_by_their_names_are_an_error(edited: Edited, orders: str, customers: str) -> None:
    report = edited({PROD: env("prod", orders, customers)})
    assert at(report) == [("location-swapped", PROD, 4)]
    assert "Exchange the two values" in str(report)


def test_locations_exchanged_against_the_other_environments_are_an_error(edited: Edited) -> None:
    report = edited(
        {
            LOCAL: env("local", "data/t17.csv", "data/t18.csv"),
            QA: env("qa", "s3://shop-qa/t17.parquet", "s3://shop-qa/t18.parquet"),
            PROD: env("prod", "s3://shop-prod/t18.parquet", "s3://shop-prod/t17.parquet"),
        }
    )
    assert at(report) == [("location-swapped", PROD, 4)]


@pytest.mark.parametrize(
    ("orders", "customers"),
    [
        ("s3://shop-prod/part-0.parquet", "s3://shop-prod/part-1.parquet"),
        ("s3://shop-prod/customers/orders.parquet", "s3://shop-prod/customers/customers.parquet"),
        ("s3://shop-prod/customers_orders.parquet", "s3://shop-prod/people.parquet"),
        ("s3://shop-prod/orders_of_customers.parquet", "s3://shop-prod/customers_of_orders.parquet"),
    ],
)
def test_names_that_say_nothing_clear_are_no_exchange(edited: Edited, orders: str, customers: str) -> None:
    assert not edited({PROD: env("prod", orders, customers)}).findings


def test_the_longest_name_of_a_dataset_counts() -> None:
    datasets = ["orders", "order_items", "customers"]
    assert named_dataset("order_items", datasets) == "order_items"
    assert named_dataset("2024-orders-final", datasets) == "orders"
    assert named_dataset("orders_customers", datasets) is None


# --- two environments ---


@pytest.mark.parametrize(
    ("location", "what"),
    [
        ("s3://shop-qa/orders.parquet", "as environment qa has it"),
        ("s3://shop-qa/orders_v2.parquet", "where environment qa has its data"),
        ("s3://shop-qa/archive/2024/orders.parquet", "where environment qa has its data"),
    ],
)
def test_location_in_another_environments_bucket_is_an_error_of_the_visitor(
    edited: Edited, location: str, what: str
) -> None:
    report = edited({PROD: {ORDERS: location}})
    assert at(report) == [("location-shared", PROD, 4)]
    assert what in str(report)
    assert "configs/qa.yaml:" in str(report)


def test_bucket_is_known_by_its_data_where_no_name_tells_it(edited: Edited) -> None:
    report = edited(
        {
            QA: env("qa", "s3://blue/t/orders.parquet", "s3://blue/t/customers.parquet"),
            PROD: env("prod", "s3://blue/t/orders_x.parquet", "s3://red/customers.parquet"),
        }
    )
    assert at(report) == [("location-shared", PROD, 4)]


def test_environment_that_overrides_nothing_of_another_is_an_error(edited: Edited) -> None:
    report = edited({"configs/nightly.yaml": "extends: prod\n"})
    assert {(rule, found.environment) for found in report.errors for rule in [found.rule]} == {
        ("location-shared", "nightly")
    }


@pytest.mark.parametrize(("path", "partner"), [(PROD, "qa"), (QA, "prod")])
def test_shared_with_says_that_data_is_shared_on_purpose(edited: Edited, path: str, partner: str) -> None:
    changes: dict[str, Any] = {PROD: {ORDERS: "s3://shop-qa/orders.parquet"}, QA: {"region": "region"}}
    changes[path] = {**changes[path], "data_source:": f"shared_with: [{partner}]\ndata_source:"}
    assert not edited(changes).findings
    assert load_config(path[8:-5]).settings.shared_with == (partner,)


def test_shared_with_another_environment_excuses_nothing(edited: Edited) -> None:
    report = edited(
        {PROD: {ORDERS: "s3://shop-qa/orders.parquet", "data_source:": "shared_with: [local]\ndata_source:"}}
    )
    assert [found.rule for found in report.errors] == ["location-shared"]


def test_unknown_name_in_shared_with_is_an_error_at_its_line(edited: Edited) -> None:
    report = edited({PROD: {"data_source:": "shared_with:\n  - local\n  - qaa\ndata_source:"}})
    assert at(report) == [("config", PROD, 4)]
    assert "Did you mean 'qa'?" in str(report)


def test_shared_with_is_a_list(edited: Edited) -> None:
    edited({PROD: {"data_source:": "shared_with: qa\ndata_source:"}})
    with pytest.raises(ConfigError, match=r"must be a list, such as \[qa\]"):
        load_config("prod")


@pytest.mark.parametrize(
    ("qa", "prod"),
    [
        ("s3://shop/qa", "s3://shop/prod"),
        ("s3://shop/qa", "s3://shop"),
        ("s3://shop/staging/blue", "s3://shop/staging/red"),
        ("gs://shop-qa", "gs://shop-production"),
        ("s3://quality", "s3://productivity"),
    ],
)
def test_environments_with_folders_of_their_own_have_no_finding(edited: Edited, qa: str, prod: str) -> None:
    allow = {'allow=("s3",)': 'allow=("s3", "gs")'}
    configs = {
        QA: env("qa", f"{qa}/orders.parquet", f"{qa}/customers.parquet"),
        PROD: env("prod", f"{prod}/orders.parquet", f"{prod}/customers.parquet"),
    }
    assert not edited({**configs, "shop/qa.py": allow, "shop/prod.py": allow}).findings


def test_files_that_name_their_environment_may_lie_in_one_folder(edited: Edited) -> None:
    configs = {
        QA: env("qa", "s3://shop/orders_qa.parquet", "s3://shop/customers_qa.parquet"),
        PROD: env("prod", "s3://shop/orders.parquet", "s3://shop/customers.parquet"),
    }
    assert not edited(configs).findings


def test_public_data_and_local_files_of_two_environments_are_a_warning(edited: Edited) -> None:
    public = env("qa", "s3://open/orders.parquet", "s3://open/customers.parquet", "storage: {anonymous: true}\n")
    report = edited({QA: public, PROD: public.replace("qa", "prod"), "configs/dev.yaml": "extends: local\n"})
    assert report.ok, report
    assert {found.rule for found in report.warnings} == {"location-shared"}


# --- production ---


@pytest.mark.parametrize(
    "url",
    ["http://localhost:9000", "http://127.1.2.3", "https://[::1]:9000/s3", "http://0.0.0.0:1", "http://s3.localhost"],
)
def test_production_on_the_machine_itself_is_an_error(edited: Edited, url: str) -> None:
    report = edited({PROD: {"region: eu-west-1": f"endpoint_url: ${{NO_SUCH_VARIABLE:-{url}}}"}})
    assert at(report) == [("endpoint-local", PROD, 7)]


def test_web_location_of_production_on_the_machine_itself_is_an_error(edited: Edited) -> None:
    changes = {PROD: {ORDERS: "http://localhost:8000/orders.parquet"}, "shop/prod.py": {'("s3",)': '("s3", "http")'}}
    assert at(edited(changes)) == [("endpoint-local", PROD, 4)]


@pytest.mark.parametrize("name", ["qa", "local-prod", "sandbox"])
def test_other_environments_may_use_the_machine_itself(edited: Edited, name: str) -> None:
    text = env(
        "prod",
        "s3://own/orders.parquet",
        "s3://own/customers.parquet",
        "storage: {endpoint_url: 'http://localhost:9000'}\n",
    )
    assert not edited({f"configs/{name}.yaml": text}).findings


def test_endpoint_elsewhere_is_no_finding(edited: Edited) -> None:
    assert not edited({PROD: {"region: eu-west-1": "endpoint_url: https://localhost.example.com"}}).findings


@pytest.mark.parametrize(
    ("location", "option"),
    [
        ("orders.csv", "format: parquet"),
        ("orders.jsonl.zst", "format: csv"),
        ("orders.feather", "format: csv"),
        ("orders.csv.gz", "compression: zstd"),
        ("orders.csv.gz", "compression: none"),
    ],
)
def test_format_against_the_ending_is_an_error_in_production(edited: Edited, location: str, option: str) -> None:
    formats = f"formats:\n  orders:\n    {option}\nstorage:"
    report = edited({PROD: {ORDERS: f"s3://shop-prod/{location}", "storage:": formats}})
    assert at(report) == [("format-ending", PROD, 8)]


def test_format_against_the_ending_is_a_warning_elsewhere(edited: Edited) -> None:
    report = edited({QA: {"storage:": "formats: {customers: {format: csv}}\nstorage:"}})
    assert report.ok
    assert at(report, "warning") == [("format-ending", QA, 6)]


def test_format_of_the_contract_against_the_ending_is_found_at_the_location(edited: Edited) -> None:
    contract = {
        "Check, D": "Check, FormatOptions, D",
        'key=("order_id",)': 'key=("order_id",), format=FormatOptions(format="csv")',
    }
    report = edited({"shop/contracts.py": contract})
    assert at(report) == [("format-ending", PROD, 4)]
    assert at(report, "warning") == [("format-ending", QA, 4)]


@pytest.mark.parametrize(
    ("location", "option"),
    [
        ("orders", "format: csv"),
        ("orders.csv", "compression: gzip"),
        ("orders.csv.gz", "format: csv"),
        ("o.dat", "format: csv"),
    ],
)
def test_format_that_the_ending_does_not_contradict_has_no_finding(edited: Edited, location: str, option: str) -> None:
    formats = f"formats:\n  orders:\n    {option}\nstorage:"
    assert not edited({PROD: {ORDERS: f"s3://shop-prod/{location}", "storage:": formats}}).findings


def test_production_is_told_by_words_of_the_name() -> None:
    assert all(map(is_production, ("prod", "production", "prod-eu", "eu_live", "PROD")))
    assert not any(
        map(is_production, ("preprod", "pre-prod", "non-prod", "products", "prod-local", "staging", "alive"))
    )
    assert words("Acme.Staging/day=3") == {"acme", "staging", "day", "3"}
