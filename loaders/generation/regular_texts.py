"""Random texts that match a regular expression, many at once.

The generator traverses the syntax tree of Python's own parser. It ignores look-around and word boundaries; every text
is matched against the expression before it is returned.
"""

from __future__ import annotations

import random
import re
import string
from re import _constants as codes  # type: ignore[attr-defined]  # the parser of `re` has no public name since 3.11
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from loaders.errors import ConfigError

_EXTRA_REPEATS = 8
_ROUNDS = 30
_ANY = string.ascii_letters + string.digits + " .,;:-_+*/!?()'\"äßéñ€"
_CATEGORIES = {
    codes.CATEGORY_DIGIT: set(string.digits),
    codes.CATEGORY_WORD: set(string.ascii_letters + string.digits + "_"),
    codes.CATEGORY_SPACE: set(" "),
}
_OPPOSITES = {
    codes.CATEGORY_NOT_DIGIT: codes.CATEGORY_DIGIT,
    codes.CATEGORY_NOT_WORD: codes.CATEGORY_WORD,
    codes.CATEGORY_NOT_SPACE: codes.CATEGORY_SPACE,
}


def regular_texts(pattern: str, count: int, chance: random.Random, *, distinct: bool = False) -> list[str]:
    """Return `count` texts that match the whole pattern; fewer if it has fewer distinct ones.

    Raises ConfigError if no matching text was found.

    >>> regular_texts("[ab]-[0-9]{3}|none", 3, random.Random(1))
    ['b-184', 'none', 'b-760']
    """
    compiled = re.compile(pattern)
    tree = parser.parse(pattern)
    found: list[str] = []
    seen: set[str] = set()
    for _ in range(_ROUNDS if count else 0):
        walk = _Traversal(chance, max(count - len(found), 16))
        texts = [text for text in walk.texts(tree, walk.lanes) if compiled.fullmatch(text)]
        if distinct:
            texts = [text for text in dict.fromkeys(texts) if text not in seen]
            seen.update(texts)
        found += texts
        if len(found) >= count:
            break
    if count and not found:
        raise ConfigError(f"No text was found that matches {pattern!r}. Give the check `allowed` values instead.")
    return found[:count]


Lanes = list[int]


class _Traversal:
    """One traversal of the pattern's syntax tree that generates many texts in parallel lanes."""

    def __init__(self, chance: random.Random, count: int) -> None:
        self._chance = chance
        self._groups: dict[tuple[int, int], str] = {}
        self.lanes: Lanes = list(range(count))

    def texts(self, tree: Any, lanes: Lanes) -> list[str]:
        """Return a text for each lane."""
        parts = [self._part(operation, argument, lanes) for operation, argument in tree]
        return ["".join(pieces) for pieces in zip(*parts, strict=True)] if parts else [""] * len(lanes)

    def _part(self, operation: Any, argument: Any, lanes: Lanes) -> list[str]:
        if operation is codes.LITERAL:
            return [chr(argument)] * len(lanes)
        if operation in (codes.ANY, codes.NOT_LITERAL, codes.IN):
            return self._chance.choices(_characters(operation, argument), k=len(lanes))
        if operation in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
            least, most, repeated = argument
            return self._repeated(least, most, repeated, lanes)
        if operation is codes.BRANCH:
            return self._branched(argument[1], lanes)
        if operation is codes.SUBPATTERN:
            texts = self.texts(argument[3], lanes)
            if argument[0] is not None:
                self._groups |= {(argument[0], lane): text for lane, text in zip(lanes, texts, strict=True)}
            return texts
        if operation is codes.ATOMIC_GROUP:
            return self.texts(argument, lanes)
        if operation is codes.GROUPREF:
            return [self._groups.get((argument, lane), "") for lane in lanes]
        if operation is codes.GROUPREF_EXISTS:
            group, present, absent = argument
            return [self.texts(present if (group, lane) in self._groups else absent or [], [lane])[0] for lane in lanes]
        return [""] * len(lanes)  # anchors and look-around add no characters; the final match checks them

    def _repeated(self, least: int, most: Any, tree: Any, lanes: Lanes) -> list[str]:
        most = min(most, least + _EXTRA_REPEATS)
        counts = [self._chance.randint(least, most) for _ in lanes] if most > least else [least] * len(lanes)
        pieces = iter(self.texts(tree, [lane for lane, count in zip(lanes, counts, strict=True) for _ in range(count)]))
        return ["".join([next(pieces) for _ in range(count)]) for count in counts]

    def _branched(self, branches: Any, lanes: Lanes) -> list[str]:
        chosen = self._chance.choices(range(len(branches)), k=len(lanes))
        texts: dict[int, str] = {}
        for number, branch in enumerate(branches):
            taken = [position for position, choice in enumerate(chosen) if choice == number]
            texts |= dict(zip(taken, self.texts(branch, [lanes[position] for position in taken]), strict=True))
        return [texts[position] for position in range(len(lanes))]


def _characters(operation: Any, argument: Any) -> str:
    """Return the characters of the alphabet that a part of a pattern matches."""
    if operation is codes.ANY:
        return _ANY
    if operation is codes.NOT_LITERAL:
        return _ANY.replace(chr(argument), "")
    named: set[str] = set()
    negated = False
    for kind, value in argument:
        if kind is codes.NEGATE:
            negated = True
        elif kind is codes.LITERAL:
            named.add(chr(value))
        elif kind is codes.RANGE:
            named.update(map(chr, range(value[0], min(value[1], value[0] + 1000) + 1)))
        elif value in _OPPOSITES:
            named.update(set(_ANY) - _CATEGORIES[_OPPOSITES[value]])
        else:
            named.update(_CATEGORIES[value])
    # Sorted, because the order of a set differs between processes.
    return "".join(sorted(set(_ANY) - named if negated else named)) or "\0"
