"""What a dataset is, said once: its columns, types, key and rules, for every source of it."""

from __future__ import annotations

import keyword
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from loaders.contract.dtypes import PandasDtype, is_supported, is_text, pandas_dtype
from loaders.contract.format_options import FormatOptions
from loaders.errors import ConfigError
from loaders.names import quoted

if TYPE_CHECKING:
    import pandas as pd
    from hypothesis.strategies import SearchStrategy

    from loaders.contract.diff import ContractChange


@dataclass(frozen=True, kw_only=True)
class Check:
    """Rules that each value of a column obeys; nulls are judged by the column's nullability alone.

    `minimum` and `maximum` are inclusive; `allowed` lists every permitted value; `pattern` is a regular expression
    that the whole text matches.
    """

    minimum: Any = None
    maximum: Any = None
    allowed: tuple[Any, ...] = ()
    pattern: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.allowed, str) or not isinstance(self.allowed, Iterable):
            raise ConfigError(f"Check allowed must list the values, as allowed=('a', 'b'); found {self.allowed!r}.")
        object.__setattr__(self, "allowed", tuple(self.allowed))
        if _exceeds(self.minimum, self.maximum):
            raise ConfigError(f"Check minimum {self.minimum!r} is above its maximum {self.maximum!r}; no value fits.")
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except (re.error, TypeError) as error:
                raise ConfigError(f"Check pattern {self.pattern!r} is no regular expression: {error}.") from None

    def __str__(self) -> str:
        """The rules in words, as `show` lists them."""
        bounds = [("≥", self.minimum), ("≤", self.maximum)]
        rules = [f"{sign} {value}" for sign, value in bounds if value is not None]
        if self.allowed:
            rules.append(f"one of {', '.join(map(str, self.allowed))}")
        if self.pattern is not None:
            rules.append(f"matches {self.pattern}")
        return ", ".join(rules)


@dataclass(frozen=True)
class DatasetContract:
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

    Everything except the constructor's `schema`, and all of `key`, `checks` and `references`, speaks in node names;
    names given without the prefix are understood.

    >>> planes = DatasetContract("planes", pa.schema([("tailnum", pa.string()), ("year", pa.int64())]),
    ...                          key=("tailnum",), prefix="planes_")
    >>> planes.columns
    ('planes_tailnum', 'planes_year')
    >>> planes.source_name("planes_year")
    'year'
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

    def __post_init__(self) -> None:
        if not isinstance(self.schema, pa.Schema):
            raise ConfigError(
                f"Contract '{self.name}': schema must be a pyarrow.Schema, found {type(self.schema).__name__}."
            )
        self._refuse_other_types()
        names = self.schema.names
        # All or none: a schema read back from a frame already carries the prefix in every name.
        prefixed = all(name.startswith(self.prefix) for name in names)
        columns = names if prefixed else [self.prefix + name for name in names]
        fields = [f.with_name(column) for f, column in zip(self.schema, columns, strict=True)]
        object.__setattr__(self, "schema", pa.schema(fields))
        normal = {
            "key": tuple(self._node_name(name) for name in _names(self.key)),
            "source_names": {self._node_name(k): v for k, v in self.source_names.items()},
            "checks": {self._node_name(k): v for k, v in self.checks.items()},
            "references": {self._node_name(k): v for k, v in self.references.items()},
        }
        for attribute, value in normal.items():
            object.__setattr__(self, attribute, value)
        self._refuse_contradictions()

    def __hash__(self) -> int:
        return hash((self.name, self.schema, self.key))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the frame, in order: what `@extract_columns` is given."""
        return tuple(self.schema.names)

    @property
    def dtypes(self) -> dict[str, PandasDtype]:
        """The pandas dtype of each column; it depends on nothing but this contract."""
        return {column.name: pandas_dtype(column) for column in self.schema}

    def source_name(self, column: str) -> str:
        """Return the name that a column of the frame has in the source."""
        if column in self.source_names:
            return self.source_names[column]
        return column.removeprefix(self.prefix)

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
        """Return what `other`, the newer contract, says otherwise, and which of it breaks readers."""
        from loaders.contract.diff import contract_changes

        return list(contract_changes(self, other))

    def to_yaml(self) -> str:
        """Return the contract as YAML that `from_yaml` reads back as an equal contract."""
        from loaders.contract.yaml_text import to_yaml

        return to_yaml(self)

    @classmethod
    def from_yaml(cls, text: str) -> DatasetContract:
        """Return the contract that YAML text describes; raises ConfigError for what is none, naming the key."""
        from loaders.contract.yaml_text import from_yaml

        return from_yaml(text)

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
        from loaders.contract.infer import infer

        return infer(location, name)

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
        }
        for attribute, (kind, said) in expected.items():
            if not isinstance(found := getattr(self, attribute), kind):
                self._refuse(f"{attribute} must be {said}, found {found!r}")

    def _refuse_contradictions(self) -> None:
        if not self.name.isidentifier():
            self._refuse(f"the name is a function's name, so it must be a Python identifier; found {self.name!r}")
        if not self.columns:
            self._refuse("it has no columns; give the schema at least one field")
        for column in self.schema:
            self._refuse_field(column)
        sources = [self.source_name(column) for column in self.columns]
        for what, names in (("column", self.columns), ("source name", sources), ("column of the key", self.key)):
            twice = sorted({name for name in names if list(names).count(name) > 1})
            if twice:
                self._refuse(f"{what} {quoted(twice)} stands in it more than once; rename or drop one")
        for what, named in (
            ("key", self.key),
            ("source_names", self.source_names),
            ("checks", self.checks),
            ("references", self.references),
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
            if check.pattern is not None and not is_text(self.schema.field(column).type):
                self._refuse(f"column '{column}' has a pattern, but is no text: {self.schema.field(column).type}")
        for column, target in self.references.items():
            if target.count(".") != 1:
                self._refuse(f"column '{column}' refers to {target!r}; write 'dataset.column'")
        if self.extra_columns not in ("drop", "refuse"):
            self._refuse(f"extra_columns must be 'drop' or 'refuse', found {self.extra_columns!r}")

    def _refuse_field(self, column: pa.Field) -> None:
        if not column.name.isidentifier() or keyword.iskeyword(column.name):
            self._refuse(
                f"column {column.name!r} cannot be a node: no Python identifier. Give it one in the schema, and its "
                f"name in the source by source_names={{'node_name': {column.name!r}}}"
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


def _exceeds(minimum: Any, maximum: Any) -> bool:
    try:
        return minimum is not None and maximum is not None and bool(minimum > maximum)
    except TypeError:
        return False


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
        # pandas and Arrow take no notice of seconds.
        return re.fullmatch(r"[+-]([01][0-9]|2[0-3]):[0-5][0-9]", zone) is not None
    try:
        pandas_dtype(pa.field("", pa.timestamp("ns", zone)))
    except (LookupError, ValueError, TypeError, OSError):
        return False
    return True
