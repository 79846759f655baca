"""The tables as frames that a test hands in."""

from collections.abc import Mapping

import pandas as pd
from hamilton.function_modifiers import extract_columns

from loaders import take_frame
from nyc.contracts import AIRLINES, AIRPORTS, FLIGHTS, PLANES, WEATHER


@extract_columns(*FLIGHTS.columns)
def flights(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Flights that left New York in 2013; one row per scheduled flight."""
    return take_frame(frames, FLIGHTS)


@extract_columns(*WEATHER.columns)
def weather(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Hourly weather; one row per airport and hour."""
    return take_frame(frames, WEATHER)


@extract_columns(*PLANES.columns)
def planes(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Planes; one row per tail number."""
    return take_frame(frames, PLANES)


@extract_columns(*AIRPORTS.columns)
def airports(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Airports; one row per FAA code."""
    return take_frame(frames, AIRPORTS)


@extract_columns(*AIRLINES.columns)
def airlines(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Airlines; one row per carrier code."""
    return take_frame(frames, AIRLINES)
