"""`read_table`, `read_polars` and `read_arrow`: from a location to a verified frame that obeys its contract."""

from __future__ import annotations

import contextvars
import os
import sys
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from caching import record_rule, versioned_reads
from loaders.clients.cancellation import active_cancellation, cancellable, results_of
from loaders.clients.client import client_for
from loaders.clients.location import Location, parse_location, refuse_others
from loaders.clients.progress import Tracker
from loaders.clients.source import ChangedError, MissingError, Source
from loaders.conforming.conformity import checked_frame, typed_table, wanted_columns
from loaders.conforming.frame_kinds import Kind
from loaders.conforming.violation import Origin
from loaders.errors import ConfigError
from loaders.formats.formats import parse
from loaders.formats.request import Request
from loaders.reading.batches import first_table
from loaders.reading.partition import partition_column
from loaders.reading.parts import Part, folder_parts, parts_of
from loaders.reading.selection import first_rows, needed_columns
from loaders.reading.versions import record_local, record_remote
from loaders.schema import DatasetSchema
from loaders.schema.active_format import active_format
from loaders.schema.format_options import FormatOptions

if TYPE_CHECKING:
    import polars as pl

# An object overwritten while it is read is read again, as it is then; one that never rests is an error.
_VERSIONS = 3
_PARTS_AT_A_TIME = 8


def read_table(
    location: str | os.PathLike[str],
    contract: DatasetSchema,
    *,
    columns: Sequence[str] | None = None,
    allow: Collection[str] | None = None,
    version: str | None = None,
) -> pd.DataFrame:
    """Return the dataset at a location as a pandas frame that obeys its contract.

    Its bytes are verified, its values exact, its rules checked.

    Args:
        location: a path or a URL of a file, a pattern (`parts/*.csv`), or a folder of parts.
        contract: the dataset's contract.
        columns: the wanted columns, by node name; None for those that the running dataflow needs, or all.
        allow: the protocols that the calling source reads, such as `("file",)` or `("s3",)`; None for any.
        version: the version id (S3) or generation (Google Cloud Storage) of the object to read; None for the present.

    Raises:
        ReadError: the location cannot be read completely and unchanged.
        ContractError: the data breaks the contract.
        ConfigError: `allow` does not name the location's protocol.
    """
    frame: pd.DataFrame = _read(sys._getframe(1), "pandas", location, contract, columns, allow, version)
    return frame


def read_polars(
    location: str | os.PathLike[str],
    contract: DatasetSchema,
    *,
    columns: Sequence[str] | None = None,
    allow: Collection[str] | None = None,
    version: str | None = None,
) -> pl.DataFrame:
    """Return the dataset at a location as a polars frame that obeys its contract.

    It is read as by `read_table`, which describes the arguments. The memory is that of the Arrow table where polars has
    the same layout. `loaders.conforming.frame_kinds` lists the dtypes; a type that polars lacks is a ConfigError.
    """
    frame: pl.DataFrame = _read(sys._getframe(1), "polars", location, contract, columns, allow, version)
    return frame


def read_arrow(
    location: str | os.PathLike[str],
    contract: DatasetSchema,
    *,
    columns: Sequence[str] | None = None,
    allow: Collection[str] | None = None,
    version: str | None = None,
) -> pa.Table:
    """Return the dataset at a location as an Arrow table of the contract's schema.

    It is read as by `read_table`, which describes the arguments.
    """
    return _read(sys._getframe(1), "arrow", location, contract, columns, allow, version)


READERS = (read_table, read_polars, read_arrow)


def _read(
    caller: FrameType,
    kind: Kind,
    location: str | os.PathLike[str],
    contract: DatasetSchema,
    columns: Sequence[str] | None,
    allow: Collection[str] | None,
    version: str | None,
) -> Any:
    if not isinstance(contract, DatasetSchema):
        name = caller.f_code.co_name
        raise ConfigError(f"The readers take the dataset's DatasetContract, found {type(contract).__name__} in {name}.")
    place = parse_location(location)
    refuse_others(place, allow, str(caller.f_globals.get("__name__", "")).rpartition(".")[2])
    wanted = wanted_columns(contract, needed_columns(caller) if columns is None else columns)
    if len(contract.key) > 1:
        record_rule(contract.key)
    limit = first_rows()
    if limit is not None:
        table = first_table(place, contract, wanted, version, limit)
        return checked_frame(table, contract, Origin(place.shown), table.num_rows, kind)
    with Tracker(contract.name, place.shown) as tracker, versioned_reads():
        return _Reading(contract, wanted, active_format(contract), tracker, version, kind).read(place)


class _Reading:
    """One call of `read_table`."""

    def __init__(
        self,
        contract: DatasetSchema,
        wanted: tuple[str, ...],
        options: FormatOptions,
        tracker: Tracker,
        version: str | None,
        kind: Kind,
    ) -> None:
        self._contract = contract
        self._wanted = wanted
        self._options = options
        self._tracker = tracker
        self._version_id = version
        self._kind: Kind = kind
        self._versions: dict[str, str] = {}

    def read(self, location: Location) -> Any:
        """Return the frame of all parts."""
        parts = parts_of(location, self._options)
        if location.protocol == "file":
            record_local(location, parts)
        try:
            tables = self._tables(parts)
        except MissingError as missing:
            parts = folder_parts(location, self._options, missing)
            if not parts:
                raise
            tables = self._tables(parts)
        if location.protocol != "file":
            record_remote(location, self._versions, self._version_id)
        shown = [part.location.shown for part in parts]
        rows = [count for _, count in tables]
        table = pa.concat_tables([table for table, _ in tables])
        del tables
        origin = Origin(location.shown, tuple(zip(shown, rows, strict=True)))
        return checked_frame(table, self._contract, origin, sum(rows), self._kind)

    def _tables(self, parts: list[Part]) -> list[tuple[pa.Table, int]]:
        if len(parts) == 1:
            return [self._table(parts[0])]
        executor = ThreadPoolExecutor(min(_PARTS_AT_A_TIME, len(parts)), thread_name_prefix="sourceswap-part")
        try:
            with cancellable():
                # Each in a copy of the context: the storage settings and the observer of progress are in it.
                return results_of(
                    [executor.submit(contextvars.copy_context().run, self._table, part) for part in parts]
                )
        finally:
            # A file system of fsspec's may not notice for long that its read is cancelled.
            executor.shutdown(wait=False)

    def _table(self, part: Part) -> tuple[pa.Table, int]:
        """Return rows and typed columns of one file; if it is overwritten meanwhile, of its next version."""
        for version in range(1, _VERSIONS + 1):
            try:
                return self._version(part)
            except ChangedError:
                if version == _VERSIONS:
                    raise
        raise AssertionError("unreachable")

    def _version(self, part: Part) -> tuple[pa.Table, int]:
        active_cancellation().check()
        source = client_for(part.location).open(part.location, self._tracker, self._version_id)
        origin = Origin(part.location.shown)
        try:
            table = parse(source, Request(self._contract, self._options, self._wanted, origin, part.partitions))
        except BaseException as error:
            _close_after(error, source)
            raise
        source.close()
        self._versions[part.location.url] = source.version
        columns = {
            name: table[name]
            if name in table.column_names
            else partition_column(name, part.partitions, self._contract, table.num_rows, origin)
            for name in self._wanted
        }
        return typed_table(columns, self._contract, origin), table.num_rows


def _close_after(error: BaseException, source: Source) -> None:
    """Close a source after parsing failed; if it changed meanwhile, that is the better explanation."""
    try:
        source.close()
    except ChangedError as change:
        raise change from error
