"""Take a dataset from frames in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from loaders.conforming import conform
from loaders.errors import ConfigError
from loaders.names import did_you_mean, quoted
from loaders.schema import DatasetSchema


def take_frame(frames: Mapping[str, Any], contract: DatasetSchema) -> pd.DataFrame:
    """Return a dataset's frame from a mapping of dataset names to frames, as its contract says.

    The caller's frame is not altered. Raises ConfigError where the frame is missing or no frame, ContractError
    where it breaks the contract.
    """
    if not isinstance(frames, Mapping):
        raise ConfigError(f"Input 'frames' must map dataset names to frames, found {type(frames).__name__}.")
    if contract.name not in frames:
        raise ConfigError(
            f"Input 'frames' has no frame for dataset '{contract.name}'; it has: {quoted(frames) or 'none'}."
            f"{did_you_mean(contract.name, frames)}"
        )
    frame = frames[contract.name]
    if not isinstance(frame, pd.DataFrame):
        raise ConfigError(f"frames['{contract.name}'] must be a pandas DataFrame, found {type(frame).__name__}.")
    return conform(frame, contract, location=f"frames['{contract.name}']")
