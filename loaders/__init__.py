"""Interchangeable loader modules for Hamilton dataflows.

Names are resolved on first use (PEP 562): importing the package imports neither pandas nor Hamilton, so that the
command line's `--help` and the pytest plugin start fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loaders.checking import assert_interchangeable, check_interchangeable
    from loaders.config.environment import Config, load_config
    from loaders.contract import Check, DatasetContract, FormatOptions
    from loaders.driver import build_driver
    from loaders.errors import ConfigError, ContractError, LoaderError, LoaderWarning, ReadError
    from loaders.notebook import Project, open_project
    from loaders.planning.generated_modules import loader_module
    from loaders.reading import read_arrow, read_batches, read_polars, read_table, scan_polars
    from loaders.reading.frames import take_frame

__all__ = [
    "Check",
    "Config",
    "ConfigError",
    "ContractError",
    "DatasetContract",
    "FormatOptions",
    "LoaderError",
    "LoaderWarning",
    "Project",
    "ReadError",
    "assert_interchangeable",
    "build_driver",
    "check_interchangeable",
    "load_config",
    "loader_module",
    "open_project",
    "read_arrow",
    "read_batches",
    "read_polars",
    "read_table",
    "scan_polars",
    "take_frame",
]

_HOMES = {
    "Check": "loaders.contract",
    "Config": "loaders.config.environment",
    "ConfigError": "loaders.errors",
    "ContractError": "loaders.errors",
    "DatasetContract": "loaders.contract",
    "FormatOptions": "loaders.contract",
    "LoaderError": "loaders.errors",
    "LoaderWarning": "loaders.errors",
    "Project": "loaders.notebook",
    "ReadError": "loaders.errors",
    "assert_interchangeable": "loaders.checking",
    "build_driver": "loaders.driver",
    "check_interchangeable": "loaders.checking",
    "load_config": "loaders.config.environment",
    "loader_module": "loaders.planning.generated_modules",
    "open_project": "loaders.notebook",
    "read_arrow": "loaders.reading",
    "read_batches": "loaders.reading",
    "read_polars": "loaders.reading",
    "read_table": "loaders.reading",
    "scan_polars": "loaders.reading",
    "take_frame": "loaders.reading.frames",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'loaders' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
