"""Loader modules compared with each other, without a configuration."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import loaders.in_memory
import loaders.local
import loaders.prod
import loaders.staging
import loaders.switched
from loaders import assert_interchangeable, check_interchangeable
from tests.checking import mutants
from tests.checking.projects import PROJECTS

SHOP = PROJECTS["shop"]
_numbers = itertools.count()

Pair = Callable[[str], tuple[ModuleType, ModuleType]]


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    """Import the shop's local module, and its production module with another text."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(tmp_path)
    made: list[str] = []

    def make(text: str) -> tuple[ModuleType, ModuleType]:
        package = f"shop_{next(_numbers)}"
        made.append(package)
        files = {**SHOP.files, "shop/prod.py": text}
        for path, content in files.items():
            if path.startswith("shop/"):
                target = tmp_path / path.replace("shop/", f"{package}/")
                target.parent.mkdir(exist_ok=True)
                target.write_text(content.replace("from shop.", f"from {package}."))
        return importlib.import_module(f"{package}.local"), importlib.import_module(f"{package}.prod")

    yield make
    for name in [name for name in sys.modules if name.split(".")[0] in made]:
        del sys.modules[name]


def test_the_toolkits_own_modules_are_interchangeable() -> None:
    report = check_interchangeable(loaders.local, loaders.staging, loaders.prod, loaders.in_memory, loaders.switched)
    assert not report.findings, report
    assert_interchangeable(loaders.local, loaders.in_memory)


def test_module_that_switches_is_held_against_itself_under_each_value() -> None:
    report = check_interchangeable(loaders.switched)
    assert not report.findings, report
    assert [name.partition("[")[2] for name in report.sources] == ["local]", "staging]", "prod]", "in_memory]"]


def test_modules_may_be_given_by_path_in_a_list_or_by_name() -> None:
    assert check_interchangeable("loaders.local", "loaders.prod").ok
    assert check_interchangeable([loaders.local, "loaders.prod"]).ok
    assert check_interchangeable({"local": loaders.local, "prod": "loaders.prod"}).sources == ("local", "prod")


def test_module_that_does_not_exist_is_a_finding() -> None:
    report = check_interchangeable(loaders.local, "no_such_module_here")
    assert [found.rule for found in report.errors] == ["import"]
    assert "no_such_module_here" in report.errors[0].found


IMPORTABLE = [
    mutant
    for mutant in mutants.harmful(SHOP.files["shop/prod.py"])
    if not {"syntax error", "missing import", "failing import"} & {mutant.name}
    and not any(mutant.name.startswith(name) for name in ("return a number", "return a Series", "drop return type"))
    # Without a configuration nothing says under which value a module that switches is to be seen.
    and not mutant.name.startswith("never match")
]


@pytest.mark.parametrize("mutant", IMPORTABLE, ids=lambda mutant: mutant.name)
def test_one_of_two_modules_changed_is_caught_and_named(pair: Pair, mutant: mutants.Mutant) -> None:
    try:
        good, changed = pair(mutant.text)
    except Exception as error:  # noqa: BLE001 — Hamilton's own refusal is the best kind of catch
        pytest.skip(f"cannot be imported at all: {error}")
    report = check_interchangeable(good, changed)
    culprits = [found for found in report.errors if found.file.endswith("prod.py") and found.line]
    assert any(mutant.function.strip("_") in found.function for found in culprits), report


@pytest.mark.parametrize(
    "mutant", list(mutants.harmless(SHOP.files["shop/prod.py"])), ids=lambda mutant: mutant.name
)  # fmt: skip
def test_harmless_change_of_one_of_two_modules_passes(pair: Pair, mutant: mutants.Mutant) -> None:
    report = check_interchangeable(*pair(mutant.text))
    assert not report.findings, report


def test_assertion_error_shows_every_difference(pair: Pair) -> None:
    text = SHOP.files["shop/prod.py"].replace("def customers(", "def clients(")
    with pytest.raises(AssertionError, match=r"dataset-missing.*prod\.clients\(\)"):
        assert_interchangeable(*pair(text))


def test_documentation_that_differs_is_a_warning(pair: Pair) -> None:
    report = check_interchangeable(*pair(SHOP.files["shop/prod.py"].replace("Orders; one row", "Orders: one line")))
    assert report.ok
    assert {found.rule for found in report.warnings} == {"documentation"}
