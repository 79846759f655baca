"""The operands of calls and subscripts in bytecode: literals and names of globals.

The stack is followed from the load of what is called, without branches. What is computed (`"A_" + n`,
`P.upper()`, `P or "A"`) is no literal, though it may begin with one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from caching.keys.instructions import Instruction

# A literal, ("global", name), or None for what is computed.
Operand = str | tuple[str, str] | None


class Arguments(NamedTuple):
    """The operands of one call, by position and, at the end, by keyword."""

    operands: tuple[Operand, ...] = ()
    keywords: tuple[str, ...] = ()

    def has(self, position: int, *names: str) -> bool:
        """Return whether a parameter is given."""
        return self._index(position, names) is not None

    def get(self, position: int, *names: str) -> Operand:
        """Return the operand of a parameter; None if it is not a literal or a global."""
        index = self._index(position, names)
        return None if index is None else self.operands[index]

    def _index(self, position: int, names: tuple[str, ...]) -> int | None:
        by_position = len(self.operands) - len(self.keywords)
        if position < by_position:
            return position
        return next((by_position + self.keywords.index(name) for name in names if name in self.keywords), None)


UNKNOWN = Arguments()
_LITERALS = ("LOAD_CONST", "LOAD_CONST_IMMORTAL")
_SUBSCRIPTS = ("BINARY_SUBSCR", "STORE_SUBSCR", "DELETE_SUBSCR")
# Since Python 3.12 a method is loaded by LOAD_ATTR, which then pushes two.
_METHOD_FLAG = 1 if sys.version_info >= (3, 12) else 0
# How many values an instruction takes from the stack, and how many it puts there, by its argument.
_EFFECTS: dict[str, Callable[[int], tuple[int, int]]] = {
    "PUSH_NULL": lambda _: (0, 1),
    "PRECALL": lambda _: (0, 0),
    "KW_NAMES": lambda _: (0, 0),
    "LOAD_GLOBAL": lambda raw: (0, 1 + (raw & 1)),
    "LOAD_ATTR": lambda raw: (1, 1 + (raw & _METHOD_FLAG)),
    "LOAD_METHOD": lambda _: (1, 2),
    "LOAD_SUPER_ATTR": lambda raw: (3, 1 + (raw & 1)),
    "BINARY_OP": lambda _: (2, 1),
    "BINARY_SUBSCR": lambda _: (2, 1),
    "BINARY_SLICE": lambda _: (3, 1),
    "COMPARE_OP": lambda _: (2, 1),
    "IS_OP": lambda _: (2, 1),
    "CONTAINS_OP": lambda _: (2, 1),
    "TO_BOOL": lambda _: (1, 1),
    "FORMAT_SIMPLE": lambda _: (1, 1),
    "FORMAT_WITH_SPEC": lambda _: (2, 1),
    "FORMAT_VALUE": lambda raw: (2 if raw & 4 else 1, 1),
    "CONVERT_VALUE": lambda _: (1, 1),
    "BUILD_STRING": lambda raw: (raw, 1),
    "BUILD_TUPLE": lambda raw: (raw, 1),
    "BUILD_LIST": lambda raw: (raw, 1),
    "BUILD_SET": lambda raw: (raw, 1),
    "BUILD_SLICE": lambda raw: (raw, 1),
    "BUILD_MAP": lambda raw: (2 * raw, 1),
    "BUILD_CONST_KEY_MAP": lambda raw: (raw + 1, 1),
    "LIST_EXTEND": lambda _: (1, 0),
    "CALL": lambda raw: (raw + 2, 1),
    "CALL_KW": lambda raw: (raw + 3, 1),
    "STORE_SUBSCR": lambda _: (3, 0),
    "DELETE_SUBSCR": lambda _: (2, 0),
}


def arguments_after(instructions: Sequence[Instruction], index: int) -> Arguments:
    """Return the arguments of the call whose function the instructions before this index load."""
    # Python 3.13 began to put it between a function that is an attribute and its arguments.
    index += index < len(instructions) and instructions[index].name == "PUSH_NULL"
    stack: list[Operand] = []
    for position in range(index, len(instructions)):
        instruction = instructions[position]
        effect = _effect(instruction)
        if effect is None:
            return UNKNOWN
        taken, put = effect
        if taken > len(stack):
            return _taken(instruction, instructions[position - 2 : position], stack)
        del stack[len(stack) - taken :]
        stack += [_operand(instruction)] if put == 1 else [None] * put
    return UNKNOWN


def text_of(operand: Operand, namespace: dict[str, Any]) -> str | None:
    """Return the text that an operand is, where it is one, in a function of this namespace."""
    value = namespace.get(operand[1]) if isinstance(operand, tuple) else operand
    return value if isinstance(value, str) else None


def operand_before(instructions: Sequence[Instruction], index: int) -> Operand:
    """Return the left side of `in`, where this index loads the right side."""
    if not index:
        return None
    before, here = instructions[index - 1], instructions[index]
    # `(P or "A") in ...`: another way leads here, with another operand.
    if any(i.jump is not None and before.offset < i.jump <= here.offset for i in instructions):
        return None
    return _operand(before)


def _effect(instruction: Instruction) -> tuple[int, int] | None:
    known = _EFFECTS.get(instruction.name)
    if known is not None:
        return known(instruction.raw)
    if instruction.name.startswith("UNARY_"):
        return 1, 1
    loads = ("LOAD_CONST", "LOAD_FAST", "LOAD_DEREF", "LOAD_NAME", "LOAD_SMALL_INT", "LOAD_CLASSDEREF")
    # LOAD_FAST_AND_CLEAR belongs to a comprehension, whose branches are not followed anyway.
    return (0, 1) if instruction.name.startswith(loads) and "CLEAR" not in instruction.name else None


def _operand(instruction: Instruction) -> Operand:
    if instruction.name in _LITERALS and isinstance(instruction.argument, str):
        return instruction.argument
    return ("global", instruction.argument) if instruction.name == "LOAD_GLOBAL" else None


def _taken(instruction: Instruction, before: Sequence[Instruction], stack: list[Operand]) -> Arguments:
    """Return the arguments, where this instruction takes all that has been put on the stack, and nothing else."""
    if instruction.name in _SUBSCRIPTS:
        return Arguments(tuple(stack)) if len(stack) == 1 else UNKNOWN
    if instruction.name == "CALL_KW":
        names, stack = before[-1].argument, stack[:-1]
    else:
        names = next((i.argument for i in before if i.name == "KW_NAMES"), ())
    if instruction.name not in ("CALL", "CALL_KW") or instruction.raw != len(stack):
        return UNKNOWN
    return Arguments(tuple(stack), tuple(names))
