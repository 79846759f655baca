"""The driver factory: build a Hamilton driver on the source that the configuration names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from loaders.config.environment import Config, parse_settings
from loaders.errors import ConfigError
from loaders.planning.plan import Plan
from loaders.planning.sources import import_module, make_importable, pick_source

if TYPE_CHECKING:
    from hamilton.driver import Driver

# The keys of a plain mapping that are sections of a configuration file; all others are inputs.
_SECTIONS = ("data_source", "modules", "sources", "storage", "cache", "formats", "only_needed_columns")


def build_driver(
    config: Mapping[str, Any] | Config,
    *modules: ModuleType | str,
    adapters: Sequence[Any] = (),
    sources: Mapping[str, ModuleType | str] | None = None,
) -> Driver:
    """Return a Hamilton driver over the dataflow `modules`, with datasets from the configured `data_source`.

    `config` is the result of `load_config`, or a mapping with `data_source`, the inputs by name, and optionally the
    sections `sources`, `storage`, `cache` and `formats` of a configuration file. `sources` adds or replaces sources by
    name. `adapters` are Hamilton's; unless one of them executes nodes itself, datasets load concurrently.

    Raises ConfigError before anything runs: for an unknown or missing data source, an input that is missing, unused or
    named like a node, two datasets with the same column, and a column that no dataset provides.
    """
    return plan(config, *modules, sources=sources).build(adapters)


def plan(
    config: Mapping[str, Any] | Config,
    *modules: ModuleType | str,
    sources: Mapping[str, ModuleType | str] | None = None,
) -> Plan:
    """Return the checked plan from which `build_driver` builds a driver."""
    if isinstance(config, Config):
        make_importable(config.root)
    elif isinstance(config, Mapping):
        config = config_from_mapping(config)
    else:
        raise ConfigError(
            f"A driver is built from a mapping or a loaded configuration, found {config!r}. "
            "For an environment's name call load_config(name)."
        )
    settings = config.settings
    where = str(config.origin("data_source")) if ("data_source",) in config.origins else config.env
    name, source = pick_source(settings.data_source, {**settings.sources, **(sources or {})}, where)
    # A source given by the caller replaces the source of the same name in the file.
    place = config.written("sources", name) if name in settings.sources and name not in (sources or {}) else ""
    source_module = import_module(source, f"{place}Source '{name}'")
    flow = [
        import_module(module, f"{config.written('modules', str(number))}Dataflow module")
        for number, module in enumerate(settings.modules)
    ]
    flow += [import_module(module, "Dataflow module") for module in modules]
    return Plan(config, name, source_module, list(dict.fromkeys(flow)))


def config_from_mapping(config: Mapping[str, Any]) -> Config:
    """Return the configuration for a plain mapping given to `build_driver`."""
    sections = {key: value for key, value in config.items() if key in _SECTIONS}
    inputs = {key: value for key, value in config.items() if key not in _SECTIONS}
    return Config("config", Path.cwd(), parse_settings({**sections, "inputs": inputs}, {}, "config"))
