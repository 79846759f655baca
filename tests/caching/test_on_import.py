"""What is done to a module as soon as it is there: at once, or whenever that is."""

from __future__ import annotations

import importlib
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from caching.import_hooks import on_import


@pytest.fixture
def name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module that may be imported."""
    found = f"observed_{tmp_path.name}"
    (tmp_path / f"{found}.py").write_text("value = 1\ndef read():\n    return value\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield found
    sys.modules.pop(found, None)


def test_it_is_done_to_a_module_that_is_there(name: str) -> None:
    seen: list[ModuleType] = []
    module = importlib.import_module(name)
    on_import(name, seen.append)
    assert seen == [module]


def test_it_is_done_to_a_module_that_comes_later_when_all_of_it_is_there(name: str) -> None:
    values: list[int] = []
    on_import(name, lambda module: values.append(module.read()))
    assert values == []
    module = importlib.import_module(name)
    assert values == [1]
    assert module.__spec__ is not None
    assert module.__spec__.loader is module.__loader__
    assert "exec_module" not in vars(module.__loader__)


def test_it_is_done_again_to_what_is_loaded_again(name: str) -> None:
    seen: list[str] = []
    module = importlib.import_module(name)
    for each in "ab":
        on_import(name, lambda _, each=each: seen.append(each))
    importlib.reload(module)
    assert seen == ["a", "b", "a", "b"]


def test_pools_that_are_imported_late_are_followed_and_not_imported_before(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("one")
    code = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from caching import LocalCache, activate, function_cache

        @function_cache
        def by_thread(folder):
            from multiprocessing.pool import ThreadPool
            with ThreadPool(1) as pool:
                return pool.map(Path.read_text, [Path(folder) / str().join(["data", ".txt"])])

        @function_cache
        def by_process(folder):
            from concurrent.futures import ProcessPoolExecutor
            with ProcessPoolExecutor(1) as pool:
                return pool.submit(Path.read_text, Path(folder) / str().join(["data", ".txt"])).result()

        @function_cache
        def plain(folder):
            return 1

        folder = sys.argv[1]
        events = []
        with activate(LocalCache(folder + "/cache"), observer=lambda event: events.append(event.outcome)):
            plain("x")
            print(sorted({"multiprocessing.pool", "concurrent.futures.process"} & set(sys.modules)))
            for text in ("one", "other"):
                (Path(folder) / "data.txt").write_text(text)
                print(by_thread(folder), by_process(folder))
        print(events)
        """
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    assert run.stdout.splitlines() == [
        "[]", "['one'] one", "['other'] other", "['miss', 'miss', 'miss', 'miss', 'miss']",
    ]  # fmt: skip
