"""Probe the real files of each environment, and compare them with the contract and with each other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from datetime import datetime
from typing import Any

from loaders.checking.environment import Environment
from loaders.checking.exports import ExportedFunction
from loaders.checking.findings import Finding, Severity
from loaders.checking.majority import deviations
from loaders.clients.cancellation import cancellable, results_of
from loaders.clients.location import parse_location
from loaders.clients.source import MissingError
from loaders.config.project_root import use_project_root
from loaders.config.storage import in_sandbox, use_storage
from loaders.contract import DatasetContract
from loaders.errors import LoaderError
from loaders.formats.formats import compression_of, format_by_name, format_of
from loaders.names import did_you_mean, quoted
from loaders.probing.budget import OverBudgetError
from loaders.probing.probe import FileFacts, Probe
from loaders.probing.ranged_file import RangedFile, buffer
from loaders.probing.text_files import csv_facts, jsonl_facts
from loaders.probing.typed_files import feather_facts, parquet_facts, plain_type, type_problem
from loaders.reading.parts import Part, folder_parts, parts_of
from loaders.redaction import redact
from loaders.schema.active_format import active_format, use_formats
from loaders.schema.format_options import FormatOptions

_PROBES_AT_A_TIME = 8
#: Of a dataset in many parts: the first, the one in the middle, the last.
_SAMPLED_PARTS = 3

_FIXES = {
    "live-unreadable": "Correct the location or the credentials, or put the file there.",
    "live-empty": "Write the data again; a dataset without rows is most often a failed job.",
    "live-damaged": "Write or copy the file again.",
    "live-columns": "Write the file with the columns of the contract, or change the contract for all environments.",
    "live-order": "Write the columns in the contract's order: readers of CSV that go by position mix them up.",
    "live-type": "Write the column in the contract's type, or change the contract for all environments.",
    "live-nulls": "Fill or drop the rows, or make the column nullable in the contract.",
    "live-values": "Correct the data, or the contract's rule.",
    "live-unknown": "Load the dataset once to know.",
    "live-last-line": "See whether the last value is whole; if it is, end the line, or leave it so.",
    "live-drift": "Write the dataset alike for every environment.",
}


def probe_environments(
    environments: Sequence[Environment], *, all_parts: bool = False
) -> tuple[list[Finding], list[Probe]]:
    """Probe the files of every environment; return findings and probes."""
    jobs = [
        (environment, exported, name, value)
        for environment in environments
        for name, exported, value in environment.locations()
    ]
    looks = [_Look(*job, all_parts=all_parts) for job in jobs]
    executor = ThreadPoolExecutor(_PROBES_AT_A_TIME, thread_name_prefix="sourceswap-probe")
    try:
        with cancellable():
            looked = results_of([executor.submit(copy_context().run, look.take) for look in looks])
    finally:
        executor.shutdown(wait=False)
    findings = [finding for look in looked for finding in look.findings]
    findings += drift([look for look in looked if look.probe.files])
    return findings, [look.probe for look in looked]


class _Look:
    """The check of one dataset in one environment: its probe and its findings."""

    def __init__(
        self, environment: Environment, exported: ExportedFunction, name: str, value: str, *, all_parts: bool
    ) -> None:
        self.environment = environment
        self.exported = exported
        self.contract = exported.contract
        self.findings: list[Finding] = []
        self.probe = Probe(environment.name, exported.name, redact(value))
        self._input = name
        self._value = value
        self._all_parts = all_parts

    def take(self) -> _Look:
        """Probe the files; a file that cannot be read becomes a finding."""
        with _active(self.environment):
            try:
                self._take()
            except LoaderError as error:
                self._note("live-unreadable", "a source that can be read", str(error).rstrip("."))
        return self

    def place(self) -> dict[str, Any]:
        """Return where the location is configured, and which function reads it."""
        return {
            "module": self.environment.source.path if self.environment.source else "",
            "function": self.exported.definition.name,
            "dataset": self.exported.name,
            **self.environment.at("inputs", self._input),
        }

    def _take(self) -> None:
        location = parse_location(self._value)
        options = active_format(self.contract) if self.contract else FormatOptions()
        parts = parts_of(location, options)
        try:
            files = [self._file(part, options, len(parts) > 1) for part in self._sample(parts)]
        except MissingError as missing:
            parts = folder_parts(location, options, missing) if location.protocol == "s3" else []
            if not parts:
                raise
            files = [self._file(part, options, len(parts) > 1) for part in self._sample(parts)]
        self._sum(files, len(parts))

    def _sample(self, parts: list[Part]) -> list[Part]:
        if self._all_parts or len(parts) <= _SAMPLED_PARTS:
            return parts
        return [parts[0], parts[len(parts) // 2], parts[-1]]

    def _file(self, part: Part, options: FormatOptions, is_part: bool) -> tuple[FileFacts, RangedFile]:
        file = RangedFile(part.location)
        facts = FileFacts()
        try:
            facts = self._facts(file, part, options)
        except OverBudgetError as error:
            facts = FileFacts(problems=(("live-unknown", str(error)),))
        finally:
            with contextlib.suppress(OSError):
                file.release()
        where = f"{part.location.name}: " if is_part else ""
        for rule, severity, expected, found in self._judge(facts, part):
            self._note(rule, expected, where + found, severity)
        return facts, file

    def _facts(self, file: RangedFile, part: Part, options: FormatOptions) -> FileFacts:
        if not file.size_bytes:
            return FileFacts(problems=(("live-empty", "a file of no bytes"),))
        name, compression = compression_of(part.location.name, options)
        found = format_by_name(name, options)
        if compression is None and found != "parquet":
            found = format_of(name, options, buffer(file.head()), part.location.shown)
        if found == "parquet" and compression is None:
            return parquet_facts(file, self.contract)
        if found == "feather" and compression is None:
            return feather_facts(file)
        if found in ("csv", "jsonl"):
            facts = csv_facts if found == "csv" else jsonl_facts
            return facts(file, self.contract, options, compression, dict(part.partitions))
        return FileFacts(f"{found}, {compression}", problems=(("live-unknown", "its footer is compressed"),))

    def _judge(self, facts: FileFacts, part: Part) -> Iterator[tuple[str, Severity, str, str]]:
        """Yield rule, severity, expected and found for each problem of a file."""
        for rule, said in facts.problems:
            yield rule, "warning" if rule == "live-unknown" else "error", _EXPECTED.get(rule, "the contract kept"), said
        if facts.rows == 0 and "live-empty" not in dict(facts.problems):
            yield "live-empty", "error", "rows", "none"
        if self.contract is not None and facts.columns:
            yield from _against(self.contract, facts, set(part.partitions))

    def _sum(self, files: list[tuple[FileFacts, RangedFile]], parts: int) -> None:
        counts = [facts.rows for facts, _ in files if facts.rows is not None]
        dates: list[datetime] = [file.modified for _, file in files if file.modified is not None]
        self.probe = replace(
            self.probe,
            format=files[0][0].format,
            rows=sum(counts) if len(counts) == len(files) else None,
            size_bytes=sum(file.size_bytes for _, file in files),
            modified=max(dates, default=None),
            fetched_bytes=sum(file.fetched_bytes for _, file in files),
            parts=parts,
            files=tuple(facts for facts, _ in files),
        )

    def _note(self, rule: str, expected: str, found: str, severity: Severity = "error") -> None:
        found = f"{found} [{self.probe.location}]" if self.probe.location not in found else found
        self.findings.append(
            Finding(rule=rule, severity=severity, expected=expected, found=found, fix=_FIXES[rule], **self.place())
        )


_EXPECTED = {
    "live-empty": "rows",
    "live-damaged": "a whole file of its format",
    "live-columns": "the columns of the contract",
    "live-type": "values of the contract's types",
    "live-nulls": "no nulls in columns that hold none",
    "live-values": "values that the contract allows",
    "live-unknown": "a file that a probe can judge",
}


def _against(contract: DatasetContract, facts: FileFacts, given: set[str]) -> Iterator[tuple[str, Severity, str, str]]:
    """Yield differences between a file's columns and its contract."""
    names = {name: contract.source_name(name) for name in contract.columns}
    if sum(name in facts.columns for name in contract.columns) > sum(name in facts.columns for name in names.values()):
        names = {name: name for name in contract.columns}
    absent = [source for name, source in names.items() if source not in facts.columns and not {name, source} & given]
    extra = [name for name in facts.columns if name not in names.values() and name not in given]
    if absent and "live-columns" not in dict(facts.problems):
        near = did_you_mean(absent[0], extra).strip()
        yield "live-columns", "error", f"columns {quoted(absent)}", f"columns {quoted(facts.columns)}. {near}".strip()
    if extra and contract.extra_columns == "refuse" and "live-columns" not in dict(facts.problems):
        yield "live-columns", "error", "no other columns than the contract's", f"also {quoted(extra)}"
    present = [source for source in names.values() if source in facts.columns]
    found_order = [name for name in facts.columns if name in present]
    if not facts.types and facts.format.startswith("csv") and found_order != present:
        yield "live-order", "error", f"columns in the order {quoted(present)}", quoted(found_order)
    others: list[str] = []
    for name, source in names.items():
        if source not in facts.types:
            continue
        field = contract.schema.field(name)
        problem = type_problem(facts.types[source].type, field.type)
        if problem is not None and problem[0] == "error":
            yield (
                "live-type",
                "error",
                f"column '{source}' of {field.type}",
                f"{facts.types[source].type}: {problem[1]}",
            )
        elif problem is not None:
            others.append(f"'{source}' {facts.types[source].type} for {field.type}")
        nulls = facts.nulls.get(source)
        if nulls and not field.nullable:
            yield "live-nulls", "error", f"no nulls in column '{source}'", f"{nulls:,} nulls"
    if others:
        found = f"{', '.join(others)}; they read the same while every value fits"
        yield "live-type", "warning", "the contract's types", found


def drift(looked: Sequence[_Look]) -> Iterator[Finding]:
    """Yield differences between the files of two environments."""
    for dataset in dict.fromkeys(look.exported.name for look in looked):
        of_dataset = [look for look in looked if look.exported.name == dataset]
        typed = {look.environment.name: look for look in of_dataset if look.probe.files[0].types}
        for column in dict.fromkeys(name for look in typed.values() for name in look.probe.files[0].types):
            having = {env: look for env, look in typed.items() if column in look.probe.files[0].types}
            types = {env: plain_type(look.probe.files[0].types[column].type) for env, look in having.items()}
            yield from _drifting(having, types, f"column '{column}' of")
            field = _field(of_dataset[0].contract, column)
            if field is not None and not field.nullable:
                nullable = {
                    env: "nulls allowed" if look.probe.files[0].types[column].nullable else "no nulls allowed"
                    for env, look in having.items()
                }
                yield from _drifting(having, nullable, f"column '{column}' with")
        listed = {look.environment.name: look for look in of_dataset if look.probe.files[0].columns}
        extra = {env: _extra_columns(look) for env, look in listed.items()}
        yield from _drifting(listed, extra, "other columns beside the contract's:", "warning")
        yield from _last_lines([look for look in of_dataset if look.probe.files[0].ends_its_lines is not None])


def _last_lines(looked: Sequence[_Look]) -> Iterator[Finding]:
    """Yield files whose last row, though complete, has no line end while those of other environments have one."""
    whole = {look.environment.name: all(f.ends_its_lines for f in look.probe.files) for look in looked}
    ended = [env for env, ends in whole.items() if ends]
    for look in looked if ended else ():
        if not whole[look.environment.name]:
            yield Finding(
                rule="live-last-line",
                severity="warning",
                expected=f"a line end after the last row, as in {', '.join(ended)}",
                found=f"a complete last row without one; its last value may be cut short [{look.probe.location}]",
                fix=_FIXES["live-last-line"],
                **look.place(),
            )


def _drifting(
    looked: dict[str, _Look], values: dict[str, str], what: str, severity: Severity = "error"
) -> Iterator[Finding]:
    for deviation in deviations(values):
        expected = f"{what} {deviation.expected or 'none'}, as in {', '.join(deviation.others)}"
        yield _drift_finding(looked[deviation.name], expected, deviation.value or "none", severity)


def _drift_finding(look: _Look, expected: str, found: str, severity: Severity) -> Finding:
    found = f"{found} [{look.probe.location}]"
    return Finding(
        rule="live-drift", severity=severity, expected=expected, found=found, fix=_FIXES["live-drift"], **look.place()
    )


def _field(contract: DatasetContract | None, column: str) -> Any:
    for name in contract.columns if contract else ():
        if contract is not None and column in (name, contract.source_name(name)):
            return contract.schema.field(name)
    return None


def _extra_columns(look: _Look) -> str:
    if look.contract is None:
        return ""
    known = {*look.contract.columns, *(look.contract.source_name(name) for name in look.contract.columns)}
    return quoted(sorted(name for name in look.probe.files[0].columns if name not in known))


@contextlib.contextmanager
def _active(environment: Environment) -> Iterator[None]:
    """Activate an environment's storage, formats and root, as a run would."""
    settings = environment.config.settings
    formats = {name: override.model_dump(exclude_unset=True) for name, override in settings.formats.items()}
    with use_storage(in_sandbox(settings.storage)), use_formats(formats), use_project_root(environment.config.root):
        yield
