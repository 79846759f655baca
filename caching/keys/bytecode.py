"""Read one code object: its instructions without line numbers, and the outside names it uses.

Bytecode and not source, because a file may be edited after its import. Left out: line numbers, file names,
docstrings, the order of constants, instructions that do nothing.
"""

from __future__ import annotations

import dis
import opcode
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import Any, Literal, NamedTuple

from caching.keys.instructions import Instruction, decode
from caching.keys.operands import UNKNOWN, Arguments, arguments_after, operand_before
from caching.keys.values import Encoder, UnhashableError, digest, frame

_ATTRIBUTE = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_GLOBAL = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_LOAD_LOCAL = frozenset(
    {
        "LOAD_FAST",
        "LOAD_FAST_CHECK",
        "LOAD_FAST_BORROW",
        "LOAD_DEREF",
        "LOAD_CLASSDEREF",
        "LOAD_FROM_DICT_OR_DEREF",
    }
)
_STORE = frozenset({"STORE_FAST", "STORE_DEREF", "STORE_NAME", "STORE_GLOBAL"})
_FREE_LOAD = frozenset({"LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"})
# Written by the compiler into the body of a class: where it stands, not what it is.
_CLASS_NOISE = frozenset({"__doc__", "__firstlineno__", "__static_attributes__"})
# Methods of built-in containers that change them; where the result is dropped, nothing flows back.
_MUTATORS = frozenset(
    [
        "append",
        "appendleft",
        "extend",
        "extendleft",
        "insert",
        "add",
        "update",
        "discard",
        "remove",
        "clear",
        "put",
        "put_nowait",
        "set",
        "write",
    ]
)


class Import(NamedTuple):
    """An import inside a body: the module's name, the number of leading dots, and the names taken from it."""

    module: str
    level: int
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Use:
    """One use of an outside name: `name.attribute.attribute`, with the arguments of the call or subscript after it."""

    scope: Literal["global", "free", "import", "named"]  # named: a global, by a text
    name: str
    attributes: tuple[str, ...] = ()
    imported: Import | None = None
    # What it is called with, or its subscript, or what is looked for in it.
    arguments: Arguments = UNKNOWN
    # It is only written to or counted up: its value cannot reach the result.
    written_only: bool = False


@dataclass(frozen=True)
class CodeFacts:
    """The instructions of one code object, and every outside name it uses, including those of nested code."""

    digest: str
    uses: tuple[Use, ...]
    imports: tuple[Import, ...]
    attributes: frozenset[str]
    texts: frozenset[str]
    aliases: dict[str, list[Import]]  # what imports in the body bind


class _ConstantEncoder(Encoder):
    def encode_object(self, value: Any) -> bytes:
        if isinstance(value, CodeType):
            return frame(b"K", _digest(value).encode())
        raise UnhashableError(value)


@lru_cache(maxsize=4096)
def read_code(code: CodeType) -> CodeFacts:
    """Return the facts of a code object; code objects do not change, so they are read once."""
    return _read(code, {})


def _read(code: CodeType, inherited: dict[str, list[Import]]) -> CodeFacts:
    instructions = decode(code)
    aliases = bound = inherited | _import_aliases(instructions)
    uses = list(dict.fromkeys(_uses(code, instructions, aliases)))
    imports = [item for item, _ in _imports(instructions)]
    attributes = {i.argument for i in instructions if i.name in _ATTRIBUTE}
    texts = {text for i in instructions if i.name.endswith("_CONST") for text in _texts(i.argument)}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            nested = _read(constant, {name: aliases[name] for name in constant.co_freevars if name in aliases})
            free = set(code.co_freevars)
            # A nested function's free variable is a local here, unless it is free here too.
            uses += [use for use in nested.uses if use.scope != "free" or use.name in free]
            imports += nested.imports
            attributes |= nested.attributes
            texts |= nested.texts
            bound = nested.aliases | bound
    unique = tuple(dict.fromkeys(uses)), tuple(dict.fromkeys(imports))
    return CodeFacts(_digest(code), *unique, frozenset(attributes), frozenset(texts), bound)


def _texts(constant: Any) -> Iterator[str]:
    if isinstance(constant, str) and len(constant) > 1:
        yield constant
    elif isinstance(constant, tuple | frozenset):
        for item in constant:
            yield from _texts(item)


@lru_cache(maxsize=4096)
def _digest(code: CodeType) -> str:
    encoder = _ConstantEncoder()
    instructions = decode(code)
    positions = {instruction.offset: index for index, instruction in enumerate(instructions)}
    flags = code.co_flags & ~0x4000000  # 3.13: has a docstring
    parts = [
        encoder.encode((code.co_name, code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, flags)),
        encoder.encode((code.co_varnames, code.co_cellvars, code.co_freevars)),
    ]
    skip = False
    for index, instruction in enumerate(instructions):
        if skip:
            skip = False
            continue
        following = instructions[index + 1] if index + 1 < len(instructions) else None
        if instruction.name == "LOAD_CONST" and following is not None and following.name == "STORE_NAME":
            skip = following.argument in _CLASS_NOISE
            if skip:
                continue
        argument = instruction.argument if instruction.jump is None else _position(positions, instruction.jump)
        parts.append(frame(b"", instruction.name.encode()) + encoder.encode(argument))
    for start, end, target, depth in _exception_table(code):
        parts.append(encoder.encode((*(_position(positions, offset) for offset in (start, end, target)), depth)))
    return digest(b"".join(parts))


def _position(positions: dict[int, int], offset: int) -> int:
    """Return the number of the first instruction at or behind an offset: some that do nothing are left out."""
    while offset not in positions and offset < 1 << 24:
        if offset > max(positions):
            return len(positions)
        offset += 2
    return positions[offset]


def _exception_table(code: CodeType) -> Iterator[tuple[int, int, int, int]]:
    # The variable-length integers of CPython's Objects/exception_handling_notes.txt.
    table = iter(code.co_exceptiontable)

    def integer() -> int:
        byte = next(table)
        value = byte & 63
        while byte & 64:
            byte = next(table)
            value = value << 6 | byte & 63
        return value

    while True:
        try:
            start = integer() * 2
        except StopIteration:
            return
        length, target, depth = integer() * 2, integer() * 2, integer()
        yield start, start + length, target, depth


def _imports(instructions: list[Instruction]) -> Iterator[tuple[Import, int]]:
    for index, instruction in enumerate(instructions):
        if instruction.name == "IMPORT_NAME":
            level = instructions[index - 2].argument if index >= 2 else 0
            names = instructions[index - 1].argument if index >= 1 else None
            fixed = tuple(names) if isinstance(names, tuple) else ()
            yield Import(instruction.argument, level if isinstance(level, int) else 0, fixed), index


def _import_aliases(instructions: list[Instruction]) -> dict[str, list[Import]]:
    """Return the local names that imports in the body bind, and the modules each may mean."""
    aliases: dict[str, list[Import]] = {}
    for item, index in _imports(instructions):
        position = index + 1
        if item.attributes:
            while position + 1 < len(instructions) and instructions[position].name == "IMPORT_FROM":
                taken, store = instructions[position], instructions[position + 1]
                if store.name in _STORE:
                    aliases.setdefault(store.argument, []).append(item._replace(attributes=(taken.argument,)))
                position += 2
            continue
        chain: list[str] = []
        while position < len(instructions) and instructions[position].name in (
            "IMPORT_FROM",
            "SWAP",
            "POP_TOP",
            "ROT_TWO",
        ):
            if instructions[position].name == "IMPORT_FROM":
                chain.append(instructions[position].argument)
            position += 1
        if position < len(instructions) and instructions[position].name in _STORE:
            # `import a.b` binds a; `import a.b as c` takes b from it.
            top = item.module.partition(".")[0] if item.level == 0 else item.module
            aliases.setdefault(instructions[position].argument, []).append(Import(top, item.level, tuple(chain)))
    return aliases


def _uses(code: CodeType, instructions: list[Instruction], aliases: dict[str, list[Import]]) -> Iterator[Use]:
    free = set(code.co_freevars)
    for index, instruction in enumerate(instructions):
        name = instruction.argument
        is_global, is_free = instruction.name in _GLOBAL, instruction.name in _FREE_LOAD and name in free
        is_alias = name in aliases if is_global or instruction.name in _LOAD_LOCAL else False
        if not (is_global or is_free or is_alias):
            continue
        end = index + 1
        while end < len(instructions) and instructions[end].name in _ATTRIBUTE:
            end += 1
        attributes = tuple(i.argument for i in instructions[index + 1 : end])
        if end < len(instructions) and instructions[end].name == "CONTAINS_OP":
            given = Arguments((operand_before(instructions, index),))
        else:
            given = arguments_after(instructions, end)
        if is_alias:
            yield from (Use("import", name, attributes, imported, given) for imported in aliases[name])
        else:
            scope: Literal["global", "free"] = "global" if is_global else "free"
            yield Use(scope, name, attributes, None, given, _is_written_only(instructions, index))


def _is_written_only(instructions: list[Instruction], index: int) -> bool:
    """Return whether what is loaded here is only changed: `a.append(x)`, `n += 1`, `d[x] += 1`, `d[x] = y`, `c.n += 1`.

    The walk follows the stack without branches from the load on; anything it does not know counts as a read.
    """
    name = instructions[index].argument
    following = instructions[index + 1 :]
    if following and following[0].name in _ATTRIBUTE and following[0].argument in _MUTATORS:
        return _result_is_dropped(following[1:])
    names = [i.name for i in following[:9]]
    if names[1:2] == ["BINARY_OP"] and names[2:3] in (["STORE_GLOBAL"], ["STORE_DEREF"]):
        return names[0] in ("LOAD_CONST", "LOAD_SMALL_INT") and following[2].argument == name
    subscript = ["COPY", "COPY", "BINARY_SUBSCR", "LOAD_CONST", "BINARY_OP", "SWAP", "SWAP", "STORE_SUBSCR"]
    if names[1:9] == subscript:
        return names[0] in ("LOAD_CONST", "LOAD_FAST")
    if names[:6] == ["COPY", "LOAD_ATTR", "LOAD_CONST", "BINARY_OP", "SWAP", "STORE_ATTR"]:
        return bool(following[1].argument == following[5].argument)
    return names[:2] in (["LOAD_CONST", "STORE_SUBSCR"], ["LOAD_FAST", "STORE_SUBSCR"])


def _result_is_dropped(following: list[Instruction]) -> bool:
    depth = 0  # of the arguments on the stack, above the bound method
    for position, instruction in enumerate(following):
        if instruction.jump is not None or instruction.name.startswith(("RETURN", "YIELD", "RAISE", "STORE")):
            return False
        # Python 3.11 has PRECALL take the arguments and CALL the rest; later ones have CALL alone.
        if instruction.name in ("PRECALL", "CALL", "CALL_KW") and instruction.raw == depth:
            after = following[position + 1 : position + 3]
            return [i.name for i in after if i.name != "CALL"][:1] == ["POP_TOP"]
        op = opcode.opmap[instruction.name]
        try:
            depth += dis.stack_effect(op, instruction.raw if op >= opcode.HAVE_ARGUMENT else None)
        except ValueError:
            return False
    return False
