"""Check that columns refer to datasets and columns that exist."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import pyarrow as pa

from loaders.checking.exports import SourceModule
from loaders.checking.findings import Finding
from loaders.checking.source_text import SourceText
from loaders.conforming.exact_cast import kind
from loaders.contract import DatasetContract
from loaders.names import did_you_mean, quoted
from loaders.planning.definitions import contracts_of

_NUMBERS = ("integer", "decimal")


def reference_findings(sources: Sequence[SourceModule]) -> Iterator[Finding]:
    """Yield references of contracts to unknown datasets, unknown columns, or columns of another kind of values."""
    held = {name: contract for source in sources for name, contract in source.contracts.items()}
    exported = {name for source in sources for name in source.exports}
    for contract in (contract for contract in held.values() if contract.references):
        home, place = _home(contract, sources)
        # A dataset may be described beside the contract without being loaded anywhere.
        known = {**contracts_of(home), **held} if home else held
        for column, reference in contract.references.items():
            problem = _problem(contract, column, reference, known, exported)
            if problem is not None:
                rule, expected, found, fix = problem
                yield Finding(rule=rule, expected=expected, found=found, fix=fix, dataset=contract.name, **place)


def _problem(
    contract: DatasetContract, column: str, reference: str, known: dict[str, DatasetContract], exported: set[str]
) -> tuple[str, str, str, str] | None:
    """Return rule, expected, found and remedy of one reference, if it leads nowhere."""
    dataset, _, name = reference.partition(".")
    where = f"'{contract.name}.{column}' refers to '{reference}'"
    if dataset not in known:
        if dataset in exported:
            return None
        expected = f"a reference to a dataset: {quoted(sorted(known))}"
        return "reference-unknown", expected, where, f"Correct the name.{did_you_mean(dataset, known)}"
    target = known[dataset]
    columns = {shown.removeprefix(target.prefix): shown for shown in target.columns} | {c: c for c in target.columns}
    if name not in columns:
        expected = f"a reference to a column of '{dataset}': {quoted(target.columns)}"
        return "reference-unknown", expected, where, f"Correct the name.{did_you_mean(name, columns)}"
    own, other = contract.schema.field(column).type, target.schema.field(columns[name]).type
    if _kind(own) != _kind(other):
        found = f"{where}, which holds {other}"
        return "reference-type", f"columns that hold the same kind of values: {own}", found, "Give both one type."
    return None


def _kind(arrow_type: pa.DataType) -> str:
    if pa.types.is_dictionary(arrow_type):
        return _kind(arrow_type.value_type)
    found = kind(arrow_type)
    return "number" if found in _NUMBERS else found


def _home(contract: DatasetContract, sources: Sequence[SourceModule]) -> tuple[ModuleType | None, dict[str, Any]]:
    """Return the module that assigns a contract, if one does, and the place for a finding about it."""
    packages = {source.path.partition(".")[0] for source in sources}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] not in packages or not getattr(module, "__file__", None):
            continue
        text = SourceText.of(module)
        for variable in [variable for variable, value in list(vars(module).items()) if value is contract]:
            line = text.assigned(variable)
            if line is not None:
                return module, {"module": name, "file": SourceModule(name, name, module).file, "line": line}
    holder = next(source for source in sources if contract.name in source.contracts)
    return None, {"module": holder.path, "file": holder.file, "line": 1 if holder.file else None}
