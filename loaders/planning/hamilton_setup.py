"""Import Hamilton with its pandas support alone.

By default Hamilton imports every installed dataframe library, which takes longer than importing pandas. Import
Hamilton's graph from this module, or after it. If Hamilton was imported earlier, or the user has set Hamilton's own
switch, this module changes nothing.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import sys
from types import ModuleType

from hamilton import registry

if not registry.INITIALIZED and registry.HAMILTON_AUTOLOAD_ENV not in os.environ:
    # Set only during the import below: child processes must not inherit it.
    os.environ[registry.HAMILTON_AUTOLOAD_ENV] = "0"
    try:
        registry.load_extension("pandas")
        # Hamilton loads extensions on the first import of its decorators.
        importlib.import_module("hamilton.function_modifiers.base")
    finally:
        del os.environ[registry.HAMILTON_AUTOLOAD_ENV]

from hamilton import graph_utils
from hamilton.function_modifiers import base as decorators

# These loggers log the arguments of a failing node, including truncated locations.
_LOGS = ("hamilton.execution.graph_functions", "hamilton.async_driver")
_LOCATION = re.compile(r"(?<=://)[^\n]*")


def _without_locations(record: logging.LogRecord) -> bool:
    if record.levelno >= logging.ERROR:
        record.msg, record.args = _LOCATION.sub("***", record.getMessage()), ()
    return True


for _log in _LOGS:
    logging.getLogger(_log).addFilter(_without_locations)

__all__ = ["decorators", "graph_utils", "import_dataflow", "registry"]


def import_dataflow(path: str) -> ModuleType:
    """Import a dataflow module; load Hamilton's support for other frames if it needs it."""
    try:
        return importlib.import_module(path)
    except decorators.InvalidDecoratorException:
        # The decorator accepts registered frame types only; the module's type is not registered yet.
        sys.modules.pop(path, None)
        registry.initialize()  # type: ignore[no-untyped-call]  # Hamilton leaves it unannotated
        return importlib.import_module(path)
