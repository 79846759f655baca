"""`init`: create a project that runs, tests and checks green immediately."""

from __future__ import annotations

import importlib.util
import shlex
from pathlib import Path

import click

from cli.project import base_command

# By whether it is installed: users of the loaders alone may not have it.
_PYTEST_STEPS = {True: ("pytest",), False: ("pip install pytest", "pytest")}


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "files",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Infer a contract from this file, which becomes the local source; repeatable. CSV, Parquet, Feather or JSON "
    "Lines; text may be compressed.",
)
@click.argument("more", nargs=-1, metavar="", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@base_command
def init(directory: Path, files: tuple[Path, ...], more: tuple[Path, ...]) -> None:
    """Create a project in DIRECTORY.

    Contracts, loader modules, a dataflow, environments, tests and a CI workflow; with --from for your own files.
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
