"""`ls` and `show`: the datasets of an environment, their contracts and a preview."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.project import environment_command
from cli.terminal import echo_table, line_width

if TYPE_CHECKING:
    from loaders.config.environment import Config
    from loaders.contract import DatasetContract


@click.command()
@environment_command
def ls(config: Config) -> None:
    """List the datasets with columns, key, location and description."""
    from loaders.driver import plan

    planned = plan(config)
    rows = []
    for dataset in planned.datasets:
        contract = dataset.contract
        key = ", ".join(contract.key) if contract else ""
        description = contract.description if contract else "(no contract of this name)"
        rows.append((dataset.name, str(len(dataset.columns)), key, planned.location(dataset), description))
    echo_table(("dataset", "columns", "key", "location", "description"), rows)


@click.command()
@click.argument("dataset")
@click.option(
    "--rows", default=5, show_default=True, type=click.IntRange(min=0), help="Rows of the preview; 0 for none."
)
@environment_command
def show(config: Config, dataset: str, rows: int) -> None:
    """Show a dataset's contract and its first rows."""
    from cli.progress import progress_line
    from loaders.driver import plan
    from loaders.project.sample_data import first_frames

    planned = plan(config)
    chosen = planned.dataset(dataset)
    click.echo(f"{chosen.name}  {planned.location(chosen)}")
    if chosen.contract is not None:
        _echo_contract(chosen.contract)
    if rows > 0:
        with progress_line():
            frame = first_frames(planned, [chosen.name], rows + 1)[chosen.name]
        total = "more" if len(frame) == rows + 1 else f"{len(frame):,}"
        click.echo(f"\n{total} rows; the first {min(rows, len(frame))}:")
        click.echo(frame.head(rows).to_string(index=False, line_width=line_width()))


def _echo_contract(contract: DatasetContract) -> None:
    if contract.description:
        click.echo(contract.description)
    click.echo()
    rows = []
    for column in contract.schema:
        notes = ["key"] if column.name in contract.key else []
        if not column.nullable:
            notes.append("not null")
        if column.name in contract.checks:
            notes.append(str(contract.checks[column.name]))
        if column.name in contract.references:
            notes.append(f"→ {contract.references[column.name]}")
        source = contract.source_name(column.name)
        shown = "" if source == column.name else source
        rows.append((column.name, shown, str(column.type), str(contract.dtypes[column.name]), ", ".join(notes)))
    echo_table(("column", "in the source", "type", "dtype", "rules"), rows)
