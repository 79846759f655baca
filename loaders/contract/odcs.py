"""Write a contract as YAML of the Open Data Contract Standard (ODCS) v3.1.0, of the Bitol project.

https://bitol-io.github.io/open-data-contract-standard/v3.1.0/

Properties have the node names; `physicalName` is the source name if it differs. Arrow types are in `physicalType`, and
format options, which the standard lacks, in custom properties.
"""

from __future__ import annotations

import uuid
from typing import Any

import pyarrow as pa
import yaml

from loaders.conforming.exact_cast import kind
from loaders.contract.yaml_text import changed_options, plain_value
from loaders.schema import Check, DatasetSchema
from loaders.schema.type_names import type_text

VERSION = "v3.1.0"
# Contracts of the same name get the same id on every machine.
_NAMESPACE = uuid.UUID("4f0c9f0e-6f0b-5c3e-9d7a-1c1f5a2d8b6e")

_LOGICAL_TYPES = {
    "bool": "boolean",
    "integer": "integer",
    "float": "number",
    "decimal": "number",
    "text": "string",
    "binary": "string",
    "date": "date",
    "time": "time",
    "local time": "timestamp",
    "instant": "timestamp",
    "duration": "integer",
}


def to_odcs(contract: DatasetSchema) -> str:
    """Return the contract as an ODCS document in status `draft`; owners and terms are left to the user."""
    document: dict[str, Any] = {
        "apiVersion": VERSION,
        "kind": "DataContract",
        "id": str(uuid.uuid5(_NAMESPACE, contract.name)),
        "name": contract.name,
        "version": "1.0.0",
        "status": "draft",
    }
    if contract.description:
        document["description"] = {"purpose": contract.description}
    document["schema"] = [_object(contract)]
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)


def _object(contract: DatasetSchema) -> dict[str, Any]:
    found: dict[str, Any] = {"name": contract.name, "logicalType": "object", "physicalType": "table"}
    if contract.description:
        found["description"] = contract.description
    found["properties"] = [_property(contract, column) for column in contract.schema]
    if len(contract.key) > 1:
        names = list(contract.key)
        found["quality"] = [
            {
                "type": "library",
                "metric": "duplicateValues",
                "arguments": {"properties": names},
                "mustBe": 0,
                "description": f"{', '.join(names)} identify a row.",
            }
        ]
    custom = {"extraColumns": contract.extra_columns, **changed_options(contract.format)}
    found["customProperties"] = [{"property": name, "value": value} for name, value in custom.items()]
    return found


def _property(contract: DatasetSchema, column: pa.Field) -> dict[str, Any]:
    found: dict[str, Any] = {"name": column.name}
    if contract.source_name(column.name) != column.name:
        found["physicalName"] = contract.source_name(column.name)
    found |= _type(column.type)
    found["required"] = not column.nullable or column.name in contract.key
    if column.name in contract.key:
        found["primaryKey"] = True
        found["primaryKeyPosition"] = contract.key.index(column.name) + 1
    if contract.key == (column.name,):
        found["unique"] = True
    check = contract.checks.get(column.name)
    if check is not None:
        options, quality = _rules(check, found["logicalType"])
        if options:
            found["logicalTypeOptions"] = options
        if quality:
            found["quality"] = quality
    if column.name in contract.references:
        target = contract.references[column.name]
        dataset = target.partition(".")[0]
        # Each contract is a separate document in the same folder.
        document = "" if dataset == contract.name else f"{dataset}.odcs.yaml#"
        found["relationships"] = [{"type": "foreignKey", "to": f"{document}{target}"}]
    return found


def _type(arrow_type: pa.DataType) -> dict[str, Any]:
    plain = arrow_type.value_type if pa.types.is_dictionary(arrow_type) else arrow_type
    physical = {"physicalType": type_text(arrow_type)}
    if pa.types.is_struct(plain):
        properties = [{"name": field.name, **_type(field.type), "required": not field.nullable} for field in plain]
        return {"logicalType": "object", **physical, "properties": properties}
    if pa.types.is_map(plain):
        return {"logicalType": "object", **physical}
    if pa.types.is_nested(plain):
        return {"logicalType": "array", **physical, "items": _type(plain.value_type)}
    return {"logicalType": _LOGICAL_TYPES[kind(plain)], **physical}


def _rules(check: Check, logical_type: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a check's rules as options of the type and as quality checks."""
    options: dict[str, Any] = {}
    for name, value in (("minimum", check.minimum), ("maximum", check.maximum)):
        if value is not None:
            number = logical_type in ("integer", "number")
            options[name] = _number(value) if number else str(plain_value(value))
    if check.pattern is not None:
        # A Check's pattern matches the whole text; the standard's is a JSON Schema pattern, which searches.
        options["pattern"] = f"^(?:{check.pattern})$"
    quality = []
    if check.allowed:
        quality.append(
            {
                "type": "library",
                "metric": "invalidValues",
                "arguments": {"validValues": [plain_value(value) for value in check.allowed]},
                "mustBe": 0,
            }
        )
    return options, quality


def _number(value: Any) -> Any:
    plain = plain_value(value)
    return plain if isinstance(plain, int | float) else float(plain)
