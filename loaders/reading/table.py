"""`read_table`: the one way from a location to the frame that a contract promises."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Sequence

import pandas as pd

from loaders.active_environment import in_this_environment
from loaders.conform import frame_of, typed_table, wanted_columns
from loaders.contract import DatasetContract
from loaders.reading.formats import parse
from loaders.reading.location import Location, parse_location, refuse_others
from loaders.reading.source import Source
from loaders.violation import Origin


def read_table(
    location: str | os.PathLike[str],
    contract: DatasetContract,
    *,
    columns: Sequence[str] | None = None,
    allow: Collection[str] | None = None,
) -> pd.DataFrame:
    """Return the dataset at a location as its contract says: verified bytes, exact values, checked rules.

    Args:
        location: a path or a URL of a file.
        contract: what the frame is to be.
        columns: the columns wanted, by node name; all where None.
        allow: the protocols that the calling source reads, such as `("file",)` or `("s3",)`; any where None.

    Raises:
        ReadError: the location cannot be read whole and unaltered.
        ContractError: what it holds breaks the contract.
        ConfigError: the location is none that `allow` names.
    """
    place = parse_location(location)
    refuse_others(place, allow, sys._getframe(1).f_globals.get("__name__", "").rpartition(".")[2])
    contract = in_this_environment(contract)
    wanted = wanted_columns(contract, columns)
    origin = Origin(place.shown)
    source = open_source(place)
    try:
        table = typed_table(parse(source, contract, wanted), contract, wanted, origin)
    finally:
        source.close()
    return frame_of(table, contract, origin)


def open_source(location: Location) -> Source:
    """Return the object at a location, pinned at its present version."""
    if location.protocol == "file":
        from loaders.reading.local_file import LocalFile

        return LocalFile(location)
    from loaders.reading.s3 import S3Object

    return S3Object(location)
