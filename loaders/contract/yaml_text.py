"""Write a contract as YAML, and read it back."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import pyarrow as pa
import yaml

from loaders.errors import ConfigError
from loaders.names import did_you_mean, quoted
from loaders.schema import Check, DatasetSchema
from loaders.schema.format_options import FormatOptions
from loaders.schema.type_names import parse_type, type_text

_KEYS = ("dataset", "description", "prefix", "extra_columns", "key", "columns", "format")
_COLUMN_KEYS = ("type", "nullable", "optional", "source_name", "references", *(field.name for field in fields(Check)))


def to_yaml(contract: DatasetSchema) -> str:
    """Return the contract as YAML, without default values."""
    data: dict[str, Any] = {"dataset": contract.name}
    if contract.description:
        data["description"] = contract.description
    if contract.prefix:
        data["prefix"] = contract.prefix
    if contract.extra_columns != "drop":
        data["extra_columns"] = contract.extra_columns
    if contract.key:
        data["key"] = list(contract.key)
    data["columns"] = {column.name: _column(contract, column) for column in contract.schema}
    options = changed_options(contract.format)
    if options:
        data["format"] = options
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)


def contract_arguments(text: str) -> dict[str, Any]:
    """Return the arguments of the contract that YAML text describes; raise ConfigError that names the wrong key."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"The contract is not valid YAML. {' '.join(str(error).split())[:300]}") from None
    if not isinstance(data, dict) or not isinstance(data.get("columns"), dict) or "dataset" not in data:
        raise ConfigError("A contract in YAML is a mapping with 'dataset' and 'columns'.")
    name = str(data["dataset"])
    _refuse_unknown(f"Contract '{name}'", data, _KEYS)
    columns = {column: _column_data(name, column, given) for column, given in data["columns"].items()}
    schema = [pa.field(column, given.kind, nullable=given.nullable) for column, given in columns.items()]
    try:
        options = FormatOptions(**(data.get("format") or {}))
    except TypeError as error:
        known = [field.name for field in fields(FormatOptions)]
        raise ConfigError(f"Contract '{name}', format: {error}. Options are: {quoted(known)}.") from None
    return {
        "name": name,
        "schema": pa.schema(schema),
        "key": tuple(data.get("key") or ()) if not isinstance(data.get("key"), str) else (data["key"],),
        "description": data.get("description") or "",
        "prefix": data.get("prefix") or "",
        "source_names": {
            column: given.source_name for column, given in columns.items() if given.source_name is not None
        },
        "checks": {column: given.check for column, given in columns.items() if given.check is not None},
        "extra_columns": data.get("extra_columns") or "drop",
        "optional": tuple(column for column, given in columns.items() if given.optional),
        "format": options,
        "references": {column: given.references for column, given in columns.items() if given.references is not None},
    }


def _column(contract: DatasetSchema, column: pa.Field) -> Any:
    data: dict[str, Any] = {"type": type_text(column.type)}
    if not column.nullable:
        data["nullable"] = False
    if column.name in contract.source_names:
        data["source_name"] = contract.source_names[column.name]
    check = contract.checks.get(column.name)
    for field in fields(Check) if check is not None else ():
        value = getattr(check, field.name)
        if value not in (None, (), field.default):
            data[field.name] = [plain_value(item) for item in value] if isinstance(value, tuple) else plain_value(value)
    if column.name in contract.references:
        data["references"] = contract.references[column.name]
    if column.name in contract.optional:
        data["optional"] = True
    return data if len(data) > 1 else data["type"]


class _Column:
    """The description of one column in YAML."""

    def __init__(self, kind: pa.DataType, data: Mapping[str, Any]) -> None:
        self.kind = kind
        self.nullable = bool(data.get("nullable", True))
        self.optional = bool(data.get("optional", False))
        self.source_name = data.get("source_name")
        self.references = data.get("references")
        rules = {field.name: data[field.name] for field in fields(Check) if data.get(field.name) is not None}
        for name in ("minimum", "maximum"):
            if name in rules:
                rules[name] = _value(rules[name], kind)
        if "allowed" in rules:
            rules["allowed"] = tuple(_value(item, kind) for item in rules["allowed"])
        self.check = Check(**rules) if rules else None


def _column_data(contract: str, column: object, given: object) -> _Column:
    where = f"Contract '{contract}', column '{column}'"
    data = {"type": given} if isinstance(given, str) else given
    if not isinstance(column, str) or not isinstance(data, dict) or not isinstance(data.get("type"), str):
        raise ConfigError(f"{where}: give its type, as 'type: int64'; found {given!r}.")
    _refuse_unknown(where, data, _COLUMN_KEYS)
    try:
        return _Column(parse_type(data["type"]), data)
    except (ConfigError, ValueError, decimal.InvalidOperation) as error:
        raise ConfigError(f"{where}: {error}") from None


def _refuse_unknown(where: str, data: Mapping[Any, Any], known: tuple[str, ...]) -> None:
    for key in data:
        if key not in known:
            raise ConfigError(
                f"{where}: unknown key '{key}'. Known are: {quoted(known)}.{did_you_mean(str(key), known)}"
            )


def changed_options(options: FormatOptions) -> dict[str, Any]:
    """Return the format options that differ from their defaults, as YAML values."""
    default = FormatOptions()
    changed = {field.name: getattr(options, field.name) for field in fields(FormatOptions)}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in changed.items()
        if value != getattr(default, name)
    }


def plain_value(value: Any) -> Any:
    """Return a rule's value as a YAML value, or as text that the column's type can parse."""
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if value is None or isinstance(value, bool | int | float | str | dt.date):
        return value
    return value.isoformat() if isinstance(value, dt.time) else str(value)


def _value(value: Any, kind: pa.DataType) -> Any:
    if pa.types.is_decimal(kind) and isinstance(value, str):
        return decimal.Decimal(value)
    if pa.types.is_time(kind) and isinstance(value, str):
        return dt.time.fromisoformat(value)
    if pa.types.is_duration(kind) and isinstance(value, int | float):
        return dt.timedelta(seconds=value)
    return value
