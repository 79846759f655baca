"""The functions of Hamilton modules, with the nodes they define and the inputs they need.

Hamilton accepts a misspelt name as an external input and a repeated name as an override. With the nodes known before a
driver is built, `Plan` can refuse both.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from loaders.contract import DatasetContract
from loaders.errors import ConfigError
from loaders.planning.hamilton_setup import decorators, graph_utils

Contracts = ModuleType | DatasetContract | Mapping[str, DatasetContract] | Iterable[DatasetContract]


@dataclass(frozen=True)
class Definition:
    """A function of a module, and the nodes that Hamilton makes from it in one configuration.

    Attributes:
        nodes: the nodes' names; empty if `@config.when` dropped the function.
        needs: by node, the names that it is computed from.
        inputs: by name, the type of each input of the nodes from outside the function, and whether it is required.
        config_keys: the configuration keys that its decorators use.
    """

    name: str
    module: str
    function: Callable[..., Any]
    nodes: tuple[str, ...]
    needs: Mapping[str, tuple[str, ...]]
    inputs: Mapping[str, tuple[Any, bool]]
    config_keys: frozenset[str]

    @property
    def node_name(self) -> str:
        """The node of the function's own value: with @config.when, `raw__prod` is the node `raw`."""
        return self.name.split("__")[0]

    @property
    def is_async(self) -> bool:
        """Whether it is a coroutine function, or an asynchronous generator."""
        plain = inspect.unwrap(self.function)
        return inspect.iscoroutinefunction(plain) or inspect.isasyncgenfunction(plain)

    @property
    def namespace(self) -> str:
        """Module and qualified name: the namespace of the function in the cache."""
        return f"{self.module}.{self.function.__qualname__}"

    @property
    def place(self) -> str:
        """File and line of the function, for error messages."""
        plain = inspect.unwrap(self.function)
        return f"{Path(plain.__code__.co_filename).name}:{plain.__code__.co_firstlineno}"

    def __str__(self) -> str:
        return f"{self.module}.{self.name}() ({self.place})"


@dataclass(frozen=True)
class Dataset:
    """A dataset of a loader module: the node of the frame, the nodes of its columns, and its contract."""

    name: str
    definition: Definition
    contract: DatasetContract | None

    @property
    def columns(self) -> tuple[str, ...]:
        """The nodes that `@extract_columns` makes from the frame, in the contract's order."""
        order = list(self.contract.columns) if self.contract else []
        columns = [node for node in self.definition.nodes if node != self.name]
        return tuple(sorted(columns, key=lambda column: order.index(column) if column in order else len(order)))


def definitions(module: ModuleType, config: Mapping[str, Any]) -> list[Definition]:
    """Return the functions of a module with their nodes in a configuration."""
    return [define(module, name, function, dict(config)) for name, function in graph_utils.find_functions(module)]


def datasets(module: ModuleType, defined: Iterable[Definition]) -> list[Dataset]:
    """Return the datasets among definitions: those with extracted columns or a contract."""
    contracts = contracts_of(module)
    found = []
    for definition in defined:
        name = definition.node_name
        if name in definition.nodes and (len(definition.nodes) > 1 or name in contracts):
            found.append(Dataset(name, definition, contracts.get(name)))
    return found


def contracts_of(module: ModuleType) -> dict[str, DatasetContract]:
    """Return the contracts in a module's globals, in its tables, or in modules it imports."""
    found: dict[str, DatasetContract] = {}
    for value in list(vars(module).values()):
        candidates: list[Any] = [value]
        if isinstance(value, ModuleType):
            candidates = list(vars(value).values())
        elif isinstance(value, Mapping):
            candidates = list(value.values())
        elif isinstance(value, (tuple, list)):
            candidates = list(value)
        found |= {item.name: item for item in candidates if isinstance(item, DatasetContract)}
    return found


def collect_contracts(given: Iterable[Contracts]) -> dict[str, DatasetContract]:
    """Return contracts by name from contracts, mappings, lists and modules."""
    found: dict[str, DatasetContract] = {}
    for item in given:
        if isinstance(item, DatasetContract):
            found[item.name] = item
        elif isinstance(item, ModuleType):
            found |= contracts_of(item)
        else:
            found |= collect_contracts(item.values() if isinstance(item, Mapping) else item)
    return found


def define(module: ModuleType, name: str, function: Callable[..., Any], config: dict[str, Any]) -> Definition:
    """Return a function with its nodes; raise ConfigError if Hamilton cannot make nodes from it."""
    try:
        nodes = decorators.resolve_nodes(function, config)
        applied = decorators.get_node_decorators(function, config)
    except Exception as error:
        raise ConfigError(f"{module.__name__}.{name}() is not a Hamilton node: {_first_line(error)}") from error
    inside = {node.name for node in nodes}
    inputs: dict[str, tuple[Any, bool]] = {}
    for node in nodes:
        for wanted, (kind, dependency) in node.input_types.items():
            if wanted not in inside:
                required = dependency.name == "REQUIRED" or inputs.get(wanted, (None, False))[1]
                inputs[wanted] = (kind, required)
    keys = {
        key
        for group in applied.values()
        for decorator in group
        for key in (*(decorator.required_config() or ()), *(decorator.optional_config() or ()))
        if not key.startswith("hamilton.")
    }
    needs = {node.name: tuple(node.input_types) for node in nodes}
    return Definition(name, module.__name__, function, tuple(sorted(inside)), needs, inputs, frozenset(keys))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
