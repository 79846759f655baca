"""Rules for the values of a column."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from loaders.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Check:
    """Rules for the values of a column; they do not apply to nulls.

    `minimum` and `maximum` are inclusive; `allowed` lists every permitted value; `pattern` is a regular expression
    that must match the whole text. Values that break rules of the `severity` "warning" are reported by a LoaderWarning,
    and the frame is returned; of "error" they raise ContractError.
    """

    minimum: Any = None
    maximum: Any = None
    allowed: tuple[Any, ...] = ()
    pattern: str | None = None
    severity: Literal["error", "warning"] = "error"

    def __post_init__(self) -> None:
        if isinstance(self.allowed, str) or not isinstance(self.allowed, Iterable):
            raise ConfigError(f"Check allowed must list the values, as allowed=('a', 'b'); found {self.allowed!r}.")
        object.__setattr__(self, "allowed", tuple(self.allowed))
        if _exceeds(self.minimum, self.maximum):
            raise ConfigError(f"Check minimum {self.minimum!r} is above its maximum {self.maximum!r}; no value fits.")
        if self.severity not in ("error", "warning"):
            raise ConfigError(f"Check severity must be 'error' or 'warning'; found {self.severity!r}.")
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except (re.error, TypeError) as error:
                raise ConfigError(
                    f"Check pattern {self.pattern!r} is not a valid regular expression: {error}."
                ) from None

    def __str__(self) -> str:
        """Return the rules as text for `show`."""
        bounds = [("≥", self.minimum), ("≤", self.maximum)]
        rules = [f"{sign} {value}" for sign, value in bounds if value is not None]
        if self.allowed:
            rules.append(f"one of {', '.join(map(str, self.allowed))}")
        if self.pattern is not None:
            rules.append(f"matches {self.pattern}")
        return ", ".join(rules) + (" (warning)" if self.severity == "warning" else "")


def _exceeds(minimum: Any, maximum: Any) -> bool:
    try:
        return minimum is not None and maximum is not None and bool(minimum > maximum)
    except TypeError:
        return False
