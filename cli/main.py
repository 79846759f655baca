"""The command `sourceswap`: its groups, and the conversion of errors to a few lines and an exit code.

Neither this module nor the command modules import pandas, Hamilton, boto3, s3fs or rich before a command needs them,
so that `--help` stays fast.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Any

import click

from cli.cache import cache
from cli.check import check
from cli.datasets import ls, show
from cli.diff import diff
from cli.environments import config, envs
from cli.graph import graph
from cli.init import init
from cli.run import run
from cli.sample import sample
from cli.sandbox import sandbox
from loaders._version import __version__

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


class _Commands(click.Group):
    """A command group that reports a failed write to standard output in one line."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        if sys.stderr is None:
            # It was closed (`2>&-`). Discard messages, and keep a file opened later from becoming standard error.
            sys.stderr = open(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")  # noqa: PTH123, SIM115
        if sys.stdout is None:
            # It was closed (`>&-`): a command without its result has failed.
            click.echo("Error: The output cannot be written: standard output is closed.", err=True)
            sys.exit(1)
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            if error.errno not in _FULL or error.filename is not None:
                raise
            # The rest of the buffer would fail again when the interpreter flushes it at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            click.echo(f"Error: The output cannot be written: {error.strerror}.", err=True)
            sys.exit(1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", prog_name="sourceswap")
def main() -> None:
    """Run dataflows on interchangeable data sources: local, staging, prod.

    Choose the environment with --env or the variable SOURCESWAP_ENV; there is no default. Exit codes: 0 success, 1
    data or run failure, 2 usage or configuration error, 130 interrupted.
    """


for command in (init, run, envs, config, ls, show, graph, check, diff, sample, sandbox, cache):
    main.add_command(command)
