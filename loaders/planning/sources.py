"""The data sources by name, and the import of their modules."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from loaders.errors import ConfigError, LoaderError
from loaders.names import did_you_mean, quoted
from loaders.redaction import first_line

#: To add a source to the toolkit, write a module with the same functions and add its name here.
SOURCES: Mapping[str, str] = {
    "local": "loaders.local",
    "staging": "loaders.staging",
    "prod": "loaders.prod",
    "in_memory": "loaders.in_memory",
}


#: A source: its module, the import path of one, or a mapping with the contracts to make one from.
Source = str | ModuleType | Mapping[str, Any]


def source_path(source: Source) -> str:
    """Return the text that tells a source from others; it begins with the package that it is imported from."""
    if isinstance(source, Mapping):
        options = (f"{key}={value}" for key, value in source.items() if key != "contracts")
        return " ".join([str(source.get("contracts")), *options])
    return source.__name__ if isinstance(source, ModuleType) else str(source)


def pick_source(data_source: object, own: Mapping[str, Any], where: str = "config") -> tuple[str, Source]:
    """Return name and module (or import path) of a data source; `own` adds sources.

    Raises ConfigError with the known names and the nearest one if the name is missing or unknown.
    """
    table = {**SOURCES, **own}
    if data_source is None:
        raise ConfigError(f"{where}: 'data_source' is missing; choose one of: {quoted(table)}.")
    if not isinstance(data_source, str) or data_source not in table:
        hint = did_you_mean(data_source, table) if isinstance(data_source, str) else ""
        raise ConfigError(f"{where}: data source {data_source!r} does not exist. Sources are: {quoted(table)}.{hint}")
    return data_source, table[data_source]


def import_module(module: Source, role: str) -> ModuleType:
    """Return a module given as a module, an import path or, for a source, a mapping with contracts.

    `role` names it in errors.
    """
    if isinstance(module, ModuleType):
        return module
    if isinstance(module, Mapping):
        from loaders.planning.generated_modules import module_of_section

        return module_of_section(module, role, import_module)
    if not isinstance(module, str) or not all(module.split(".")):
        raise ConfigError(
            f"{role} must be a module or its import path, such as 'my_project.loaders'; found {module!r}."
        )
    from loaders.planning.hamilton_setup import import_dataflow

    try:
        return import_dataflow(module)
    except ModuleNotFoundError as error:
        # If the module exists but imports a missing one, the error must name the missing one.
        wanted = error.name or ""
        if module == wanted or module.startswith(f"{wanted}."):
            raise ConfigError(
                f"{role} '{module}' cannot be imported: there is no module '{wanted}'. "
                f"Looked in the project's root and in {quoted(sys.path[:3])}, …"
            ) from None
        raise ConfigError(
            f"{role} '{module}' cannot be imported: it needs '{wanted}', which is not installed."
        ) from error
    except LoaderError:
        raise
    except SystemExit as error:
        raise ConfigError(
            f"{role} '{module}' cannot be imported: it calls sys.exit({error.code!r}){_place(error)}. Remove that call."
        ) from error
    except Exception as error:
        problem = first_line(str(error.msg if isinstance(error, SyntaxError) else error))
        raise ConfigError(
            f"{role} '{module}' cannot be imported: {type(error).__name__}: {problem}{_place(error)}. Correct it there."
        ) from error


def _place(error: BaseException) -> str:
    """Return the innermost line of user code in the traceback of a failed import."""
    if isinstance(error, SyntaxError):
        return f" ({error.filename}:{error.lineno})" if error.filename else ""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_own(frame.filename)]
    return f" ({own[-1].filename}:{own[-1].lineno})" if own else ""


def _is_own(file: str) -> bool:
    inside = (Path(__file__).parents[1], Path(traceback.__file__).parent)
    return Path(file).is_file() and not any(Path(file).is_relative_to(folder) for folder in inside)


def make_importable(root: Path) -> None:
    """Add a project's root to the front of the import path, once."""
    entry = str(root)
    if entry not in sys.path:
        sys.path.insert(0, entry)
