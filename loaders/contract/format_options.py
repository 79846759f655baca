"""How a dataset's files are written, where the format alone does not say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from loaders.errors import ConfigError

if TYPE_CHECKING:
    from loaders.contract import DatasetContract

FORMATS = ("csv", "parquet", "feather", "jsonl")
COMPRESSIONS = ("none", "gzip", "zstd", "bz2", "xz")


@dataclass(frozen=True, kw_only=True)
class FormatOptions:
    """Options for reading a dataset's files; part of its contract, an environment may override single ones.

    Args:
        format: one of `FORMATS`; None tells it from the location's name, or from the first bytes.
        compression: one of `COMPRESSIONS`; None tells it from the name, "none" says that there is none.
        delimiter: between the fields of a CSV; None is a comma, or a tab where the name ends in `.tsv`.
        quote_char: around fields of a CSV that hold delimiters, quotes or line ends; "" where quotes mean nothing.
        null_values: texts that stand for null in a CSV. In a text column they do only unquoted, so that a quoted empty
            field is the empty text; with `()` every field of a text column is text.
        encoding: of CSV and JSON Lines; any that Python knows.
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
        object.__setattr__(self, "null_values", tuple(self.null_values))
        for option, value, known in (("format", self.format, FORMATS), ("compression", self.compression, COMPRESSIONS)):
            if value is not None and value not in known:
                raise ConfigError(f"Format option {option} must be one of {', '.join(known)}; found {value!r}.")
        if self.delimiter is not None and len(self.delimiter.encode()) != 1:
            raise ConfigError(f"Format option delimiter must be one ASCII character; found {self.delimiter!r}.")
        if len(self.quote_char.encode()) > 1:
            raise ConfigError(f"Format option quote_char must be one ASCII character or ''; found {self.quote_char!r}.")
        try:
            "".encode(self.encoding)
        except LookupError:
            raise ConfigError(f"Format option encoding is unknown to Python: {self.encoding!r}.") from None


_overrides: ContextVar[Mapping[str, Mapping[str, Any]] | None] = ContextVar("sourceswap_formats", default=None)


def active_format(contract: DatasetContract) -> FormatOptions:
    """Return how the dataset's files are written: as its contract says, unless the environment overrides it."""
    return replace(contract.format, **(_overrides.get() or {}).get(contract.name, {}))


@contextmanager
def use_formats(overrides: Mapping[str, Mapping[str, Any]]) -> Iterator[None]:
    """Override single format options, by dataset, for reads in this context."""
    token = _overrides.set(overrides)
    try:
        yield
    finally:
        _overrides.reset(token)
