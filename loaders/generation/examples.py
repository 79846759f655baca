"""Example frames that obey their contracts: types, nulls, checks, keys, and references between datasets."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from loaders.conforming import conform
from loaders.errors import ConfigError
from loaders.generation.random_values import distinct_numbers, random_values, taken, with_nulls
from loaders.generation.references import allowed_values, column_of_frame, node_name, split_reference
from loaders.names import quoted
from loaders.schema import DatasetSchema

NULL_SHARE = 0.1


def example(
    contract: DatasetSchema, rows: int = 100, seed: int = 0, *, frames: Mapping[str, pd.DataFrame] | None = None
) -> pd.DataFrame:
    """Return a frame of `rows` rows that obeys the contract; the same arguments give the same frame.

    Columns that refer to a dataset in `frames` take their values from it; references to other datasets are ignored.

    Raises ConfigError if the key cannot have so many values, or no value obeys a check.
    """
    return Examples([contract], rows, seed, frames=frames).frame(contract.name)


def examples(
    contracts: Iterable[DatasetSchema],
    rows: int = 100,
    seed: int = 0,
    *,
    frames: Mapping[str, pd.DataFrame] | None = None,
) -> dict[str, pd.DataFrame]:
    """Return a frame for each dataset, by name, with valid references between them.

    A dataset whose key cannot have so many values has fewer rows. `frames` replace generated ones.
    """
    given = dict(frames or {})
    made = Examples(contracts, rows, seed, frames=given, fewer_rows=True)
    return {**{name: made.frame(name) for name in made.contracts if name not in given}, **given}


class Examples:
    """Columns generated once, on request, so that the order of references does not matter.

    Each column has its own random stream, so that adding or removing a column does not change the others.
    """

    def __init__(
        self,
        contracts: Iterable[DatasetSchema],
        rows: int,
        seed: int,
        *,
        frames: Mapping[str, pd.DataFrame] | None = None,
        fewer_rows: bool = False,
    ) -> None:
        if rows < 0:
            raise ConfigError(f"Examples have 0 or more rows; found rows={rows}.")
        self.contracts = {contract.name: contract for contract in contracts}
        self._rows = rows
        self._seed = seed
        self._frames = dict(frames or {})
        self._fewer_rows = fewer_rows
        self._columns: dict[tuple[str, str], pa.Array] = {}
        self._under_way: list[tuple[str, str]] = []

    def frame(self, name: str) -> pd.DataFrame:
        """Return the frame of a dataset."""
        contract = self.contracts[name]
        arrays = [self._column(contract, column) for column in contract.columns]
        # Source names, because `conform` prefers them in a table, even if they are node names of other columns.
        table = pa.table(arrays, names=[contract.source_name(column) for column in contract.columns])
        return conform(table, contract, location=f"examples of '{name}'")

    def _column(self, contract: DatasetSchema, column: str) -> pa.Array:
        place = (contract.name, column)
        if place not in self._columns:
            if place in self._under_way:
                raise ConfigError(f"References form a circle: {quoted('.'.join(p) for p in self._under_way)}.")
            self._under_way.append(place)
            if column in contract.key:
                self._columns |= self._key(contract)
            else:
                self._columns[place] = self._plain(contract, column)
            self._under_way.pop()
        return self._columns[place]

    def _plain(self, contract: DatasetSchema, column: str) -> pa.Array:
        rows = len(self._column(contract, contract.key[0])) if contract.key else self._rows
        field = contract.schema.field(column)
        chance = self._chance(contract, column)
        pool = self._referred(contract, column)
        if pool is None:
            values = random_values(field.type, rows, chance, contract.checks.get(column))
        elif len(pool) or not rows:
            values = taken(pool, pa.array(chance.integers(0, max(len(pool), 1), rows)))
        elif field.nullable:
            return pa.nulls(rows, field.type)
        else:
            raise ConfigError(f"Dataset '{contract.name}': column '{column}' refers to a column without values.")
        return with_nulls(values, NULL_SHARE, chance) if field.nullable else values

    def _key(self, contract: DatasetSchema) -> dict[tuple[str, str], pa.Array]:
        """Return the key columns: distinct combinations of a few values for each."""
        # A key of several columns needs fewer values of each, which repeat as in real data.
        some = math.ceil(self._rows ** (1 / max(1, len(contract.key) - 1))) + 1
        pools = [self._key_values(contract, column, some) for column in contract.key]
        if math.prod(len(pool) for pool in pools) < self._rows:
            pools = [self._key_values(contract, column, self._rows) for column in contract.key]
        possible = math.prod(len(pool) for pool in pools)
        rows = min(self._rows, possible) if self._fewer_rows else self._rows
        if rows > possible:
            raise ConfigError(
                f"Dataset '{contract.name}': {self._rows} rows were asked for, but {quoted(contract.key)} can have "
                f"only {possible} different values. Ask for fewer rows, or allow more values."
            )
        numbers = distinct_numbers(possible, rows, self._chance(contract, "key"))
        columns = {}
        for column, pool in zip(contract.key, pools, strict=True):
            columns[contract.name, column] = taken(pool, pa.array(numbers % max(len(pool), 1), type=pa.int64()))
            numbers = numbers // max(len(pool), 1)
        return columns

    def _key_values(self, contract: DatasetSchema, column: str, count: int) -> pa.Array:
        pool = self._referred(contract, column)
        if pool is not None:
            return pool
        arrow_type, check = contract.schema.field(column).type, contract.checks.get(column)
        return random_values(arrow_type, count, self._chance(contract, column), check, distinct=True)

    def _referred(self, contract: DatasetSchema, column: str) -> pa.Array | None:
        """Return the values that a referring column may take; None for any."""
        if column not in contract.references:
            return None
        dataset, name = split_reference(contract, column)
        if dataset in self._frames:
            values = column_of_frame(self._frames, dataset, name, contract.schema.field(column).type)
        elif dataset in self.contracts:
            target = self.contracts[dataset]
            values = self._column(target, node_name(target, name))
        else:
            return None
        return allowed_values(values, contract, column)

    def _chance(self, contract: DatasetSchema, column: str) -> np.random.Generator:
        place = f"{self._seed}/{contract.name}/{column}".encode()
        return np.random.default_rng(int.from_bytes(hashlib.blake2b(place, digest_size=16).digest()))
