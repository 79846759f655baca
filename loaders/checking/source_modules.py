"""The loader modules of a project, each once for every configuration in which its functions differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loaders.checking.environment import Environment
from loaders.checking.exports import SourceModule, source_module
from loaders.planning.sources import Source, source_path


class SourceModules:
    """The loader modules by source, and by the values of the inputs that their `@config.when…` look at."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], list[SourceModule]] = {}

    def of(self, environment: Environment, name: str, module: Source) -> SourceModule:
        """Return the module of a source as it is in an environment."""
        known = environment.known
        variants = self._variants(name, module)
        for source in variants:
            if _choices(source, source.known) == _choices(source, known):
                return source
        return self._added(name, module, known, environment.name if variants else "")

    def add(self, name: str, module: Source) -> None:
        """Add the module of a source that no environment uses."""
        if not self._variants(name, module):
            self._added(name, module, {})

    def all(self) -> list[SourceModule]:
        """Return each module once for every configuration in which it differs."""
        return [source for variants in self._found.values() for source in variants]

    def _variants(self, name: str, module: Source) -> list[SourceModule]:
        return self._found.setdefault((name, source_path(module)), [])

    def _added(self, name: str, module: Source, known: Mapping[str, Any], env: str = "") -> SourceModule:
        taken = {source.name for source in self.all()}
        source = source_module(name, module, known)
        if name in taken:
            source.name = f"{name}[{env or source.path}]"
        self._variants(name, module).append(source)
        return source


def _choices(source: SourceModule, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the configuration that decide which functions there are."""
    keys = {key for definition in source.definitions for key in definition.config_keys}
    return {key: known.get(key) for key in keys}
