"""Loader modules made of frames in memory, for the test kit."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from loaders.config.environment_files import environment_files
from loaders.config.yaml_file import read_yaml
from loaders.conforming import conform
from loaders.conforming.frame_kinds import Kind, kind_of
from loaders.contract import DatasetContract
from loaders.errors import ConfigError
from loaders.names import did_you_mean, quoted
from loaders.planning.definitions import collect_contracts
from loaders.planning.sources import SOURCES, import_module, make_importable


def memory_module(name: str, contracts: Mapping[str, DatasetContract], frames: Mapping[str, Any]) -> ModuleType:
    """Return a loader module that serves frames, registered in `sys.modules` for Hamilton.

    Frames are checked here, and each run gets copies. A dataset without a frame is defined but fails when loaded.

    Raises ConfigError for a frame without a contract, ContractError for a frame that breaks its contract.
    """
    for dataset in frames:
        if dataset not in contracts:
            raise ConfigError(
                f"There is no contract for the frame '{dataset}'. Contracts are: {quoted(contracts) or 'none'}."
                f"{did_you_mean(dataset, contracts)}"
            )
    # After `loaders.planning.definitions`, which imports Hamilton with its pandas support alone.
    from hamilton.function_modifiers import extract_columns

    module = ModuleType(name, "Datasets from frames in memory.")
    for dataset, contract in contracts.items():
        function = _lacking(contract, frames)
        if dataset in frames:
            function = _serving(contract, frames[dataset])
        function.__name__ = function.__qualname__ = dataset
        function.__module__ = name
        function.__doc__ = contract.description or f"The dataset {dataset}."
        setattr(module, dataset, extract_columns(*contract.columns)(function))
    module.__dict__["CONTRACTS"] = dict(contracts)
    sys.modules[name] = module
    return module


def project_contracts(root: Path) -> dict[str, DatasetContract]:
    """Return the contracts of the loader modules that a project's `configs/` names.

    A project without loader modules uses those of this package.
    """
    make_importable(root)
    paths = environment_files(root / "configs")
    named = [source for path in paths for source in (read_yaml(path)[0].get("sources") or {}).values()]
    modules = [import_module(source, "Source") for source in {repr(source): source for source in named}.values()]
    return collect_contracts(modules or [import_module(SOURCES["in_memory"], "Source")])


def _serving(contract: DatasetContract, given: Any) -> Callable[[], Any]:
    """Return a function that gives the frame, checked here, in its own kind; an Arrow table becomes a pandas frame."""
    kind: Kind = "polars" if kind_of(given) == "polars" else "pandas"
    frame: Any = conform(given, contract, location=f"the frame '{contract.name}'", kind=kind)

    def load() -> Any:
        return frame.copy() if kind == "pandas" else frame.clone()

    load.__annotations__["return"] = type(frame)
    return load


def _lacking(contract: DatasetContract, frames: Iterable[str]) -> Callable[[], pd.DataFrame]:
    given = quoted(frames) or "none"

    def load() -> pd.DataFrame:
        raise ConfigError(
            f"The dataflow needs dataset '{contract.name}', but no frame was given (given: {given}). "
            f"Pass {contract.name}=<DataFrame>."
        )

    return load
