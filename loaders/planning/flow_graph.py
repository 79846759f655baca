"""Draw the dataflow in Graphviz's DOT language: locations, datasets, used columns and functions."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from loaders.errors import ConfigError
from loaders.planning.plan import Plan
from loaders.redaction import redact

_STYLES = {
    "input": 'shape=box, style="rounded,dashed"',
    "dataset": 'shape=cylinder, style=filled, fillcolor="#dceaf7"',
    "column": "shape=plaintext",
    "function": 'shape=box, style="rounded,filled", fillcolor="#f4efe1"',
    "output": 'shape=box, style="rounded,filled,bold", fillcolor="#f4efe1"',
}


def dot_text(planned: Plan, outputs: list[str]) -> str:
    """Return the graph of the nodes that the outputs need, as DOT; edges point along the data flow."""
    reached = planned.reached(outputs)
    datasets = {dataset.name: dataset for dataset, needed in planned.needed(outputs) if needed}
    columns = {column: name for name, dataset in datasets.items() for column in dataset.columns if column in reached}
    nodes = {name: ("dataset", f"{name}\\n{planned.location(dataset)}") for name, dataset in datasets.items()}
    nodes |= {column: ("column", column) for column in columns}
    edges = [(dataset, column) for column, dataset in columns.items()]
    for node in sorted(reached - nodes.keys()):
        definition = planned.definition(node)
        if definition is None:
            # The labels of the datasets already contain their locations.
            if not any(node in dataset.definition.inputs for dataset in datasets.values()):
                given = f" = {redact(str(planned.inputs[node]))}" if node in planned.inputs else ", its default"
                nodes[node] = ("input", f"{node}{given}")
            continue
        nodes[node] = ("output" if node in outputs else "function", node)
        edges += [(name, node) for name in definition.inputs if name in reached]
    lines = ["digraph dataflow {", "  rankdir=LR;", '  node [fontname="Helvetica", fontsize=11];']
    lines.append(f"  label={_quoted(planned.headline)};")
    lines += [f"  {_quoted(name)} [label={_quoted(label)}, {_STYLES[kind]}];" for name, (kind, label) in nodes.items()]
    lines += [f"  {_quoted(start)} -> {_quoted(end)};" for start, end in edges if start in nodes]
    return "\n".join([*lines, "}"]) + "\n"


def render(dot: str, file: Path) -> bytes:
    """Return the bytes of a file with this ending: DOT, or a picture made by Graphviz.

    Raises ConfigError if Graphviz is needed but not installed.
    """
    kind = file.suffix.lower().removeprefix(".")
    if kind in ("dot", "gv"):
        return dot.encode()
    program = shutil.which("dot")
    if program is None:
        raise ConfigError(
            f"'{file.name}' needs Graphviz's program `dot`, which is not installed. Install it (package graphviz), or "
            "write a .dot file, which does not need it."
        )
    drawn = subprocess.run([program, f"-T{kind}"], input=dot.encode(), capture_output=True, check=False)  # noqa: S603
    if drawn.returncode:
        raise ConfigError(f"Graphviz cannot write '{file.name}': {drawn.stderr.decode().strip()[:300]}")
    return drawn.stdout


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'
