"""Make a frame or table what its contract says, exactly, or say what breaks it."""

from loaders.conforming.conformity import conform

__all__ = ["conform"]
