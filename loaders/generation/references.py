"""The values of columns that refer to another dataset."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from loaders.conforming import conform
from loaders.errors import ConfigError
from loaders.generation.random_values import obeying
from loaders.names import did_you_mean
from loaders.schema import Check, DatasetSchema


def split_reference(contract: DatasetSchema, column: str) -> tuple[str, str]:
    """Return the dataset and the column that a column refers to."""
    dataset, _, name = contract.references[column].partition(".")
    return dataset, name


def node_name(target: DatasetSchema, name: str) -> str:
    """Return the column of a contract that a reference names with or without the prefix."""
    by_name = {column.removeprefix(target.prefix): column for column in target.columns}
    by_name |= {column: column for column in target.columns}
    if name not in by_name:
        raise ConfigError(f"Dataset '{target.name}' has no column '{name}'.{did_you_mean(name, by_name)}")
    return by_name[name]


def column_of_frame(frames: Mapping[str, pd.DataFrame], dataset: str, name: str, arrow_type: pa.DataType) -> pa.Array:
    """Return a column of a given frame in the type of the column that refers to it."""
    frame = frames[dataset]
    if name not in frame.columns:
        raise ConfigError(f"frames['{dataset}'] has no column '{name}'.{did_you_mean(name, map(str, frame.columns))}")
    contract = DatasetSchema("frame", pa.schema([pa.field("referred", arrow_type)]))
    column = frame[[name]].set_axis(["referred"], axis=1)
    values = pa.array(conform(column, contract, location=f"frames['{dataset}']")["referred"], from_pandas=True)
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def allowed_values(values: pa.Array, contract: DatasetSchema, column: str) -> pa.Array:
    """Return the distinct values, without null, that a referring column may take."""
    arrow_type = contract.schema.field(column).type
    try:
        values = values.cast(arrow_type)
    except pa.ArrowException as error:
        raise ConfigError(
            f"'{contract.name}.{column}' refers to '{contract.references[column]}', but cannot take its values: {error}"
        ) from None
    return obeying(pc.unique(values.drop_null()), contract.checks.get(column) or Check())
