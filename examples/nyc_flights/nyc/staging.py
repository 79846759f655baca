"""The tables in the staging bucket."""

import pandas as pd
from hamilton.function_modifiers import extract_columns

from caching import function_cache
from loaders import read_table
from nyc.contracts import AIRLINES, AIRPORTS, FLIGHTS, PLANES, WEATHER


@extract_columns(*FLIGHTS.columns)
@function_cache
def flights(flights_data_path: str) -> pd.DataFrame:
    """Flights that left New York in 2013; one row per scheduled flight."""
    return read_table(flights_data_path, FLIGHTS, allow=("s3",))


@extract_columns(*WEATHER.columns)
@function_cache
def weather(weather_data_path: str) -> pd.DataFrame:
    """Hourly weather; one row per airport and hour."""
    return read_table(weather_data_path, WEATHER, allow=("s3",))


@extract_columns(*PLANES.columns)
@function_cache
def planes(planes_data_path: str) -> pd.DataFrame:
    """Planes; one row per tail number."""
    return read_table(planes_data_path, PLANES, allow=("s3",))


@extract_columns(*AIRPORTS.columns)
@function_cache
def airports(airports_data_path: str) -> pd.DataFrame:
    """Airports; one row per FAA code."""
    return read_table(airports_data_path, AIRPORTS, allow=("s3",))


@extract_columns(*AIRLINES.columns)
@function_cache
def airlines(airlines_data_path: str) -> pd.DataFrame:
    """Airlines; one row per carrier code."""
    return read_table(airlines_data_path, AIRLINES, allow=("s3",))
