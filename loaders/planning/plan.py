"""The plan of a run: a configuration and its modules, checked before anything is read.

Every mistake that can be found before data is read raises an error here, with the valid names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

from caching.keys.objects import cached_function
from loaders.config.environment import Config
from loaders.config.project_root import use_project_root
from loaders.config.storage import in_sandbox, use_storage
from loaders.errors import ConfigError, OptionError
from loaders.names import did_you_mean, quoted
from loaders.planning.call_environment import LoaderEnvironment, executing
from loaders.planning.cycles import refuse_cycles
from loaders.planning.definitions import Dataset, Definition, datasets, definitions
from loaders.planning.inputs import typed_input
from loaders.planning.locations import location_inputs, why_unreadable
from loaders.redaction import redact
from loaders.schema.active_format import use_formats
from loaders.schema.format_options import FormatOptions

if TYPE_CHECKING:
    from hamilton.driver import Driver

    from caching import CacheEvent
    from caching.context import Mode


class Plan:
    """A checked configuration with its modules, from which a driver is built.

    Attributes:
        config: the environment.
        data_source: the name of the source.
        source: its loader module.
        modules: the modules of the dataflow.
        datasets: the datasets that the loader module exports.
        inputs: the value of every input, as the type its functions declare.
    """

    def __init__(self, config: Config, data_source: str, source: ModuleType, modules: list[ModuleType]) -> None:
        self.config = config
        self.data_source = data_source
        self.source = source
        self.modules = modules
        known = {"data_source": data_source, **config.inputs}
        loading = definitions(source, known)
        self.datasets: list[Dataset] = datasets(source, loading)
        self._flow = [definition for module in modules for definition in definitions(module, known)]
        self._all = [*loading, *self._flow]
        if not self.datasets:
            raise ConfigError(
                f"Source '{data_source}' ({source.__name__}) has no dataset. Define functions decorated with "
                "@extract_columns in it; Hamilton ignores callable objects and imported functions."
            )
        self._nodes = _unique_nodes(self._all)
        refuse_cycles(self._all)
        self._refuse_coroutines()
        self._refuse_shadowed_nodes()
        self._refuse_unprovided()
        self._refuse_unused()
        self._refuse_impossible_formats()
        self.inputs = self._typed_inputs()
        self._refuse_empty_locations()

    @property
    def outputs(self) -> list[str]:
        """The default outputs of a run: the configured ones, otherwise all nodes of the dataflow."""
        return list(self.config.settings.outputs) or sorted(n for d in self._flow for n in d.nodes)

    @property
    def nodes(self) -> list[str]:
        """The names of all nodes."""
        return sorted(self._nodes)

    def refuse_unknown_outputs(self, outputs: Iterable[str]) -> None:
        """Raise ConfigError with the nearest name for an output that is not a node."""
        configured = self.config.settings.outputs
        for output in outputs:
            if output in self._nodes or output in self.inputs:
                continue
            place = self.config.written("outputs", str(configured.index(output))) if output in configured else ""
            hint = did_you_mean(output, self._nodes)
            parts = [part.strip() for part in output.split(",")]
            if len(parts) > 1 and any(part in self._nodes for part in parts):
                hint = f" Give -s once for each output: {' '.join(f'-s {part}' for part in parts)}."
            raise ConfigError(
                f"{place}Output '{output}' is not a node of this dataflow.{hint} "
                "`sourceswap ls` lists the datasets, `run --dry-run` the outputs."
            )

    @property
    def headline(self) -> str:
        """One line: environment, source and its loader module."""
        return f"environment {self.config.env}, source {self.data_source} ({self.source.__name__})"

    def dataset(self, name: str) -> Dataset:
        """Return the dataset of a name; raise ConfigError with the nearest name if there is none."""
        found = {dataset.name: dataset for dataset in self.datasets}
        if name not in found:
            raise ConfigError(
                f"Source '{self.data_source}' has no dataset '{name}'. Datasets are: {quoted(found)}."
                f"{did_you_mean(name, found)}"
            )
        return found[name]

    def location(self, dataset: Dataset) -> str:
        """Return the location of a dataset: the values of its loader's inputs."""
        values = [self.inputs[name] for name in dataset.definition.inputs if name in self.inputs]
        shown = [redact(str(value)) or "''" for value in values if not isinstance(value, Mapping)]
        return ", ".join(shown) or "memory"

    def place(self, node: str) -> str:
        """Return the function that defines a node, with file and line."""
        return str(self._nodes[node]) if node in self._nodes else f"'{node}'"

    def needed(self, outputs: Iterable[str]) -> list[tuple[Dataset, bool]]:
        """Return each dataset, and whether the outputs reach it."""
        reached = self.reached(outputs)
        return [(dataset, dataset.name in reached) for dataset in self.datasets]

    def lookup(self, dataset: Dataset, outputs: Iterable[str], mode: Mode) -> tuple[str, str]:
        """Return whether a dataset would be a cache hit, and why not; nothing is loaded."""
        cached = cached_function(dataset.definition.function)
        if cached is None:
            return "not cached", ""
        arguments = {name: self.inputs[name] for name in dataset.definition.inputs if name in self.inputs}
        with self.active(outputs, mode), executing(dataset.name):
            found = cached.lookup((), arguments)
        return found.outcome, found.reason

    def why_unreadable(self, dataset: Dataset) -> str | None:
        """Return why a dataset's local files cannot be read; None if they can. Remote stores are not accessed."""
        with use_project_root(self.config.root):
            for name in location_inputs(dataset.definition):
                location = self.inputs.get(name)
                reason = why_unreadable(location) if isinstance(location, str | os.PathLike) else None
                if reason:
                    return reason
        return None

    @contextmanager
    def active(
        self, outputs: Iterable[str], mode: Mode = "on", observer: Callable[[CacheEvent], None] | None = None
    ) -> Iterator[None]:
        """Activate the environment's storage and cache for an execution with these outputs."""
        from caching import LocalCache, activate

        settings = self.config.settings
        chosen = settings.cache
        cache = LocalCache(chosen.directory, max_size=chosen.max_size, ttl_seconds=chosen.ttl_seconds)
        formats = {name: override.model_dump(exclude_unset=True) for name, override in settings.formats.items()}
        calls = self.call_environment(outputs)
        with ExitStack() as stack:
            stack.enter_context(use_storage(in_sandbox(settings.storage), self.config.written("storage", "profile")))
            stack.enter_context(use_formats(formats))
            stack.enter_context(use_project_root(self.config.root))
            stack.enter_context(activate(cache, mode if chosen.enabled else "off", observer, calls))
            yield

    def call_environment(self, outputs: Iterable[str]) -> LoaderEnvironment:
        """Return the call environment of the loaders for these outputs."""
        settings = self.config.settings
        formats = {name: override.model_dump(exclude_unset=True) for name, override in settings.formats.items()}
        needed = self.needed_columns(outputs) if settings.only_needed_columns else {}
        return LoaderEnvironment(self.datasets, self.config.root, formats, needed)

    def build(
        self,
        adapters: Sequence[Any] = (),
        *,
        cache_mode: Mode = "on",
        observer: Callable[[CacheEvent], None] | None = None,
    ) -> Driver:
        """Return the driver; each execution uses the cache in the given mode and reports to the observer."""
        from hamilton import driver

        from loaders.planning.execution import CompletedResults, ContextThreadPool, execution_adapters

        own = execution_adapters(lambda outputs: self.active(outputs, cache_mode, observer), len(self._nodes), adapters)
        builder = driver.Builder()  # type: ignore[no-untyped-call]  # Hamilton leaves it unannotated
        builder = builder.with_config({**self.inputs, "data_source": self.data_source})
        built = builder.with_modules(self.source, *self.modules).with_adapters(*own).build()
        if any(isinstance(adapter, ContextThreadPool) for adapter in own):
            built.graph_executor = CompletedResults(built.adapter)  # type: ignore[arg-type]  # declared as any of the adapters in it
        return built

    def needed_columns(self, outputs: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return the columns that the outputs need, by dataset, without datasets that are needed whole."""
        outputs = list(outputs)
        if any(output not in self._nodes and output not in self.inputs for output in outputs):
            # A node that was added to the graph, such as a materializer, may use any column.
            return {}
        reached = self.reached(outputs)
        used = {name for node in reached if node in self._nodes for name in self._nodes[node].inputs}
        return {
            dataset.name: tuple(column for column in dataset.columns if column in reached)
            for dataset in self.datasets
            if dataset.name in reached and dataset.name not in outputs and dataset.name not in used
        }

    def definition(self, node: str) -> Definition | None:
        """Return the function that defines a node; None for an input."""
        return self._nodes.get(node)

    def reached(self, outputs: Iterable[str]) -> set[str]:
        """Return all nodes and inputs that the outputs need, including themselves."""
        reached: set[str] = set()
        waiting = list(outputs)
        while waiting:
            node = waiting.pop()
            if node in reached:
                continue
            reached.add(node)
            if node in self._nodes:
                definition = self._nodes[node]
                waiting += definition.inputs
                # A column is extracted from the frame of its function.
                waiting += [name for name in definition.nodes if name == definition.node_name]
        return reached

    def _refuse_coroutines(self) -> None:
        for definition in self._all:
            if definition.nodes and definition.is_async:
                raise ConfigError(
                    f"{definition} is 'async def', but the driver runs synchronously and would pass its coroutine on "
                    "as data. Define it by 'def'; inside of it, asyncio.run(…) runs what is asynchronous."
                )

    def _refuse_shadowed_nodes(self) -> None:
        for name in ("data_source", *self.config.inputs):
            if name in self._nodes:
                raise ConfigError(
                    f"{self._origin(name)}: '{name}' is given as an input, but {self._nodes[name]} computes it. The "
                    "input would silently replace the function: rename or remove it."
                )

    def _refuse_unprovided(self) -> None:
        taken = self._taken()
        for name, users in taken.items():
            if name in self._nodes or name in self.config.inputs or name == "data_source":
                continue
            required = [user for user in users if user.inputs[name][1]]
            if not required:
                continue
            by_dataset = [user for user in required if user.module == self.source.__name__]
            if by_dataset:
                raise ConfigError(
                    f"{self.config.env}: input '{name}' is missing; dataset '{by_dataset[0].name}' of source "
                    f"'{self.data_source}' reads it ({by_dataset[0].place}). Give it under 'inputs'."
                    f"{did_you_mean(name, [given for given in self.config.inputs if given not in taken])}"
                )
            raise ConfigError(self._unprovided_column(name, required[0]))

    def _unprovided_column(self, name: str, user: Definition) -> str:
        dropped = [d for d in self._all if not d.nodes and d.name.split("__")[0] == name]
        if dropped:
            keys = ", ".join(f"{key}={self.inputs_or_source(key)!r}" for key in sorted(dropped[0].config_keys))
            reason = f"{dropped[0]} has a @config.when that does not match {keys}."
        else:
            columns = [column for dataset in self.datasets for column in dataset.columns]
            reason = f"Columns are: {_some(columns)}.{did_you_mean(name, [*self._nodes, *self.config.inputs])}"
        return (
            f"{user} asks for '{name}', which no dataset of source '{self.data_source}' provides, no function "
            f"computes and no input gives. {reason}"
        )

    def inputs_or_source(self, key: str) -> Any:
        """Return the value of a configuration key."""
        return self.data_source if key == "data_source" else self.config.inputs.get(key)

    def _refuse_impossible_formats(self) -> None:
        known = {dataset.name: dataset for dataset in self.datasets}
        for name, override in self.config.settings.formats.items():
            if name not in known:
                raise ConfigError(
                    f"{self._origin(name, 'formats')}: 'formats' names the dataset '{name}', which source "
                    f"'{self.data_source}' does not have. Datasets are: {quoted(known)}.{did_you_mean(name, known)}"
                )
            contract = known[name].contract
            options = override.model_dump(exclude_unset=True)
            try:
                replace(contract.format if contract else FormatOptions(), **options)
            except OptionError as error:
                raise ConfigError(
                    f"{self._origin(name, 'formats')}: 'formats.{name}' and its contract do not fit together: {error}"
                ) from None

    def _refuse_unused(self) -> None:
        taken = {*self._taken(), *(key for definition in self._all for key in definition.config_keys)}
        for name in self.config.inputs:
            if name not in taken:
                raise ConfigError(
                    f"{self._origin(name)}: input '{name}' is taken by no function of {self.source.__name__}"
                    f"{''.join(', ' + module.__name__ for module in self.modules)}.{did_you_mean(name, taken)} "
                    "Remove it, or name the function's parameter so."
                )

    def _refuse_empty_locations(self) -> None:
        for dataset in self.datasets:
            empty = [name for name in dataset.definition.inputs if self.inputs.get(name) == ""]
            # An empty text may be a valid value of an input that is not a location.
            for name in set(empty) & set(location_inputs(dataset.definition) if empty else ()):
                raise ConfigError(
                    f"{self._origin(name)}: input '{name}' is empty, but dataset '{dataset.name}' is read from it "
                    f"({dataset.definition.place}). Give a path or a URL."
                )

    def _typed_inputs(self) -> dict[str, Any]:
        inputs = dict(self.config.inputs)
        for definition in self._all:
            for name, (declared, _) in definition.inputs.items():
                if name in inputs and name not in self._nodes:
                    inputs[name] = typed_input(name, inputs[name], declared, self._origin(name))
        return inputs

    def _taken(self) -> dict[str, list[Definition]]:
        taken: dict[str, list[Definition]] = {}
        for definition in self._all:
            for name in definition.inputs:
                taken.setdefault(name, []).append(definition)
        return taken

    def _origin(self, name: str, section: str = "inputs") -> str:
        key = (section, name)
        return str(self.config.origins[key]) if key in self.config.origins else self.config.env


def _unique_nodes(defined: Iterable[Definition]) -> dict[str, Definition]:
    nodes: dict[str, Definition] = {}
    for definition in defined:
        for node in definition.nodes:
            if node in nodes:
                raise ConfigError(
                    f"'{node}' is made twice: by {nodes[node]} and by {definition}. All columns of a dataflow "
                    "share one namespace: give one dataset's contract a prefix, or rename one function."
                )
            nodes[node] = definition
    return nodes


def _some(names: Sequence[str], limit: int = 20) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return quoted(names[:limit]) + more
