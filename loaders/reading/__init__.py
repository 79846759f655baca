"""One way in for every location: `read_table(location, contract)`."""

from loaders.reading.table import read_table
from loaders.reading.versions import register

# Where a remote version is asked for must be known before the first read: the cache asks first.
register()

__all__ = ["read_table"]
