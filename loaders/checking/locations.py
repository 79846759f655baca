"""Check the locations of one environment: their protocol, their format, and what production must not have."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from loaders.checking.environment import Environment
from loaders.checking.findings import Finding
from loaders.checking.loader_bodies import allowed_protocols
from loaders.checking.places import Place, is_production, places
from loaders.clients.location import parse_location
from loaders.compression import split_compression
from loaders.errors import LoaderError, OptionError
from loaders.formats.formats import format_by_name
from loaders.names import quoted
from loaders.redaction import redact
from loaders.schema.format_options import FormatOptions


def location_findings(environment: Environment) -> Iterator[Finding]:
    """Yield what is wrong with the locations and the endpoint of one environment."""
    yield from _kinds(environment)
    for place in places(environment):
        yield from _ending(place)
    if is_production(environment.name):
        yield from _loopback(environment)


def _kinds(environment: Environment) -> Iterator[Finding]:
    """Yield locations whose protocol the source does not read."""
    if environment.source is None:
        return
    for exported in environment.source.exports.values():
        for name, protocols in allowed_protocols(environment.source, exported).items():
            value = environment.config.inputs.get(name)
            if not isinstance(value, str):
                continue
            try:
                found = parse_location(value).protocol
            except LoaderError:
                found = "no location"
            if found not in protocols:
                yield Finding(
                    rule="location-kind",
                    expected=f"a location of {quoted(protocols)}, all that {environment.source.place(exported)} reads",
                    found=f"'{redact(value)}' ({found})",
                    fix="Correct the location, or choose the data source that reads it.",
                    module=environment.source.path,
                    function=exported.definition.name,
                    dataset=exported.name,
                    **environment.at("inputs", name),
                )


def _ending(place: Place) -> Iterator[Finding]:
    """Yield formats that contradict the ending of a file's name."""
    options = _options(place)
    plain, packed = split_compression(place.location.name)
    pairs = [("format", options.format, format_by_name(plain, FormatOptions()))]
    pairs += [("compression", options.compression, packed)]
    for option, chosen, by_name in pairs:
        if chosen is not None and by_name is not None and chosen != by_name:
            yield Finding(
                rule="format-ending",
                severity="error" if is_production(place.environment.name) else "warning",
                expected=f"a {option} that the name of the file agrees with: {by_name}",
                found=f"{option} {chosen} for '{place.location.shown}'",
                fix="Correct the location or the format; the format given is the one that is read.",
                dataset=place.dataset,
                **_option_place(place, option),
            )


def _options(place: Place) -> FormatOptions:
    contract = place.exported.contract
    override = place.environment.config.settings.formats.get(place.dataset)
    options = contract.format if contract else FormatOptions()
    try:
        return replace(options, **(override.model_dump(exclude_unset=True) if override else {}))
    except OptionError:
        # That the options do not go together is found elsewhere.
        return options


def _option_place(place: Place, option: str) -> dict[str, Any]:
    override = place.environment.config.settings.formats.get(place.dataset)
    given = override is not None and option in override.model_fields_set
    return place.environment.at("formats", place.dataset, option) if given else place.at


def _loopback(environment: Environment) -> Iterator[Finding]:
    """Yield endpoints and web locations of production that lie on the machine itself."""
    endpoint = environment.config.settings.storage.endpoint_url
    found = [(endpoint, environment.at("storage", "endpoint_url"))] if endpoint else []
    found += [(place.location.url, place.at) for place in places(environment) if "http" in place.location.protocol]
    for url, here in found:
        if _is_loopback(url):
            yield Finding(
                rule="endpoint-local",
                expected="an endpoint of production that every machine reaches",
                found=f"'{redact(url)}', which is the machine itself",
                fix="Correct it; what is tried out on one machine has an environment of its own.",
                **here,
            )


def _is_loopback(url: str) -> bool:
    host = (urlsplit(url).hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
