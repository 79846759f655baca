"""The environment whose driver executes, as far as reads need to know it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loaders.contract import DatasetContract


@dataclass(frozen=True)
class ActiveEnvironment:
    """Where relative locations start, and the format options that the environment sets, by dataset."""

    root: Path = field(default_factory=Path.cwd)
    formats: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


_active: ContextVar[ActiveEnvironment | None] = ContextVar("sourceswap_environment", default=None)


def project_root() -> Path:
    """Return the folder that relative locations start from: the project's root, else the working directory."""
    active = _active.get()
    return active.root if active else Path.cwd()


def in_this_environment(contract: DatasetContract) -> DatasetContract:
    """Return the contract with the format options of the environment that runs."""
    active = _active.get()
    overrides = active.formats.get(contract.name) if active else None
    if not overrides:
        return contract
    return dataclasses.replace(contract, format=dataclasses.replace(contract.format, **overrides))


@contextmanager
def use_environment(environment: ActiveEnvironment) -> Iterator[None]:
    """Make the environment the active one for reads in this context."""
    token = _active.set(environment)
    try:
        yield
    finally:
        _active.reset(token)
