"""Compare two versions of a contract and decide which changes break readers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from loaders.names import did_you_mean, quoted
from loaders.schema import Check, DatasetSchema
from loaders.schema.dtypes import pandas_dtype


@dataclass(frozen=True)
class ContractChange:
    """One change between two versions of a contract.

    Attributes:
        what: the subject: a column's name, `key`, or an attribute of the contract.
        before: the value in the older contract; empty if it has none.
        after: the value in the newer contract.
        breaks_readers: whether a dataflow that relies on the older contract may fail or give other results.
        reason: the reason for `breaks_readers`.
    """

    what: str
    before: str
    after: str
    breaks_readers: bool
    reason: str

    def __str__(self) -> str:
        verdict = "breaks readers" if self.breaks_readers else "safe"
        return f"{self.what}: {self.before or 'nothing'} → {self.after or 'nothing'} ({verdict}: {self.reason})"


def contract_changes(old: DatasetSchema, new: DatasetSchema) -> Iterator[ContractChange]:
    """Yield the changes from `old` to `new`, columns first."""
    if old.name != new.name:
        yield ContractChange("name", old.name, new.name, True, "dataflows use the dataset by its name")
    yield from _columns(old, new)
    yield from _key(old, new)
    yield from _rules(old, new)
    yield from _sources(old, new)
    if old.description != new.description:
        yield ContractChange("description", old.description, new.description, False, "text only")


def _columns(old: DatasetSchema, new: DatasetSchema) -> Iterator[ContractChange]:
    added = [name for name in new.columns if name not in old.columns]
    for name in old.columns:
        before = old.schema.field(name)
        if name not in new.columns:
            near = did_you_mean(name, added).replace("Did you mean", "Renamed to")
            yield ContractChange(name, str(before.type), "", True, f"the column was removed.{near}".rstrip("."))
            continue
        after = new.schema.field(name)
        if before.type != after.type:
            same = pandas_dtype(before) == pandas_dtype(after.with_nullable(before.nullable))
            reason = "the same dtype in a frame" if same else "the dtype in a frame changes"
            yield ContractChange(name, str(before.type), str(after.type), not same, reason)
        if before.nullable and not after.nullable:
            yield ContractChange(name, "nullable", "not null", False, "fewer values are allowed")
        if after.nullable and not before.nullable:
            yield ContractChange(name, "not null", "nullable", True, "nulls may appear")
    for name in added:
        yield ContractChange(name, "", str(new.schema.field(name).type), False, "a new column")
    kept = [name for name in old.columns if name in new.columns]
    if kept != [name for name in new.columns if name in old.columns]:
        yield ContractChange("order", quoted(old.columns), quoted(new.columns), False, "columns are taken by name")


def _key(old: DatasetSchema, new: DatasetSchema) -> Iterator[ContractChange]:
    if set(old.key) == set(new.key):
        return
    stricter = bool(new.key) and (not old.key or set(new.key) < set(old.key))
    reason = "the old key still identifies a row" if stricter else "the old key may match several rows"
    yield ContractChange("key", quoted(old.key), quoted(new.key), not stricter, reason)


def _rules(old: DatasetSchema, new: DatasetSchema) -> Iterator[ContractChange]:
    for name in [name for name in old.columns if name in new.columns]:
        before, after = old.checks.get(name, Check()), new.checks.get(name, Check())
        if before != after:
            tighter = _implies(after, before)
            reason = "fewer values are allowed" if tighter else "values that were not allowed may appear"
            yield ContractChange(f"{name} values", str(before), str(after), not tighter, reason)
        was, now = old.references.get(name, ""), new.references.get(name, "")
        if was != now:
            reason = "rows may no longer join" if was else "a new guarantee"
            yield ContractChange(f"{name} refers to", was, now, bool(was), reason)


def _implies(narrow: Check, wide: Check) -> bool:
    """Return whether `wide` allows every value that `narrow` allows, as far as that can be decided."""
    if narrow.severity == "error" and narrow.allowed and all(_obeys(value, wide) for value in narrow.allowed):
        return True
    low = wide.minimum is None or (narrow.minimum is not None and narrow.minimum >= wide.minimum)
    high = wide.maximum is None or (narrow.maximum is not None and narrow.maximum <= wide.maximum)
    allowed = not wide.allowed
    pattern = wide.pattern is None or wide.pattern == narrow.pattern
    severe = narrow.severity == "error" or wide.severity == "warning"
    return low and high and allowed and pattern and severe


def _obeys(value: Any, check: Check) -> bool:
    import re

    return (
        (check.minimum is None or value >= check.minimum)
        and (check.maximum is None or value <= check.maximum)
        and (not check.allowed or value in check.allowed)
        and (check.pattern is None or re.fullmatch(check.pattern, str(value)) is not None)
    )


def _sources(old: DatasetSchema, new: DatasetSchema) -> Iterator[ContractChange]:
    """Yield changes in the files of a dataset; they affect writers, not readers."""
    for name in [name for name in old.columns if name in new.columns]:
        was, now = old.source_name(name), new.source_name(name)
        if was != now:
            yield ContractChange(
                f"{name} in the source", was, now, False, "readers see the node's name; files must agree"
            )
    if old.extra_columns != new.extra_columns:
        reason = "extra columns in files are handled differently"
        yield ContractChange("extra_columns", old.extra_columns, new.extra_columns, False, reason)
    if old.format != new.format:
        yield ContractChange("format", str(old.format), str(new.format), False, "files must agree")
