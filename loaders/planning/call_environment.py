"""What the cache cannot see of a loader's call: the environment's formats and root, and which columns are needed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from loaders.planning.definitions import Dataset
from loaders.reading.passthrough import passage
from loaders.reading.selection import Selection, use_selection


class LoaderEnvironment:
    """One execution of a driver, as `caching.CallEnvironment` asks for it."""

    def __init__(
        self,
        datasets: list[Dataset],
        root: Path,
        formats: Mapping[str, Mapping[str, Any]],
        needed: Mapping[str, tuple[str, ...]],
    ) -> None:
        self._root = root
        self._formats = formats
        self._datasets = {dataset.definition.namespace: dataset.name for dataset in datasets}
        self._selections: dict[str, Selection] = {}
        self._uncached: dict[str, Selection] = {}
        for dataset in datasets:
            codes = passage(dataset.definition.function) if needed.get(dataset.name) else None
            if codes is not None and len(needed[dataset.name]) < len(dataset.columns):
                self._selections[dataset.name] = Selection(needed[dataset.name], codes)
                if not hasattr(dataset.definition.function, "__cached_function__"):
                    self._uncached[dataset.name] = self._selections[dataset.name]

    def settings(self, namespace: str) -> Mapping[str, object]:
        """Return the format options that the environment sets for a dataset, and where its relative paths start."""
        dataset = self._datasets.get(namespace)
        if dataset is None:
            return {}
        settings: dict[str, object] = {}
        if formats := self._formats.get(dataset):
            settings["formats"] = dict(formats)
        if self._root != Path.cwd():
            settings["project root"] = str(self._root)
        return settings

    def columns(self, namespace: str) -> tuple[str, ...] | None:
        """Return the needed columns of a dataset whose loader only reads; None for all."""
        selection = self._selections.get(self._datasets.get(namespace, ""))
        return selection.columns if selection else None

    def only(self, namespace: str, columns: tuple[str, ...]) -> AbstractContextManager[None]:
        """Have a dataset's loader read these columns alone."""
        dataset = self._datasets[namespace]
        return use_selection({dataset: Selection(columns, self._selections[dataset].passage)})

    def uncached(self) -> AbstractContextManager[None]:
        """Have every loader that goes without the cache read its needed columns alone."""
        return use_selection(self._uncached)
