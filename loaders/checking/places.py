"""The places that an environment's datasets are read from, and the names in them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from loaders.checking.environment import Environment
from loaders.checking.exports import ExportedFunction
from loaders.checking.findings import shown_path
from loaders.checking.loader_bodies import read_inputs
from loaders.clients.location import Location, parse_location
from loaders.compression import split_compression
from loaders.config.project_root import use_project_root
from loaders.config.storage import in_sandbox
from loaders.errors import LoaderError

_NO_BUCKETS = ("file", "memory", "http", "https", "data")
_SAME = {"production": "prod", "live": "prod", "stage": "staging", "development": "dev", "testing": "test"}
_NOT_PRODUCTION = {"local", "dev", "test", "sandbox", "ci", "pre", "non"}


@dataclass(frozen=True)
class Place:
    """A location that one dataset of an environment is read from.

    Attributes:
        store: what the path is relative to: protocol and endpoint.
        path: in that store, without a slash at the end; of a local file the real path.
    """

    environment: Environment
    name: str
    exported: ExportedFunction
    location: Location
    store: tuple[str, str | None]
    path: str

    @property
    def dataset(self) -> str:
        """The dataset's name."""
        return self.exported.name

    @property
    def at(self) -> dict[str, Any]:
        """File, line and environment of the location, for a finding."""
        return self.environment.at("inputs", self.name)

    @property
    def origin(self) -> str:
        """File and line of the location, for a sentence."""
        origin = self.environment.config.origin("inputs", self.name)
        return f"{shown_path(origin.source)}:{origin.line}" if origin.line else str(origin)

    @property
    def folder(self) -> str:
        """The folder of the file, the bucket included."""
        return self.path.rpartition("/")[0]

    @property
    def is_in_bucket(self) -> bool:
        """Whether it lies in a store that an environment may have for itself."""
        return self.location.protocol not in _NO_BUCKETS

    @property
    def is_read_directly(self) -> bool:
        """Whether the value itself is what is read, and not a part of the location."""
        source = self.environment.source
        return source is not None and self.name in read_inputs(source, self.exported)

    @property
    def is_public(self) -> bool:
        """Whether it is read without credentials."""
        return self.environment.config.settings.storage.anonymous

    @property
    def stem(self) -> str:
        """The last name of the path that is no pattern and no hive partition, without suffixes."""
        parts = [part for part in self.path.split("/")[1:] if part and not re.search(r"[*?\[=]", part)]
        return split_compression(parts[-1])[0].partition(".")[0].lower() if parts else ""

    def covers(self, other: Place) -> bool:
        """Return whether the other's file is the same, or one in this folder."""
        if self.store != other.store:
            return False
        is_inside = self.location.path.endswith("/") and f"{other.path}/".startswith(f"{self.path}/")
        return self.path == other.path or is_inside


def places(environment: Environment) -> list[Place]:
    """Return the places of an environment; values that are no location are left out."""
    storage = in_sandbox(environment.config.settings.storage)
    found = []
    for name, exported, value in environment.locations():
        try:
            with use_project_root(environment.config.root):
                location = parse_location(value)
        except LoaderError:
            continue
        is_file = location.protocol == "file"
        path = str(Path(location.path).resolve()) if is_file else location.path.rstrip("/")
        store = (location.protocol, None if is_file else storage.endpoint_url)
        found.append(Place(environment, name, exported, location, store, path))
    # In the order of the file.
    return sorted(found, key=lambda place: place.at["line"] or 0)


@lru_cache(maxsize=4096)
def words(text: str) -> frozenset[str]:
    """Return the words of a name or path, in one spelling and without plurals.

    >>> sorted(words("Acme-Production/daily_orders"))
    ['acme', 'daily', 'order', 'prod']
    """
    found = [word for word in re.split(r"[^a-z0-9]+", text.lower()) if word]
    return frozenset(_SAME.get(word, word[:-1] if len(word) > 3 and word.endswith("s") else word) for word in found)


def is_production(env: str) -> bool:
    """Return whether an environment is production, by its name.

    >>> is_production("prod-eu"), is_production("pre-prod"), is_production("staging")
    (True, False, False)
    """
    return "prod" in words(env) and not words(env) & _NOT_PRODUCTION


def named_dataset(stem: str, datasets: Iterable[str]) -> str | None:
    """Return the dataset whose name a file's name holds, the longest where several fit.

    >>> named_dataset("order_items_2024", ["orders", "order_items"])
    'order_items'
    """
    fitting = sorted((name for name in datasets if words(name) <= words(stem)), key=lambda name: len(words(name)))
    if not fitting or (len(fitting) > 1 and len(words(fitting[-1])) == len(words(fitting[-2]))):
        return None
    return fitting[-1]
