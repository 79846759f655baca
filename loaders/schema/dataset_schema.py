"""The data of a dataset contract: columns, types, key and rules."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa

from loaders.errors import ConfigError
from loaders.names import quoted
from loaders.schema.check import Check
from loaders.schema.dtypes import PandasDtype, is_supported, pandas_dtype
from loaders.schema.format_options import FormatOptions
from loaders.schema.limits import limit_problem


@dataclass(frozen=True)
class DatasetSchema:
    """The data of a contract, without the operations: names, types, nullability, key and rules of a dataset.

    Reading, checking and generating use this class; `DatasetContract` documents the attributes and adds the operations
    for users. The constructor validates names and adds the prefix.
    """

    name: str
    schema: pa.Schema
    key: tuple[str, ...] = ()
    description: str = ""
    prefix: str = ""
    source_names: Mapping[str, str] = field(default_factory=dict)
    checks: Mapping[str, Check] = field(default_factory=dict)
    extra_columns: Literal["drop", "refuse"] = "drop"
    format: FormatOptions = field(default_factory=FormatOptions)
    references: Mapping[str, str] = field(default_factory=dict)
    optional: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.schema, pa.Schema):
            raise ConfigError(
                f"Contract '{self.name}': schema must be a pyarrow.Schema, found {type(self.schema).__name__}."
            )
        self._refuse_other_types()
        names = self.schema.names
        # All or none: a schema that comes from a frame already has the prefix in every name.
        prefixed = all(name.startswith(self.prefix) for name in names)
        columns = names if prefixed else [self.prefix + name for name in names]
        fields = [f.with_name(column) for f, column in zip(self.schema, columns, strict=True)]
        object.__setattr__(self, "schema", pa.schema(fields))
        normal = {
            "key": tuple(self._node_name(name) for name in _names(self.key)),
            "source_names": {self._node_name(k): v for k, v in self.source_names.items()},
            "checks": {self._node_name(k): v for k, v in self.checks.items()},
            "references": {self._node_name(k): v for k, v in self.references.items()},
            "optional": tuple(self._node_name(name) for name in _names(self.optional)),
        }
        for attribute, value in normal.items():
            object.__setattr__(self, attribute, value)
        self._refuse_contradictions()

    def __hash__(self) -> int:
        return hash((self.name, self.schema, self.key))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the frame, in order, for `@extract_columns`."""
        return tuple(self.schema.names)

    @property
    def dtypes(self) -> dict[str, PandasDtype]:
        """The pandas dtype of each column; it depends on this contract alone."""
        return {column.name: pandas_dtype(column) for column in self.schema}

    def source_name(self, column: str) -> str:
        """Return the name that a column of the frame has in the source."""
        if column in self.source_names:
            return self.source_names[column]
        return column.removeprefix(self.prefix)

    def _node_name(self, name: str) -> str:
        return name if name in self.schema.names else self.prefix + name

    def _refuse_other_types(self) -> None:
        expected: dict[str, tuple[type, str]] = {
            "name": (str, "text"),
            "key": (Iterable, "the names of columns"),
            "description": (str, "text"),
            "prefix": (str, "text"),
            "source_names": (Mapping, "a mapping of node names to source names"),
            "checks": (Mapping, "a mapping of columns to Check(…)"),
            "format": (FormatOptions, "FormatOptions(…)"),
            "references": (Mapping, "a mapping of columns to 'dataset.column'"),
            "optional": (Iterable, "the names of columns"),
        }
        for attribute, (kind, description) in expected.items():
            if not isinstance(found := getattr(self, attribute), kind):
                self._refuse(f"{attribute} must be {description}, found {found!r}")

    def _refuse_contradictions(self) -> None:
        if not self.name.isidentifier():
            self._refuse(
                f"the name is used as a function's name, so it must be a Python identifier; found {self.name!r}"
            )
        if not self.columns:
            self._refuse("it has no columns; give the schema at least one field")
        for column in self.schema:
            self._refuse_field(column)
        sources = [self.source_name(column) for column in self.columns]
        for what, names in (("column", self.columns), ("source name", sources), ("column of the key", self.key)):
            twice = sorted({name for name in names if list(names).count(name) > 1})
            if twice:
                self._refuse(f"{what} {quoted(twice)} occurs more than once; rename or drop one")
        for what, named in (
            ("key", self.key),
            ("source_names", self.source_names),
            ("checks", self.checks),
            ("references", self.references),
            ("optional", self.optional),
        ):
            unknown = [name for name in named if name not in self.columns]
            if unknown:
                self._refuse(f"{what} names {quoted(unknown)}, its columns are {quoted(self.columns)}")
        for column in self.key:
            if pa.types.is_nested(self.schema.field(column).type):
                self._refuse(f"column '{column}' of the key is nested ({self.schema.field(column).type})")
        for column, check in self.checks.items():
            if not isinstance(check, Check):
                self._refuse(f"the check of column '{column}' must be a Check(…), found {check!r}")
            problem = limit_problem(check, self.schema.field(column).type)
            if problem:
                self._refuse(f"column '{column}' {problem}")
        for column in self.optional:
            if column in self.key or not self.schema.field(column).nullable:
                self._refuse(f"optional column '{column}' is null where a source lacks it, so it must be nullable")
        for column, target in self.references.items():
            if target.count(".") != 1:
                self._refuse(f"column '{column}' refers to {target!r}; write 'dataset.column'")
        if self.extra_columns not in ("drop", "refuse"):
            self._refuse(f"extra_columns must be 'drop' or 'refuse', found {self.extra_columns!r}")

    def _refuse_field(self, column: pa.Field) -> None:
        if not column.name.isidentifier() or keyword.iskeyword(column.name):
            self._refuse(
                f"column {column.name!r} cannot be a node: it is not a Python identifier. Rename it in the schema, and "
                f"give its name in the source by source_names={{'node_name': {column.name!r}}}"
            )
        if column.name == self.name:
            self._refuse(f"column '{column.name}' has the name of the dataset; give it a prefix")
        if not is_supported(column.type):
            self._refuse(f"column '{column.name}' has type {column.type}, which no pandas dtype represents exactly")
        for zone in _zones(column.type):
            if not _is_zone(zone):
                self._refuse(
                    f"column '{column.name}' has the time zone {zone!r}; write a name such as 'UTC' or "
                    "'Europe/Berlin', or an offset of hours and minutes such as '+05:30'"
                )

    def _refuse(self, reason: str) -> None:
        raise ConfigError(f"Contract '{self.name}': {reason}.")


def _names(names: str | Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _zones(arrow_type: pa.DataType) -> Iterator[str]:
    if pa.types.is_timestamp(arrow_type) and arrow_type.tz is not None:
        yield arrow_type.tz
    if pa.types.is_dictionary(arrow_type):
        yield from _zones(arrow_type.value_type)
    for position in range(arrow_type.num_fields if pa.types.is_nested(arrow_type) else 0):
        yield from _zones(arrow_type.field(position).type)


def _is_zone(zone: str) -> bool:
    if zone.startswith(("+", "-")):
        # pandas and Arrow ignore seconds.
        return re.fullmatch(r"[+-]([01][0-9]|2[0-3]):[0-5][0-9]", zone) is not None
    try:
        pandas_dtype(pa.field("", pa.timestamp("ns", zone)))
    except (LookupError, ValueError, TypeError, OSError):
        return False
    return True
