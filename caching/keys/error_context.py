"""Error for functions that cannot be keyed, with the place of the value that prevents it."""

from __future__ import annotations

from caching.keys.values import UnhashableError


class UnkeyableError(Exception):
    """Raised for a function whose result depends on something its code does not show; the text names it."""


class ErrorContext:
    """Adds the place of a value to the error that it cannot be encoded."""

    def __init__(self, part: str) -> None:
        self.part = part

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, UnhashableError):
            raise UnkeyableError(f"{self.part} holds a {error}") from error
