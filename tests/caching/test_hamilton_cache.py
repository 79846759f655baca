"""Hamilton's own cache above `function_cache`: together they never return what a file held before it was rewritten."""

import asyncio
import importlib.util
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hamilton import async_driver, driver

from caching import LocalCache, activate

_LOADERS = """
    import pandas as pd
    from hamilton.function_modifiers import extract_columns
    from caching import function_cache
    {imports}

    SCALE = 1

    def _helper(frame):
        return frame * SCALE

    {decorators}
    {kind} orders(path: str) -> pd.DataFrame:
        return _helper(pd.read_csv(path))

    def total(amount: pd.Series) -> int:
        return int(amount.sum())

    def rows(orders: pd.DataFrame) -> int:
        return len(orders)
"""
_BELOW = '@extract_columns("amount")\n    @function_cache'
_ABOVE = '@function_cache\n    @extract_columns("amount")'

Write = Callable[..., ModuleType]


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Write]:
    """Write the loader module anew and import it as a fresh process would."""
    name = f"hamilton_pair_{tmp_path.name}"

    def write_module(*, decorators: str = _BELOW, kind: str = "def", imports: str = "", **changes: str) -> ModuleType:
        text = textwrap.dedent(_LOADERS.format(decorators=decorators, kind=kind, imports=imports))
        for old, new in changes.items():
            text = text.replace({"scale": "SCALE = 1", "helper": "frame * SCALE"}[old], new)
        path = tmp_path / f"{name}.py"
        path.write_text(text, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    yield write_module
    sys.modules.pop(name, None)


def run(module: ModuleType, tmp_path: Path) -> dict[str, Any]:
    built = driver.Builder().with_modules(module).with_cache(path=str(tmp_path / "hamilton")).build()
    with activate(LocalCache(tmp_path / "ours")):
        results: dict[str, Any] = built.execute(["total", "rows"], inputs={"path": str(tmp_path / "orders.csv")})
    return results


@pytest.mark.parametrize("decorators", [_BELOW, _ABOVE, '@extract_columns("amount")'], ids=["below", "above", "none"])
def test_a_rewritten_file_is_read_again_where_the_loader_is_cached_by_us(
    write: Write, tmp_path: Path, decorators: str
) -> None:
    module = write(decorators=decorators)
    (tmp_path / "orders.csv").write_text("amount\n1\n2\n", encoding="utf-8")
    assert run(module, tmp_path) == {"total": 3, "rows": 2}
    (tmp_path / "orders.csv").write_text("amount\n5\n", encoding="utf-8")
    stale = "function_cache" not in decorators  # what Hamilton's cache alone does; the pair must not
    assert run(module, tmp_path) == ({"total": 3, "rows": 2} if stale else {"total": 5, "rows": 1})


@pytest.mark.parametrize("change", [{"scale": "SCALE = 10"}, {"helper": "frame * 10"}], ids=["constant", "helper"])
@pytest.mark.parametrize("decorators", [_BELOW, _ABOVE], ids=["below", "above"])
def test_a_changed_constant_or_helper_is_noticed(
    write: Write, tmp_path: Path, decorators: str, change: dict[str, str]
) -> None:
    (tmp_path / "orders.csv").write_text("amount\n1\n2\n", encoding="utf-8")
    assert run(write(decorators=decorators), tmp_path)["total"] == 3
    assert run(write(decorators=decorators, **change), tmp_path)["total"] == 30


def test_features_behind_unchanged_data_still_hit_hamiltons_cache(write: Write, tmp_path: Path) -> None:
    module = write()
    (tmp_path / "orders.csv").write_text("amount\n1\n2\n", encoding="utf-8")
    run(module, tmp_path)
    built = driver.Builder().with_modules(module).with_cache(path=str(tmp_path / "hamilton")).build()
    with activate(LocalCache(tmp_path / "ours")):
        built.execute(["total"], inputs={"path": str(tmp_path / "orders.csv")})
    events = [event.event_type.value for event in built.cache.logs(built.cache.last_run_id)["total"]]
    assert "get_result" in events
    assert "execute_node" not in events


def test_a_loader_written_before_hamilton_is_imported_is_tagged_all_the_same() -> None:
    import subprocess

    script = textwrap.dedent("""
        import sys
        from caching import function_cache

        @function_cache
        def orders(path: str) -> int:
            return 1

        assert "hamilton" not in sys.modules
        from hamilton import ad_hoc_utils, driver
        module = ad_hoc_utils.create_temporary_module(orders, module_name="written_before")
        node = driver.Builder().with_modules(module).build().graph.nodes["orders"]
        assert node.tags["cache.behavior"] == "recompute", node.tags
    """)
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_async_loaders_are_tagged_and_follow_the_file(write: Write, tmp_path: Path) -> None:
    module = write(kind="async def")
    (tmp_path / "orders.csv").write_text("amount\n1\n2\n", encoding="utf-8")

    async def total() -> Any:
        built = await async_driver.Builder().with_modules(module).build()
        assert built.graph.nodes["orders"].tags["cache.behavior"] == "recompute"
        results = await built.execute(["total"], inputs={"path": str(tmp_path / "orders.csv")})
        return results["total"] if isinstance(results, dict) else results

    with activate(LocalCache(tmp_path / "ours")):
        assert asyncio.run(total()) == 3
        (tmp_path / "orders.csv").write_text("amount\n5\n", encoding="utf-8")
        assert asyncio.run(total()) == 5
