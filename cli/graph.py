"""`graph`: draw an environment's dataflow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.project import environment_command

if TYPE_CHECKING:
    from loaders.config.environment import Config


@click.command()
@click.option("-s", "--select", metavar="OUTPUT", multiple=True, help="Draw what this output needs; may be repeated.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write a .dot file, or .svg, .png, .pdf if Graphviz is installed. Without this option DOT is printed.",
)
@environment_command
def graph(config: Config, select: tuple[str, ...], output: Path | None) -> None:
    """Draw the dataflow: locations, datasets, columns, functions."""
    from loaders.driver import plan
    from loaders.files import write_file
    from loaders.planning.flow_graph import dot_text, render
    from loaders.planning.overwriting import refuse_overwriting

    planned = plan(config)
    outputs = list(dict.fromkeys(select)) or planned.outputs
    planned.refuse_unknown_outputs(outputs)
    if output is not None:
        refuse_overwriting(planned, output)
    dot = dot_text(planned, outputs)
    if output is None:
        click.echo(dot, nl=False)
    else:
        write_file(output, render(dot, output))
        click.echo(f"wrote {output}", err=True)
