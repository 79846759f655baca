"""The datasets from frames passed by the caller, for tests."""

from collections.abc import Mapping

import pandas as pd
from hamilton.function_modifiers import extract_columns

from loaders import take_frame
from loaders.contracts import MARKETING_SPEND


@extract_columns(*MARKETING_SPEND.columns)
def marketing_spend(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Weekly marketing spend; one row per week."""
    return take_frame(frames, MARKETING_SPEND)
