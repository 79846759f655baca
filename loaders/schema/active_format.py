"""The active format options: the contract's, with the overrides of the running environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from caching.threads import InheritedVar
from loaders.schema.dataset_schema import DatasetSchema
from loaders.schema.format_options import FormatOptions

_overrides: InheritedVar[Mapping[str, Mapping[str, Any]] | None] = InheritedVar("sourceswap_formats", default=None)


def active_format(contract: DatasetSchema) -> FormatOptions:
    """Return a dataset's format options: the contract's, with the environment's overrides."""
    return replace(contract.format, **(_overrides.get() or {}).get(contract.name, {}))


@contextmanager
def use_formats(overrides: Mapping[str, Mapping[str, Any]]) -> Iterator[None]:
    """Override format options by dataset for reads inside the block."""
    token = _overrides.set(overrides)
    try:
        yield
    finally:
        _overrides.reset(token)
