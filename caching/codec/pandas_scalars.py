"""pandas scalars: timestamps, periods, intervals, missing values, offsets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from caching.codec.coder import Decoder, Encoder, Node, NotExact, Writer, reads, writes

_CLOCKS = {"M": np.datetime64, "m": np.timedelta64}


@writes(type(pd.NaT), immutable=True)
def _write_nat(encoder: Encoder, value: object) -> Node:
    return ["pd.NaT"]


@reads("pd.NaT")
def _read_nat(decoder: Decoder) -> object:
    return pd.NaT


@writes(type(pd.NA), immutable=True)
def _write_na(encoder: Encoder, value: object) -> Node:
    return ["pd.NA"]


@reads("pd.NA")
def _read_na(decoder: Decoder) -> object:
    return pd.NA


@writes(pd.Timestamp, immutable=True)
def _write_timestamp(encoder: Encoder, value: pd.Timestamp) -> Node:
    node = ["pd.timestamp", int(value.asm8.view("i8")), value.unit, encoder.encode(value.tzinfo), value.fold]
    if value.tzinfo is not None:
        again = _make_timestamp(int(value.asm8.view("i8")), value.unit, value.tzinfo, value.fold)
        if again.tzinfo is not value.tzinfo and again.tzinfo != value.tzinfo:
            raise NotExact("it contains a pandas Timestamp whose time zone pandas would replace")
    return node


def _make_timestamp(count: int, unit: str, zone: Any, fold: Any) -> pd.Timestamp:
    stamp = pd.Timestamp(np.datetime64(count, unit))  # type: ignore[call-overload]
    if zone is not None:
        stamp = stamp.tz_localize("UTC").tz_convert(zone)
    return stamp if stamp.fold == fold else stamp.replace(fold=fold)


@reads("pd.timestamp")
def _read_timestamp(decoder: Decoder, count: int, unit: str, zone: Node, fold: int) -> pd.Timestamp:
    return _make_timestamp(count, unit, decoder.decode(zone), fold)


@writes(pd.Timedelta, immutable=True)
def _write_timedelta(encoder: Encoder, value: pd.Timedelta) -> Node:
    return ["pd.timedelta", int(value.asm8.view("i8")), value.unit]


@reads("pd.timedelta")
def _read_timedelta(decoder: Decoder, count: int, unit: str) -> pd.Timedelta:
    return pd.Timedelta(np.timedelta64(count, unit))  # type: ignore[call-overload]


@writes(pd.Period, immutable=True)
def _write_period(encoder: Encoder, value: pd.Period) -> Node:
    return ["pd.period", value.ordinal, encoder.encode(value.freq)]


@reads("pd.period")
def _read_period(decoder: Decoder, ordinal: int, freq: Node) -> pd.Period:
    return pd.Period(ordinal=ordinal, freq=decoder.decode(freq))


@writes(pd.Interval, immutable=True)
def _write_interval(encoder: Encoder, value: Any) -> Node:
    return ["pd.interval", encoder.encode(value.left), encoder.encode(value.right), value.closed]


@reads("pd.interval")
def _read_interval(decoder: Decoder, left: Node, right: Node, closed: Any) -> Any:
    return pd.Interval(decoder.decode(left), decoder.decode(right), closed)


def find_offset_writer(kind: type) -> Writer | None:
    """Return how date offsets are written: those of pandas itself, not the user's own."""
    if issubclass(kind, pd.offsets.BaseOffset) and getattr(pd.offsets, kind.__name__, None) is kind:
        return _write_offset
    return None


def _write_offset(encoder: Encoder, value: Any) -> Node:
    if _by_name(value):
        return ["pd.offset", value.freqstr]
    # The calendar follows from the week mask and the holidays.
    options = {name: option for name, option in value.kwds.items() if name != "calendar"}
    again = type(value)(value.n, normalize=value.normalize, **options)
    if again != value or again.kwds.keys() != value.kwds.keys() or not _same_calendar(again, value):
        raise NotExact(f"it contains the date offset {value!r}, which its own description does not bring back")
    return ["pd.offset*", type(value).__name__, value.n, value.normalize, encoder.encode(options)]


def _same_calendar(one: Any, other: Any) -> bool:
    first, second = one.kwds.get("calendar"), other.kwds.get("calendar")
    if first is None or second is None:
        return first is second
    return np.array_equal(first.weekmask, second.weekmask) and np.array_equal(first.holidays, second.holidays)


def _by_name(value: Any) -> bool:
    try:
        again = to_offset(value.freqstr)
    except (ValueError, AttributeError, KeyError):
        return False
    return type(again) is type(value) and again == value and again.kwds == value.kwds


@reads("pd.offset")
def _read_offset(decoder: Decoder, name: str) -> Any:
    return to_offset(name)


@reads("pd.offset*")
def _read_offset_by_parts(decoder: Decoder, name: str, n: int, normalize: bool, options: Node) -> Any:
    kind = getattr(pd.offsets, name)
    if not issubclass(kind, pd.offsets.BaseOffset):
        raise TypeError(f"{name} is no date offset")
    return kind(n, normalize=normalize, **decoder.decode(options))
