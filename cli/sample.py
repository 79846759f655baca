"""`sample`: copy a small part of an environment's data to the files that another environment reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from cli.project import environment_command
from cli.terminal import echo_table

if TYPE_CHECKING:
    from loaders.config.environment import Config
    from loaders.project.sampling import Method


@click.command()
@click.option("--rows", default=1000, show_default=True, type=click.IntRange(min=1), help="Rows of each dataset.")
@click.option("--to", "target_env", default="local", show_default=True, metavar="ENV", help="Environment to write to.")
@click.option(
    "--method",
    type=click.Choice(["first", "random", "key"]),
    default="first",
    show_default=True,
    help="first: the first rows; random: a random choice; key: rows whose references still join.",
)
@click.option("--seed", default=0, show_default=True, help="The same seed chooses the same rows.")
@click.option("--force", is_flag=True, help="Replace existing files; in a folder, all parts of the dataset.")
@environment_command
def sample(config: Config, rows: int, target_env: str, method: Method, seed: int, force: bool) -> None:
    """Copy a small sample to the files that another environment reads.

    The sample is checked against the contracts. Only local files are written; existing ones need --force.
    """
    from cli.progress import progress_line
    from loaders.config.environment import load_config
    from loaders.driver import plan
    from loaders.errors import ConfigError
    from loaders.files import write_file
    from loaders.planning.overwriting import overwritten_input
    from loaders.project.sample_data import first_frames, left_out, load_frames, targets
    from loaders.project.sampling import sample_frames

    source = plan(config)
    offered = {dataset.name for dataset in source.datasets}
    directory = config.root / Path(click.get_current_context().params["configs"]).name
    target = plan(load_config(target_env, directory))
    wanted = {found.dataset.name: found for found in targets(target, "file") if found.dataset.name in offered}
    missing = left_out(target, "file")
    _echo_left_out(missing, target_env)
    if not wanted and not missing:
        raise ConfigError(f"Environment '{target_env}' reads no dataset from a local file; nothing was written.")
    if not wanted:
        raise ConfigError(f"No dataset of environment '{target_env}' can be written; nothing was written.")
    paths = {name: Path(found.path) for name, found in wanted.items()}
    existing = [str(path) for found in wanted.values() for path in found.existing()]
    if existing and not force:
        raise ConfigError(f"{existing[0]} exists; --force replaces it.")
    # Files that are removed count as well as files that are written.
    touched = (str(path) for path in [*paths.values(), *existing])
    own = next((path for path in touched if overwritten_input(source, Path(path)) is not None), None)
    asked_for = click.get_current_context().get_parameter_source("target_env") is not ParameterSource.DEFAULT
    if own is not None and not (asked_for and target_env == config.env):
        raise ConfigError(
            f"'{own}' is read by environment '{config.env}' itself; the sample would replace the data with a part of "
            f"it. Name an environment with other files by --to, or '{config.env}' if that is intended."
        )
    with progress_line():
        # One row more than wanted tells whether there are others.
        frames = (
            first_frames(source, list(wanted), rows + 1) if method == "first" else load_frames(source, list(wanted))
        )
    contracts = {name: found.contract for name, found in wanted.items()}
    samples = sample_frames(frames, contracts, rows, method, seed)
    # Encode everything before anything is written, so that a dataset that fails leaves no partial sample.
    bodies = {name: found.encoded(samples[name]) for name, found in wanted.items()}
    written = []
    for name, body in bodies.items():
        write_file(paths[name], body)
        _remove(path for path in wanted[name].existing() if path != paths[name])
        written.append((name, str(paths[name]), _share(len(samples[name]), len(frames[name]))))
    echo_table(("", "", ""), written, err=True)


def _share(taken: int, loaded: int) -> str:
    return f"{taken:,} of {'more' if loaded == taken + 1 else f'{loaded:,}'} rows"


def _echo_left_out(missing: Mapping[str, str], env: str) -> None:
    for name, reason in missing.items():
        click.echo(f"sample: {env}: '{name}' is left out: {reason}", err=True)


def _remove(others: Iterable[Path]) -> None:
    """Remove the other parts of a dataset, so that a read does not mix old data with the sample."""
    from loaders.errors import LoaderError

    for path in others:
        try:
            path.unlink()
        except OSError as error:
            raise LoaderError(
                f"'{path}' cannot be removed: {error.strerror}. Remove it; otherwise reads mix it with the sample."
            ) from error
