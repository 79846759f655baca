"""The check that the key of a dataset is unique over all of its batches, in bounded memory."""

from __future__ import annotations

import bisect
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from loaders.conforming.conformity import check_rules
from loaders.conforming.violation import Origin
from loaders.schema import DatasetSchema

_KEPT_BYTES = 64 << 20


class UniqueKeys:
    """Batches, each with unique keys of its own, that are compared with each other.

    Batches whose ranges of the first key column do not overlap have no key in common. For others the keys are kept and
    compared at the end, as long as they fit in the memory.

    Attributes:
        is_unproven: whether the batches overlap and their keys did not fit.
    """

    def __init__(self, contract: DatasetSchema, wanted: tuple[str, ...]) -> None:
        self._contract = contract
        self._key = contract.key if set(contract.key) <= set(wanted) else ()
        self._ranges: list[tuple[Any, Any]] = []
        self._overlaps = False
        self._kept: list[pa.Table] | None = []
        self._kept_bytes = 0

    @property
    def is_unproven(self) -> bool:
        """Whether the batches overlap and their keys did not fit."""
        return self._overlaps and self._kept is None

    def add(self, table: pa.Table) -> None:
        """Add the keys of a batch."""
        if not self._key or not table.num_rows:
            return
        keys = table.select(list(self._key))
        self._overlaps = self._overlaps or not self._is_apart(keys.column(0))
        if self._kept is not None:
            self._kept.append(keys)
            self._kept_bytes += keys.nbytes
            if self._kept_bytes > _KEPT_BYTES:
                self._kept = None

    def finish(self, shown: str) -> None:
        """Raise ContractError if a key is in several batches."""
        if self._overlaps and self._kept is not None:
            check_rules(pa.concat_tables(self._kept), self._contract, Origin(shown))

    def _is_apart(self, column: pa.ChunkedArray) -> bool:
        """Return whether the range of a batch overlaps none before it, and remember it."""
        try:
            found = pc.min_max(column)
            low, high = found["min"].as_py(), found["max"].as_py()
            place = bisect.bisect_left(self._ranges, (low,), key=lambda known: (known[0],))
            before = self._ranges[place - 1] if place else None
            after = self._ranges[place] if place < len(self._ranges) else None
            self._ranges.insert(place, (low, high))
            return not ((before and before[1] >= low) or (after and after[0] <= high))
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            return False  # a type without an order
