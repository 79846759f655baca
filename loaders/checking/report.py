"""The report of a check, as text, JSON or GitHub annotations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from loaders.checking.findings import Finding
from loaders.probing.probe import Probe
from loaders.units import size_text


@dataclass(frozen=True)
class Report:
    """The findings of a check, errors first, and what was checked.

    Attributes:
        findings: none where everything is interchangeable.
        sources: the loader modules, by the name that `data_source` has.
        environments: the environments.
        datasets: the datasets that the sources export.
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

    def passes(self, *, strict: bool = False) -> bool:
        """Return whether there is no error and, if strict, no warning either."""
        return not self.findings if strict else self.ok

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that fail the check."""
        return tuple(found for found in self.findings if found.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that do not fail the check."""
        return tuple(found for found in self.findings if found.severity == "warning")

    def without(self, rules: Iterable[str]) -> Report:
        """Return the report without the findings of these rules."""
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
        return as_text(self)


def as_text(report: Report) -> str:
    """Return the report as text: a few lines for each finding, then the count."""
    lines = [line for found in report.findings for line in (*_lines(found), "")]
    if report.probes:
        lines += [*_probes(report), ""]
    return "\n".join([*lines, _summary(report)])


def as_json(report: Report) -> str:
    """Return the report as JSON."""
    return json.dumps(report.as_dict(), indent=2, ensure_ascii=False, default=str)


def as_github(report: Report) -> str:
    """Return a GitHub workflow command for each finding, then the count."""
    return "\n".join([*(_annotation(found) for found in report.findings), _summary(report)])


def _lines(found: Finding) -> Iterator[str]:
    head = f"{found.severity}: {found.rule}"
    yield "  ".join(part for part in (head, found.subject, found.place) if part)
    if found.environment and found.module:
        yield f"  environment: {found.environment}"
    yield f"  expected: {found.expected}"
    yield f"  found:    {found.found}"
    yield f"  to do:    {found.fix}"


def _probes(report: Report) -> list[str]:
    rows: list[tuple[str, ...]] = [("environment", "dataset", "location", "format", "rows", "age", "fetched")]
    rows += [probe.row for probe in report.probes]
    fetched = sum(probe.fetched_bytes for probe in report.probes)
    return [*_table(rows), f"{size_text(fetched)} fetched in all"]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _summary(report: Report) -> str:
    looked = [("source", report.sources), ("environment", report.environments), ("dataset", report.datasets)]
    counts = ", ".join(_count(len(names), noun) for noun, names in looked if names)
    if not report.findings:
        return f"{counts}: interchangeable" if counts else "interchangeable"
    found = f"{_count(len(report.errors), 'error')}, {_count(len(report.warnings), 'warning')}"
    return f"{counts}: {found}" if counts else found


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _annotation(found: Finding) -> str:
    properties = {"file": found.file, "line": found.line, "title": f"sourceswap: {found.rule}"}
    given = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items() if value)
    return f"::{found.severity} {given}::{_data(found.message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
