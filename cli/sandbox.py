"""`sandbox`: run a command, or wait, with a local S3 server in place of every bucket."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping

import click

from cli.project import project_command


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--from", "sample_env", default="local", show_default=True, metavar="ENV", help="Environment to copy.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND...]")
@project_command
def sandbox(configs: str, sample_env: str, command: tuple[str, ...]) -> None:
    """Run COMMAND with a local S3 server that holds the sample data.

    The server has the buckets of every environment and needs no account and no network. Without a command it prints
    the variables to export and runs until Ctrl-C. All data is removed at the end.
    """
    from loaders.sandbox.sandbox import open_sandbox

    # A terminated sandbox must still remove its data.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with open_sandbox(configs, sample_env) as running:
        for env, locations in running.filled.items():
            click.echo(f"sandbox: {env}: {', '.join(locations) or 'nothing'}", err=True)
        for env, missing in running.left_out.items():
            for name, reason in missing.items():
                click.echo(f"sandbox: {env}: '{name}' is left out: {reason}", err=True)
        code = _run(command, {**_without_aws(), **running.variables}) if command else _stay(running.variables)
    sys.exit(code)


def _run(command: tuple[str, ...], environment: dict[str, str]) -> int:
    try:
        process = subprocess.Popen(command, env=environment)  # noqa: S603 - the user's own command
    except OSError as error:
        raise click.UsageError(f"Command '{command[0]}' cannot be run: {error.strerror}.") from None
    try:
        code = process.wait()
    except KeyboardInterrupt:
        # Ctrl-C reaches the command too; wait until it has finished.
        code = process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    return code if code >= 0 else 128 - code


def _stay(variables: Mapping[str, str]) -> int:
    click.echo("unset AWS_PROFILE AWS_SESSION_TOKEN")
    for name, value in variables.items():
        click.echo(f"export {name}={shlex.quote(value)}")
    click.echo("sandbox: running; Ctrl-C stops it and removes its data.", err=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        click.echo("\nsandbox: stopped.", err=True)
    return 0


def _without_aws() -> dict[str, str]:
    """Return this process's environment variables without AWS settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
