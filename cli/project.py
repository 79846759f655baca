"""Options and error handling shared by the commands that work on a project."""

from __future__ import annotations

import functools
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from cli.terminal import echo_text
from loaders.errors import ConfigError, LoaderError
from loaders.names import bounded

if TYPE_CHECKING:
    from loaders.config.environment import Config

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 128 + signal.SIGINT
# The time that threads have to end after an interrupt.
_GRACE_SECONDS = 0.5

Command = Callable[..., None]

configs_option = click.option(
    "--configs", default="configs", show_default=True, metavar="DIR", help="Folder with the environments' files."
)
env_option = click.option(
    "-e", "--env", metavar="NAME", envvar="SOURCESWAP_ENV", help="Environment; default: $SOURCESWAP_ENV."
)
_params = click.option("--params", multiple=True, metavar="K=V", help="Override an input; may be repeated.")
_debug = click.option("--debug", is_flag=True, help="Show the traceback of an error.")


def base_command(command: Command) -> Command:
    """Add `--debug` to a command, and turn errors for users into a few lines."""
    return _debug(reporting_errors(command))


def project_command(command: Command) -> Command:
    """Add `--configs` and error handling to a command that works on a project."""
    return configs_option(base_command(command))


def environment_command(command: Command) -> Command:
    """Add the options that choose and adjust an environment; the command receives the loaded `config`."""

    @functools.wraps(command)
    def with_config(configs: str, env: str | None, params: tuple[str, ...], **options: Any) -> None:
        if "words" in options:
            # `--params a=1 b=2`: click hands what follows the first value to the command's arguments.
            params += tuple(word for word in options["words"] if "=" in word)
            options["words"] = tuple(word for word in options["words"] if "=" not in word)
        command(config=_load(env, configs, parse_params(params)), **options)

    return env_option(_params(project_command(with_config)))


def parse_params(words: tuple[str, ...]) -> dict[str, str]:
    """Return `K=V` words as a mapping; a word may join several with commas."""
    params: dict[str, str] = {}
    for word in words:
        parts = word.split(",")
        # A comma inside a value is part of it.
        for part in parts if all("=" in part for part in parts) else [word]:
            name, equals, value = part.partition("=")
            if not equals or not name.strip():
                raise click.UsageError(f"--params takes NAME=VALUE, found '{part}'.")
            params[name.strip()] = value
    return params


def _load(env: str | None, configs: str, params: dict[str, str]) -> Config:
    from loaders.config.environment import environments, load_config
    from loaders.names import quoted

    if not env:
        raise ConfigError(
            f"No environment: give --env NAME or set SOURCESWAP_ENV. Environments are: {quoted(environments(configs))}."
        )
    return load_config(env, configs, params)


def reporting_errors(command: Command) -> Command:
    """Report errors for users in a few lines on standard error, with the exit code of their kind."""

    @functools.wraps(command)
    def with_error_report(*args: Any, debug: bool = False, **options: Any) -> None:
        try:
            _refuse_removed_folder()
            if not debug:
                # Hamilton logs each failing node with a banner; the error itself is reported here.
                logging.getLogger("hamilton").setLevel(logging.CRITICAL + 1)
            command(*args, **options)
        except KeyboardInterrupt:
            _abort()
        except click.UsageError as error:
            raise click.UsageError(bounded(error.message), error.ctx) from None
        except LoaderError as error:
            if debug:
                raise
            _fail(error, EXIT_USAGE if isinstance(error, ConfigError) else EXIT_FAILURE)

    return with_error_report


def _refuse_removed_folder() -> None:
    try:
        Path.cwd()
    except OSError:
        raise ConfigError("The working directory was removed. Change to a folder that exists.") from None


def _fail(error: Exception, code: int) -> None:
    echo_text(f"Error: {bounded(str(error))}", err=True)
    sys.exit(code)


def _abort() -> NoReturn:
    """Exit after an interrupt, without waiting for the threads of the user's functions."""
    # The interpreter waits for all threads at exit. A second interrupt ends that wait without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    click.echo("\nAborted!", err=True)
    deadline = threading.Timer(_GRACE_SECONDS, os._exit, [EXIT_INTERRUPTED])
    deadline.daemon = True
    deadline.start()
    sys.exit(EXIT_INTERRUPTED)
