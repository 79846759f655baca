"""Find the sources that differ from the majority."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

V = TypeVar("V", bound=Hashable)


@dataclass(frozen=True)
class Deviation(Generic[V]):
    """The value of one source, the value that it should have, and the sources that have that."""

    name: str
    value: V
    expected: V
    others: tuple[str, ...]


def deviations(values: Mapping[str, V]) -> Iterator[Deviation[V]]:
    """Yield the values that differ from the majority; of a tie, those of both sides.

    >>> [deviation.name for deviation in deviations({"local": 1, "staging": 1, "prod": 2})]
    ['prod']
    >>> [deviation.name for deviation in deviations({"local": 1, "prod": 2})]
    ['local', 'prod']
    """
    groups: dict[V, list[str]] = {}
    for name, value in values.items():
        groups.setdefault(value, []).append(name)
    if len(groups) < 2:
        return
    ranked = sorted(groups.items(), key=lambda group: -len(group[1]))
    (first, firsts), (second, seconds) = ranked[0], ranked[1]
    tied = len(firsts) == len(seconds)
    for name, value in values.items():
        if value != first:
            yield Deviation(name, value, first, tuple(firsts))
        elif tied:
            yield Deviation(name, value, second, tuple(seconds))
