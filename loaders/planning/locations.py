"""Find the inputs from which a loader reads a location, and check that local files exist."""

from __future__ import annotations

import ast
import inspect
import os
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from loaders.errors import ReadError
from loaders.planning.definitions import Definition


def location_inputs(definition: Definition) -> list[str]:
    """Return the inputs that the function passes to a reader unchanged; none without its source text."""
    function = inspect.unwrap(definition.function)
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError, TypeError):
        return []
    names = [location.id for location in _locations(tree, function) if isinstance(location, ast.Name)]
    return [name for name in dict.fromkeys(names) if name in definition.inputs]


def why_unreadable(location: str | os.PathLike[str]) -> str | None:
    """Return why a local location cannot be read; None if it is readable or remote."""
    # Imported here because only `run --dry-run` needs it.
    from loaders.clients.client import client_for
    from loaders.clients.location import parse_location
    from loaders.clients.progress import Tracker
    from loaders.reading.parts import parts_of
    from loaders.schema.format_options import FormatOptions

    place = parse_location(location)
    if place.protocol != "file":
        return None
    try:
        for part in parts_of(place, FormatOptions()):
            client_for(part.location).open(part.location, Tracker("", place.shown)).close()
    except ReadError as error:
        return str(error)
    return None


def _locations(tree: ast.AST, function: Callable[..., Any]) -> Iterator[ast.expr]:
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and _is_read_table(call.func, function):
            yield from call.args[:1]
            yield from (keyword.value for keyword in call.keywords if keyword.arg == "location")


def _is_read_table(called: ast.expr, function: Callable[..., Any]) -> bool:
    found: Any = None
    if isinstance(called, ast.Name):
        found = function.__globals__.get(called.id)
    elif isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
        found = getattr(function.__globals__.get(called.value.id), called.attr, None)
    return getattr(found, "__module__", "") in ("loaders.reading.table", "loaders.reading.batches")
