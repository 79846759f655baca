"""Loader modules made from contracts alone: one function for each dataset, which only reads it."""

from __future__ import annotations

import linecache
import re
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from loaders.conforming.frame_kinds import Kind, polars_module
from loaders.contract import DatasetContract
from loaders.errors import ConfigError
from loaders.names import did_you_mean, quoted
from loaders.planning.definitions import Contracts, collect_contracts
from loaders.planning.hamilton_setup import registry

_KEYS = ("contracts", "allow", "frame")
_READERS: Mapping[str, tuple[str, str]] = {
    "pandas": ("read_table", "pandas.DataFrame"),
    "polars": ("read_polars", "polars.DataFrame"),
}
_HEADER = '''"""Datasets of {origin}, read as {frame} frames; made by `loader_module`."""

import {package}
from hamilton.function_modifiers import extract_columns

from caching import function_cache
from loaders import {reader}
'''
_FUNCTION = """

@extract_columns(*CONTRACTS[{name!r}].columns)
@function_cache
def {name}({name}_data_path: str) -> {kind}:
    {doc}
    return {reader}({name}_data_path, CONTRACTS[{name!r}]{allow})
"""


def loader_module(
    name: str, contracts: Contracts, allow: Sequence[str] | None = None, frame: Kind = "pandas"
) -> ModuleType:
    """Return a loader module made from contracts: each dataset is read from the input `<dataset>_data_path`.

    Its functions are those that one would write: cached, with extracted columns, and with `read_table` or `read_polars`
    as their body. The module is registered in `sys.modules`, so that workers and caches know its functions by name.

    Args:
        name: the name of the module, such as `"my_project.prod"`.
        contracts: a module with contracts, contracts by name, or several contracts.
        allow: the protocols that the source reads, such as `("s3",)`; None for any.
        frame: the kind of the frames: "pandas" or "polars".

    Raises:
        ConfigError: there is no contract, or an argument is impossible.
    """
    known = collect_contracts([contracts])
    origin = contracts.__name__ if isinstance(contracts, ModuleType) else "contracts"
    if not known:
        raise ConfigError(f"{origin} has no DatasetContract to make loaders from.")
    if frame not in _READERS:
        raise ConfigError(f"Loader modules have frames of {quoted(_READERS)}; found frame={frame!r}.")
    if isinstance(allow, str) or not all(isinstance(each, str) for each in allow or ()):
        raise ConfigError(f"allow must be a list of protocols such as ['s3'] or ['file']; found {allow!r}.")
    if not all(name.split(".")) or not all(part.isidentifier() for part in name.split(".")):
        raise ConfigError(f"A loader module's name is that of a module, such as 'my_project.prod'; found {name!r}.")
    if frame == "polars":
        polars_module()
        registry.load_extension("polars")

    module = ModuleType(name)
    module.__dict__["CONTRACTS"] = known
    module.__file__ = getattr(contracts, "__file__", None)
    text = _text(origin, known, None if allow is None else tuple(allow), frame)
    file = f"<loader_module {name}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    sys.modules[name] = module
    exec(compile(text, file, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 — text of this module, names are identifiers
    return module


def module_of_section(section: Mapping[str, Any], role: str, import_path: Any) -> ModuleType:
    """Return the module that a source's section of a configuration describes: `{contracts: …, allow: […]}`."""
    unknown = [str(key) for key in section if key not in _KEYS]
    if unknown or "contracts" not in section:
        hint = did_you_mean(unknown[0], _KEYS) if unknown else ""
        problem = f"has the unknown key '{unknown[0]}'" if unknown else "lacks 'contracts'"
        raise ConfigError(f"{role} {problem}; its keys are {quoted(_KEYS)}, of which 'contracts' is required.{hint}")
    contracts = import_path(section["contracts"], f"{role}: contracts")
    allow, frame = section.get("allow"), section.get("frame", "pandas")
    allow = [allow] if isinstance(allow, str) else allow
    # Within the package of the contracts, so that whoever imports that anew makes this anew.
    package, _, last = contracts.__name__.rpartition(".")
    name = re.sub(r"\W", "_", "_".join([last, *(allow or ["any"]), str(frame)]))
    return loader_module(f"{package}.{name}" if package else name, contracts, allow, frame)


def _text(origin: str, contracts: Mapping[str, DatasetContract], allow: tuple[str, ...] | None, frame: str) -> str:
    reader, kind = _READERS[frame]
    text = _HEADER.format(origin=origin, frame=frame, package=kind.partition(".")[0], reader=reader)
    for name, contract in contracts.items():
        doc = repr(contract.description or f"The dataset {name}.")
        given = "" if allow is None else f", allow={allow!r}"
        text += _FUNCTION.format(name=name, kind=kind, doc=doc, reader=reader, allow=given)
    return text
