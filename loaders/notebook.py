"""`open_project`: the datasets of an environment as objects, for notebooks and consoles."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from loaders.config.environment import Config, load_config
from loaders.contract import DatasetContract
from loaders.driver import plan
from loaders.errors import ConfigError, LoaderError
from loaders.names import did_you_mean, quoted
from loaders.planning.definitions import Dataset
from loaders.planning.plan import Plan
from loaders.project.sample_data import first_frames

_STYLE = "text-align:left; vertical-align:top; padding:0 1em 0 0"


def open_project(env: str | None = None, directory: str | os.PathLike[str] = "configs") -> Project:
    """Return the datasets of an environment; nothing is read yet.

    Args:
        env: the environment; None for that of the variable SOURCESWAP_ENV.
        directory: the folder with the environments.

    Raises:
        ConfigError: the environment does not exist, or does not fit its modules.

    >>> project = open_project("local")                         # doctest: +SKIP
    >>> project.marketing_spend.load(columns=["week", "spend"])  # doctest: +SKIP
    """
    name = env or os.environ.get("SOURCESWAP_ENV")
    if not name:
        raise ConfigError("Name the environment: open_project('local'), or set SOURCESWAP_ENV.")
    return Project(load_config(name, directory))


class Project(Mapping[str, "ProjectDataset"]):
    """The datasets of an environment, as attributes and by name; `driver()` runs its dataflow."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._plan = plan(config)
        self._datasets = {found.name: ProjectDataset(self._plan, found) for found in self._plan.datasets}

    @property
    def env(self) -> str:
        """The environment's name."""
        return self.config.env

    def driver(self) -> Any:
        """Return the Hamilton driver of the environment."""
        return self._plan.build()

    def __getattr__(self, name: str) -> ProjectDataset:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._datasets[name]
        except KeyError:
            raise AttributeError(self._unknown(name)) from None

    def __getitem__(self, name: str) -> ProjectDataset:
        if name not in self._datasets:
            raise KeyError(self._unknown(name))
        return self._datasets[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._datasets)

    def __len__(self) -> int:
        return len(self._datasets)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._datasets]

    def __repr__(self) -> str:
        return f"<Project of environment '{self.env}': {quoted(self._datasets) or 'no datasets'}>"

    def _repr_html_(self) -> str:
        rows = [(name, found.location, found.description) for name, found in self._datasets.items()]
        return f"<b>{escape(self.env)}</b>" + _table(("dataset", "location", "a row is"), rows)

    def _unknown(self, name: str) -> str:
        hint = did_you_mean(name, self._datasets)
        return f"environment '{self.env}' has no dataset '{name}'; it has {quoted(self._datasets) or 'none'}.{hint}"


class ProjectDataset:
    """One dataset of an environment."""

    def __init__(self, planned: Plan, dataset: Dataset) -> None:
        self._plan = planned
        self._dataset = dataset

    @property
    def name(self) -> str:
        """The dataset's name."""
        return self._dataset.name

    @property
    def contract(self) -> DatasetContract | None:
        """The dataset's contract; None if it has none."""
        return self._dataset.contract

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the frame."""
        return self._dataset.columns

    @property
    def location(self) -> str:
        """The location in this environment, safe to print."""
        return self._plan.location(self._dataset)

    @property
    def description(self) -> str:
        """The meaning of a row."""
        return self.contract.description if self.contract else ""

    @property
    def cached(self) -> str:
        """Whether a load would be a cache hit, and if not, why; a remote version may be asked for."""
        try:
            outcome, reason = self._plan.lookup(self._dataset, [self.name], "on")
        except LoaderError as error:
            return f"unknown: {str(error).splitlines()[0]}"
        return f"{outcome}: {reason}" if reason else outcome

    def load(self, columns: Sequence[str] | None = None) -> Any:
        """Return the frame through the cache; with `columns` only these are read, if the loader only reads.

        Raises LoaderError if it cannot be loaded, ConfigError for a column that it does not have.
        """
        frame: Any
        if columns is None:
            return self._plan.build().execute([self.name])[self.name]
        if isinstance(columns, str):
            raise ConfigError(f"columns is a list of names, such as ['{columns}']; found the text '{columns}'.")
        unknown = [column for column in columns if column not in self.columns]
        if unknown:
            raise ConfigError(
                f"Dataset '{self.name}' has no column '{unknown[0]}'; it has {quoted(self.columns)}."
                f"{did_you_mean(unknown[0], self.columns)}"
            )
        found = self._plan.build().execute([*columns])
        first = found[columns[0]] if columns else None
        if type(first).__module__.partition(".")[0] == "polars":
            import polars

            frame = polars.DataFrame([found[column].alias(column) for column in columns])
        else:
            import pandas as pd

            frame = pd.DataFrame({column: found[column] for column in columns}) if columns else self.load()[[]]
        return frame

    def preview(self, rows: int = 5) -> Any:
        """Return the first rows as a pandas frame; of large data little more than them is read."""
        if isinstance(rows, bool) or not isinstance(rows, int) or rows < 0:
            raise ConfigError(f"A preview has 0 or more rows; found rows={rows!r}.")
        return first_frames(self._plan, [self.name], max(rows, 1))[self.name].head(rows)

    def __repr__(self) -> str:
        return f"<{self.name} of '{self._plan.config.env}': {len(self.columns)} columns, {self.location}>"

    def _repr_html_(self) -> str:
        facts = [("location", self.location), ("a row is", self.description), ("cache", self.cached)]
        head = f"<b>{escape(self.name)}</b>" + _table(("", ""), facts)
        if self.contract is None:
            return head
        rows = [(field.name, str(field.type), _rules(self.contract, field)) for field in self.contract.schema]
        return head + _table(("column", "type", "rules"), rows)


def _rules(contract: DatasetContract, field: Any) -> str:
    rules = ["key"] if field.name in contract.key else []
    rules += [] if field.nullable else ["not null"]
    if field.name in contract.checks:
        rules.append(str(contract.checks[field.name]))
    if field.name in contract.references:
        rules.append(f"→ {contract.references[field.name]}")
    return ", ".join(rules)


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return an HTML table in the colours of the page, so that it fits light and dark ones."""
    head = "".join(f'<th style="{_STYLE}">{escape(title)}</th>' for title in titles)
    body = "".join(
        "<tr>" + "".join(f'<td style="{_STYLE}">{escape(cell)}</td>' for cell in row) + "</tr>" for row in rows
    )
    return f"<table>{f'<tr>{head}</tr>' if any(titles) else ''}{body}</table>"
