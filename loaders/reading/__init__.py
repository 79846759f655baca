"""One way in for every location: `read_table(location, contract)`."""

from loaders.reading.table import read_table

__all__ = ["read_table"]
