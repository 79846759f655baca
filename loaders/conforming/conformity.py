"""Convert tables and frames to a frame that obeys a contract, or raise `ContractError`."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, overload

import pandas as pd
import pyarrow as pa

from loaders.conforming.exact_cast import InexactError, cast_violation, exact_cast
from loaders.conforming.frame_kinds import Kind, arrow_table, kind_of, polars_frame, without_nan
from loaders.conforming.pandas_values import BrokenColumnError, arrow_column, pandas_column
from loaders.conforming.rules import broken_rules
from loaders.conforming.violation import Origin, Violation, contract_error, contract_report
from loaders.errors import ConfigError, LoaderWarning
from loaders.schema import DatasetSchema
from loaders.schema.dtypes import storage_type

# Comparing long names is slow, and names that people mistype are short.
_LONG_NAME = 1000


@overload
def conform(
    data: Any,
    contract: DatasetSchema,
    *,
    location: str,
    columns: Sequence[str] | None = None,
    parts: Sequence[tuple[str, int]] = (),
    kind: Literal["pandas"] = "pandas",
) -> pd.DataFrame: ...
@overload
def conform(
    data: Any,
    contract: DatasetSchema,
    *,
    location: str,
    columns: Sequence[str] | None = None,
    parts: Sequence[tuple[str, int]] = (),
    kind: Kind,
) -> Any: ...
def conform(
    data: Any,
    contract: DatasetSchema,
    *,
    location: str,
    columns: Sequence[str] | None = None,
    parts: Sequence[tuple[str, int]] = (),
    kind: Kind = "pandas",
) -> Any:
    """Return the data as a frame that obeys the contract: columns in order, exact dtypes, a new RangeIndex.

    Columns are found by source names or by node names, whichever match more columns. If both match equally, a frame is
    taken to have node names and an Arrow table source names. Each value is kept unchanged or refused. The result shares
    no writable memory with `data`.

    Args:
        data: the data: a frame of pandas or polars, or an Arrow table; a pandas frame may use any lossless
            representation (objects, integers as floats with NaN for null, midnights for dates).
        contract: the contract.
        location: the origin of the data, for the report.
        columns: the wanted columns, by node name; rules of other columns are not checked.
        parts: for data from several files, the location and number of rows of each, in order.
        kind: the kind of the result: "pandas", "polars" or "arrow".

    Raises:
        ContractError: columns are missing, or values break a rule.
        ConfigError: polars is not installed or lacks a type of the contract.
    """
    prefer_nodes = not isinstance(data, pa.Table)
    if kind_of(data) == "polars":
        data = data.to_arrow()
    wanted = wanted_columns(contract, columns)
    origin = Origin(location, tuple(parts))
    found = [str(name) for name in (data.columns if isinstance(data, pd.DataFrame) else data.column_names)]
    if isinstance(data, pd.DataFrame):
        _refuse_index(data, contract, found, origin)
    names = match_columns(found, contract, wanted, origin, prefer_nodes=prefer_nodes)
    column_of = (lambda position: data.iloc[:, position]) if isinstance(data, pd.DataFrame) else data.column
    taken = {name: column_of(found.index(source_name)) for name, source_name in names.items()}
    for name in wanted:
        if name not in taken:
            taken[name] = null_column(contract, name, len(data))
    taken = {name: taken[name] for name in wanted}
    table = typed_table(taken, contract, origin)
    if kind != "pandas" and isinstance(data, pd.DataFrame):
        table = without_nan(table, contract)
    return checked_frame(table, contract, origin, len(data), kind)


def typed_table(
    columns: Mapping[str, pd.Series[Any] | pa.ChunkedArray], contract: DatasetSchema, origin: Origin
) -> pa.Table:
    """Return columns, by node name, in the Arrow types that become their pandas dtypes."""
    typed: dict[str, pa.ChunkedArray] = {}
    violations: list[Violation] = []
    for name, values in columns.items():
        field = contract.schema.field(name)
        try:
            typed[name] = _typed(values, field.with_type(storage_type(field.type)))
        except BrokenColumnError as broken:
            violations.append(broken.violation)
    if violations:
        raise contract_error(contract.name, violations, origin)
    return pa.table(typed)


def null_column(contract: DatasetSchema, name: str, rows: int) -> pa.ChunkedArray:
    """Return an optional column that the source lacks."""
    return pa.chunked_array([pa.nulls(rows, contract.schema.field(name).type)])


def check_rules(table: pa.Table, contract: DatasetSchema, origin: Origin) -> None:
    """Raise ContractError if a typed table breaks a rule of its contract, or issue a LoaderWarning if that suffices."""
    columns = dict(zip(table.column_names, table.columns, strict=True))
    violations = list(broken_rules(columns, contract))
    if any(not violation.is_warning for violation in violations):
        raise contract_error(contract.name, violations, origin)
    if violations:
        title = f"Dataset '{contract.name}' has values that its contract warns of."
        warnings.warn(contract_report(title, violations, origin), LoaderWarning, stacklevel=2)


def checked_frame(table: pa.Table, contract: DatasetSchema, origin: Origin, rows: int, kind: Kind) -> Any:
    """Check all rules on a typed table, and return it as a frame of the kind.

    `rows` is given because a table without columns has no number of rows.
    """
    check_rules(table, contract, origin)
    if kind == "pandas":
        return _pandas_frame(table, contract, rows)
    return polars_frame(table, contract) if kind == "polars" else arrow_table(table, contract)


def _pandas_frame(table: pa.Table, contract: DatasetSchema, rows: int) -> pd.DataFrame:
    columns = dict(zip(table.column_names, table.columns, strict=True))
    del table
    dtypes = contract.dtypes
    # Each column is removed from the table when its copy is made, so that memory holds the data only once.
    arrays = {name: pandas_column(columns.pop(name), dtypes[name]) for name in list(columns)}
    return pd.DataFrame(arrays, index=pd.RangeIndex(rows), copy=False)


def _refuse_index(frame: pd.DataFrame, contract: DatasetSchema, found: Sequence[str], origin: Origin) -> None:
    """Raise ContractError for a frame whose index is a column of the contract."""
    known = {*contract.columns, *(contract.source_name(name) for name in contract.columns)}
    hidden = [str(name) for name in frame.index.names if name in known and name not in found]
    if hidden:
        rule = f"{_quoted(hidden)} is the index of the frame; make it a column with reset_index()"
        raise contract_error(contract.name, [Violation("columns", rule)], origin)


def wanted_columns(contract: DatasetSchema, columns: Iterable[str] | None) -> tuple[str, ...]:
    """Return the requested columns in the contract's order; all for None."""
    if columns is None:
        return contract.columns
    asked = set(columns)
    unknown = sorted(asked - set(contract.columns))
    if unknown:
        raise ConfigError(f"Dataset '{contract.name}' {_nearest(unknown, contract.columns)}")
    return tuple(name for name in contract.columns if name in asked)


def match_columns(
    found: Sequence[str],
    contract: DatasetSchema,
    wanted: Sequence[str],
    origin: Origin,
    given: Collection[str] = (),
    *,
    prefer_nodes: bool = False,
) -> dict[str, str]:
    """Return the source's name for each wanted column; raise for missing, repeated and unexpected ones.

    Columns in `given`, by either name, and optional ones may be missing and are then not in the result. If source names
    and node names match equally many columns, `prefer_nodes` decides.
    """
    by_source = {name: contract.source_name(name) for name in contract.columns}
    by_node = {name: name for name in contract.columns}
    namings = (by_node, by_source) if prefer_nodes else (by_source, by_node)
    # By all columns, not only the wanted ones, so that the result does not depend on which columns are requested.
    names = max(namings, key=lambda naming: sum(source_name in found for source_name in naming.values()))
    violations = []
    absent = {*given, *contract.optional}
    wanted = [name for name in wanted if names[name] in found or not {name, by_source[name]} & absent]
    missing = [names[name] for name in wanted if names[name] not in found]
    if missing:
        violations.append(Violation("columns", _nearest(missing, found)))
    repeated = [names[name] for name in wanted if list(found).count(names[name]) > 1]
    violations += [Violation(name, "column that occurs more than once in the source") for name in repeated]
    extra = [name for name in found if name not in names.values()]
    if extra and contract.extra_columns == "refuse":
        violations.append(Violation("columns", f"unexpected {_quoted(extra)}; the contract refuses extra columns"))
    if violations:
        raise contract_error(contract.name, violations, origin)
    return {name: names[name] for name in wanted}


def _typed(values: pd.Series[Any] | pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    """Return the column in the type of its field, or raise its violation."""
    if not isinstance(values, pa.ChunkedArray):
        return arrow_column(values, field)
    try:
        return exact_cast(values, field.type)
    except InexactError as error:
        raise BrokenColumnError(cast_violation(field.name, values, field.type, error)) from None


def _nearest(missing: Sequence[str], found: Sequence[str]) -> str:
    lacking = []
    for name in missing[:8]:
        near = difflib.get_close_matches(name, [each for each in found if len(each) < _LONG_NAME], n=1)
        lacking.append(_shown(name) + (f" (did you mean {_shown(near[0])}?)" if near else ""))
    more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
    return f"lacks {', '.join(lacking)}{more}; it has {_quoted(found)}"


def _quoted(names: Sequence[str]) -> str:
    shown = ", ".join(map(_shown, names[:20]))
    return (shown or "none") + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _shown(name: str) -> str:
    """Return a name in quotes, on one line and shortened: a file without a header may give names of a megabyte."""
    plain = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in name[:60])
    return f"'{plain}{'…' * (len(name) > 60)}'"
