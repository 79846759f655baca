"""Type annotations as text."""

from __future__ import annotations

import typing
from typing import Any


def type_name(kind: Any) -> str:
    """Return a type as an annotation shows it, with its package: `pandas.DataFrame`."""
    if isinstance(kind, type) and not typing.get_args(kind):
        package = kind.__module__.split(".")[0]
        return kind.__qualname__ if package == "builtins" else f"{package}.{kind.__qualname__}"
    return str(kind).replace("typing.", "").replace("collections.abc.", "")
