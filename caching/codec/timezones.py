"""Time zones: zoneinfo, and pytz and dateutil where they are installed."""

from __future__ import annotations

import datetime
from importlib import import_module
from typing import Any
from zoneinfo import ZoneInfo

from caching.codec.coder import (
    Damaged,
    Decoder,
    Encoder,
    Node,
    NotExact,
    Writer,
    reads,
    writes,
    writes_special,
)


@writes(ZoneInfo, immutable=True)
def _write_zoneinfo(encoder: Encoder, value: ZoneInfo) -> Node:
    if value.key is None or ZoneInfo(value.key) is not value:
        raise NotExact("it contains a ZoneInfo that was not made by its key alone")
    return ["tz.zoneinfo", value.key]


@reads("tz.zoneinfo")
def _read_zoneinfo(decoder: Decoder, key: str) -> ZoneInfo:
    return ZoneInfo(key)


def _write_pytz(encoder: Encoder, value: Any) -> Node:
    pytz = import_module("pytz")
    if type(value) is type(pytz.FixedOffset(1)):
        return ["pytz.fixed", value._minutes]
    zone = getattr(value, "zone", None)
    base = pytz.timezone(zone) if zone else None
    if base is value:
        return ["pytz.zone", zone]
    # A datetime carries one of its zone's shifts: standard time, summer time, and those of the past.
    shifts = getattr(base, "_tzinfos", {})
    for shift, info in shifts.items():
        if info is value:
            offset, dst, name = shift
            return ["pytz.shift", zone, encoder.encode(offset), encoder.encode(dst), name]
    raise NotExact("it contains a pytz time zone without a name")


@reads("pytz.fixed")
def _read_pytz_fixed(decoder: Decoder, minutes: int) -> datetime.tzinfo:
    return import_module("pytz").FixedOffset(minutes)  # type: ignore[no-any-return]


@reads("pytz.zone")
def _read_pytz_zone(decoder: Decoder, zone: str) -> datetime.tzinfo:
    return import_module("pytz").timezone(zone)  # type: ignore[no-any-return]


@reads("pytz.shift")
def _read_pytz_shift(decoder: Decoder, zone: str, offset: Node, dst: Node, name: str) -> datetime.tzinfo:
    shift = (decoder.decode(offset), decoder.decode(dst), name)
    return import_module("pytz").timezone(zone)._tzinfos[shift]  # type: ignore[no-any-return]


@writes_special("pytz")
def _find_pytz_writer(kind: type) -> Writer | None:
    # pytz makes a class for every zone.
    return _write_pytz if issubclass(kind, datetime.tzinfo) else None


def _write_dateutil(encoder: Encoder, value: Any) -> Node:
    tz = import_module("dateutil.tz")
    kind = type(value)
    if kind is tz.tzutc:
        return ["dateutil.utc"]
    if kind is tz.tzoffset:
        return ["dateutil.offset", value._name, encoder.encode(value._offset)]
    if kind is tz.tzfile:
        name = _zone_name(str(value._filename))
        if name is not None and tz.gettz(name) == value and tz.gettz(name)._filename == value._filename:
            return ["dateutil.file", name]
    raise NotExact(f"it contains a time zone of the type {kind.__qualname__} that only this machine may know")


def _zone_name(path: str) -> str | None:
    """Return the part of a zone file's path that names the zone, wherever the machine keeps its zones."""
    head, separator, name = path.rpartition("zoneinfo/")
    return name if separator else (None if head or path.startswith("/") else path)


@reads("dateutil.utc")
def _read_dateutil_utc(decoder: Decoder) -> datetime.tzinfo:
    return import_module("dateutil.tz").tzutc()  # type: ignore[no-any-return]


@reads("dateutil.offset")
def _read_dateutil_offset(decoder: Decoder, name: str | None, offset: Node) -> datetime.tzinfo:
    return import_module("dateutil.tz").tzoffset(name, decoder.decode(offset))  # type: ignore[no-any-return]


@reads("dateutil.file")
def _read_dateutil_file(decoder: Decoder, name: str) -> datetime.tzinfo:
    if name.startswith(("/", "~")) or ".." in name or "\\" in name or ":" in name:
        raise Damaged("a time zone's name leaves the folder of time zones")
    zone = import_module("dateutil.tz").gettz(name)
    if zone is None:
        raise Damaged(f"this machine does not know the time zone {name!r}")
    return zone  # type: ignore[no-any-return]


@writes_special("dateutil")
def _find_dateutil_writer(kind: type) -> Writer | None:
    return _write_dateutil if issubclass(kind, datetime.tzinfo) else None
