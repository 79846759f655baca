"""`run`: execute an environment's dataflow, or show the plan."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.project import environment_command
from cli.terminal import echo_table
from loaders.errors import ReadError
from loaders.names import bounded

if TYPE_CHECKING:
    from caching.context import Mode
    from loaders.config.environment import Config
    from loaders.planning.plan import Plan


@click.command()
@click.argument("words", nargs=-1, metavar="[K=V | OUTPUT]...")
@click.option("-s", "--select", metavar="OUTPUT", help="Compute only this output; may be repeated.", multiple=True)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the outputs as one table: .parquet, .feather, .arrow, .csv, .json or .jsonl; the last three may be "
    "compressed (.gz, .zst, .bz2, .xz).",
)
@click.option("--dry-run", is_flag=True, help="Show what would run: modules, locations, outputs, cache hit or miss.")
@click.option("--no-cache", is_flag=True, help="Do not read or write the cache.")
@click.option("--refresh", is_flag=True, help="Load everything again and cache it.")
@environment_command
def run(
    config: Config,
    words: tuple[str, ...],
    select: tuple[str, ...],
    output: Path | None,
    dry_run: bool,
    no_cache: bool,
    refresh: bool,
) -> None:
    """Run the dataflow on the data of an environment.

    Results go to standard output or FILE; progress and the report of the run go to standard error.
    """
    if no_cache and refresh:
        raise click.UsageError("--no-cache and --refresh exclude each other.")
    from cli.output import echo_results, refuse_unwritable, write_results
    from loaders.driver import plan
    from loaders.planning.overwriting import refuse_overwriting

    if output is not None:
        refuse_unwritable(output)

    planned = plan(config)
    if output is not None:
        refuse_overwriting(planned, output)
    outputs = list(dict.fromkeys((*select, *words))) or planned.outputs
    planned.refuse_unknown_outputs(outputs)
    mode: Mode = "off" if no_cache else "refresh" if refresh else "on"
    if dry_run:
        _echo_plan(planned, outputs, mode)
        return
    results = _execute(planned, outputs, mode)
    if output is None:
        echo_results(results)
    else:
        rows = write_results(results, output)
        click.echo(f"wrote {output}: {rows:,} rows", err=True)


def _execute(planned: Plan, outputs: list[str], mode: Mode) -> dict[str, Any]:
    from cli.progress import progress_line
    from cli.report import RunReport

    click.echo(bounded(planned.headline), err=True)
    report = RunReport(planned)
    started = time.perf_counter()
    driver = planned.build([report], cache_mode=mode, observer=report.cache_event)
    try:
        with progress_line():
            results: dict[str, Any] = driver.execute([*outputs])
    except Exception as error:
        # Functions of the dataflow are the user's and may raise anything.
        raise report.failure(error) from error
    finally:
        report.echo_datasets()
    click.echo(
        f"{len(outputs)} output{'s' if len(outputs) != 1 else ''} in {time.perf_counter() - started:.2f} s", err=True
    )
    return results


def _echo_plan(planned: Plan, outputs: list[str], mode: Mode) -> None:
    click.echo(bounded(planned.headline))
    click.echo(f"dataflow: {', '.join(module.__name__ for module in planned.modules) or '(none)'}")
    click.echo(f"outputs: {', '.join(outputs)}")
    rows = []
    unreadable = []
    environment = planned.call_environment(outputs)
    for dataset, needed in planned.needed(outputs):
        location = planned.location(dataset)
        if not needed:
            rows.append((dataset.name, location, "none", "not needed", ""))
            continue
        share = f"{len(environment.read_columns(dataset))} of {len(dataset.columns)}"
        reason = planned.why_unreadable(dataset)
        if reason:
            unreadable.append(f"{dataset.name}: {reason}")
            rows.append((dataset.name, location, share, "unreadable", reason.partition(". ")[0]))
        else:
            rows.append((dataset.name, location, share, *planned.lookup(dataset, outputs, mode)))
    echo_table(("dataset", "location", "columns", "cache", "because"), rows)
    if unreadable:
        # A run would fail with the same error.
        raise ReadError("\n".join(unreadable))
