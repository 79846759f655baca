"""Convert a table or frame to what its contract says, exactly, or report what breaks the contract."""

from loaders.conforming.conformity import conform

__all__ = ["conform"]
