"""The columns and rows of a dataset that are needed; `read_table` fetches and parses only those.

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

from caching.threads import InheritedVar


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


_first_rows: InheritedVar[int | None] = InheritedVar("sourceswap_first_rows", default=None)


def first_rows() -> int | None:
    """Return the number of rows to which reads are limited here; None for all."""
    return _first_rows.get()


@contextmanager
def use_first_rows(rows: int) -> Iterator[None]:
    """Make readers return only the first rows of a dataset inside the block, and read little more than them."""
    token = _first_rows.set(rows)
    try:
        yield
    finally:
        _first_rows.reset(token)


@contextmanager
def use_selection(selection: Selection | None) -> Iterator[None]:
    """Make the selection's loader read only the needed columns, inside the block."""
    token = _active.set(selection)
    try:
        yield
    finally:
        _active.reset(token)
