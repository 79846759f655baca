"""The data of one environment, moved to where another environment expects it: for the sandbox and for samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import pandas as pd

from loaders.contract import DatasetContract
from loaders.errors import ConfigError
from loaders.planning.definitions import Dataset
from loaders.planning.plan import Plan


@dataclass(frozen=True)
class Target:
    """Where an environment expects a dataset: the location as configured, of which one object or file is written."""

    dataset: Dataset
    contract: DatasetContract
    location: str

    @property
    def written(self) -> str:
        """The location of one file: a folder or a pattern gets one part."""
        if self.location.endswith("/"):
            return f"{self.location}part-0.{self.contract.format.format or 'parquet'}"
        return self.location.replace("**/", "").replace("*", "sample")

    @property
    def name(self) -> str:
        """The last component of what is written; its ending says the format."""
        return PurePosixPath(self.written).name


def targets(planned: Plan, protocol: str) -> Iterator[Target]:
    """Yield where an environment reads its datasets from, as far as it is with this protocol ("file" or "s3").

    Raises ConfigError for a dataset without a contract: without one nobody knows what its file is to hold.
    """
    for dataset in planned.datasets:
        locations = [
            str(planned.inputs[name])
            for name in dataset.definition.inputs
            if isinstance(planned.inputs.get(name), str) and _protocol(planned.inputs[name]) == protocol
        ]
        if len(locations) != 1:
            continue
        if dataset.contract is None:
            raise ConfigError(
                f"Dataset '{dataset.name}' of {dataset.definition} has no contract of its name in the module; "
                "import it there, so that a file can be written for it."
            )
        yield Target(dataset, dataset.contract, locations[0])


def load_frames(planned: Plan, names: list[str]) -> dict[str, pd.DataFrame]:
    """Return the whole frames of an environment's datasets, through the cache."""
    return dict(planned.build().execute([*names]))


def _protocol(location: str) -> str:
    head, separator, _ = location.partition("://")
    return head.lower() if separator else "file"
