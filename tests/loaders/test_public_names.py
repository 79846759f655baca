"""The names that others import: exported lazily, and the same to a program and to a type checker."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import loaders


def stub_homes() -> dict[str, str]:
    """What a type checker sees: the imports under TYPE_CHECKING."""
    tree = ast.parse(Path(loaders.__file__ or "").read_text())
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    return {
        alias.asname or alias.name: node.module or ""
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_all_lazy_table_and_stubs_agree() -> None:
    assert sorted(loaders.__all__) == loaders.__all__
    assert set(loaders.__all__) == loaders._HOMES.keys()
    assert stub_homes() == loaders._HOMES


@pytest.mark.parametrize("name", loaders.__all__)
def test_each_name_resolves(name: str) -> None:
    assert getattr(loaders, name) is not None
    assert name in dir(loaders)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        loaders.no_such_name  # noqa: B018


def test_importing_the_package_imports_nothing_heavy() -> None:
    script = (
        "import sys, loaders; print(sorted({'pandas', 'numpy', 'pyarrow', 'hamilton', 'boto3'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_importing_the_driver_leaves_the_environment_as_it_was() -> None:
    script = (
        "import os; before = dict(os.environ); from loaders import build_driver; import loaders.local; "
        "assert dict(os.environ) == before, set(os.environ.items()) ^ set(before.items())"
    )
    subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)


def test_imports_run_one_way() -> None:
    """cli → loaders → caching, never back."""
    root = Path(loaders.__file__ or "").parents[1]
    forbidden = {"caching": {"loaders", "cli"}, "loaders": {"cli"}}
    for package, others in forbidden.items():
        for path in (root / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.level == 0:
                    names = [node.module or ""]
                assert not {name.split(".")[0] for name in names} & others, path
