"""The settings that affect a loader's call besides code and arguments: formats, project root, needed columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from caching import active_context
from caching.keys.objects import cached_function
from loaders.planning.definitions import Dataset
from loaders.reading.passthrough import passage
from loaders.reading.selection import Selection, use_selection

_node: ContextVar[str | None] = ContextVar("sourceswap_node", default=None)


@contextmanager
def executing(node: str) -> Iterator[None]:
    """Mark the node that runs inside the block; a loader that is not cached reads only its needed columns."""
    token = _node.set(node)
    environment = active_context().environment
    try:
        with environment.uncached() if isinstance(environment, LoaderEnvironment) else nullcontext():
            yield
    finally:
        _node.reset(token)


class LoaderEnvironment:
    """The call environment of one execution: settings and needed columns of each loader."""

    def __init__(
        self,
        datasets: list[Dataset],
        root: Path,
        formats: Mapping[str, Mapping[str, Any]],
        needed: Mapping[str, tuple[str, ...]],
    ) -> None:
        self._root = root
        self._formats = formats
        # By dataset, because functions made by one factory share a namespace.
        self._namespaces = {dataset.name: dataset.definition.namespace for dataset in datasets}
        self._selections: dict[str, Selection] = {}
        self._uncached: dict[str, Selection] = {}
        for dataset in datasets:
            codes = passage(dataset.definition.function) if needed.get(dataset.name) else None
            if codes is not None and len(needed[dataset.name]) < len(dataset.columns):
                self._selections[dataset.name] = Selection(needed[dataset.name], codes)
                if cached_function(dataset.definition.function) is None:
                    self._uncached[dataset.name] = self._selections[dataset.name]

    def settings(self, namespace: str) -> Mapping[str, object]:
        """Return the environment's format options and project root, which every key includes.

        They are part of every key, because it is unknown which datasets a function reads, directly or by a helper.
        """
        settings: dict[str, object] = {}
        if formats := {dataset: dict(options) for dataset, options in self._formats.items() if options}:
            settings["formats"] = formats
        if self._root != Path.cwd():
            settings["project root"] = str(self._root)
        return settings

    def read_columns(self, dataset: Dataset) -> tuple[str, ...]:
        """Return the columns of a dataset that its node reads."""
        selection = self._selections.get(dataset.name)
        return selection.columns if selection else dataset.columns

    def columns(self, namespace: str) -> tuple[str, ...] | None:
        """Return the needed columns of a dataset whose loader only reads; None for all.

        Only the dataset's own node is limited to them; other callers of the loader, such as a function of the dataflow,
        get all columns.
        """
        dataset = _node.get() or ""
        selection = self._selections.get(dataset)
        return selection.columns if selection and self._namespaces[dataset] == namespace else None

    def only(self, namespace: str, columns: tuple[str, ...]) -> AbstractContextManager[None]:
        """Make the running node's loader read only these columns."""
        dataset = _node.get() or ""
        return use_selection(Selection(columns, self._selections[dataset].passage))

    def uncached(self) -> AbstractContextManager[None]:
        """Make the running node's loader, if it is not cached, read only its needed columns."""
        return use_selection(self._uncached.get(_node.get() or ""))
