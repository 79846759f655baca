"""What delays a flight: the carrier, the weather at departure, the age of the plane."""

import pandas as pd


def delay_by_carrier(
    flights_carrier: pd.Series,
    flights_arr_delay: pd.Series,
    airlines_carrier: pd.Series,
    airlines_name: pd.Series,
) -> pd.DataFrame:
    """Flights that arrived and their mean arrival delay in minutes; one row per airline, the latest first."""
    names = pd.Series(airlines_name.array, index=airlines_carrier.array, name="airline")
    delays = _delays(flights_arr_delay, flights_carrier.rename("carrier"))
    return delays.join(names).set_index("airline").sort_values("mean_arr_delay", ascending=False).reset_index()


def visibility_at_departure(
    flights_origin: pd.Series,
    flights_time_hour: pd.Series,
    weather_origin: pd.Series,
    weather_time_hour: pd.Series,
    weather_visib: pd.Series,
) -> pd.Series:
    """Visibility in miles at the airport in the hour of the scheduled departure; one value per flight."""
    observed = pd.Series(
        weather_visib.array, index=pd.MultiIndex.from_arrays([weather_origin.array, weather_time_hour.array])
    )
    wanted = pd.MultiIndex.from_arrays([flights_origin.array, flights_time_hour.array])
    return pd.Series(observed.reindex(wanted).array, index=flights_origin.index, name="visibility")


def delay_by_visibility(flights_arr_delay: pd.Series, visibility_at_departure: pd.Series) -> pd.DataFrame:
    """Flights that arrived and their mean arrival delay in minutes; one row per band of visibility in miles."""
    bands = pd.cut(visibility_at_departure, [0, 1, 3, 6, 10], include_lowest=True).astype(str)
    return _delays(flights_arr_delay, bands).reset_index()


def plane_age(
    flights_year: pd.Series, flights_tailnum: pd.Series, planes_tailnum: pd.Series, planes_year: pd.Series
) -> pd.Series:
    """Years between the making of the plane and the flight; one value per flight, missing where unknown."""
    made = pd.Series(planes_year.array, index=planes_tailnum.array)
    return (flights_year - flights_tailnum.map(made).astype("Int64")).rename("plane_age")


def delay_by_plane_age(flights_arr_delay: pd.Series, plane_age: pd.Series) -> pd.DataFrame:
    """Flights that arrived and their mean arrival delay in minutes; one row per age of plane in years."""
    return _delays(flights_arr_delay, plane_age).reset_index()


def _delays(arr_delay: pd.Series, group: pd.Series) -> pd.DataFrame:
    arrived = arr_delay.notna()
    groups = arr_delay[arrived].astype("float64").groupby(group[arrived])
    return groups.agg(flights="size", mean_arr_delay="mean").round({"mean_arr_delay": 2})
