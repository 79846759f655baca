"""The kinds of frames that a dataset can be read as: pandas, polars and Arrow.

The type of a column depends on the contract and the kind alone:

| Arrow, in the contract | polars | read_arrow |
|---|---|---|
| bool, int, float, date32 | the type of the same name | the contract's type |
| string in any layout | String | the contract's type |
| binary, also of fixed size | Binary | the contract's type |
| timestamp[unit, tz], duration[unit] | Datetime, Duration; seconds become milliseconds | the contract's type |
| date64 | Datetime of milliseconds | the contract's type |
| time | Time | the contract's type |
| decimal up to 38 digits | Decimal | the contract's type |
| dictionary of text | Categorical | the contract's type |
| dictionary of other values | the values' type | the contract's type |
| list, fixed-size list, struct, map | List, Array, Struct, Map | the contract's type |
| decimal256, negative scales, intervals, list views, zones such as +05:30 | refused | the contract's type |

`loaders.schema.dtypes` has the table for pandas.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from loaders.errors import ConfigError
from loaders.schema import DatasetSchema
from loaders.schema.dtypes import storage_type

if TYPE_CHECKING:
    import polars as pl

Kind = Literal["pandas", "polars", "arrow"]
_PART_OF_AN_HOUR = re.compile(r"[+-]\d\d:(?!00)\d\d")
KINDS: tuple[Kind, ...] = ("pandas", "polars", "arrow")


def arrow_table(table: pa.Table, contract: DatasetSchema) -> pa.Table:
    """Return a typed table in the contract's own types and nullability."""
    return _cast(table, [contract.schema.field(name) for name in table.column_names])


def polars_frame(table: pa.Table, contract: DatasetSchema) -> pl.DataFrame:
    """Return a typed table as a polars frame, which shares its memory where the layouts are the same.

    Raises ConfigError for a type that polars lacks.
    """
    polars = polars_module()
    for field in table.schema:
        _refuse_unknown(polars, field, contract)
    # Polars would multiply seconds without looking for an overflow.
    fields = [pa.field(field.name, _without_seconds(field.type)) for field in table.schema]
    frame: pl.DataFrame = polars.from_arrow(_cast(table, fields), rechunk=False)
    return frame


def polars_schema(contract: DatasetSchema) -> dict[str, Any]:
    """Return the polars dtype of each column of a contract."""
    fields = [pa.field(field.name, storage_type(field.type)) for field in contract.schema]
    return dict(polars_frame(pa.schema(fields).empty_table(), contract).schema)


def polars_module() -> Any:
    """Return the polars package; ConfigError if it is not installed."""
    try:
        import polars
    except ModuleNotFoundError as error:
        if error.name != "polars":
            raise
        raise ConfigError("Frames of polars need the package polars. Run: pip install 'sourceswap[polars]'") from None
    return polars


def without_nan(table: pa.Table, contract: DatasetSchema) -> pa.Table:
    """Return a typed table of a pandas frame, where NaN in a nullable column of floats means null."""
    for position, field in enumerate(table.schema):
        if pa.types.is_floating(field.type) and contract.schema.field(field.name).nullable:
            column = table.column(position)
            missing = pc.fill_null(pc.is_nan(column), True)
            table = table.set_column(position, field, pc.if_else(missing, pa.scalar(None, field.type), column))
    return table


def kind_of(frame: object) -> Kind | None:
    """Return the kind of a frame, without importing polars; None for anything else."""
    if isinstance(frame, pd.DataFrame):
        return "pandas"
    if isinstance(frame, pa.Table):
        return "arrow"
    is_polars = type(frame).__name__ == "DataFrame" and type(frame).__module__.partition(".")[0] == "polars"
    return "polars" if is_polars else None


def as_pandas(value: Any) -> Any:
    """Return a frame or series of polars, or an Arrow table, as pandas shows it; anything else unchanged."""
    if type(value).__module__.partition(".")[0] == "polars" and type(value).__name__ in ("DataFrame", "Series"):
        arrow = value.to_arrow()
        if not isinstance(arrow, pa.Table):
            return pd.Series(pd.arrays.ArrowExtensionArray(arrow), name=value.name)
        value = arrow
    return value.to_pandas(types_mapper=pd.ArrowDtype) if isinstance(value, pa.Table) else value


def _refuse_unknown(polars: Any, field: pa.Field, contract: DatasetSchema) -> None:
    # Polars panics at them, and prints a page.
    unknown = any(
        pa.types.is_decimal256(inner)
        or pa.types.is_interval(inner)
        or (pa.types.is_timestamp(inner) and _PART_OF_AN_HOUR.fullmatch(inner.tz or ""))
        for inner in _types_in(field.type)
    )
    if not unknown:
        try:
            polars.from_arrow(pa.schema([field]).empty_table())
        except polars.exceptions.PolarsError:
            unknown = True
    if unknown:
        raise ConfigError(
            f"Dataset '{contract.name}': polars has no exact type for {field.type} (column '{field.name}'). Read it as "
            "a pandas frame or an Arrow table, or leave the column out by columns=."
        )


def _cast(table: pa.Table, fields: Sequence[pa.Field]) -> pa.Table:
    """Return a table with these fields; only what differs is cast: Arrow's cast looks at fields within nulls."""
    columns = [
        column if column.type == field.type else column.cast(field.type)
        for field, column in zip(fields, table.columns, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _types_in(arrow_type: pa.DataType) -> Iterator[pa.DataType]:
    yield arrow_type
    for position in range(arrow_type.num_fields):
        yield from _types_in(arrow_type.field(position).type)


def _without_seconds(arrow_type: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(arrow_type) and arrow_type.unit == "s":
        return pa.timestamp("ms", arrow_type.tz)
    if pa.types.is_duration(arrow_type) and arrow_type.unit == "s":
        return pa.duration("ms")
    return arrow_type
