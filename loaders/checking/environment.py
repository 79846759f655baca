"""An environment under check: its configuration, its loader module and its dataflow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from loaders.checking.exports import ExportedFunction, SourceModule
from loaders.checking.findings import Finding, shown_path
from loaders.checking.loader_bodies import calls
from loaders.config.environment import Config, load_config, unset_variables
from loaders.config.environment_files import environment_files
from loaders.errors import ConfigError, LoaderError
from loaders.planning.definitions import Definition

_PLACE = re.compile(r"^(?P<file>[^\s:][^:\n]*\.ya?ml)(?::(?P<line>\d+))?: (?P<text>.*)", re.DOTALL)


@dataclass
class Environment:
    """A resolved environment with its loader module and its dataflow."""

    config: Config
    file: str
    source: SourceModule | None = None
    flow: list[SourceModule] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The environment's name."""
        return self.config.env

    @property
    def known(self) -> dict[str, Any]:
        """The configuration values that `@config.when` sees."""
        return {"data_source": self.config.data_source, **self.config.inputs}

    @cached_property
    def loading(self) -> dict[str, tuple[Definition, Any]]:
        """The definitions of the loader module."""
        return self.source.nodes if self.source else {}

    @cached_property
    def computed(self) -> dict[str, tuple[Definition, Any]]:
        """The definitions of the dataflow."""
        return {node: made for module in self.flow for node, made in module.nodes.items()}

    def at(self, *key: str) -> dict[str, Any]:
        """Return file and line of a value, for a finding."""
        origin = self.config.origin(*key)
        if origin.line is None:
            return {"file": self.file, "line": None, "environment": self.name}
        return {"file": shown_path(origin.source), "line": origin.line, "environment": self.name}

    def locations(self) -> Iterator[tuple[str, ExportedFunction, str]]:
        """Yield input, dataset and value of each input that a dataset is read from."""
        for exported in (self.source.exports if self.source else {}).values():
            read = (
                {getattr(call.location, "id", None) for call in calls(self.source, exported)} if self.source else set()
            )
            for name in exported.inputs:
                value = self.config.inputs.get(name)
                if isinstance(value, str) and (name in read or "/" in value):
                    yield name, exported, value


def resolve(env: str, directory: Path) -> tuple[Config | None, list[Finding]]:
    """Return an environment's configuration, or the finding that explains why it does not resolve."""
    file = shown_file(env, directory)
    try:
        unset = unset_variables(env, directory)
    except ConfigError:
        unset = []
    problems = [
        Finding(
            rule="variable-unset",
            expected=f"a value for {name}, which '{'.'.join(key)}' needs",
            found="no such environment variable",
            fix=f"Set it, or give a default: ${{{name}:-value}}.",
            file=shown_path(origin.source) if origin.line else file,
            line=origin.line,
            environment=env,
        )
        for name, key, origin in unset
    ]
    if problems:
        return None, problems
    try:
        return load_config(env, directory), []
    except LoaderError as error:
        return None, [config_problem(line, env, file) for line in str(error).splitlines()]


def config_problem(text: str, env: str, file: str, rule: str = "config") -> Finding:
    """Return the finding for a configuration error, at its file and line."""
    found = _PLACE.match(text)
    where = {"file": shown_path(found["file"]), "line": int(found["line"]) if found["line"] else None} if found else {}
    said, _, fix = (found["text"] if found else text).partition(". ")
    return Finding(
        rule=rule,
        expected=f"an environment '{env}' that resolves",
        found=said.rstrip("."),
        fix=fix or "Correct the file.",
        environment=env,
        **({"file": file, "line": None} | where),  # type: ignore[arg-type]
    )


def shown_file(env: str, folder: Path) -> str:
    """Return the file of an environment, for findings that have no line; the folder if there is none."""
    found = [path for path in environment_files(folder) if path.stem == env]
    return shown_path(found[0]) if found else str(folder)
