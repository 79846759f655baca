from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.caching.fresh import FreshProcesses
from tests.caching.key_cases import CHANGES, ENVIRONMENT, HARMLESS, LIBRARIES, UNKNOWN, Case
from tests.caching.library_cases import LIBRARY_CHANGES, UNCHANGED
from tests.caching.source_cases import SOURCES

# Of a module, at its top: whoever runs the case has imported it before anything else.
_PANDAS = re.compile(r"^(import|from) (\w+, )?pandas\b", re.MULTILINE)


@pytest.fixture(scope="module")
def bare() -> Iterator[FreshProcesses]:
    processes = FreshProcesses()
    yield processes
    processes.close()


@pytest.fixture(scope="module")
def with_pandas() -> Iterator[FreshProcesses]:
    processes = FreshProcesses("import pandas")
    yield processes
    processes.close()


@pytest.fixture
def fresh(case: Case, request: pytest.FixtureRequest) -> FreshProcesses:
    uses_pandas = any(_PANDAS.search(text) for text in case.files.values())
    return request.getfixturevalue("with_pandas" if uses_pandas else "bare")  # type: ignore[no-any-return]


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def called_twice(case: Case, folder: Path, fresh: FreshProcesses) -> tuple[dict, dict, dict]:
    """The answers of the first call, of the second after the change, and of one more that is not cached."""
    project = folder / "project"
    write(project, case.files)
    first = fresh.run(project, case.call, before=case.first, site=case.site)
    before = case.first if case.environment or case.each else ""
    again = fresh.run(project, case.call, before=before, site=case.site)
    assert again["outcome"] == "hit", f"not cached at all: {again}"
    write(project, case.edits)
    twin = folder / "twin"
    shutil.copytree(project, twin, symlinks=True)
    options = {"before": case.then, "site": case.site, "environment": case.environment}
    second = fresh.run(project, case.call, **options)
    truth = fresh.run(twin, case.call, mode="off", **options)
    return first, second, truth


@pytest.mark.parametrize(
    "case", [*CHANGES, *SOURCES, *ENVIRONMENT, *LIBRARIES, *LIBRARY_CHANGES], ids=lambda case: case.name
)
def test_a_change_that_matters_is_noticed(case: Case, tmp_path: Path, fresh: FreshProcesses) -> None:
    first, second, truth = called_twice(case, tmp_path, fresh)
    assert truth["value"] != first["value"], "the case shows nothing"
    assert second["value"] == truth["value"]
    assert not second["warnings"]


@pytest.mark.parametrize("case", [*HARMLESS, *UNCHANGED], ids=lambda case: case.name)
def test_a_change_that_does_not_matter_is_a_hit(case: Case, tmp_path: Path, fresh: FreshProcesses) -> None:
    first, second, truth = called_twice(case, tmp_path, fresh)
    assert second["value"] == truth["value"] == first["value"]
    assert (second["outcome"], second["warnings"]) == ("hit", [])


@pytest.mark.parametrize("case", UNKNOWN, ids=lambda case: case.name)
def test_what_the_code_does_not_tell_is_not_cached(case: Case, tmp_path: Path, fresh: FreshProcesses) -> None:
    write(tmp_path, case.files)
    first = fresh.run(tmp_path, case.call)
    write(tmp_path, case.edits)
    second = fresh.run(tmp_path, case.call)
    assert first["value"] != second["value"]
    assert (first["outcome"], second["outcome"]) == ("uncached", "uncached")
    assert len(first["warnings"]) == 1
