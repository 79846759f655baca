"""Convert a table or frame exactly to the columns and types of its contract, or report the violations."""

from loaders.conforming.conformity import conform

__all__ = ["conform"]
