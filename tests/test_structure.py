"""The structure of the packages: imports run one way, without cycles, also those inside functions."""

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("cli", "loaders", "caching")


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(path: Path, module: str) -> Iterator[str]:
    """Every dotted name that a file imports, at any depth; also modules named in the text of `import_module`."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            base = ".".join(parents[: len(parents) - node.level + 1]) if node.level else ""
            start = ".".join(part for part in (base, node.module) if part)
            yield from (f"{start}.{alias.name}" for alias in node.names)


def import_graph(root: Path) -> dict[str, set[str]]:
    """By module, the modules of the three packages that it imports."""
    paths = {module_name(path, root): path for top in PACKAGES for path in (root / top).rglob("*.py")}
    graph: dict[str, set[str]] = {}
    for module, path in paths.items():
        graph[module] = set()
        for name in imported_names(path, module):
            while name and name not in paths:
                name = name.rpartition(".")[0]
            if name and name != module:
                graph[module].add(name)
    return graph


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the nodes that lie on a cycle, or between two: what is left when ends and beginnings are taken away."""
    left = {node: set(targets) for node, targets in graph.items()}
    while leaves := [node for node, targets in left.items() if not targets & left.keys()]:
        for node in leaves:
            del left[node]
    while roots := [node for node in left if not any(node in targets for targets in left.values())]:
        for node in roots:
            del left[node]
    return [sorted(left)] if left else []


def units(module: str) -> str:
    """The part of a package a module belongs to: its subpackage, or itself where it lies at the top."""
    return ".".join(module.split(".")[:2])


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    return import_graph(ROOT)


def test_no_module_imports_itself_by_way_of_others(graph: dict[str, set[str]]) -> None:
    assert cycles(graph) == []


def test_no_subpackage_imports_itself_by_way_of_others(graph: dict[str, set[str]]) -> None:
    parts: dict[str, set[str]] = {}
    for module, targets in graph.items():
        here = units(module)
        parts.setdefault(here, set()).update(units(target) for target in targets if units(target) != here)
    assert cycles(parts) == []


def test_cli_imports_loaders_and_loaders_import_caching_and_never_back(graph: dict[str, set[str]]) -> None:
    for module, target in ((module, target) for module, targets in graph.items() for target in targets):
        source, sink = module.split(".")[0], target.split(".")[0]
        assert PACKAGES.index(source) <= PACKAGES.index(sink), f"{module} imports {target}"


def test_the_toolkit_does_not_import_through_its_own_facades(graph: dict[str, set[str]]) -> None:
    sample = {f"loaders.{name}" for name in ("local", "staging", "prod", "in_memory", "switched", "contracts")}
    offending = [m for m, targets in graph.items() if targets & {"loaders"} and m not in sample]
    assert offending == []


def test_the_drawn_order_is_the_order_of_the_imports(graph: dict[str, set[str]]) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for package in ("caching", "loaders"):
        drawn = re.search(rf"^    {package}: (.+(?:\n      .+)*)", text, re.MULTILINE)
        assert drawn, f"CONTRIBUTING.md draws no order for {package}"
        layers = [layer.replace(",", " ").split() for layer in drawn[1].replace("\n", " ").split("→")]
        rank = {name: number for number, names in enumerate(layers) for name in names}
        found = {units(m).split(".")[1] for m in graph if m.startswith(f"{package}.")} - {"__main__", "_version"}
        assert found == set(rank), f"{package}: drawn and found differ in {found ^ set(rank)}"
        for module, targets in graph.items():
            for target in targets:
                if module.startswith(f"{package}.") and target.startswith(f"{package}."):
                    above, below = (units(name).split(".")[1] for name in (module, target))
                    if above != below and "_version" not in (above, below) and above != "__main__":
                        assert rank[above] < rank[below], f"{module} imports {target}"


@pytest.mark.parametrize("statement", ["import loaders.a", "def f():\n    from loaders import a", "from . import a"])
def test_a_new_cycle_is_found_also_inside_a_function(tmp_path: Path, statement: str) -> None:
    for top in PACKAGES:
        (tmp_path / top).mkdir()
        (tmp_path / top / "__init__.py").touch()
    (tmp_path / "loaders" / "a.py").write_text("from loaders.b import x\n", encoding="utf-8")
    (tmp_path / "loaders" / "b.py").write_text("x = 1\n", encoding="utf-8")
    assert cycles(import_graph(tmp_path)) == []
    (tmp_path / "loaders" / "b.py").write_text(f"x = 1\n{statement}\n", encoding="utf-8")
    assert cycles(import_graph(tmp_path)) == [["loaders.a", "loaders.b"]]


def test_modules_stay_below_four_hundred_lines_and_functions_short() -> None:
    lengths = []
    for path in itertools.chain.from_iterable((ROOT / top).rglob("*.py") for top in PACKAGES):
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 400, f"{path.relative_to(ROOT)} has {text.count(chr(10))} lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[0]
                documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
                lengths.append((node.end_lineno or 0) - (first.end_lineno if documented else node.lineno))  # type: ignore[operator]
    assert sorted(lengths)[len(lengths) // 2] <= 10


def test_the_architecture_page_names_every_folder_and_no_file_that_is_not_there() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for top in ("caching", "loaders"):
        for folder in (path.parent.name for path in (ROOT / top).glob("*/__init__.py")):
            assert f"  {folder}/ " in text, f"docs/architecture.md does not name {top}/{folder}/"
    known = {path.relative_to(ROOT).as_posix() for top in PACKAGES for path in (ROOT / top).rglob("*.py")}
    for name in set(re.findall(r"`((?:\w+/)+\w+\.py)`", text)) - {"tests/test_structure.py"}:
        assert any(f"/{path}".endswith(f"/{name}") for path in known), f"docs/architecture.md names {name}"
