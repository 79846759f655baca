"""Which columns of each dataset the running dataflow needs; `read_table` fetches and parses only those."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

_active: ContextVar[Mapping[str, tuple[str, ...]] | None] = ContextVar("sourceswap_selection", default=None)


def needed_columns(dataset: str) -> tuple[str, ...] | None:
    """Return the columns of a dataset that are needed, by node name; None where all are."""
    return (_active.get() or {}).get(dataset)


@contextmanager
def use_selection(columns: Mapping[str, tuple[str, ...]]) -> Iterator[None]:
    """Have reads in this context take only these columns of these datasets, and all of others."""
    token = _active.set(columns)
    try:
        yield
    finally:
        _active.reset(token)
