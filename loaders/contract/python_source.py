"""Write a contract as Python source."""

from __future__ import annotations

import pyarrow as pa

from loaders.errors import ConfigError
from loaders.schema import Check, DatasetSchema

# Types whose text is not the name of their pyarrow function.
_SPELLED = {
    pa.bool_(): "pa.bool_()",
    pa.float16(): "pa.float16()",
    pa.float32(): "pa.float32()",
    pa.float64(): "pa.float64()",
    pa.date32(): "pa.date32()",
    pa.date64(): "pa.date64()",
}


def contract_source(contract: DatasetSchema) -> str:
    """Return the Python statement that defines a contract, with the source's column names.

    >>> import pyarrow as pa
    >>> print(contract_source(DatasetContract("orders", pa.schema([("amount", pa.float64())]))))
    ORDERS = DatasetContract(
        "orders",
        pa.schema(
            [
                pa.field("amount", pa.float64()),
            ]
        ),
    )
    """
    lines = [f"{contract.name.upper()} = DatasetContract(", f"    {contract.name!r},".replace("'", '"')]
    lines += ["    pa.schema(", "        ["]
    names = {column: _schema_name(contract, column) for column in contract.columns}
    for column in contract.schema:
        nullable = "" if column.nullable else ", nullable=False"
        lines.append(f"            pa.field({_text(names[column.name])}, {type_source(column.type)}{nullable}),")
    lines += ["        ]", "    ),"]
    if contract.key:
        key = ", ".join(_text(names[column]) for column in contract.key)
        lines.append(f"    key=({key},)," if len(contract.key) == 1 else f"    key=({key}),")
    if contract.description:
        lines.append(f"    description={_text(contract.description)},")
    if contract.prefix:
        lines.append(f"    prefix={_text(contract.prefix)},")
    if contract.source_names:
        pairs = ", ".join(f"{_text(names[node])}: {_text(source)}" for node, source in contract.source_names.items())
        lines.append(f"    source_names={{{pairs}}},")
    if contract.checks:
        pairs = ", ".join(f"{_text(names[column])}: {_check(check)}" for column, check in contract.checks.items())
        lines.append(f"    checks={{{pairs}}},")
    if contract.optional:
        lines.append(f"    optional=({', '.join(_text(names[column]) for column in contract.optional)},),")
    if contract.format != type(contract.format)():
        lines.append(f"    format={_keywords(contract.format)},")
    return "\n".join([*lines, ")"])


def type_source(arrow_type: pa.DataType) -> str:
    """Return the Python expression for an Arrow type.

    >>> type_source(pa.timestamp("us", tz="UTC"))
    'pa.timestamp("us", tz="UTC")'
    """
    if arrow_type in _SPELLED:
        return _SPELLED[arrow_type]
    if pa.types.is_timestamp(arrow_type):
        zone = f", tz={_text(arrow_type.tz)}" if arrow_type.tz else ""
        return f"pa.timestamp({_text(arrow_type.unit)}{zone})"
    if pa.types.is_time(arrow_type) or pa.types.is_duration(arrow_type):
        maker = "duration" if pa.types.is_duration(arrow_type) else f"time{arrow_type.bit_width}"
        return f"pa.{maker}({_text(arrow_type.unit)})"
    if pa.types.is_decimal(arrow_type):
        return f"pa.decimal{arrow_type.bit_width}({arrow_type.precision}, {arrow_type.scale})"
    if pa.types.is_fixed_size_binary(arrow_type):
        return f"pa.binary({arrow_type.byte_width})"
    if pa.types.is_dictionary(arrow_type):
        parts = f"{type_source(arrow_type.index_type)}, {type_source(arrow_type.value_type)}"
        return f"pa.dictionary({parts}{', ordered=True' if arrow_type.ordered else ''})"
    if pa.types.is_list(arrow_type) or pa.types.is_large_list(arrow_type):
        maker = "large_list" if pa.types.is_large_list(arrow_type) else "list_"
        return f"pa.{maker}({type_source(arrow_type.value_type)})"
    if pa.types.is_struct(arrow_type):
        fields = ", ".join(f"({_text(item.name)}, {type_source(item.type)})" for item in arrow_type)
        return f"pa.struct([{fields}])"
    expression = f"pa.{arrow_type}()"
    if getattr(pa, str(arrow_type), lambda: None)() != arrow_type:
        raise ConfigError(f"Type {arrow_type} has no short Python expression; write its contract by hand.")
    return expression


def _schema_name(contract: DatasetSchema, column: str) -> str:
    return column.removeprefix(contract.prefix)


def _check(check: Check) -> str:
    return _keywords(check)


def _keywords(value: object) -> str:
    given = {
        name: item for name, item in vars(value).items() if item not in (None, ()) and not _is_default(value, name)
    }
    return f"{type(value).__name__}({', '.join(f'{name}={_text(item)}' for name, item in given.items())})"


def _is_default(value: object, name: str) -> bool:
    default = getattr(type(value), name, None)
    return bool(getattr(value, name) == default)


def _text(value: object) -> str:
    text = repr(value)
    return f'"{text[1:-1]}"' if text.startswith("'") and '"' not in text else text
