"""`sourceswap cache …`: the commands of the cache, on the cache folder of an environment."""

from __future__ import annotations

from pathlib import Path

import click

from caching.commands import cache as cache_commands
from caching.store.local_cache import LocalCache
from cli.project import configs_option, env_option, reporting_errors


@click.group(help=cache_commands.help)
@env_option
@configs_option
@click.option(
    "--cache-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="The cache's folder; else that of the environment, else SOURCESWAP_CACHE_DIR, else the user's cache folder.",
)
@click.pass_context
@reporting_errors
def cache(context: click.Context, env: str | None, configs: str, cache_dir: Path | None) -> None:
    """Open the cache that the commands of the group work on."""
    directory: Path | str | None = cache_dir
    if cache_dir is None and env is not None:
        from loaders.config.environment import load_config

        directory = load_config(env, configs).settings.cache.directory
    context.obj = LocalCache(directory)


for name, command in cache_commands.commands.items():
    cache.add_command(command, name)
