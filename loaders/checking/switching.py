"""Loader modules that switch by `data_source`: Hamilton's `@config.when…`."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence

from loaders.checking.exports import SourceModule, source_module
from loaders.checking.findings import Finding
from loaders.checking.source_text import FunctionNode, SourceText
from loaders.names import did_you_mean, quoted


def switched(source: SourceModule, names: Iterable[str] = ()) -> list[SourceModule]:
    """Return a switching module once for each value of `data_source` that its decorators or a source name."""
    if source.module is None:
        return []
    values = list(dict.fromkeys([*names, *switch_values(source.text)]))
    return [source_module(f"{source.path}[{value}]", source.module, {"data_source": value}) for value in values]


def switched_beside(source: SourceModule, names: Iterable[str]) -> list[SourceModule]:
    """Return the switching modules in the folder of a loader module."""
    package = source.path.rpartition(".")[0]
    if source.module is None or source.text.path is None:
        return []
    found = []
    for path in sorted(source.text.path.parent.glob("*.py")):
        if path != source.text.path and path.stem.isidentifier() and switch_values(SourceText(path)):
            name = f"{package}.{path.stem}" if package else path.stem
            beside = source_module(name, name)
            found += switched(beside, names) or [beside]
    return found


def unknown_values(sources: Sequence[SourceModule]) -> Iterator[Finding]:
    """Yield functions that switch by a value that no source has."""
    known = {source.name for source in sources if "[" not in source.name}
    for source in {source.path: source for source in sources if source.module is not None}.values():
        for function, nodes in source.text.functions.items():
            for value in _values(nodes):
                if value not in known:
                    yield Finding(
                        rule="switch-value",
                        expected=f"a data source: {quoted(sorted(known))}",
                        found=f"'{value}'",
                        fix=f"Correct the value in its @config.when.{did_you_mean(value, known)}",
                        **source.at(function),
                    )


def switch_values(text: SourceText) -> list[str]:
    """Return the values of `data_source` that a module's `@config.when…` decorators name."""
    return list(dict.fromkeys(value for nodes in text.functions.values() for value in _values(nodes)))


def _values(nodes: Iterable[FunctionNode]) -> Iterator[str]:
    for decorator in (decorator for node in nodes for decorator in node.decorator_list):
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).split(".")[-1].startswith("when"):
            for keyword in decorator.keywords:
                if keyword.arg == "data_source":
                    constants = [part.value for part in ast.walk(keyword.value) if isinstance(part, ast.Constant)]
                    yield from (value for value in constants if isinstance(value, str))
