"""Take a dataset from frames in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, overload

import pandas as pd
import pyarrow as pa

from loaders.conforming import conform
from loaders.conforming.frame_kinds import Kind, kind_of
from loaders.errors import ConfigError
from loaders.names import did_you_mean, quoted
from loaders.schema import DatasetSchema

if TYPE_CHECKING:
    import polars as pl


@overload
def take_frame(
    frames: Mapping[str, Any], contract: DatasetSchema, *, frame: Literal["pandas"] = "pandas"
) -> pd.DataFrame: ...
@overload
def take_frame(frames: Mapping[str, Any], contract: DatasetSchema, *, frame: Literal["polars"]) -> pl.DataFrame: ...
@overload
def take_frame(frames: Mapping[str, Any], contract: DatasetSchema, *, frame: Literal["arrow"]) -> pa.Table: ...
def take_frame(frames: Mapping[str, Any], contract: DatasetSchema, *, frame: Kind = "pandas") -> Any:
    """Return a dataset's frame, which obeys its contract, from a mapping of dataset names to frames.

    The mapping may hold frames of pandas and polars and Arrow tables, which are not altered; `frame` is the kind of the
    result: "pandas", "polars" or "arrow".

    Raises:
        ConfigError: the frame is missing or is not a frame.
        ContractError: it breaks the contract.
    """
    if not isinstance(frames, Mapping):
        raise ConfigError(f"Input 'frames' must map dataset names to frames, found {type(frames).__name__}.")
    if contract.name not in frames:
        raise ConfigError(
            f"Input 'frames' has no frame for dataset '{contract.name}'; it has: {quoted(frames) or 'none'}."
            f"{did_you_mean(contract.name, frames)}"
        )
    data = frames[contract.name]
    if kind_of(data) is None:
        raise ConfigError(
            f"frames['{contract.name}'] must be a frame of pandas or polars or an Arrow table, found "
            f"{type(data).__name__}."
        )
    return conform(data, contract, location=f"frames['{contract.name}']", kind=frame)
