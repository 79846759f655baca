"""Which columns of each dataset the running dataflow needs; `read_table` fetches and parses only those.

    use_selection({"orders": Selection(("order_id", "amount"), passage(loader))})

A selection holds for the one loader it was made for: other code that reads the same dataset meanwhile, for reasons of
its own, gets every column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import CodeType, FrameType


@dataclass(frozen=True)
class Selection:
    """The needed columns of a dataset, by node name, and the code of its loader up to `read_table`."""

    columns: tuple[str, ...]
    passage: tuple[CodeType, ...]


_active: ContextVar[Mapping[str, Selection] | None] = ContextVar("sourceswap_selection", default=None)


def needed_columns(dataset: str, caller: FrameType | None) -> tuple[str, ...] | None:
    """Return the columns that a reader of the dataset needs; None where it needs all."""
    selection = (_active.get() or {}).get(dataset)
    if selection is None:
        return None
    for code in reversed(selection.passage):
        if caller is None or caller.f_code is not code:
            return None
        caller = caller.f_back
    return selection.columns


@contextmanager
def use_selection(selections: Mapping[str, Selection]) -> Iterator[None]:
    """Have the loaders of these datasets read only the columns that are needed, in this context."""
    token = _active.set(selections)
    try:
        yield
    finally:
        _active.reset(token)
