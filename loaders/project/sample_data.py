"""Copy data from one environment to the locations of another, for samples and the sandbox."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

import pandas as pd

from caching.context import Mode
from loaders.clients.client import client_for
from loaders.clients.location import Location, parse_location
from loaders.clients.progress import Tracker
from loaders.compression import split_compression
from loaders.config.project_root import use_project_root
from loaders.conforming import conform
from loaders.conforming.frame_kinds import as_pandas, kind_of
from loaders.contract import DatasetContract
from loaders.errors import ConfigError, LoaderError, ReadError
from loaders.formats.formats import format_by_name
from loaders.planning.definitions import Dataset
from loaders.planning.locations import location_inputs
from loaders.planning.plan import Plan
from loaders.project.writing import encode_table
from loaders.reading.parts import parts_of
from loaders.reading.passthrough import is_passthrough
from loaders.reading.selection import use_first_rows
from loaders.schema.format_options import FormatOptions

_COMPRESSED = {"gzip": ".gz", "zstd": ".zst", "bz2": ".bz2", "xz": ".xz"}

# Smaller datasets are loaded whole, so that their number of rows is known.
_LARGE_BYTES = 16 << 20
_MOST_PARTS = 64


@dataclass(frozen=True)
class Target:
    """The location from which an environment reads a dataset, and to which one file is written.

    Attributes:
        contract: the dataset's contract, with the environment's format options.
        location: the configured location: a file, a folder of parts or a pattern.
        place: the parsed location.
        root: the project's root, from which a local location starts.
        origin: environment and line of the configuration, as the beginning of an error.
    """

    dataset: Dataset
    contract: DatasetContract
    location: str
    place: Location
    root: Path
    origin: str

    @cached_property
    def written(self) -> str:
        """The location of the file to write; a folder or pattern gets one part."""
        if self._is_folder:
            return f"{self.location.rstrip('/')}/part-0{self._ending}"
        return _matching(self.location, self._ending) if self._is_pattern else self.location

    @property
    def path(self) -> str:
        """The path to write: a local path, or bucket and key."""
        with use_project_root(self.root):
            return parse_location(self.written).path

    def existing(self) -> list[Path]:
        """Return the existing local files of the location."""
        try:
            return [
                Path(part.location.path) for part in parts_of(self.place, FormatOptions()) if _exists(part.location)
            ]
        except ReadError:
            return []  # a folder without parts, a pattern that matches nothing

    def encoded(self, frame: pd.DataFrame) -> bytes:
        """Return the bytes to write; raise ConfigError that names dataset, environment and line."""
        name, contract = PurePosixPath(self.path).name, self.contract
        if format_by_name(split_compression(name)[0], contract.format) is None:
            # A read recognizes Parquet by its first bytes.
            contract = replace(contract, format=replace(contract.format, format="parquet"))
        try:
            return encode_table(frame, contract, name)
        except ConfigError as error:
            raise ConfigError(f"{self.origin}, '{self.place.shown}': {error}") from None

    @cached_property
    def _is_folder(self) -> bool:
        local = self.place.protocol == "file"
        if self.location.endswith("/") or (local and Path(self.place.path).is_dir()):
            return True
        if self._is_pattern or (local and _exists(self.place)):
            return False
        bucket_alone = self.place.protocol == "s3" and "/" not in self.place.path
        return bucket_alone or format_by_name(split_compression(self.place.name)[0], self.contract.format) is None

    @property
    def _is_pattern(self) -> bool:
        # Only within the location, because the project's own folder may have such a name.
        return any(mark in self.location for mark in "*?[") and not _exists(self.place)

    @cached_property
    def _ending(self) -> str:
        """Return the ending of a part: that of existing parts, or the contract's."""
        for path in self.existing() if self.place.protocol == "file" else []:
            plain = split_compression(path.name)[0]
            if format_by_name(plain, FormatOptions()):
                return Path(plain).suffix + path.name[len(plain) :]
        options = self.contract.format
        return f".{options.format or 'parquet'}{_COMPRESSED.get(options.compression or '', '')}"


def targets(planned: Plan, protocol: str) -> Iterator[Target]:
    """Yield the locations with this protocol ("file" or "s3") that an environment reads.

    The datasets of `left_out` are not included. Raises ConfigError for a dataset without a contract, because the
    content of its file is then unknown.
    """
    for dataset in planned.datasets:
        places = _places(planned, dataset, protocol)
        if len(places) != 1:
            continue
        if dataset.contract is None:
            raise ConfigError(
                f"Dataset '{dataset.name}' of {dataset.definition} has no contract of its name in the module; "
                "import it there; without a contract no file can be written."
            )
        ((name, place),) = places.items()
        contract, root = _as_written(planned, dataset.contract), planned.config.root
        origin = f"{planned.config.written('inputs', name)}Environment '{planned.config.env}', input '{name}'"
        yield Target(dataset, contract, str(planned.inputs[name]), place, root, origin)


def left_out(planned: Plan, protocol: str) -> dict[str, str]:
    """Return the datasets that have this protocol but are not targets, each with the reason."""
    found = {dataset.name: _places(planned, dataset, protocol) for dataset in planned.datasets}
    return {
        name: f"it reads several locations ({', '.join(places)}), and it is unknown which rows belong to which"
        for name, places in found.items()
        if len(places) > 1
    }


def first_frames(planned: Plan, names: list[str], rows: int) -> dict[str, pd.DataFrame]:
    """Return frames of an environment's datasets with at least `rows` rows, or all that there are.

    Of a large dataset that is not cached, and whose loader does nothing but read, little more than these rows is read.
    Others are loaded as by `load_frames`.
    """
    short = [name for name in names if _is_read_shortly(planned, planned.dataset(name))]
    whole = [name for name in names if name not in short]
    frames = load_frames(planned, whole) if whole else {}
    if short:
        with use_first_rows(rows):
            frames |= load_frames(planned, short, cache_mode="off")
    return frames


def _is_read_shortly(planned: Plan, dataset: Dataset) -> bool:
    if not is_passthrough(dataset.definition.function) or planned.lookup(dataset, [dataset.name], "on")[0] == "hit":
        return False
    try:
        with planned.active([dataset.name], "off"):
            values = [planned.inputs.get(name) for name in location_inputs(dataset.definition)]
            places = [parse_location(value) for value in values if isinstance(value, str | os.PathLike)]
            parts = [part for place in places for part in parts_of(place, FormatOptions())]
            return len(parts) > _MOST_PARTS or sum(_size(part.location) for part in parts) > _LARGE_BYTES
    except LoaderError:
        return False  # the load itself says what is wrong


def _size(location: Location) -> int:
    source = client_for(location).open(location, Tracker("", location.shown))
    source.close()
    return source.size_bytes


def load_frames(planned: Plan, names: list[str], *, cache_mode: Mode = "on") -> dict[str, pd.DataFrame]:
    """Return the complete frames of an environment's datasets, through the cache.

    Raises LoaderError if a loader fails, or returns anything but a frame with the contract's columns.
    """
    try:
        given = dict(planned.build(cache_mode=cache_mode).execute([*names]))
    except LoaderError:
        raise
    except Exception as error:
        # The project's functions may raise anything; Hamilton's text around the error is only for --debug.
        text = " ".join(str(error).split())[:500]
        place = planned.place(names[0]) if len(names) == 1 else f"loading {', '.join(names)}"
        raise LoaderError(
            f"{place} failed with {type(error).__name__}: {text}\nRun with --debug for the traceback."
        ) from error
    frames: dict[str, pd.DataFrame] = {}
    for name, frame in given.items():
        dataset = planned.dataset(name)
        if kind_of(frame) is None:
            raise LoaderError(f"{dataset.definition} returned {type(frame).__name__} for '{name}', not a DataFrame.")
        frames[name] = as_pandas(frame)
        columns = dataset.contract.columns if dataset.contract else ()
        missing = [column for column in columns if column not in frames[name].columns]
        if missing:
            raise LoaderError(f"{dataset.definition} returned a frame without the contract's {', '.join(missing)}.")
        if dataset.contract and kind_of(given[name]) != "pandas":
            frames[name] = conform(given[name], dataset.contract, location=planned.location(dataset))
    return frames


def _places(planned: Plan, dataset: Dataset, protocol: str) -> dict[str, Location]:
    """Return the locations of a dataset by input; none if none has the protocol."""
    known = location_inputs(dataset.definition)
    places = {}
    with use_project_root(planned.config.root):
        for name in known or dataset.definition.inputs:
            value = planned.inputs.get(name)
            if isinstance(value, str | os.PathLike) and os.fspath(value):
                places[name] = parse_location(value)
    wanted = {name: place for name, place in places.items() if place.protocol == protocol}
    # If the function's source does not show its locations, a text of another protocol may not be a location.
    return places if known and wanted else wanted


def _as_written(planned: Plan, contract: DatasetContract) -> DatasetContract:
    override = planned.config.settings.formats.get(contract.name)
    options = override.model_dump(exclude_unset=True) if override else {}
    return replace(contract, format=replace(contract.format, **options)) if options else contract


def _matching(location: str, ending: str) -> str:
    """Return a location that a pattern matches."""
    one = re.sub(r"\*+", "sample", location.replace("**/", "")).replace("?", "0")
    one = re.sub(r"\[([^!\]])[^\]]*\]", r"\1", one)
    known = format_by_name(split_compression(one)[0], FormatOptions())
    return one + ending if location.endswith("*") and not known else one


def _exists(place: Location) -> bool:
    return place.protocol == "file" and os.path.lexists(place.path)
