"""The data of contracts: columns, types, checks and format options."""

from loaders.schema.check import Check
from loaders.schema.dataset_schema import DatasetSchema
from loaders.schema.format_options import FormatOptions

__all__ = ["Check", "DatasetSchema", "FormatOptions"]
