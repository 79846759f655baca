"""A parse request: the contract, the columns and the format options for one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from loaders.conforming.conformity import match_columns
from loaders.conforming.violation import Origin
from loaders.schema import DatasetSchema
from loaders.schema.format_options import FormatOptions


@dataclass(frozen=True)
class Request:
    """The columns to parse from one file, and the format options.

    Attributes:
        contract: the dataset's contract.
        options: the format options.
        wanted: the columns, by node name, in the contract's order.
        given: texts of columns in the file's path, such as `year=2024/`; columns in the file have precedence.
        origin: the file, for errors.
    """

    contract: DatasetSchema
    options: FormatOptions
    wanted: tuple[str, ...]
    origin: Origin
    given: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """The file's location, safe to print."""
        return self.origin.location

    def match(self, found: Sequence[str]) -> dict[str, pa.Field]:
        """Return name and field of each wanted column that is in a file with these names.

        Raises ContractError for columns that are missing, repeated or unexpected.
        """
        names = match_columns(found, self.contract, self.wanted, self.origin, self.given)
        return {source_name: self.contract.schema.field(name) for name, source_name in names.items()}
