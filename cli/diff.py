"""`diff`: compare the data of a dataset in two environments."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.project import EXIT_FAILURE, project_command
from cli.terminal import echo_table

if TYPE_CHECKING:
    from loaders.comparison.data_diff import DataDiff
    from loaders.planning.definitions import Dataset


@click.command()
@click.argument("left", metavar="A")
@click.argument("right", metavar="B")
@click.argument("dataset")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write an HTML page with plots.")
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", help="Format of the output.")
@project_command
def diff(configs: str, left: str, right: str, dataset: str, output: Path | None, style: str) -> None:
    """Show how DATASET differs between environments A and B.

    Both sides are loaded through the cache. The exit code is 1 if the data differs; the order of rows does not count.
    """
    import json

    from cli.progress import progress_line
    from loaders.comparison.data_diff import diff_frames
    from loaders.comparison.html import as_html
    from loaders.config.environment import load_config
    from loaders.driver import plan
    from loaders.files import write_file
    from loaders.planning.overwriting import refuse_overwriting
    from loaders.project.sample_data import load_frames

    if output is not None and output.suffix.lower() not in (".html", ".htm"):
        raise click.UsageError(f"--output: '{output.name}' must end in .html.")
    sides = [plan(load_config(env, configs)) for env in (left, right)]
    chosen = [side.dataset(dataset) for side in sides]
    if output is not None:
        for side in sides:
            refuse_overwriting(side, output)
    with progress_line():
        frames = [load_frames(side, [dataset])[dataset] for side in sides]
    found = diff_frames(
        frames[0],
        frames[1],
        dataset=dataset,
        names=(left, right),
        key=_key(chosen),
        locations=(sides[0].location(chosen[0]), sides[1].location(chosen[1])),
    )
    if output is not None:
        write_file(output, as_html(found).encode())
        click.echo(f"wrote {output}", err=True)
    if style == "json":
        click.echo(json.dumps(found.as_dict(), indent=2, ensure_ascii=False, default=_plain))
    else:
        _echo_diff(found)
    if not found.same:
        sys.exit(EXIT_FAILURE)


def _echo_diff(found: DataDiff) -> None:
    from loaders.comparison.text import COLUMN_TITLES, column_rows, difference_lines, row_lines

    click.echo("\n".join([*row_lines(found), ""]))
    echo_table(COLUMN_TITLES, list(column_rows(found)))
    click.echo("\n".join(["", *difference_lines(found)]))


def _key(chosen: list[Dataset]) -> tuple[str, ...]:
    return next((dataset.contract.key for dataset in chosen if dataset.contract is not None), ())


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
