"""`check`: check that the sources and environments of the project are interchangeable."""

from __future__ import annotations

import sys

import click

from cli.project import EXIT_FAILURE, project_command
from cli.terminal import echo_text


@click.command()
@click.option("-e", "--env", "envs", multiple=True, metavar="NAME", help="Check only this one; may be repeated.")
@click.option("--live", is_flag=True, help="Also read the head or footer of real files, at most 256 KiB of each.")
@click.option("--all-parts", is_flag=True, help="With --live: read every part of a dataset, not a selection.")
@click.option("--strict", is_flag=True, help="Exit 1 on a warning too.")
@click.option("--ignore", multiple=True, metavar="RULE", help="Leave out the findings of this rule; may be repeated.")
@click.option(
    "--format",
    "style",
    type=click.Choice(["table", "json", "github"]),
    default="table",
    show_default=True,
    help="table for people, json for programs, github for annotations.",
)
@project_command
def check(
    configs: str,
    envs: tuple[str, ...],
    live: bool,
    all_parts: bool,
    strict: bool,
    ignore: tuple[str, ...],
    style: str,
) -> None:
    """Check that sources and environments are interchangeable.

    Without --live it reads no data and needs no credentials. The exit code is 1 if an error is found, with --strict
    also for a warning.
    """
    from loaders.checking import check_interchangeable
    from loaders.checking.report import as_github, as_json, as_text

    if all_parts and not live:
        raise click.UsageError("--all-parts needs --live.")
    environments = list(dict.fromkeys(name for env in envs for name in env.split(",")))
    report = check_interchangeable(f"{configs}/", environments=environments or None, live=live, all_parts=all_parts)
    report = report.without(ignore)
    echo_text({"table": as_text, "json": as_json, "github": as_github}[style](report))
    if not report.passes(strict=strict):
        sys.exit(EXIT_FAILURE)
