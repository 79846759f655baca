"""Analyse loader bodies without running them: unknown names, another dataset's contract, fixed locations."""

from __future__ import annotations

import ast
import builtins
import collections.abc
import dis
import os
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from loaders.checking.exports import ExportedFunction, SourceModule
from loaders.checking.findings import Finding
from loaders.contract import DatasetContract
from loaders.names import did_you_mean, quoted


@dataclass(frozen=True)
class Call:
    """A call of a reader or `take_frame` in a loader body, with its arguments by parameter."""

    function: str
    arguments: Mapping[str, ast.expr]
    line: int

    @property
    def location(self) -> ast.expr | None:
        """The expression of the location that is read."""
        return self.arguments.get("location") or self.arguments.get("frames")


_READERS = ("read_table", "read_polars", "read_arrow", "read_batches", "scan_polars")
_PARAMETERS = {**dict.fromkeys(_READERS, ("location", "contract")), "take_frame": ("frames", "contract")}


def body_findings(source: SourceModule, exported: ExportedFunction) -> Iterator[Finding]:
    """Yield problems of a function's body that can be found without running it."""
    here = source.here(exported)
    for name in undefined_names(exported.function):
        known = [*exported.function.__globals__, *exported.function.__code__.co_varnames]
        yield Finding(
            rule="undefined-name",
            expected="names that the module or its parameters define",
            found=f"'{name}'",
            fix=f"It would fail when it runs.{did_you_mean(name, known)}",
            **here,
        )
    node = source.text.function(exported.definition.name)
    if node is not None and not _returns(node):
        fix = "Return the frame."
        yield Finding(rule="no-result", expected="a function that returns its data", found="no return", fix=fix, **here)
    for call in calls(source, exported):
        yield from _call_findings(call, exported, here | {"line": call.line})


def calls(source: SourceModule, exported: ExportedFunction) -> list[Call]:
    """Return the calls of readers and `take_frame` in a function's own body."""
    node = source.text.function(exported.definition.name)
    if node is None:
        return []
    found = []
    for call in ast.walk(node):
        if isinstance(call, ast.Call):
            name = _toolkit_name(_value(call.func, exported))
            if name:
                given = dict(zip(_PARAMETERS[name], call.args, strict=False))
                given |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
                found.append(Call(name, given, call.lineno))
    return found


def read_inputs(source: SourceModule, exported: ExportedFunction) -> set[str]:
    """Return the parameters that are read from as they are given."""
    return {call.location.id for call in calls(source, exported) if isinstance(call.location, ast.Name)}


def allowed_protocols(source: SourceModule, exported: ExportedFunction) -> dict[str, tuple[str, ...]]:
    """Return, by input, the protocols that the function allows, if its text states them."""
    found = {}
    for call in calls(source, exported):
        allow = _value(call.arguments["allow"], exported) if "allow" in call.arguments else None
        if isinstance(call.location, ast.Name) and isinstance(allow, tuple | list | set | frozenset):
            found[call.location.id] = tuple(str(protocol) for protocol in allow)
    return found


def _call_findings(call: Call, exported: ExportedFunction, here: dict[str, Any]) -> Iterator[Finding]:
    contract = _value(call.arguments["contract"], exported) if "contract" in call.arguments else None
    if isinstance(contract, DatasetContract) and contract.name != exported.name:
        yield Finding(
            rule="contract-used",
            expected=f"the contract of '{exported.name}'",
            found=f"the contract of '{contract.name}'",
            fix=f"Pass the contract whose name is '{exported.name}'.",
            **here,
        )
    columns = _value(call.arguments["columns"], exported) if "columns" in call.arguments else None
    if isinstance(columns, tuple | list) and set(exported.columns) - set(columns):
        yield Finding(
            rule="columns",
            expected="every extracted column read",
            found=f"{quoted(sorted(set(exported.columns) - set(columns)))} left out",
            fix="Leave the argument 'columns' out; only what a dataflow needs is read anyway.",
            **here,
        )
    yield from _location_findings(call, exported, here)


def _location_findings(call: Call, exported: ExportedFunction, here: dict[str, Any]) -> Iterator[Finding]:
    location = call.location
    if isinstance(location, ast.Constant):
        yield Finding(
            rule="location-in-code",
            severity="warning",
            expected="a location that the environment gives",
            found="one that is written into the function",
            fix="Take it as a parameter, and give it under 'inputs' of each environment.",
            **here,
        )
    if not isinstance(location, ast.Name) or location.id not in exported.inputs:
        return
    declared, _ = exported.inputs[location.id]
    if call.function == "take_frame" and location.id != "frames":
        fix = "Call the parameter 'frames': every source in memory takes its frames so."
        yield Finding(rule="inputs", expected="input 'frames'", found=f"'{location.id}'", fix=fix, **here)
    fits = _is_mapping(declared) if call.function == "take_frame" else _is_location(declared)
    if not fits:
        wanted = "a mapping of frames" if call.function == "take_frame" else "a location: str or a path"
        yield Finding(
            rule="input-type",
            expected=wanted,
            found=f"{location.id}: {getattr(declared, '__name__', declared)}",
            fix="Declare the parameter so.",
            **here,
        )


def undefined_names(function: Callable[..., Any]) -> list[str]:
    """Return the global names that a function uses but its module does not define."""
    scope = function.__globals__
    used = {
        instruction.argval
        for code in _codes(function.__code__)
        for instruction in dis.get_instructions(code)
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }
    own = {
        instruction.argval
        for code in _codes(function.__code__)
        for instruction in dis.get_instructions(code)
        if instruction.opname in ("STORE_GLOBAL", "STORE_NAME")
    }
    return sorted(name for name in used - own if name not in scope and not hasattr(builtins, name))


def unused_parameters(function: Callable[..., Any]) -> list[str]:
    """Return the parameters that a function's code never loads."""
    code = function.__code__
    parameters = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    loaded = {i.argval for i in dis.get_instructions(code) if i.opname.startswith("LOAD_")}
    return [name for name in parameters if name not in loaded and name not in code.co_cellvars]


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _returns(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether a function returns a value or ends by raising."""
    return any(
        (isinstance(part, ast.Return) and part.value is not None) or isinstance(part, ast.Raise | ast.Yield)
        for part in ast.walk(node)
    )


def _toolkit_name(value: Any) -> str | None:
    name = getattr(value, "__name__", None)
    home = str(getattr(value, "__module__", ""))
    return name if name in _PARAMETERS and home.split(".")[0] == "loaders" else None


def _value(node: ast.expr, exported: ExportedFunction) -> Any:
    """Return the value of an expression of names, attributes, subscripts and literals; None for any other."""
    scope = exported.function.__globals__
    if isinstance(node, ast.Name):
        return scope.get(node.id) if node.id not in exported.function.__code__.co_varnames else None
    if isinstance(node, ast.Attribute):
        return getattr(_value(node.value, exported), node.attr, None)
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        holder = _value(node.value, exported)
        return holder.get(node.slice.value) if isinstance(holder, Mapping) else None
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError):
        return None


def _is_mapping(declared: Any) -> bool:
    outer = typing.get_origin(declared) or declared
    return outer is Any or (isinstance(outer, type) and issubclass(outer, collections.abc.Mapping))


def _is_location(declared: Any) -> bool:
    if typing.get_origin(declared) in (typing.Union, types.UnionType):
        return any(_is_location(part) for part in typing.get_args(declared))
    outer = typing.get_origin(declared) or declared
    return outer is Any or (isinstance(outer, type) and issubclass(outer, str | os.PathLike))
