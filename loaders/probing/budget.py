"""The number of bytes that a probe may fetch."""

from loaders.errors import LoaderError

#: The limit for one file.
BUDGET_BYTES = 256 << 10
#: The size of a head or tail.
PIECE_BYTES = 64 << 10


class OverBudgetError(LoaderError):
    """Raised when a probe would need more bytes than it may fetch."""
