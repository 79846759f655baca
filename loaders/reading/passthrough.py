"""Recognise loader functions that only return `read_table(…)` or another reader's frame, from their bytecode.

Only such a function may be given fewer columns than the contract has: any other might use a column that no output
asks for. So the rule errs on one side: what is not plainly `return read_table(…)` gets every column.
"""

from __future__ import annotations

import builtins
import dis
import itertools
import types
from collections.abc import Callable
from typing import Any

from caching.keys.objects import cached_function

_MOST_HELPERS = 4
# Hamilton keeps what decorates a function in these attributes; these decorators leave the frame as it is.
_HAMILTON_LISTS = ("generate", "decorate", "transform", "expand", "resolve", "subdag")
_HARMLESS_DECORATORS = {"extract_columns", "tag", "tag_outputs", "schema_output", "ConfigResolver", "config"}
# Instructions that only put arguments on the stack. No jump, no store, no second call is among them.
_LOADS = {
    *("RESUME", "NOP", "CACHE", "EXTENDED_ARG", "COPY_FREE_VARS", "PUSH_NULL", "PRECALL", "KW_NAMES"),
    *("LOAD_GLOBAL", "LOAD_CONST", "LOAD_SMALL_INT", "LOAD_ATTR", "LOAD_METHOD", "LOAD_DEREF"),
    *("FORMAT_VALUE", "FORMAT_SIMPLE", "FORMAT_WITH_SPEC", "CONVERT_VALUE", "BUILD_STRING", "BINARY_OP"),
    *("BUILD_TUPLE", "BUILD_LIST", "BUILD_MAP", "BUILD_CONST_KEY_MAP", "LIST_EXTEND", "BINARY_SUBSCR"),
}
_SILENT = {"RESUME", "NOP", "CACHE", "EXTENDED_ARG", "COPY_FREE_VARS", "PUSH_NULL"}
_ATTRIBUTES = {"LOAD_ATTR", "LOAD_METHOD"}
_CALLS = {"CALL", "CALL_KW"}


def is_passthrough(function: Callable[..., Any]) -> bool:
    """Return whether the function returns the result of `read_table` unchanged.

    It is, if its body is nothing but `return read_table(…)` without further calls, or `return helper(…)` of a plain
    function of which the same is true, and no decorators but the cache's and Hamilton's for columns stand around it.
    One that chooses `columns=` itself has nothing left to be chosen.
    """
    return passage(function) is not None


def passage(function: Callable[..., Any]) -> tuple[types.CodeType, ...] | None:
    """Return the code objects from a passthrough loader to the one that calls `read_table`; otherwise None."""
    from loaders.reading import READERS

    inner = _undecorated(function)
    codes: list[types.CodeType] = []
    while isinstance(inner, types.FunctionType) and len(codes) < _MOST_HELPERS:
        codes.append(inner.__code__)
        inner = _returned_callee(inner)
        if inner in READERS:
            return tuple(codes)
    return None


def _undecorated(function: Any) -> Any:
    while isinstance(function, types.FunctionType):
        for name in _HAMILTON_LISTS:
            if any(type(item).__name__ not in _HARMLESS_DECORATORS for item in getattr(function, name, ())):
                return None
        # functools.wraps leaves `__wrapped__` on anyone's wrapper; the cache's is known to hand the value through.
        cached = cached_function(function)
        if cached is None:
            return None if hasattr(function, "__wrapped__") else function
        function = cached.function
    return None


def _returned_callee(function: types.FunctionType) -> Any:
    """Return the function whose result the body returns, if it does nothing else; otherwise None.

    The callee of an only call is what was pushed first.
    """
    instructions = list(dis.get_instructions(function))
    names = [item.opname for item in instructions]
    body, ending = names[:-2], names[-2:]
    if len(ending) < 2 or ending[0] not in _CALLS or ending[1] != "RETURN_VALUE":
        return None
    if not all(name in _LOADS or name.startswith("LOAD_FAST") for name in body):
        return None
    if "columns" in _keywords(function.__code__, instructions):
        return None
    pushes = [item for item in instructions if item.opname not in _SILENT]
    subscripts = [number for number, item in enumerate(pushes) if _is_subscript(item)]
    if not all(_is_in_a_table(pushes[:number], function) for number in subscripts):
        return None
    return _named(pushes, function)


def _named(pushes: list[dis.Instruction], function: types.FunctionType) -> Any:
    """Return the object of the name pushed first, `name` or `module.name`; None for anything else."""
    if pushes[0].opname != "LOAD_GLOBAL":
        return None
    name = str(pushes[0].argval)
    value = function.__globals__.get(name, getattr(builtins, name, None))
    for item in itertools.takewhile(lambda item: item.opname in _ATTRIBUTES, pushes[1:]):
        # Only modules: an attribute of anything else may be computed.
        value = getattr(value, str(item.argval), None) if isinstance(value, types.ModuleType) else None
    return value


def _is_subscript(item: dis.Instruction) -> bool:
    # From Python 3.14 on it is one of the binary operations.
    return item.opname == "BINARY_SUBSCR" or (item.opname == "BINARY_OP" and item.argrepr == "[]")


def _is_in_a_table(pushes: list[dis.Instruction], function: types.FunctionType) -> bool:
    """Return whether a subscript is a plain lookup such as `CONTRACTS["orders"]`, which runs no user code."""
    if len(pushes) < 2 or pushes[-1].opname != "LOAD_CONST" or type(pushes[-1].argval) is not str:
        return False
    start = len(pushes) - 2
    while start and pushes[start].opname in _ATTRIBUTES:
        start -= 1
    table = _named(pushes[start:-1], function)
    return type(table) is dict and all(type(key) is str for key in table)


def _keywords(code: types.CodeType, instructions: list[dis.Instruction]) -> tuple[str, ...]:
    """Return the keyword names of the last call."""
    named = [item for item in instructions if item.opname == "KW_NAMES"]
    if instructions[-2].opname == "CALL_KW":  # from Python 3.13 on, which has them on the stack
        named = instructions[-3:-2]
    return code.co_consts[named[-1].arg or 0] if named else ()
