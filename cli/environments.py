"""`envs` and `config show`: list the environments, and show the origin of each value."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from cli.project import environment_command, project_command
from cli.terminal import echo_table

if TYPE_CHECKING:
    from loaders.config.environment import Config

_SECRET = re.compile(r"secret|password|passwd|token|credential|private|access_?key|api_?key", re.IGNORECASE)


@click.command()
@project_command
def envs(configs: str) -> None:
    """List the environments with data source and description."""
    from loaders.config.environment import environments, load_config
    from loaders.errors import ConfigError

    rows = []
    for env in environments(configs):
        try:
            settings = load_config(env, configs).settings
            rows.append((env, settings.data_source or "", settings.description))
        except ConfigError as error:
            rows.append((env, "", f"cannot be resolved: {error}"))
    echo_table(("environment", "data source", "description"), rows)


@click.group()
def config() -> None:
    """Show the configuration."""


@config.command("show")
@environment_command
def show_config(config: Config) -> None:
    """Show each value of an environment with its file and line."""
    rows = []
    for key, value in _leaves((), config.settings.model_dump()):
        if key in config.origins or any(key[:n] in config.origins for n in range(2, len(key))):
            rows.append((".".join(key), _shown(key, value), str(config.origin(*key))))
    echo_table(("key", "value", "from"), rows)


def _leaves(key: tuple[str, ...], value: Any) -> list[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict) and value:
        return [leaf for name, item in value.items() for leaf in _leaves((*key, str(name)), item)]
    return [(key, value)]


def _shown(key: tuple[str, ...], value: Any) -> str:
    if _SECRET.search(key[-1]):
        return "***"
    from loaders.redaction import redact

    if isinstance(value, (tuple, list)):
        return ", ".join(_shown(key, item) for item in value)
    if isinstance(value, dict):
        return str({name: _shown((*key, str(name)), item) for name, item in value.items()})
    return redact(str(value))
