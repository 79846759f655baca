"""`DatasetContract`: the class that users write, with all operations on a contract."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from loaders.errors import ConfigError
from loaders.schema import DatasetSchema

if TYPE_CHECKING:
    import pandas as pd
    from hypothesis.strategies import SearchStrategy

    from loaders.conforming.frame_kinds import Kind
    from loaders.contract.changes import ContractChange


class DatasetContract(DatasetSchema):
    """Names, types, nullability, key and rules of a dataset.

    Args:
        name: the dataset's name, and the name of the function that loads it in every loader module.
        schema: the columns in order, with Arrow types and nullability. It uses the names in the source.
        key: the columns that identify a row; they hold no nulls, and each combination of values is unique.
        description: one sentence that says what a row is.
        prefix: text in front of each source name that gives the node name, which is the name in the frame and the
            dataflow. Two datasets with a column `year` need it: all columns of a driver share one namespace.
        source_names: source names by node name, for columns whose names differ in another way.
        checks: rules for the values, by column.
        extra_columns: whether columns that are not in the contract are dropped or refused.
        format: options for reading and writing the dataset's files.
        references: `"dataset.column"` for a column that refers to another dataset's key.
        optional: columns that a source may lack; they are null then.

    `key`, `source_names`, `checks`, `references`, `optional` and all attributes use node names; the arguments also
    accept names without the prefix.

    >>> planes = DatasetContract("planes", pa.schema([("tailnum", pa.string()), ("year", pa.int64())]),
    ...                          key=("tailnum",), prefix="planes_")
    >>> planes.columns
    ('planes_tailnum', 'planes_year')
    >>> planes.source_name("planes_year")
    'year'
    """

    @overload
    def example(
        self,
        rows: int = 100,
        seed: int = 0,
        *,
        frames: Mapping[str, pd.DataFrame] | None = None,
        frame: Literal["pandas"] = "pandas",
    ) -> pd.DataFrame: ...
    @overload
    def example(
        self, rows: int = 100, seed: int = 0, *, frames: Mapping[str, pd.DataFrame] | None = None, frame: Kind
    ) -> Any: ...
    def example(
        self,
        rows: int = 100,
        seed: int = 0,
        *,
        frames: Mapping[str, pd.DataFrame] | None = None,
        frame: Kind = "pandas",
    ) -> Any:
        """Return a generated frame that obeys the contract; the same arguments give the same frame.

        Columns that refer to a dataset in `frames` take their values from it. `frame` is the kind of the result:
        "pandas", "polars" or "arrow".
        """
        from loaders.conforming import conform
        from loaders.generation.examples import example

        made = example(self, rows, seed, frames=frames)
        return made if frame == "pandas" else conform(made, self, location="the example", kind=frame)

    def strategy(
        self,
        *,
        min_rows: int = 0,
        max_rows: int = 10,
        frames: Mapping[str, pd.DataFrame] | None = None,
        frame: Kind = "pandas",
    ) -> SearchStrategy[Any]:
        """Return a hypothesis strategy for frames that obey the contract, including edge cases.

        Failing examples shrink to few rows of simple values. Columns that refer to a dataset in `frames` take their
        values from it. `frame` is the kind of the frames: "pandas", "polars" or "arrow".
        """
        from loaders.conforming import conform

        try:
            from loaders.generation.strategies import frame_of
        except ModuleNotFoundError as error:
            if error.name != "hypothesis":
                raise
            raise ConfigError("A contract's strategy() needs hypothesis. Run: pip install hypothesis") from None
        made = frame_of(self, min_rows=min_rows, max_rows=max_rows, frames=frames)
        if frame == "pandas":
            return made
        return made.map(lambda drawn: conform(drawn, self, location="the example", kind=frame))

    def diff(self, other: DatasetContract) -> list[ContractChange]:
        """Return the changes from this contract to `other`, the newer one, and which of them break readers."""
        from loaders.contract.changes import contract_changes

        return list(contract_changes(self, other))

    def to_yaml(self) -> str:
        """Return the contract as YAML that `from_yaml` reads back as an equal contract."""
        from loaders.contract.yaml_text import to_yaml

        return to_yaml(self)

    @classmethod
    def from_yaml(cls, text: str) -> Self:
        """Return the contract that YAML text describes; raise ConfigError that names the wrong key."""
        from loaders.contract.yaml_text import contract_arguments

        return cls(**contract_arguments(text))

    def to_odcs(self) -> str:
        """Return the contract as YAML of the Open Data Contract Standard, version 3.1.0."""
        from loaders.contract.odcs import to_odcs

        return to_odcs(self)

    @classmethod
    def infer(cls, location: str | os.PathLike[str], name: str | None = None) -> Self:
        """Return a draft from a real file: names, types and nullability; exact for Parquet and Arrow.

        It reads only the footer or the beginning of the file. Types of CSV and JSON files are a guess, and the draft's
        description says so. `name` is the dataset's name; the default is made from the file's name.
        """
        from loaders.contract.infer import inferred_arguments

        return cls(**inferred_arguments(location, name))
