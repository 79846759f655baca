"""What a check finds, and the report that it makes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from loaders.checking.probe import Probe

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

    @property
    def place(self) -> str:
        """The file and line, as an editor opens them."""
        return self.file if self.line is None or not self.file else f"{self.file}:{self.line}"

    @property
    def subject(self) -> str:
        """Who is at fault: a function, a module or an environment."""
        if self.module and self.function:
            return f"{self.module}.{self.function}()"
        return self.module or (f"environment {self.environment}" if self.environment else "")

    @property
    def message(self) -> str:
        """Everything but the place, in one line."""
        who = f"{self.subject}: " if self.subject else ""
        return f"{who}expected {self.expected}; found {self.found}. {self.fix}"


@dataclass(frozen=True)
class Report:
    """All findings of a check, errors first, and what was looked at.

    Attributes:
        findings: none where everything is interchangeable.
        sources: the loader modules, by the name that `data_source` has.
        environments: the environments.
        datasets: the datasets that the sources offer.
        probes: what `--live` saw of each file.
    """

    findings: tuple[Finding, ...] = ()
    sources: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        ordered = sorted(dict.fromkeys(self.findings), key=lambda found: found.severity)
        object.__setattr__(self, "findings", tuple(ordered))

    @property
    def ok(self) -> bool:
        """Whether no finding is an error."""
        return not self.errors

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that fail the check."""
        return tuple(found for found in self.findings if found.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that do not."""
        return tuple(found for found in self.findings if found.severity == "warning")

    def without(self, rules: Iterable[str]) -> Report:
        """Return the report less the findings of these rules."""
        ignored = set(rules)
        return replace(self, findings=tuple(found for found in self.findings if found.rule not in ignored))

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values, for JSON."""
        return {
            "ok": self.ok,
            "errors": len(self.errors),
            "warnings": len(self.warnings),
            "sources": list(self.sources),
            "environments": list(self.environments),
            "datasets": list(self.datasets),
            "findings": [asdict(found) for found in self.findings],
            "probes": [probe.as_dict() for probe in self.probes],
        }

    def __str__(self) -> str:
        from loaders.checking.rendering import as_text

        return as_text(self)


def shown_path(path: str | Path) -> str:
    """Return a path as a reader of the report finds it: from the working directory, where it lies below."""
    try:
        return str(Path(path).resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
