"""Draft a contract from a whole local file, so that all its rows obey it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from loaders.contract import DatasetContract
from loaders.errors import ContractError
from loaders.reading import read_table

# If later rows do not fit the type inferred from the first ones, the next type to try.
_WIDER = {pa.bool_(): pa.string(), pa.int64(): pa.float64(), pa.float64(): pa.string()}
# Common texts for null, tried if a number is expected.
_NULLS = ("NA", "N/A", "NaN", "nan", "null", "NULL", "None", "-", "\\N")


@dataclass(frozen=True)
class Sample:
    """A dataset of a new project: its contract, and its local file."""

    contract: DatasetContract
    file_name: str
    body: bytes


def draft_sample(file: Path) -> Sample:
    """Return a dataset drafted from a whole file; `DatasetContract.infer` reads only a part.

    Raises ReadError and ConfigError as `infer` does, and ContractError for a file that no types fit.
    """
    contract = replace(
        DatasetContract.infer(file), description=f"Drafted from {file.name}; describe here what one row is."
    )
    if not _fits(file, contract):
        contract = _with_nulls(file, contract)
        for column in contract.columns:
            contract = _widened(file, contract, column)
        read_table(file, contract)
    body = file.read_bytes()
    if file.suffix.lower() in (".csv", ".tsv", ".jsonl", ".ndjson") and not body.endswith(b"\n"):
        body += b"\n"  # the ending of every written copy
    return Sample(contract, file.name, body)


def _fits(file: Path, contract: DatasetContract, columns: list[str] | None = None) -> bool:
    try:
        read_table(file, contract, columns=columns)
    except ContractError:
        return False
    return True


def _with_nulls(file: Path, contract: DatasetContract) -> DatasetContract:
    """Return the contract with null texts added so that one more column fits."""
    known = contract.format.null_values
    for null in _NULLS:
        more = replace(contract, format=replace(contract.format, null_values=(*known, null)))
        misfits = [column for column in contract.columns if not _fits(file, contract, [column])]
        if null not in known and any(_fits(file, more, [column]) for column in misfits):
            contract, known = more, more.format.null_values
    return contract


def _widened(file: Path, contract: DatasetContract, column: str) -> DatasetContract:
    """Return the contract with the narrowest type of the column that fits every row."""
    while not _fits(file, contract, [column]):
        found = contract.schema.field(column)
        wider = _WIDER.get(found.type, pa.string())
        if wider == found.type:
            if found.nullable:
                return contract
            wider, found = found.type, found.with_nullable(True)
        position = contract.columns.index(column)
        contract = replace(contract, schema=contract.schema.set(position, found.with_type(wider)))
    return contract
