"""Refuse to write a result over the data that a run reads."""

from __future__ import annotations

import fnmatch
import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loaders.clients.location import parse_location
from loaders.config.project_root import use_project_root
from loaders.errors import ConfigError

if TYPE_CHECKING:
    from loaders.planning.plan import Plan


def refuse_overwriting(planned: Plan, output: Path) -> None:
    """Raise ConfigError for an output file that is an input of the plan, or would become a part of one."""
    name = overwritten_input(planned, output)
    if name is not None:
        raise ConfigError(
            f"--output: '{output}' is read by this run: the input '{name}' is '{planned.inputs[name]}'. Writing it "
            "would destroy that data. Name another file."
        )


def overwritten_input(planned: Plan, output: Path) -> str | None:
    """Return the input that a written file would replace or become a part of; None if there is none.

    Symbolic links, hard links and other spellings of a path are resolved. An input counts even if the chosen outputs do
    not need it.
    """
    with use_project_root(planned.config.root):
        of_datasets = {name for dataset in planned.datasets for name in dataset.definition.inputs}
        for name, value in planned.inputs.items():
            place = _local_path(value)
            if place is None:
                continue
            if _is_same(output, place) or (name in of_datasets and _is_part(output, place)):
                return name
    return None


def _local_path(value: Any) -> Path | None:
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        return None
    try:
        location = parse_location(value)
    except ConfigError:
        return None
    return Path(location.path) if location.protocol == "file" else None


def _is_part(output: Path, place: Path) -> bool:
    """Return whether the output is in a folder of parts, or matches a pattern of them."""
    target = output.resolve()
    if place.is_dir():
        return target.is_relative_to(place.resolve()) or any(_is_same(output, file) for file in place.rglob("*"))
    if not glob.has_magic(str(place)):
        return False
    pattern = place.resolve()
    existing = glob.iglob(str(place), recursive=True)  # noqa: PTH207 - Path.glob takes no absolute patterns
    return _matches(target, pattern) or any(_is_same(output, Path(file)) for file in existing)


def _matches(path: Path, pattern: Path) -> bool:
    if "**" in pattern.parts:
        return any(fnmatch.fnmatchcase(str(path), str(pattern).replace("**/", each)) for each in ("", "*"))
    return len(path.parts) == len(pattern.parts) and all(map(fnmatch.fnmatchcase, path.parts, pattern.parts))


def _is_same(output: Path, file: Path) -> bool:
    try:
        return output.samefile(file)
    except OSError:  # one of the files does not exist
        return output.resolve() == file.resolve()
