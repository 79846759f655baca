"""`init`: create a project whose run, tests and check succeed immediately."""

from __future__ import annotations

import importlib.util
import shlex
from pathlib import Path

import click

from cli.project import base_command

# By whether pytest is installed; sourceswap does not depend on it.
_PYTEST_STEPS = {True: ("pytest",), False: ("pip install pytest", "pytest")}


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "files",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Infer a contract from this file and use the file as the local source; may be repeated. CSV, Parquet, Feather "
    "or JSON Lines; text may be compressed.",
)
@click.argument("more", nargs=-1, metavar="", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@base_command
def init(directory: Path, files: tuple[Path, ...], more: tuple[Path, ...]) -> None:
    """Create a project in DIRECTORY.

    The project has contracts, loader modules, a dataflow, environments, tests and a CI workflow. With --from they are
    made for your own files.
    """
    from loaders.project.draft import draft_sample
    from loaders.project.scaffold import create_project

    written = create_project(directory, [draft_sample(file) for file in (*files, *more)])
    click.echo(f"{directory}: {len(written)} files. Next:\n")
    for line in (
        f"cd {shlex.quote(str(directory))}",
        "sourceswap run --env local",
        *_PYTEST_STEPS[importlib.util.find_spec("pytest") is not None],
        "sourceswap check",
        "sourceswap sandbox -- sourceswap run --env prod",
    ):
        click.echo(f"  {line}")
