"""A frame as its columns, each an entry of its own: what was cached for some columns serves calls for others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def split_columns(value: Any, columns: Sequence[str]) -> dict[str, pd.DataFrame] | None:
    """Return a frame's columns as frames of one column each; None for what is no plain frame of just these."""
    import pandas as pd

    if type(value) is not pd.DataFrame or list(value.columns) != list(columns) or value.attrs:
        return None
    return {column: value[[column]] for column in columns}


def join_columns(parts: Mapping[str, pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame | None:
    """Return the frame of the columns in this order, without copying; None where they have not the same rows."""
    import pandas as pd

    frames = [parts[column] for column in columns]
    if any(not frame.index.equals(frames[0].index) for frame in frames[1:]):
        return None
    return pd.concat(frames, axis=1)
