"""`DatasetContract`: the class that users write, with all operations on a contract."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from loaders.errors import ConfigError
from loaders.schema import DatasetSchema

if TYPE_CHECKING:
    import pandas as pd
    from hypothesis.strategies import SearchStrategy

    from loaders.contract.changes import ContractChange


class DatasetContract(DatasetSchema):
    """Names, types, nullability, key and rules of a dataset.

    Args:
        name: the dataset's name, and the name of the function that loads it in every loader module.
        schema: the columns in order, with Arrow types and nullability. Names are the source's; with `prefix` the
            columns of the frame, which are the nodes of the dataflow, carry it in front.
        key: the columns that identify a row; they hold no nulls and no combination twice.
        description: one sentence saying what a row is.
        prefix: put in front of each source name to give the node's name. Two datasets with a column `year` need
            it: all columns of a driver share one namespace.
        source_names: source names of single columns, by node name, where they differ in another way.
        checks: rules for the values, by column.
        extra_columns: whether columns that the contract does not name are dropped or refused.
        format: how the dataset's files are written.
        references: for a column that refers to another dataset's key, `"dataset.column"`.

    Everything except the constructor's `schema`, and all of `key`, `checks` and `references`, uses node names;
    names given without the prefix are understood.

    >>> planes = DatasetContract("planes", pa.schema([("tailnum", pa.string()), ("year", pa.int64())]),
    ...                          key=("tailnum",), prefix="planes_")
    >>> planes.columns
    ('planes_tailnum', 'planes_year')
    >>> planes.source_name("planes_year")
    'year'
    """

    def example(
        self, rows: int = 100, seed: int = 0, *, frames: Mapping[str, pd.DataFrame] | None = None
    ) -> pd.DataFrame:
        """Return a generated frame that obeys the contract; the same arguments give the same frame.

        Columns that refer to a dataset in `frames` take their values from it.
        """
        from loaders.generation.examples import example

        return example(self, rows, seed, frames=frames)

    def strategy(
        self, *, min_rows: int = 0, max_rows: int = 10, frames: Mapping[str, pd.DataFrame] | None = None
    ) -> SearchStrategy[pd.DataFrame]:
        """Return a hypothesis strategy for frames that obey the contract, edge values among them.

        It shrinks to few rows of plain values. `frames` are those that its columns refer to, as for `example`.
        """
        try:
            from loaders.generation.strategies import frame_of
        except ModuleNotFoundError as error:
            if error.name != "hypothesis":
                raise
            raise ConfigError("A contract's strategy() needs hypothesis. Run: pip install hypothesis") from None
        return frame_of(self, min_rows=min_rows, max_rows=max_rows, frames=frames)

    def diff(self, other: DatasetContract) -> list[ContractChange]:
        """Return the changes to `other`, the newer contract, and which of them break readers."""
        from loaders.contract.changes import contract_changes

        return list(contract_changes(self, other))

    def to_yaml(self) -> str:
        """Return the contract as YAML that `from_yaml` reads back as an equal contract."""
        from loaders.contract.yaml_text import to_yaml

        return to_yaml(self)

    @classmethod
    def from_yaml(cls, text: str) -> DatasetContract:
        """Return the contract that YAML text describes; raise ConfigError that names the wrong key."""
        from loaders.contract.yaml_text import contract_arguments

        return cls(**contract_arguments(text))

    def to_odcs(self) -> str:
        """Return the contract as YAML of the Open Data Contract Standard, version 3.1.0."""
        from loaders.contract.odcs import to_odcs

        return to_odcs(self)

    @classmethod
    def infer(cls, location: str | os.PathLike[str], name: str | None = None) -> DatasetContract:
        """Return a draft from a real file: names, types and nullability; exact for Parquet and Arrow.

        Only a footer or a head is read. What a CSV or JSON file says of types is a guess, and the description of the
        draft says so. `name` is the dataset's; it is made from the file's where it is left out.
        """
        from loaders.contract.infer import inferred_arguments

        return cls(**inferred_arguments(location, name))
