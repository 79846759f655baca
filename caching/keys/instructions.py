"""Decode the instructions of a code object, the same for every version of Python."""

from __future__ import annotations

import dis
import opcode
import re
import sys
from types import CodeType
from typing import Any, NamedTuple

_NAME = frozenset(dis.hasname)
_CONST = frozenset(dis.hasconst)
_LOCAL = frozenset(dis.haslocal)
_FREE = frozenset(dis.hasfree)
_JUMP = frozenset(dis.hasjrel)
_BACKWARD = frozenset(op for op in _JUMP if "BACKWARD" in opcode.opname[op])
_NOTHING = frozenset(opcode.opmap[name] for name in ("CACHE", "NOP", "RESUME", "EXTENDED_ARG") if name in opcode.opmap)
_CACHE = opcode.opmap["CACHE"]
_EXTENDED = opcode.opmap["EXTENDED_ARG"]
_PAIR = re.compile(r"((?:LOAD|STORE)_FAST(?:_BORROW)?)_((?:LOAD|STORE)_FAST(?:_BORROW)?)")
# Python 3.12 began to pack a flag into the argument of LOAD_ATTR.
_SHIFT = {"LOAD_GLOBAL": 1, "LOAD_ATTR": 1 if sys.version_info >= (3, 12) else 0, "LOAD_SUPER_ATTR": 2}


class Instruction(NamedTuple):
    """One instruction: operation, argument, position and jump target."""

    name: str
    argument: Any
    offset: int
    raw: int
    jump: int | None = None


def decode(code: CodeType) -> list[Instruction]:
    """Return the instructions of a code object, without those that do nothing."""
    raw = code.co_code
    local_names = (
        *code.co_varnames,
        *(n for n in code.co_cellvars if n not in code.co_varnames),
        *code.co_freevars,
    )
    decoded = []
    extended = 0
    for offset in range(0, len(raw), 2):
        op, argument = raw[offset], raw[offset + 1] | extended
        extended = argument << 8 if op == _EXTENDED else 0
        if op in _NOTHING:
            continue
        name = opcode.opname[op]
        if pair := _PAIR.fullmatch(name):
            # Python 3.13 began to do two with locals by one instruction; no jump leads to the second.
            for half, (kind, place) in enumerate(zip(pair.groups(), (argument >> 4, argument & 15), strict=True)):
                decoded.append(Instruction(kind, local_names[place], offset + half, place, None))
            continue
        value: Any = argument
        jump = None
        if op in _NAME:
            value = code.co_names[argument >> _SHIFT.get(name, 0)]
        elif op in _CONST:
            value = code.co_consts[argument]
        elif op in _LOCAL or op in _FREE:
            value = local_names[argument] if argument < len(local_names) else argument
        elif op in _JUMP:
            after = offset + 2
            while after < len(raw) and raw[after] == _CACHE:
                after += 2
            jump = after - 2 * argument if op in _BACKWARD else after + 2 * argument
        decoded.append(Instruction(name, value, offset, argument, jump))
    return decoded
