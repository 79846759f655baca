"""What the check says of a whole project: dataflow, contracts, switched modules, secrets, shared locations, output."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loaders import ConfigError, check_interchangeable, load_config
from loaders.checking import Report
from loaders.checking.report import as_github, as_json
from loaders.checking.secrets import is_secret_name
from tests.checking.projects import PROJECTS

Changed = Callable[..., Report]


@pytest.fixture
def changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Changed:
    """Check a project with one text replaced in one of its files."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.chdir(tmp_path)

    def check(path: str, old: str, new: str, project: str = "shop") -> Report:
        text = PROJECTS[project].files[path]
        assert old in text
        PROJECTS[project].write(tmp_path, {path: text.replace(old, new)})
        return check_interchangeable("configs")

    return check


def only_error(report: Report) -> str:
    assert len(report.errors) == 1, report
    return str(report)


@pytest.mark.parametrize(
    ("path", "old", "new", "expected"),
    [
        ("shop/features.py", "orders_amount: pd.Series, at", "orders_amont: pd.Series, at", "'orders_amont'"),
        ("shop/features.py", "orders_amount: pd.Series, at", "orders_amount: pd.DataFrame, at", "pandas.Series"),
        ("shop/features.py", "def largest_order", "def biggest_order", "Did you mean 'biggest_order'?"),
        ("shop/features.py", "def largest_order", "def orders_placed", "'orders_placed'"),
        ("shop/features.py", "at_least: float = 0.0", "at_least: float", "'at_least'"),
        ("shop/contracts.py", '("amount", pa.decimal128(12, 2))', '("sum", pa.decimal128(12, 2))', "'orders_amount'"),
        ("shop/contracts.py", "DatasetContract(", "DatasetContrct(", "DatasetContrct"),
    ],
)
def test_changed_dataflow_or_contract_is_caught_in_its_own_file(
    changed: Changed, path: str, old: str, new: str, expected: str
) -> None:
    report = changed(path, old, new)
    assert report.errors, report
    assert expected in str(report)
    assert any(found.file == path and found.line for found in report.errors) or "largest_order" in str(report), report


@pytest.mark.parametrize(
    ("old", "new", "culprit"),
    [
        ('["staging", "prod"]', '["staging"]', "marketing_spend__bucket"),
        ('data_source="local"', 'data_source="locl"', "marketing_spend__local"),
        ("def marketing_spend__in_memory", "def marketing_spnd__in_memory", "marketing_spnd__in_memory"),
        ("def marketing_spend__local(marketing_spend_data_path", "def marketing_spend__local(path", "__local"),
        ("@extract_columns(*MARKETING_SPEND.columns)\n@function_cache\ndef marketing_spend__l",
         "def marketing_spend__l", "marketing_spend__local"),
    ],
)  # fmt: skip
def test_switched_module_that_lacks_a_value_is_caught(changed: Changed, old: str, new: str, culprit: str) -> None:
    report = changed("marketing/switched.py", old, new, "sample")
    assert any(culprit in found.function and found.file == "marketing/switched.py" for found in report.errors), report


SECRETS = {
    "AWS key": ("shop/contracts.py", '"orders",', '"orders",  # AKIAIOSFODNN7EXAMPLE', "AKIAIOSFODNN7EXAMPLE"),
    "password": ("configs/prod.yaml", "region: eu-west-1", "password: hunter2hunter2", "hunter2hunter2"),
    "default of a variable": (
        "configs/prod.yaml",
        "eu-west-1",
        "${TOKEN:-t0ken-1234}\n  token: ${T:-t0ken-1234}",
        "t0ken-1234",
    ),
    "URL": ("configs/prod.yaml", "orders_path: s3://", "orders_path: https://me:pass123word@", "pass123word"),
    "signature": (
        "configs/local.yaml",
        "data/orders.csv",
        "https://h/o.csv?X-Amz-Signature=abcdef123456",
        "abcdef123456",
    ),
    "constant": ("shop/prod.py", "\n\n@extract", "\nSECRET_KEY = 'wJalrXUtnFEMI'\n\n@extract", "wJalrXUtnFEMI"),
    "argument": ("shop/features.py", "return max(", "dict(password='s3cr3t-word')\n    return max(", "s3cr3t-word"),
    "private key": ("shop/prod.py", "\n\n@extract", "\nK = '-----BEGIN RSA PRIVATE KEY-----'\n\n@extract", "BEGIN RSA"),
}


@pytest.mark.parametrize("what", SECRETS)
def test_secret_in_a_file_is_an_error_with_its_place_and_never_shown(changed: Changed, what: str) -> None:
    path, old, new, secret = SECRETS[what]
    report = changed(path, old, new)
    found = [found for found in report.errors if found.rule == "secret"]
    assert found, report
    assert all(finding.file == path and finding.line for finding in found)
    assert secret not in str(report) + as_json(report) + as_github(report) + repr(report)


def test_names_of_data_and_variables_are_no_secrets() -> None:
    assert not any(map(is_secret_name, ("tokens_data_path", "secretary", "key", "monkey", "password_file", "profile")))
    assert all(
        map(is_secret_name, ("DB_PASSWORD", "aws_secret_access_key", "apiKey", "token", "secret", "access_key_id"))
    )


def test_variables_without_a_literal_default_are_no_secrets(changed: Changed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PROFILE", "shop")
    assert not changed("configs/prod.yaml", "region: eu-west-1", "profile: ${SHOP_PROFILE}").findings


def test_same_path_at_another_endpoint_is_other_data(changed: Changed) -> None:
    text = PROJECTS["shop"].files["configs/prod.yaml"]
    report = changed("configs/prod.yaml", text, text.replace("-shop-prod", "-shop-qa") + "  endpoint_url: http://h:1\n")
    assert not report.findings, report


def test_every_unset_variable_is_named_with_its_line(changed: Changed) -> None:
    report = changed("configs/prod.yaml", "${SHOP_BUCKET:-shop-prod}", "${NO_SUCH_BUCKET}")
    assert [(found.rule, found.file, found.line) for found in report.errors] == [
        ("variable-unset", "configs/prod.yaml", 4),
        ("variable-unset", "configs/prod.yaml", 5),
    ]
    assert "NO_SUCH_BUCKET" in report.errors[0].expected


def test_chosen_environments_alone_are_looked_at(changed: Changed) -> None:
    changed("configs/prod.yaml", "orders_path", "order_path")
    assert check_interchangeable("configs", environments=["qa", "local"]).ok
    assert not check_interchangeable("configs", environments=["prod"]).ok
    with pytest.raises(ConfigError, match="Did you mean 'prod'"):
        check_interchangeable("configs", environments=["prd"])


def test_loaded_configurations_are_held_against_each_other(changed: Changed) -> None:
    changed("shop/prod.py", "def customers", "def clients")
    assert check_interchangeable(load_config("local")).findings
    assert any(found.function == "clients" for found in check_interchangeable([load_config("prod")]).errors)


def test_checking_leaves_the_modules_of_the_process_alone(changed: Changed) -> None:
    before, path = dict(sys.modules), list(sys.path)
    changed("shop/prod.py", "def orders", "def order")
    assert {name for name in sys.modules if name.startswith("shop")} == {n for n in before if n.startswith("shop")}
    assert sys.path[-len(path) :] == path


def test_module_changed_within_the_second_it_was_compiled_in_is_seen(tmp_path: Path) -> None:
    folder = PROJECTS["shop"].write(tmp_path)
    module = tmp_path / "shop/prod.py"
    stat = module.stat()
    assert check_interchangeable(str(folder)).ok
    module.write_text(module.read_text().replace("def customers", "def custmoers"))
    os.utime(module, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert module.stat().st_size == stat.st_size
    assert any(found.function == "custmoers" for found in check_interchangeable(str(folder)).errors)


def test_json_and_annotations_say_what_the_table_says(changed: Changed) -> None:
    report = changed("shop/prod.py", "def customers", "def clients")
    data = json.loads(as_json(report))
    assert data["ok"] is False
    (finding,) = [found for found in data["findings"] if found["rule"] == "dataset-missing"]
    assert (finding["module"], finding["function"], finding["file"]) == ("shop.prod", "clients", "shop/prod.py")
    assert finding["expected"]
    assert finding["found"]
    assert finding["fix"]
    expected = (
        f"::error file=shop/prod.py,line={finding['line']},title=sourceswap%3A dataset-missing::shop.prod.clients()"
    )
    assert any(line.startswith(expected) for line in as_github(report).splitlines())


def test_ignored_rule_no_longer_fails(changed: Changed) -> None:
    report = changed("shop/prod.py", "@function_cache\ndef orders", "def orders")
    assert {found.rule for found in report.errors} == {"not-cached"}
    assert report.without(["not-cached"]).ok


def test_missing_folder_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        check_interchangeable(tmp_path / "nowhere")
