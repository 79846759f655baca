"""How a dataset's files are written, where the format alone does not say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FormatOptions:
    """Options for reading a dataset's files; part of its contract, an environment may override single ones.

    `format` and `compression` are told from the location's name where they are None. `null_values` are the texts
    that stand for null in CSV; a quoted one counts as well.
    """

    format: str | None = None
    compression: str | None = None
    delimiter: str = ","
    quote_char: str = '"'
    null_values: tuple[str, ...] = ("",)
    encoding: str = "utf-8"
