"""The column of one value that the path of a part gives, such as `year=2024/`."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from loaders.conforming.conformity import null_column
from loaders.conforming.exact_cast import type_name
from loaders.conforming.violation import Origin, Violation, contract_error
from loaders.formats.text_values import typed_text
from loaders.schema import DatasetSchema


def partition_column(
    name: str, partitions: Mapping[str, str | None], contract: DatasetSchema, rows: int, origin: Origin
) -> pa.ChunkedArray:
    """Return the column, by node name, for a number of rows; an optional one that the path does not give is null.

    Raises ContractError if its text is not a value of its type.
    """
    source_name = contract.source_name(name)
    if not {name, source_name} & partitions.keys():
        return null_column(contract, name, rows)
    field = contract.schema.field(name)
    text = partitions[source_name if source_name in partitions else name]
    one = typed_text(name, pa.chunked_array([pa.array([text], pa.large_string())]), field.type)
    if isinstance(one, Violation):
        wrong = f"{text!r} in the name of the folder, which is no {type_name(field.type)}"
        raise contract_error(contract.name, [Violation(name, wrong)], origin)
    return pa.chunked_array([pa.repeat(one[0], rows)])
