"""The fingerprint of a function: all project code and constants that a call can reach, in named parts."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from caching.keys.code_graph import CodeGraph
from caching.keys.environment import UsedEnvironment
from caching.keys.known_paths import KnownPaths
from caching.keys.values import digest
from caching.keys.watch import Watch


@dataclass(frozen=True)
class Fingerprint:
    """The reachable code of a function as named parts, with the values that may change between two calls."""

    parts: dict[str, str]
    used_environment: UsedEnvironment
    paths: KnownPaths
    memos: tuple[Any, ...]
    watch: Watch
    unversioned: str  # what of it reads without being seen, as a clause; an empty text if nothing does

    @cached_property
    def digest(self) -> str:
        """One digest over all parts."""
        return digest("\n".join(f"{name}\0{part}" for name, part in sorted(self.parts.items())).encode())


_fingerprints: dict[tuple[int, bool], tuple[Any, Fingerprint]] = {}


def fingerprint(root: Any, *, as_value: bool = False) -> Fingerprint:
    """Return the fingerprint of a function, class or module as it stands now.

    The root is made wherever it comes from; as a value (an argument) it is a library's where it is from
    one. Raises UnkeyableError where the code does not tell what it reaches.
    """
    known = _fingerprints.get((id(root), as_value))
    if known is not None and known[0] is root and known[1].watch.holds():
        return known[1]
    graph = CodeGraph()
    graph.run(root, as_value=as_value)
    paths = KnownPaths.among(graph.texts)
    made = Fingerprint(graph.parts, graph.used_environment, paths, tuple(graph.memos), graph.watch, graph.unversioned)
    if _is_global(root):  # others come and go, and would never be released
        _fingerprints[id(root), as_value] = (root, made)
    return made


def _is_global(root: Any) -> bool:
    module = sys.modules.get(getattr(root, "__module__", None) or "")
    return module is None or "<locals>" not in str(getattr(root, "__qualname__", ""))
