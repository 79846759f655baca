"""Find loaders that Hamilton ignores: imported, private or callable objects instead of public functions."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from typing import Any, NamedTuple

from loaders.checking.exports import SourceModule
from loaders.checking.findings import Finding
from loaders.checking.source_text import FunctionNode, decorator_names


class IgnoredFunction(NamedTuple):
    """The reason why a name of a module is no node, its place, and the remedy."""

    found: str
    fix: str
    function: str
    line: int | None


def ignored_loader(source: SourceModule, dataset: str) -> IgnoredFunction | None:
    """Return the object that a module has under a node's name, if Hamilton ignores it."""
    for look in (_other_object, _underscored, _in_a_class, _nested, _overwritten):
        found = look(source, dataset)
        if found is not None:
            return found
    return None


def stray_loaders(source: SourceModule) -> Iterator[Finding]:
    """Yield functions that look like loaders but are no nodes, and names defined twice."""
    for name, nodes in source.text.functions.items():
        if len(nodes) > 1 and not name.startswith("_"):
            yield _stray(source, name, "one function of this name", f"{len(nodes)}, of which the last one wins", nodes)
        if name.startswith("_") and "extract_columns" in decorator_names(nodes[-1]):
            yield _stray(source, name, "loaders whose names do not begin with '_'", f"{name}()", nodes)
    for owner, method in _methods(source):
        if "extract_columns" in decorator_names(method):
            name = f"{owner.name}.{method.name}"
            yield _stray(source, name, "a plain function of the module", f"a method of class {owner.name}", [method])


def _stray(source: SourceModule, name: str, expected: str, found: str, nodes: list[FunctionNode]) -> Finding:
    place = source.at(name) | {"line": nodes[-1].lineno}
    fix = "Hamilton makes nodes of the module's public functions alone: make it one, or remove it."
    return Finding(rule="hidden-loader", expected=expected, found=found, fix=fix, **place)


def switched_off(source: SourceModule, dataset: str) -> IgnoredFunction | None:
    """Return the variant of a dataset whose `@config.when` does not match, if there is one."""
    for definition in source.definitions:
        if definition.node_name == dataset and not definition.nodes:
            keys = ", ".join(f"{key}={source.known.get(key)!r}" for key in sorted(definition.config_keys))
            line = source.at(definition.name)["line"]
            return IgnoredFunction(
                f"{definition.name}(), whose @config.when does not match {keys}",
                f"Have one variant of {dataset} match {keys}.",
                definition.name,
                line,
            )
    return None


def _other_object(source: SourceModule, dataset: str) -> IgnoredFunction | None:
    value = getattr(source.module, dataset, None)
    if value is None or any(definition.name == dataset for definition in source.definitions):
        return None
    line = source.text.line(dataset)
    if not inspect.isfunction(value):
        found, fix = f"{_kind(value)}, of which Hamilton makes no node", "Make it a function: def " + f"{dataset}(…)."
    elif value.__module__ != source.path:
        found = f"a function imported from {value.__module__}, which Hamilton leaves out"
        fix = f"Define {dataset}() in the module itself."
    else:
        found = f"the function {value.__name__}() under another name, which Hamilton leaves out"
        fix = f"Define it by 'def {dataset}(…)'; a wrapper keeps the name with functools.wraps."
    return IgnoredFunction(found, fix, dataset, line)


def _kind(value: Any) -> str:
    if inspect.isclass(value):
        return "a class"
    kind = type(value)
    return f"an object of {kind.__module__}.{kind.__qualname__}"


def _underscored(source: SourceModule, dataset: str) -> IgnoredFunction | None:
    for name in (f"_{dataset}", f"__{dataset}"):
        node = source.text.function(name)
        if node is not None:
            return IgnoredFunction(f"{name}(), which is private", f"Call it {dataset}().", name, node.lineno)
    return None


def _methods(source: SourceModule) -> Iterator[tuple[ast.ClassDef, FunctionNode]]:
    for owner in source.text.classes:
        for node in owner.body:
            if isinstance(node, FunctionNode):
                yield owner, node


def _in_a_class(source: SourceModule, dataset: str) -> IgnoredFunction | None:
    for owner, method in _methods(source):
        if method.name in (dataset, f"_{dataset}"):
            name = f"{owner.name}.{method.name}"
            return IgnoredFunction(
                f"a method of class {owner.name}, of which Hamilton makes no node",
                f"Move {dataset}() out of the class.",
                name,
                method.lineno,
            )
    return None


def _nested(source: SourceModule, dataset: str) -> IgnoredFunction | None:
    for name, nodes in source.text.functions.items():
        for node in ast.walk(nodes[-1]):
            if isinstance(node, FunctionNode) and node.name == dataset and node is not nodes[-1]:
                return IgnoredFunction(
                    f"a function inside of {name}()",
                    f"Move {dataset}() to the module's top level.",
                    f"{name}.{dataset}",
                    node.lineno,
                )
    return None


def _overwritten(source: SourceModule, dataset: str) -> IgnoredFunction | None:
    node = source.text.function(dataset)
    if node is None or any(definition.name == dataset for definition in source.definitions):
        return None
    if any(problem.function == dataset for problem in source.problems):
        return None
    return IgnoredFunction(
        f"a definition of {dataset}() that is gone after the import",
        "Remove what deletes or replaces it, or the condition that skips it.",
        dataset,
        node.lineno,
    )
