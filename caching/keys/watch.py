"""The values that a fingerprint was made from, compared again at the next call.

Everything is compared by identity, at the speed of C: a name bound to another object, a container whose
members are others. What cannot be compared that way (arrays, frames) is encoded again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from operator import is_, itemgetter
from types import CellType, FunctionType
from typing import Any

from caching.keys.names import original_of

_EMPTY = object()


class Watch:
    """Records the values that a fingerprint depends on, and tells whether they are unchanged."""

    def __init__(self) -> None:
        self._names: dict[int, tuple[Any, dict[str, Any]]] = {}
        self._absent: dict[int, tuple[Any, set[str]]] = {}
        self._containers: dict[tuple[int, Any], tuple[Any, Callable[[Any], Iterable[Any]], tuple[Any, ...]]] = {}
        self._functions: dict[int, tuple[FunctionType, Any, Any, Any]] = {}
        self._cells: dict[int, tuple[CellType, Any]] = {}
        self._contents: dict[int, tuple[Any, Callable[[Any], bytes], bytes]] = {}
        self._library_members: list[tuple[Any, str, Any]] = []
        self._is_broken = False
        self._bound: list[tuple[Any, Callable[[Any], tuple[Any, ...]], tuple[Any, ...]]] | None = None

    def name(self, namespace: dict[str, Any], name: str) -> None:
        """Watch a name bound in the dictionary of a module or object."""
        self._names.setdefault(id(namespace), (namespace, {}))[1][name] = namespace[name]

    def library_member(self, members: Any, name: str) -> None:
        """Watch an attribute of a library's class; only before a run, since there are many and a hit must be fast."""
        self._library_members.append((members, name, original_of(members[name])))

    def library_members_hold(self) -> bool:
        """Return whether no watched attribute of a library's class was replaced; if one was, nothing holds any more."""
        absent = object()
        self._is_broken |= any(
            original_of(members.get(name, absent)) is not value for members, name, value in self._library_members
        )
        return not self._is_broken

    def has(self, namespace: dict[str, Any], name: str) -> bool:
        """Return whether a name of this dictionary is watched."""
        return id(namespace) in self._names and name in self._names[id(namespace)][1]

    def absence(self, namespace: dict[str, Any], name: str) -> None:
        """Watch a name that is not bound in a dictionary."""
        self._absent.setdefault(id(namespace), (namespace, set()))[1].add(name)

    def function(self, function: FunctionType) -> None:
        """Watch the code and the defaults of a function."""
        self._functions[id(function)] = (function, function.__code__, function.__defaults__, function.__kwdefaults__)
        if function.__kwdefaults__:
            self.members(function.__kwdefaults__, dict.values)

    def cell(self, cell: CellType) -> None:
        """Watch the content of a closure's variable."""
        self._cells[id(cell)] = (cell, _contents(cell))

    def members(self, container: Any, members: Callable[[Any], Iterable[Any]]) -> None:
        """Watch the members of a container, in order."""
        # A project's subclass of list has two kinds of members: its items and its attributes.
        self._containers[id(container), members] = (container, members, tuple(members(container)))

    def content(self, value: Any, encode: Callable[[Any], bytes], encoded: bytes) -> None:
        """Watch a value that must be encoded again to be compared."""
        self._contents[id(value)] = (value, encode, encoded)

    def mapping(self, mapping: Any) -> None:
        """Watch the keys and values of a dictionary."""
        self.members(mapping, _keys_and_values)

    def sequence(self, value: list[Any] | deque[Any] | set[Any]) -> None:
        """Watch the members of a list, deque or set."""
        self.members(value, tuple)

    def holds(self) -> bool:
        """Return whether nothing of it has changed."""
        if self._is_broken:
            return False
        if self._bound is None:
            self._bound = [_getter(namespace, names) for namespace, names in self._names.values()]
        try:
            for namespace, get, expected in self._bound:
                if not all(map(is_, get(namespace), expected)):
                    return False
        except KeyError:
            return False
        for namespace, names in self._absent.values():
            if not namespace.keys().isdisjoint(names):
                return False
        for function, code, defaults, by_name in self._functions.values():
            if function.__code__ is not code or function.__defaults__ is not defaults:
                return False
            if function.__kwdefaults__ is not by_name:
                return False
        for cell, expected in self._cells.values():
            if _contents(cell) is not expected:
                return False
        for container, members, expected in self._containers.values():
            found = tuple(members(container))
            if len(found) != len(expected) or not all(map(is_, found, expected)):
                return False
        return all(encode(value) == encoded for value, encode, encoded in self._contents.values())


def _getter(namespace: Any, names: dict[str, Any]) -> tuple[Any, Callable[[Any], tuple[Any, ...]], tuple[Any, ...]]:
    keys = [*names, next(iter(names))]  # at least two: itemgetter of one gives no tuple
    return namespace, itemgetter(*keys), tuple(names[key] for key in keys)


def _keys_and_values(mapping: Any) -> Iterable[Any]:
    return (*mapping, *mapping.values())


def _contents(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _EMPTY
