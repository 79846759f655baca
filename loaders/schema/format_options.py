"""Format options: delimiter, encoding, compression and the like of a dataset's files."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loaders.errors import OptionError

FORMATS = ("csv", "parquet", "feather", "jsonl")
COMPRESSIONS = ("none", "gzip", "zstd", "bz2", "xz")

_KIND = "Format option"
# Python lists them as text encodings, but they encode host names or nothing.
_NAME_CODECS = ("idna", "punycode", "undefined")


@dataclass(frozen=True, kw_only=True)
class FormatOptions:
    """Options for reading a dataset's files; part of its contract. An environment may override single options.

    Raises ConfigError for impossible options.

    Args:
        format: one of `FORMATS`; None detects it from the location's name or the first bytes.
        compression: one of `COMPRESSIONS`; None detects it from the name, "none" means uncompressed.
        delimiter: the text between the fields of a CSV; None is a comma, or a tab if the name ends in `.tsv`.
        quote_char: the quote around fields of a CSV with delimiters, quotes or line ends; "" disables quoting.
        null_values: texts that mean null in a CSV. In a text column only unquoted fields can be null, so that a quoted
            empty field is the empty text; with `()` a text column has no nulls.
        encoding: the encoding of CSV and JSON Lines; any that Python knows.
        hive_partitions: whether folders named `column=value` give columns of a dataset in parts.
    """

    format: str | None = None
    compression: str | None = None
    delimiter: str | None = None
    quote_char: str = '"'
    null_values: tuple[str, ...] = ("",)
    encoding: str = "utf-8"
    hive_partitions: bool = True

    def __post_init__(self) -> None:
        refuse_impossible(vars(self))
        object.__setattr__(self, "null_values", tuple(self.null_values))
        if self.quote_char and self.quote_char == self.delimiter:
            problem = f"must differ from the quote_char {self.quote_char!r}"
            raise OptionError(_KIND, "delimiter", problem, repr(self.delimiter))
        if self.delimiter is None and self.quote_char in (",", "\t"):
            problem = "must not be a comma or tab without a delimiter, because the file's name then chooses one of them"
            raise OptionError(_KIND, "quote_char", problem, repr(self.quote_char))


def refuse_impossible(options: Mapping[str, Any]) -> None:
    """Raise OptionError for an option value that is impossible regardless of the other options."""
    for name, value in options.items():
        problem = _problem(name, value)
        if problem:
            raise OptionError(_KIND, name, problem, repr(value))


def _problem(name: str, value: Any) -> str | None:
    """Return the condition that an option violates, or None."""
    match name:
        case "format" | "compression":
            known = FORMATS if name == "format" else COMPRESSIONS
            return None if value is None or value in known else f"must be one of {', '.join(known)}"
        case "delimiter":
            fits = value is None or _is_one_character(value)
            return None if fits else "must be one ASCII character other than a line end"
        case "quote_char":
            fits = value == "" or _is_one_character(value)
            return None if fits else "must be one ASCII character other than a line end, or ''"
        case "null_values":
            # A text is a sequence of texts as well: "NA" would mean "N" and "A".
            fits = isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
            return None if fits else "must be a list or tuple of texts, such as ('', 'NA')"
        case "encoding":
            return None if _is_encoding(value) else "must name a text encoding that Python knows, such as 'latin-1'"
        case "hive_partitions":
            return None if isinstance(value, bool) else "must be true or false"
    return None


def _is_one_character(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 1 and value.isascii() and value not in "\n\r\0"


def _is_encoding(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        # Python refuses codecs that do not convert between text and bytes, such as rot13 and base64.
        "".encode(value)
        return codecs.lookup(value).name not in _NAME_CODECS
    except (LookupError, ValueError):
        return False
