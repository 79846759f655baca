"""The datasets that a loader module exports, as Hamilton sees them."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from loaders.checking.findings import Finding, shown_path
from loaders.checking.source_text import SourceText
from loaders.contract import DatasetContract
from loaders.errors import ConfigError
from loaders.planning.definitions import Definition, contracts_of, define
from loaders.planning.hamilton_setup import decorators, graph_utils
from loaders.planning.sources import Source, import_module

#: The rules of this module, for `SourceModule.problems`.
IMPORT_RULE = "import"
NODE_RULE = "not-a-node"


@dataclass(frozen=True)
class ExportedFunction:
    """A function of a loader module, and the nodes that it makes.

    Attributes:
        name: the node of the function's own value; for a loader, the dataset's name.
        columns: the type of each extracted column.
        kind: the type of the function's own value.
    """

    name: str
    definition: Definition
    columns: Mapping[str, Any]
    kind: Any
    contract: DatasetContract | None

    @property
    def inputs(self) -> Mapping[str, tuple[Any, bool]]:
        """The type of each input, and whether it must be given."""
        return self.definition.inputs

    @property
    def is_dataset(self) -> bool:
        """Whether the function is a loader: it has extracted columns, or a contract of its name exists."""
        return bool(self.columns) or self.contract is not None

    @property
    def function(self) -> Callable[..., Any]:
        """The function without its wrappers."""
        plain: Callable[..., Any] = inspect.unwrap(self.definition.function)
        return plain

    @property
    def is_cached(self) -> bool:
        """Whether `function_cache` is among its wrappers."""
        return hasattr(self.definition.function, "lookup")

    @property
    def documentation(self) -> str:
        """The docstring, on one line."""
        return " ".join((self.function.__doc__ or "").split())


@dataclass
class SourceModule:
    """The loader module of one data source; `problems` lists what could not be inspected.

    Attributes:
        name: what `data_source` says; for a module that was given by itself, the module's name.
        path: the module's import path.
        module: None where it cannot be imported.
        known: the configuration that `@config.when` sees.
    """

    name: str
    path: str
    module: ModuleType | None = None
    known: Mapping[str, Any] = field(default_factory=dict)
    problems: list[Finding] = field(default_factory=list)

    @cached_property
    def text(self) -> SourceText:
        """The module's source."""
        return SourceText.of(self.module) if self.module else SourceText(None)

    @cached_property
    def file(self) -> str:
        """The module's file, for a finding."""
        path = getattr(self.module, "__file__", None)
        return shown_path(path) if path else ""

    @cached_property
    def contracts(self) -> dict[str, DatasetContract]:
        """The contracts that the module holds or imports, by dataset."""
        return contracts_of(self.module) if self.module else {}

    @cached_property
    def definitions(self) -> list[Definition]:
        """The functions that Hamilton accepts, with their nodes; those it refuses become problems."""
        found: list[Definition] = []
        if self.module is None:
            return found
        for name, function in graph_utils.find_functions(self.module):
            try:
                with quiet_hamilton():
                    found.append(define(self.module, name, function, dict(self.known)))
            except ConfigError as error:
                self.problems.append(self._refused(name, error))
        return found

    @cached_property
    def exports(self) -> dict[str, ExportedFunction]:
        """The exported functions, by the name of their own node."""
        return {
            definition.node_name: self._exported(definition)
            for definition in self.definitions
            if definition.node_name in definition.nodes
        }

    @property
    def datasets(self) -> dict[str, ExportedFunction]:
        """The loaders among the functions, by dataset."""
        return {name: exported for name, exported in self.exports.items() if exported.is_dataset}

    @property
    def nodes(self) -> dict[str, tuple[Definition, Any]]:
        """Every node of the module, with the function that makes it and its type."""
        return {
            node.name: (definition, node.type)
            for definition in self.definitions
            for node in decorators.resolve_nodes(definition.function, dict(self.known))
        }

    def at(self, function: str) -> dict[str, Any]:
        """Return the place of a function, for a finding."""
        node = self.text.function(function.split(".")[0])
        line = node.lineno if node else self.text.line(function.split(".")[0])
        return {"module": self.path, "function": function, "file": self.file, "line": line}

    def here(self, exported: ExportedFunction) -> dict[str, Any]:
        """Return the place of an exported function, for a finding."""
        name = exported.definition.name
        if self.text.function(name) is not None:
            return self.at(name)
        code = exported.function.__code__
        file = shown_path(code.co_filename)
        return {"module": self.path, "function": name, "file": file, "line": code.co_firstlineno}

    def place(self, exported: ExportedFunction) -> str:
        """Return the place of an exported function, for a sentence."""
        here = self.here(exported)
        return f"{self.path}.{exported.definition.name}() ({here['file']}:{here['line']})"

    def _exported(self, definition: Definition) -> ExportedFunction:
        types = {node.name: node.type for node in decorators.resolve_nodes(definition.function, dict(self.known))}
        kind = types.pop(definition.node_name)
        return ExportedFunction(definition.node_name, definition, types, kind, self.contracts.get(definition.node_name))

    def _refused(self, name: str, error: ConfigError) -> Finding:
        return Finding(
            rule=NODE_RULE,
            expected="a function whose parameters and result are annotated with types that Hamilton knows",
            found=str(error.__cause__ or error).strip().splitlines()[0][:300],
            fix="Annotate it, or begin its name with '_' if it is only a helper.",
            **self.at(name),
        )


@contextlib.contextmanager
def quiet_hamilton() -> Iterator[None]:
    """Suppress Hamilton's log of tracebacks that become findings."""
    logger = logging.getLogger("hamilton")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def source_module(
    name: str,
    module: Source,
    known: Mapping[str, Any] | None = None,
    role: str = "loader module",
) -> SourceModule:
    """Return a loader module for inspection; a failed import becomes a problem, not an exception."""
    known = {"data_source": name, **(known or {})}
    if isinstance(module, ModuleType):
        return SourceModule(name, module.__name__, module, known)
    path = module if isinstance(module, str) else str(module.get("contracts"))
    try:
        imported = import_module(module, role.capitalize())
        return SourceModule(name, imported.__name__ if isinstance(module, Mapping) else path, imported, known)
    except Exception as error:  # noqa: BLE001 — whatever the user's module raises is a finding about it
        return SourceModule(name, path, None, known, [import_problem(path, role, error)])


def import_problem(module: str, role: str, error: Exception) -> Finding:
    """Return the finding for a module that cannot be imported, at the failing line of its own code."""
    cause: BaseException = error.__cause__ if isinstance(error, ConfigError) and error.__cause__ else error
    file, line, module = _culprit(module, cause)
    text = str(cause).strip().splitlines()[0][:300] if str(cause).strip() else ""
    if isinstance(cause, SystemExit):
        text = f"the module calls sys.exit({cause.code!r})"
    return Finding(
        rule=IMPORT_RULE,
        expected=f"a module that can be imported, as the {role}",
        found=text if isinstance(cause, ConfigError) else f"{type(cause).__name__}: {text}",
        fix="Correct it; nothing of the module can be checked until it imports.",
        module=module,
        function=SourceText(file).enclosing(line) if file and line else "",
        file=shown_path(file) if file else "",
        line=line,
    )


def _culprit(module: str, error: BaseException) -> tuple[Path | None, int | None, str]:
    """Return file, line and module of an import error: of the syntax error, or the innermost line of user code."""
    own = _file_of(module)
    if isinstance(error, SyntaxError) and error.filename:
        file = Path(error.filename)
        return file, error.lineno or 1, module if file == own else file.stem
    frames = [
        (Path(frame.f_code.co_filename), line, str(frame.f_globals.get("__name__", module)))
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    inside = [frame for frame in frames if frame[0] == own]
    users = [frame for frame in frames if not is_foreign(frame[0])]
    # A module that fails because one that it imports does: the innermost of the user's own lines is at fault.
    for candidates in (users, inside):
        if candidates:
            return candidates[-1]
    return own, 1 if own else None, module


def _file_of(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError, SyntaxError):
        return None
    return Path(spec.origin) if spec and spec.origin else None


_TOOLKIT = Path(__file__).parents[2]


def is_foreign(file: Path) -> bool:
    """Return whether a file belongs to Python, an installed package or the toolkit."""
    toolkit = any(file.is_relative_to(_TOOLKIT / package) for package in ("loaders", "caching", "cli"))
    installed = "site-packages" in file.parts or file.is_relative_to(Path(traceback.__file__).parent)
    return toolkit or installed or not file.exists()
