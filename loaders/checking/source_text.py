"""The source text of a module: the lines of its definitions."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import ModuleType

_DEFINITION = re.compile(r"(?:async\s+def|def|class)\s+(\w+)")

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


class SourceText:
    """The syntax tree of a module's file; empty if there is no file or it cannot be parsed."""

    def __init__(self, path: str | Path | None) -> None:
        self.path = Path(path) if path else None

    @classmethod
    def of(cls, module: ModuleType) -> SourceText:
        """Return the text of an imported module."""
        return cls(getattr(module, "__file__", None))

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        try:
            return ast.parse(self.path.read_bytes()) if self.path else ast.Module([], [])
        except (OSError, SyntaxError, ValueError):
            return ast.Module([], [])

    @cached_property
    def functions(self) -> dict[str, list[FunctionNode]]:
        """The module's own functions by name; more than one where a name is defined again."""
        found: dict[str, list[FunctionNode]] = {}
        for node in _statements(self.tree.body):
            if isinstance(node, FunctionNode):
                found.setdefault(node.name, []).append(node)
        return found

    @cached_property
    def classes(self) -> list[ast.ClassDef]:
        """The module's classes."""
        return [node for node in _statements(self.tree.body) if isinstance(node, ast.ClassDef)]

    def function(self, name: str) -> FunctionNode | None:
        """Return the last definition of a function's name."""
        return self.functions[name][-1] if name in self.functions else None

    def line(self, name: str) -> int | None:
        """Return the line that defines, assigns or imports a name of the module."""
        lines = [node.lineno for node in _statements(self.tree.body) if name in _names(node)]
        return lines[-1] if lines else None

    def assigned(self, name: str) -> int | None:
        """Return the line that assigns a name of the module; None for one that is imported or defined otherwise."""
        kinds = ast.Assign | ast.AnnAssign
        lines = [
            node.lineno for node in _statements(self.tree.body) if isinstance(node, kinds) and name in _names(node)
        ]
        return lines[-1] if lines else None

    def enclosing(self, line: int) -> str:
        """Return the function or class around a line, including its decorators."""
        for node in _statements(self.tree.body):
            if isinstance(node, FunctionNode | ast.ClassDef):
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                if first <= line <= (node.end_lineno or line):
                    return node.name
        return self._definition_above(line) if self.path and not self.tree.body else ""

    def _definition_above(self, line: int) -> str:
        """Return the last definition before a line, in a text that does not parse."""
        try:
            lines = self.path.read_text(errors="replace").splitlines()[:line] if self.path else []
        except OSError:
            return ""
        found = [match[1] for text in lines if (match := _DEFINITION.match(text))]
        return found[-1] if found else ""


def decorator_names(node: FunctionNode) -> set[str]:
    """Return the plain names of a definition's decorators: `extract_columns` for `@fm.extract_columns(…)`."""
    found = set()
    for decorator in node.decorator_list:
        target = decorator.func if isinstance(decorator, ast.Call) else decorator
        found |= {name.attr if isinstance(name, ast.Attribute) else name.id for name in _heads(target)}
    return found


def _heads(target: ast.expr) -> Iterator[ast.Attribute | ast.Name]:
    # `config.when(...)` is told from `when` by neither alone, so both parts count.
    if isinstance(target, ast.Attribute):
        yield target
        yield from _heads(target.value)
    elif isinstance(target, ast.Name):
        yield target


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run at import, including those in branches and blocks."""
    for node in body:
        yield node
        for branch in ("body", "orelse", "finalbody"):
            if not isinstance(node, FunctionNode | ast.ClassDef):
                yield from _statements(getattr(node, branch, []))
        for handler in getattr(node, "handlers", []):
            yield from _statements(handler.body)


def _names(node: ast.stmt) -> set[str]:
    if isinstance(node, FunctionNode | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign | ast.AugAssign):
        targets = [node.target]
    return {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
