"""The datasets from local files, for development."""

import pandas as pd
from hamilton.function_modifiers import extract_columns

from caching import function_cache
from loaders import read_table
from loaders.contracts import MARKETING_SPEND


@extract_columns(*MARKETING_SPEND.columns)
@function_cache
def marketing_spend(marketing_spend_data_path: str) -> pd.DataFrame:
    """Weekly marketing spend; one row per week."""
    return read_table(marketing_spend_data_path, MARKETING_SPEND, allow=("file",))
