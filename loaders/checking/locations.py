"""Check the locations of environments: their kind, their owner, and the datasets that they serve."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from loaders.checking.environment import Environment
from loaders.checking.findings import Finding, shown_path
from loaders.checking.loader_bodies import allowed_protocols
from loaders.clients.location import parse_location
from loaders.config.project_root import use_project_root
from loaders.config.storage import in_sandbox
from loaders.errors import LoaderError
from loaders.names import quoted
from loaders.redaction import redact


def location_kinds(environment: Environment) -> Iterator[Finding]:
    """Yield locations whose protocol the source does not read."""
    if environment.source is None:
        return
    for exported in environment.source.exports.values():
        for name, protocols in allowed_protocols(environment.source, exported).items():
            value = environment.config.inputs.get(name)
            if not isinstance(value, str):
                continue
            try:
                found = parse_location(value).protocol
            except LoaderError:
                found = "no location"
            if found not in protocols:
                yield Finding(
                    rule="location-kind",
                    expected=f"a location of {quoted(protocols)}, all that {environment.source.place(exported)} reads",
                    found=f"'{redact(value)}' ({found})",
                    fix="Correct the location, or choose the data source that reads it.",
                    module=environment.source.path,
                    function=exported.definition.name,
                    dataset=exported.name,
                    **environment.at("inputs", name),
                )


def shared_locations(environments: Sequence[Environment]) -> Iterator[Finding]:
    """Yield locations from which two datasets or two environments are read."""
    first: dict[tuple[Any, ...], tuple[Environment, str, str]] = {}
    for environment in environments:
        storage = in_sandbox(environment.config.settings.storage)
        for name, exported, value in environment.locations():
            with use_project_root(environment.config.root):
                try:
                    location = parse_location(value)
                except LoaderError:
                    continue
            if location.protocol == "file":
                key: tuple[Any, ...] = ("file", str(Path(location.path).resolve()))
            else:
                key = (location.protocol, location.path, storage.endpoint_url, storage.profile)
            other, other_name, dataset = first.setdefault(key, (environment, name, exported.name))
            if other is environment and (other_name == name or dataset == exported.name):
                continue
            owner = f"environment {other.name}" if other is not environment else f"input '{other_name}'"
            origin = other.config.origin("inputs", other_name)
            yield Finding(
                rule="location-shared",
                severity="warning",
                expected="data of its own in each environment and dataset",
                found=f"'{location.shown}', as {owner} has it ({shown_path(origin.source)}:{origin.line})",
                fix="Correct one of them, unless they share the data on purpose.",
                dataset=exported.name,
                **environment.at("inputs", name),
            )
