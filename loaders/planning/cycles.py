"""Find nodes that depend on themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from loaders.errors import ConfigError
from loaders.planning.definitions import Definition


def refuse_cycles(defined: Iterable[Definition]) -> None:
    """Raise ConfigError with the names on the cycle if a node depends on itself."""
    needs: dict[str, tuple[str, ...]] = {}
    places: dict[str, Definition] = {}
    for definition in defined:
        needs.update(definition.needs)
        places.update(dict.fromkeys(definition.nodes, definition))
    cycle = find_cycle(needs)
    if cycle:
        raise ConfigError(
            f"The dataflow has a cycle: {' → '.join([*cycle, cycle[0]])}. Break it in {places[cycle[0]]}."
        )


def find_cycle(needs: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the nodes of a cycle, each needed by the previous one; empty if there is none.

    >>> find_cycle({"a": ["b"], "b": ["c"], "c": ["b"]})
    ['b', 'c']
    """
    finished: set[str] = set()
    for start in needs:
        path: list[str] = []
        waiting = [(start, iter(needs[start]))] if start not in finished else []
        path += [start] if waiting else []
        while waiting:
            node, rest = waiting[-1]
            following = next((name for name in rest if name in needs and name not in finished), None)
            if following is None:
                finished.add(node)
                waiting.pop()
                path.pop()
            elif following in path:
                return path[path.index(following) :]
            else:
                path.append(following)
                waiting.append((following, iter(needs[following])))
    return []
