"""What makes a function's calls impossible to key, said in terms of its code."""

from __future__ import annotations

from caching.keys.values import UnhashableError


class UnkeyableError(Exception):
    """A function whose result depends on what its code does not tell; the text says on what."""


class Blame:
    """Turns a value that cannot be encoded into a function that cannot be keyed, saying where the value lies."""

    def __init__(self, part: str) -> None:
        self.part = part

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, UnhashableError):
            raise UnkeyableError(f"{self.part} holds a {error}") from error
