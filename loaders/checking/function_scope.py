"""Resolve the names in a function's source text without running it."""

from __future__ import annotations

import ast
import builtins
import functools
import sys
import types
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from loaders.checking.exports import is_foreign
from loaders.checking.source_text import FunctionNode, SourceText
from loaders.contract import DatasetContract

_READERS = ("read_", "scan_", "take_frame", "conform")
# Modules whose functions may take a contract without reading anything by it.
_NO_READERS = ("builtins", "copy", "dataclasses", "typing", "logging", "pandas", "polars", "numpy", "pyarrow")
_LONGEST_CONSTANT = 200
_DEEPEST_CALL = 8
_MOST_CALLS = 300


class Texts:
    """The source texts of the files that a check meets, each parsed once."""

    def __init__(self) -> None:
        self._texts: dict[str, SourceText] = {}
        self._followed: Counter[Any] = Counter()

    def may_follow(self, callers: Sequence[Any]) -> bool:
        """Return whether another call is followed; without a limit, helpers that call each other would take minutes."""
        self._followed[callers[0]] += 1
        return len(callers) <= _DEEPEST_CALL and self._followed[callers[0]] <= _MOST_CALLS

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
        self.bound = dict(bound)

    def take_import(self, node: ast.Import | ast.ImportFrom) -> None:
        """Take the names that an import inside the function binds; nothing is imported for it."""
        own = str(self.globals.get("__name__", "")).partition(".")[0]
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            home = (node.module or own) if isinstance(node, ast.ImportFrom) else alias.name if alias.asname else name
            # What is not loaded yet has no values to look at; a library is told by its name alone.
            foreign = None if home.partition(".")[0] in (own, "loaders") else types.ModuleType(home)
            module = sys.modules.get(home, foreign)
            self.bound[name] = getattr(module, alias.name, foreign) if isinstance(node, ast.ImportFrom) else module

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
        """Return whether a call returns data that was held to a contract."""
        value = self.value(call.func)
        called = _function_of(value)
        if isinstance(call.func, ast.Attribute) and isinstance(self.value(call.func.value), DatasetContract):
            return True
        if is_reader(called) or self._is_method_of_reader(call):
            return True
        given = [self.value(argument) for argument in (*call.args, *(keyword.value for keyword in call.keywords))]
        given += [*value.args, *value.keywords.values()] if isinstance(value, functools.partial) else []
        if any(is_reader(value) for value in given):
            # Another function calls it: in a thread, or again after a failure.
            return True
        home = str(getattr(called, "__module__", "") or "").partition(".")[0]
        return home not in _NO_READERS and any(isinstance(value, DatasetContract) for value in given)

    def _is_method_of_reader(self, call: ast.Call) -> bool:
        """Return whether a call is of a method of an object that is made with a contract."""
        made = call.func.value if isinstance(call.func, ast.Attribute) else None
        return isinstance(made, ast.Call) and isinstance(self.value(made.func), type) and self.reads(made)

    def is_unknown(self, call: ast.Call) -> bool:
        """Return whether the text does not show what a call calls: an argument, an item of a table, a result."""
        root = call.func
        while isinstance(root, ast.Attribute):
            root = root.value
        if isinstance(root, ast.Name):
            return root.id in self.own and self.value(root) is None
        return isinstance(root, ast.Subscript) or (root is call.func and isinstance(root, ast.Call))

    def own_function(self, call: ast.Call) -> types.FunctionType | None:
        """Return the project's own function that a call calls, if it is one."""
        called = _function_of(self.value(call.func))
        if not isinstance(called, types.FunctionType) or is_reader(called):
            return None
        return None if is_foreign(Path(called.__code__.co_filename)) else called


def _function_of(value: Any) -> Any:
    """Return the function behind a partial, a method, a callable object or a wrapper."""
    if isinstance(value, functools.partial):
        return _function_of(value.func)
    if callable(value) and not isinstance(value, types.FunctionType | types.MethodType | type):
        value = getattr(value, "__wrapped__", type(value).__call__)
    value = getattr(value, "__func__", value)
    return getattr(value, "__wrapped__", value)


def is_reader(value: Any) -> bool:
    """Return whether a value is one of the toolkit's functions that hold data to a contract."""
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
