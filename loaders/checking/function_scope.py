"""What the names in a function's text stand for, without running it."""

from __future__ import annotations

import ast
import builtins
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from loaders.checking.exports import is_foreign
from loaders.checking.source_text import FunctionNode, SourceText
from loaders.contract import DatasetContract

_READERS = ("read_", "scan_", "take_frame", "conform")
# What may be given a contract without reading anything by it.
_NO_READERS = ("builtins", "copy", "dataclasses", "typing", "logging", "pandas", "polars", "numpy", "pyarrow")
_LONGEST_CONSTANT = 200


class Texts:
    """The source texts of the files that a check meets, each parsed once."""

    def __init__(self) -> None:
        self._texts: dict[str, SourceText] = {}

    def node_of(self, function: Callable[..., Any]) -> FunctionNode | None:
        """Return the definition of a function in its file; None if there is none, or it is no plain function."""
        code = getattr(function, "__code__", None)
        if not isinstance(code, types.CodeType):
            return None
        text = self._texts.setdefault(code.co_filename, SourceText(code.co_filename))
        nodes = (node for node in ast.walk(text.tree) if isinstance(node, FunctionNode) and node.name == code.co_name)
        return next((node for node in nodes if code.co_firstlineno in _first_lines(node)), None)


class Scope:
    """The values of the names in one function: its module's globals, and arguments that are known."""

    def __init__(self, function: Callable[..., Any], bound: Mapping[str, Any]) -> None:
        self.globals: Mapping[str, Any] = getattr(function, "__globals__", {})
        self.own = set(function.__code__.co_varnames) | set(function.__code__.co_freevars)
        self.bound = bound

    def value(self, node: ast.expr) -> Any:
        """Return the value of a name, an attribute or an item; None for any other expression."""
        if isinstance(node, ast.Name):
            if node.id in self.own:
                return self.bound.get(node.id)
            return self.globals.get(node.id, vars(builtins).get(node.id))
        if isinstance(node, ast.Attribute):
            return getattr(self.value(node.value), node.attr, None)
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            holder = self.value(node.value)
            return holder.get(node.slice.value) if isinstance(holder, Mapping) else None
        return None

    def constant(self, name: str) -> str | None:
        """Return a constant of the module as text; None for a name of anything else."""
        value = None if name in self.own else self.globals.get(name)
        shown = repr(value) if _is_constant(value) else ""
        return shown if 0 < len(shown) <= _LONGEST_CONSTANT else None

    def reads(self, call: ast.Call) -> bool:
        """Tell whether a call returns data that was held to a contract."""
        called = self.value(call.func)
        if isinstance(call.func, ast.Attribute) and isinstance(self.value(call.func.value), DatasetContract):
            return True
        if is_reader(called):
            return True
        given = [self.value(argument) for argument in (*call.args, *(keyword.value for keyword in call.keywords))]
        if any(is_reader(value) for value in given):
            # Another function calls it: in a thread, or again after a failure.
            return True
        home = str(getattr(called, "__module__", "") or "").partition(".")[0]
        return home not in _NO_READERS and any(isinstance(value, DatasetContract) for value in given)

    def own_function(self, call: ast.Call) -> types.FunctionType | None:
        """Return the project's own function that a call calls, if it is one."""
        called = self.value(call.func)
        called = getattr(called, "__wrapped__", called)
        if not isinstance(called, types.FunctionType) or is_reader(called):
            return None
        return None if is_foreign(Path(called.__code__.co_filename)) else called


def is_reader(value: Any) -> bool:
    """Tell whether a value is one of the toolkit's functions that hold data to a contract."""
    home = str(getattr(value, "__module__", "") or "").partition(".")[0]
    return home == "loaders" and str(getattr(value, "__name__", "")).startswith(_READERS) and callable(value)


def _first_lines(node: FunctionNode) -> set[int]:
    return {node.lineno, *(decorator.lineno for decorator in node.decorator_list)}


def _is_constant(value: Any) -> bool:
    if isinstance(value, tuple | list | set | frozenset):
        return all(map(_is_constant, value))
    if isinstance(value, dict):
        return all(map(_is_constant, (*value, *value.values())))
    return isinstance(value, bool | int | float | str | bytes)
