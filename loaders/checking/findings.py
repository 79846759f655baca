"""A finding: one difference that a check reports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from loaders.names import printable

Severity = Literal["error", "warning"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One difference: where it is, what was expected, what was found, and what to do about it.

    Attributes:
        rule: a short name of what is broken, for `--ignore`.
        severity: an error fails the check, a warning does not.
        module: the module's import path, where the finding is about one.
        function: the function's name, or `Class.method`.
        file: of the function or the configuration; from the working directory where it lies below it.
        line: in that file, from 1.
        environment: the environment, where the finding is about one.
        dataset: the dataset, where the finding is about one.
    """

    rule: str
    expected: str
    found: str
    fix: str
    severity: Severity = "error"
    module: str = ""
    function: str = ""
    file: str = ""
    line: int | None = None
    environment: str = ""
    dataset: str = ""

    def __post_init__(self) -> None:
        # Names of columns and files may hold anything; a terminal and JSON may not.
        for name in ("expected", "found", "fix", "function", "file", "dataset"):
            object.__setattr__(self, name, printable(getattr(self, name)))

    @property
    def place(self) -> str:
        """The file and line, as an editor opens them."""
        return self.file if self.line is None or not self.file else f"{self.file}:{self.line}"

    @property
    def subject(self) -> str:
        """The function, module or environment that the finding is about."""
        if self.module and self.function:
            return f"{self.module}.{self.function}()"
        return self.module or (f"environment {self.environment}" if self.environment else "")

    @property
    def message(self) -> str:
        """Everything but the place, in one line."""
        who = f"{self.subject}: " if self.subject else ""
        return f"{who}expected {self.expected}; found {self.found}. {self.fix}"


def shown_path(path: str | Path) -> str:
    """Return a path relative to the working directory, if it lies below it."""
    try:
        return str(Path(path).resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
