"""`check`: check that the sources and environments of the project are interchangeable."""

from __future__ import annotations

import sys

import click

from cli.project import EXIT_FAILURE, project_command
from cli.terminal import echo_text


@click.command()
@click.option("-e", "--env", "envs", multiple=True, metavar="NAME", help="Look at this environment; may be repeated.")
@click.option("--live", is_flag=True, help="Probe the real files too: at most 256 KiB of each.")
@click.option("--all-parts", is_flag=True, help="With --live: probe each part of a dataset, not a sample.")
@click.option("--ignore", multiple=True, metavar="RULE", help="Leave out the findings of this rule; may be repeated.")
@click.option(
    "--format",
    "style",
    type=click.Choice(["table", "json", "github"]),
    default="table",
    show_default=True,
    help="For people, for machines, or annotations for GitHub.",
)
@project_command
def check(
    configs: str, envs: tuple[str, ...], live: bool, all_parts: bool, ignore: tuple[str, ...], style: str
) -> None:
    """Check that the loader modules and environments are interchangeable.

    No data is read and no credentials are needed without --live. Exits 1 on any error found; a warning is none.
    """
    from loaders.checking import check_interchangeable
    from loaders.checking.report import as_github, as_json, as_text

    if all_parts and not live:
        raise click.UsageError("--all-parts says how to probe; give --live too.")
    environments = list(dict.fromkeys(name for env in envs for name in env.split(",")))
    report = check_interchangeable(f"{configs}/", environments=environments or None, live=live, all_parts=all_parts)
    report = report.without(ignore)
    echo_text({"table": as_text, "json": as_json, "github": as_github}[style](report))
    if not report.ok:
        sys.exit(EXIT_FAILURE)
