"""Every one-step change to one module or configuration is caught, and the culprit named; harmless ones pass."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loaders.checking import Report, check_interchangeable
from tests.checking import mutants
from tests.checking.projects import PROJECTS, Project

ENVIRONMENTS = {"sample": ["staging"], "shop": ["local", "prod"]}
# What is offered stays as it was: no difference is there to be found.
UNCHANGED = {"input with a node's name"}


@pytest.fixture(autouse=True)
def no_bytecode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


# The others differ from one of these in a location alone.
MUTATED = {"sample": ["marketing/prod.py", "marketing/in_memory.py"], "shop": ["shop/local.py"]}


def cases(mutate: Callable[[str], Iterator[mutants.Mutant]]) -> list[tuple[str, str, mutants.Mutant]]:
    return [
        (project.name, path, mutant)
        for project in PROJECTS.values()
        for path in MUTATED[project.name]
        for mutant in mutate(project.files[path])
    ]


def check(project: Project, folder: Path, changed: dict[str, str] | None = None) -> Report:
    return check_interchangeable(str(project.write(folder, changed)))


@pytest.mark.parametrize("name", PROJECTS)
def test_project_itself_has_no_finding(name: str, tmp_path: Path) -> None:
    report = check(PROJECTS[name], tmp_path)
    assert not report.findings, report


def named(case: tuple[str, str, mutants.Mutant]) -> str:
    return f"{case[0]}-{Path(case[1]).stem}-{case[2].name}"


@pytest.mark.parametrize("case", cases(mutants.harmful), ids=named)
def test_changed_module_is_caught_and_the_culprit_named(case: tuple[str, str, mutants.Mutant], tmp_path: Path) -> None:
    name, path, mutant = case
    if mutant.text == PROJECTS[name].files[path]:
        pytest.skip("the change does not apply to this module")
    report = check(PROJECTS[name], tmp_path, {path: mutant.text})
    assert report.errors, f"not caught:\n{mutant.text}"
    culprits = [found for found in report.errors if found.file.endswith(path) and found.line]
    assert culprits, report
    if mutant.function:
        assert any(mutant.function.strip("_") in found.function for found in culprits), report


@pytest.mark.parametrize("case", cases(mutants.harmless), ids=named)
def test_harmless_change_has_no_finding(case: tuple[str, str, mutants.Mutant], tmp_path: Path) -> None:
    name, path, mutant = case
    report = check(PROJECTS[name], tmp_path, {path: mutant.text})
    assert not report.findings, report


def config_cases() -> Iterator[tuple[str, str, str, str]]:
    for project in PROJECTS.values():
        for what, path, text in mutants.broken_configs(project.files, ENVIRONMENTS[project.name]):
            if what not in UNCHANGED or project.name == "shop":
                yield project.name, what, path, text


@pytest.mark.parametrize("case", list(config_cases()), ids=lambda case: f"{case[0]}-{Path(case[2]).stem}-{case[1]}")
def test_broken_configuration_is_caught_at_its_file(case: tuple[str, str, str, str], tmp_path: Path) -> None:
    name, _, path, text = case
    report = check(PROJECTS[name], tmp_path, {path: text})
    assert report.errors, f"not caught:\n{text}"
    assert any(found.file.endswith(path) for found in report.errors), report
