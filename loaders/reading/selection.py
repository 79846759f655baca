"""The columns of a dataset that the running dataflow needs; `read_table` fetches and parses only those.

    use_selection(Selection(("order_id", "amount"), passage(loader)))

A selection holds for the one loader it was made for: other code that reads meanwhile, be it the same dataset, gets
every column.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import CodeType, FrameType


@dataclass(frozen=True)
class Selection:
    """The needed columns of a dataset, and the code objects from its loader to `read_table`."""

    columns: tuple[str, ...]
    passage: tuple[CodeType, ...]


_active: ContextVar[Selection | None] = ContextVar("sourceswap_selection", default=None)


def needed_columns(caller: FrameType | None) -> tuple[str, ...] | None:
    """Return the columns needed by the caller of `read_table`; None for all."""
    selection = _active.get()
    if selection is None:
        return None
    for code in reversed(selection.passage):
        if caller is None or caller.f_code is not code:
            return None
        caller = caller.f_back
    return selection.columns


@contextmanager
def use_selection(selection: Selection | None) -> Iterator[None]:
    """Make the selection's loader read only the needed columns, inside the block."""
    token = _active.set(selection)
    try:
        yield
    finally:
        _active.reset(token)
