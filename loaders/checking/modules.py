"""Compare loader modules with the contracts and with each other."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from loaders.checking.annotations import type_name
from loaders.checking.exports import ExportedFunction, SourceModule
from loaders.checking.findings import Finding
from loaders.checking.ignored_functions import ignored_loader, stray_loaders, switched_off
from loaders.checking.inputs import input_findings
from loaders.checking.loader_bodies import body_findings
from loaders.checking.majority import deviations
from loaders.checking.references import reference_findings
from loaders.contract import DatasetContract
from loaders.names import did_you_mean, quoted

_SOME = 12


def compare_modules(sources: Sequence[SourceModule]) -> Iterator[Finding]:
    """Yield every difference between the modules, and the problems of each."""
    seen: set[int] = set()
    for source in sources:
        exports = source.exports
        yield from source.problems
        if source.module is None:
            continue
        # One module may serve several names, each with other functions; what is said of each is said once.
        if id(source.module) not in seen:
            yield from stray_loaders(source)
        seen.add(id(source.module))
        for exported in [exported for exported in exports.values() if id(exported.definition.function) not in seen]:
            seen.add(id(exported.definition.function))
            yield from body_findings(source, exported)
    importable = [source for source in sources if source.module is not None]
    expected = expected_datasets(importable)
    for source in importable:
        yield from _datasets(source, importable, expected)
    for dataset in expected:
        exporting = {source.name: source for source in importable if dataset in source.exports}
        yield from _columns(dataset, exporting)
        yield from _contracts(dataset, exporting)
        yield from _kinds(dataset, exporting)
        yield from input_findings(dataset, exporting)
        yield from _documentation(dataset, exporting)
    yield from _ambiguous(importable)
    yield from reference_findings(importable)


def expected_datasets(sources: Iterable[SourceModule]) -> list[str]:
    """Return the datasets that any module exports, or should export by its names."""
    return sorted({name for source in sources for name in source.datasets})


def _datasets(source: SourceModule, sources: Sequence[SourceModule], expected: list[str]) -> Iterator[Finding]:
    """Yield datasets that a module lacks, with what stands in their place, and those that only it has."""
    refused = {problem.function for problem in source.problems}
    offered_by = {name: [other for other in sources if name in other.exports] for name in expected}
    missing = [name for name in expected if name not in source.exports and name not in refused]
    extra = (
        [name for name in source.exports if 2 * len(offered_by.get(name, [])) <= len(sources)] if sources[1:] else []
    )
    renamed: set[str] = set()
    for dataset in missing:
        if 2 * len(offered_by[dataset]) < len(sources) and not ignored_loader(source, dataset):
            continue
        twin = _twin(source, dataset, offered_by[dataset][0].exports[dataset], [n for n in extra if n not in renamed])
        renamed |= {twin} if twin else set()
        yield _missing(source, dataset, offered_by[dataset], twin)
    for name in extra:
        if name not in renamed:
            yield from _extra(source, name, [other.name for other in sources if name not in other.exports])


def _missing(source: SourceModule, dataset: str, exporting: list[SourceModule], twin: str | None) -> Finding:
    expected = f"dataset '{dataset}', as {_who(other.name for other in exporting)}"
    if len(exporting) == 1:
        expected += f": {exporting[0].place(exporting[0].exports[dataset])}"
    common: dict[str, Any] = {"rule": "dataset-missing", "expected": expected, "dataset": dataset}
    hidden = ignored_loader(source, dataset) or (None if twin else switched_off(source, dataset))
    if hidden is not None:
        place = source.at(hidden.function) | {"line": hidden.line}
        return Finding(**common, found=hidden.found, fix=hidden.fix, **place)
    if twin is not None:
        return Finding(
            **common,
            found=f"{source.exports[twin].definition.name}(), which no other source has",
            fix=f"Rename it to {dataset}, or rename it in every source.",
            **source.here(source.exports[twin]),
        )
    near = did_you_mean(dataset, source.text.functions)
    place = {"module": source.path, "function": dataset, "file": source.file, "line": 1 if source.file else None}
    fix = f"Define {dataset}() in it, or remove the dataset from the others.{near}"
    return Finding(**common, found="no function of this name", fix=fix, **place)


def _twin(source: SourceModule, dataset: str, exported: ExportedFunction, extra: list[str]) -> str | None:
    """Return the additional function that is the missing dataset under another name."""
    alike = [name for name in extra if exported.columns and set(source.exports[name].columns) == set(exported.columns)]
    near = difflib.get_close_matches(dataset, extra, n=1)
    return next(iter([*alike, *near]), None)


def _extra(source: SourceModule, name: str, lacking: list[str]) -> Iterator[Finding]:
    if not lacking:
        return
    exported = source.exports[name]
    what = "dataset" if exported.is_dataset else "node"
    fix = f"Define {name}() in the others too, or remove it."
    if not exported.is_dataset:
        fix += " A helper begins with '_'."
    yield Finding(
        rule=f"{what}-extra",
        severity="error" if exported.is_dataset else "warning",
        expected="the same datasets in every source",
        found=f"{what} '{name}', which {_who(lacking, 'lack')}",
        fix=fix,
        dataset=name if exported.is_dataset else "",
        **source.here(exported),
    )


def _columns(dataset: str, exporting: Mapping[str, SourceModule]) -> Iterator[Finding]:
    """Yield modules that extract other columns than the contract, or than most modules if there is none."""
    contract = _contract_of(dataset, exporting.values())
    extracted = {name: frozenset(source.exports[dataset].columns) for name, source in exporting.items()}
    wanted = {name: frozenset(contract.columns) for name in exporting} if contract else {}
    if contract is None:
        wanted = {deviation.name: deviation.expected for deviation in deviations(extracted)}
    for name, expected in wanted.items():
        columns = extracted[name]
        if columns == expected:
            continue
        source = exporting[name]
        common = {"dataset": dataset, **source.here(source.exports[dataset])}
        by = "the columns of its contract" if contract else "the columns that the other sources extract"
        if not columns:
            yield Finding(
                rule="columns",
                expected=f"{by}: {_some(sorted(expected))}",
                found="no extracted columns",
                fix="Decorate it with @extract_columns(*CONTRACT.columns).",
                **common,
            )
            continue
        missing, extra = sorted(expected - columns), sorted(columns - expected)
        found = [f"no {_some(missing)}"] if missing else []
        found += [f"also {_some(extra)}"] if extra else []
        near = did_you_mean(extra[0], missing) if extra and missing else ""
        yield Finding(
            rule="columns",
            expected=f"{by}: {_some(sorted(expected))}",
            found=" and ".join(found),
            fix=f"Extract *CONTRACT.columns.{near}" if contract else f"Extract the same in every source.{near}",
            **common,
        )


def _contracts(dataset: str, exporting: Mapping[str, SourceModule]) -> Iterator[Finding]:
    """Yield loaders without a contract, and modules whose contract differs from the others'."""
    for source in exporting.values():
        exported = source.exports[dataset]
        if exported.contract is None:
            similar = [c.name for c in source.contracts.values() if set(c.columns) == set(exported.columns)]
            yield Finding(
                rule="no-contract",
                expected=f"a DatasetContract named '{dataset}' among the module's globals",
                found=f"one named '{similar[0]}' with these columns" if similar else "none",
                fix="Name contract and function alike." if similar else "Declare it, and import it in each source.",
                dataset=dataset,
                **source.here(exported),
            )
    held = {name: source.exports[dataset].contract for name, source in exporting.items()}
    contracts = {name: _Same(contract) for name, contract in held.items() if contract is not None}
    for deviation in deviations(contracts):
        source = exporting[deviation.name]
        changes = deviation.expected.contract.diff(deviation.value.contract)
        yield Finding(
            rule="contract-differs",
            expected=f"the contract of {_who(deviation.others, '')}",
            found="another: " + "; ".join(str(change) for change in changes[:4]),
            fix="Import one contract in every source.",
            dataset=dataset,
            **source.here(source.exports[dataset]),
        )


class _Same:
    """A contract as a value that is equal where every rule of it is; contracts themselves hash by name alone."""

    def __init__(self, contract: DatasetContract) -> None:
        self.contract = contract

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.contract == other.contract

    def __hash__(self) -> int:
        return hash(self.contract)


def _kinds(dataset: str, exporting: Mapping[str, SourceModule]) -> Iterator[Finding]:
    """Yield modules whose nodes have other types, or are coroutines while the others are not."""
    frames = {name: type_name(source.exports[dataset].kind) for name, source in exporting.items()}
    for deviation in deviations(frames):
        yield _other_type(
            dataset, exporting[deviation.name], "result", deviation.expected, deviation.value, deviation.others
        )
    columns = {
        name: frozenset(type_name(kind) for kind in source.exports[dataset].columns.values()) or None
        for name, source in exporting.items()
    }
    for other in deviations({name: kinds for name, kinds in columns.items() if kinds}):
        if frames[other.name] == frames[other.others[0]]:
            expected, found = (", ".join(sorted(kinds)) for kinds in (other.expected or (), other.value or ()))
            yield _other_type(dataset, exporting[other.name], "columns", expected, found, other.others)
    calls = {
        name: "async def" if source.exports[dataset].definition.is_async else "def"
        for name, source in exporting.items()
    }
    for call in deviations(calls):
        yield _other_type(dataset, exporting[call.name], "call", call.expected, call.value, call.others)


def _other_type(
    dataset: str, source: SourceModule, what: str, expected: str, found: str, others: Iterable[str]
) -> Finding:
    return Finding(
        rule="type",
        expected=f"{expected} ({what}), as {_who(others)}",
        found=found,
        fix="Give the dataset one type in every source.",
        dataset=dataset,
        **source.here(source.exports[dataset]),
    )


def _documentation(dataset: str, exporting: Mapping[str, SourceModule]) -> Iterator[Finding]:
    texts = {name: source.exports[dataset].documentation for name, source in exporting.items()}
    for deviation in list(deviations(texts))[: len(texts) - 1]:
        source = exporting[deviation.name]
        yield Finding(
            rule="documentation",
            severity="warning",
            expected=f"the docstring of {_who(deviation.others, '')}: {deviation.expected[:120]!r}",
            found=repr(deviation.value[:120]) if deviation.value else "none",
            fix="Document the dataset alike in every source.",
            dataset=dataset,
            **source.here(source.exports[dataset]),
        )


def _ambiguous(sources: Iterable[SourceModule]) -> Iterator[Finding]:
    """Yield nodes that two functions of one module define."""
    for source in sources:
        makers: dict[str, list[str]] = {}
        for definition in source.definitions:
            for node in definition.nodes:
                makers.setdefault(node, []).append(definition.name)
        for node, functions in makers.items():
            if len(functions) > 1:
                yield Finding(
                    rule="node-twice",
                    expected=f"one function that makes '{node}'",
                    found=f"{' and '.join(f'{name}()' for name in functions)}",
                    fix="All columns share one namespace: give one contract a prefix, or rename one function.",
                    **source.at(functions[-1]),
                )


def _contract_of(dataset: str, sources: Iterable[SourceModule]) -> DatasetContract | None:
    """Return the dataset's contract that most modules hold."""
    held = [source.contracts[dataset] for source in sources if dataset in source.contracts]
    return max(held, key=held.count) if held else None


def _who(names: Iterable[str], verb: str = "have") -> str:
    listed = list(names)
    if verb and len(listed) == 1:
        verb = {"have": "has", "lack": "lacks"}[verb]
    return f"{', '.join(listed)} {verb}".strip()


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SOME} more" if len(names) > _SOME else ""
    return quoted(names[:_SOME]) + more
