"""The same datasets in one module that uses Hamilton's `@config.when` instead of one module for each source.

Hamilton silently drops a function whose `@config.when` does not match; `build_driver` checks `data_source`, so that a
misspelt value is an error.
"""

from collections.abc import Mapping

import pandas as pd
from hamilton.function_modifiers import config, extract_columns

from caching import function_cache
from loaders import read_table, take_frame
from loaders.contracts import MARKETING_SPEND


@config.when(data_source="local")
@extract_columns(*MARKETING_SPEND.columns)
@function_cache
def marketing_spend__local(marketing_spend_data_path: str) -> pd.DataFrame:
    """Weekly marketing spend; one row per week."""
    return read_table(marketing_spend_data_path, MARKETING_SPEND, allow=("file",))


@config.when_in(data_source=["staging", "prod"])
@extract_columns(*MARKETING_SPEND.columns)
@function_cache
def marketing_spend__bucket(marketing_spend_data_path: str) -> pd.DataFrame:
    """Weekly marketing spend; one row per week."""
    return read_table(marketing_spend_data_path, MARKETING_SPEND, allow=("s3",))


@config.when(data_source="in_memory")
@extract_columns(*MARKETING_SPEND.columns)
def marketing_spend__in_memory(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Weekly marketing spend; one row per week."""
    return take_frame(frames, MARKETING_SPEND)
