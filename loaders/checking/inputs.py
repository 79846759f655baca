"""Compare the inputs that each source takes for a dataset."""

from __future__ import annotations

import difflib
import inspect
from collections import Counter
from collections.abc import Iterator, Mapping

from loaders.checking.annotations import type_name
from loaders.checking.exports import ExportedFunction, SourceModule
from loaders.checking.findings import Finding
from loaders.checking.loader_bodies import read_inputs, unused_parameters
from loaders.checking.majority import deviations
from loaders.names import quoted
from loaders.redaction import redact


def input_findings(dataset: str, exporting: Mapping[str, SourceModule]) -> Iterator[Finding]:
    """Yield sources whose loader takes a misspelt, missing or additional input, or one of another type.

    A source may well take other inputs than the rest: frames in memory, a connection. What is no mistake is a set of
    inputs that shares nothing with the others', not even nearly a name.
    """
    taken = {name: frozenset(source.exports[dataset].inputs) for name, source in exporting.items()}
    for name, inputs in taken.items():
        others = [found for other, found in taken.items() if other != name]
        expected = _expected(inputs, others)
        if expected is not None:
            yield _other_inputs(dataset, exporting, name, expected)
        yield from _unused(dataset, exporting[name], frozenset().union(*others))
    yield from _declarations(dataset, exporting)
    yield from _defaults(dataset, exporting)
    yield from _caching(dataset, exporting, taken)


def _expected(inputs: frozenset[str], others: list[frozenset[str]]) -> frozenset[str] | None:
    """Return the inputs that most other sources take, if a difference looks like a mistake."""
    rivals = Counter(found for found in others if found != inputs)
    if not rivals:
        return None
    common, count = rivals.most_common(1)[0]
    return common if count > others.count(inputs) and _is_slip(inputs, common) else None


def _is_slip(inputs: frozenset[str], common: frozenset[str]) -> bool:
    more, fewer = inputs - common, common - inputs
    if inputs & common:
        return True
    return any(difflib.get_close_matches(name, fewer, n=1, cutoff=0.7) for name in more)


def _other_inputs(dataset: str, exporting: Mapping[str, SourceModule], name: str, expected: frozenset[str]) -> Finding:
    source = exporting[name]
    inputs = source.exports[dataset].inputs
    same = [other for other in exporting if frozenset(exporting[other].exports[dataset].inputs) == expected]
    where = f" ({exporting[same[0]].place(exporting[same[0]].exports[dataset])})" if len(same) == 1 else ""
    return Finding(
        rule="inputs",
        expected=f"inputs {quoted(sorted(expected))}, as in {', '.join(same)}{where}",
        found=quoted(sorted(inputs)) or "none",
        fix="Give the parameters the same names in every source, so that one set of inputs serves them all.",
        dataset=dataset,
        **source.here(source.exports[dataset]),
    )


def _unused(dataset: str, source: SourceModule, taken_elsewhere: frozenset[str]) -> Iterator[Finding]:
    """Yield inputs that only this source takes and that its function never uses."""
    exported = source.exports[dataset]
    for parameter in unused_parameters(exported.function):
        if parameter in exported.inputs and parameter not in taken_elsewhere:
            yield Finding(
                rule="unused-input",
                expected="inputs that the function uses",
                found=f"'{parameter}', which it never looks at",
                fix="Remove the parameter.",
                dataset=dataset,
                **source.here(exported),
            )


def _declarations(dataset: str, exporting: Mapping[str, SourceModule]) -> Iterator[Finding]:
    """Yield inputs that are declared differently than elsewhere: by type, or as optional."""
    for parameter in sorted({name for source in exporting.values() for name in source.exports[dataset].inputs}):
        declared = {
            name: declaration(source.exports[dataset], parameter)
            for name, source in exporting.items()
            if parameter in source.exports[dataset].inputs
        }
        for deviation in deviations(declared):
            source = exporting[deviation.name]
            yield Finding(
                rule="input-type",
                expected=f"{deviation.expected}, as in {', '.join(deviation.others)}",
                found=deviation.value,
                fix="Declare the input alike in every source.",
                dataset=dataset,
                **source.here(source.exports[dataset]),
            )


def _defaults(dataset: str, exporting: Mapping[str, SourceModule]) -> Iterator[Finding]:
    """Yield inputs whose default is another one than elsewhere: a run that gives no value would get other data."""
    for parameter in sorted({name for source in exporting.values() for name in source.exports[dataset].inputs}):
        found = {name: _default(source.exports[dataset], parameter) for name, source in exporting.items()}
        defaults = {name: default for name, default in found.items() if default is not None}
        for deviation in deviations(defaults):
            source = exporting[deviation.name]
            # A location may well be another one in each source, though the environment is where to say it.
            is_location = "/" in deviation.value or parameter in read_inputs(source, source.exports[dataset])
            yield Finding(
                rule="input-default",
                severity="warning" if is_location else "error",
                expected=f"{parameter}={deviation.expected}, as in {', '.join(deviation.others)}",
                found=f"{parameter}={redact(deviation.value)}",
                fix="Give the input one default in every source, or none, and its value under 'inputs'.",
                dataset=dataset,
                **source.here(source.exports[dataset]),
            )


def _default(exported: ExportedFunction, parameter: str) -> str | None:
    """Return a parameter's default as Python shows it; None if it has none, or is one of a decorator's."""
    declared = inspect.signature(exported.function).parameters.get(parameter)
    return None if declared is None or declared.default is declared.empty else repr(declared.default)


def declaration(exported: ExportedFunction, parameter: str) -> str:
    """Return the declaration of a parameter, without the value of its default."""
    kind, required = exported.inputs[parameter]
    return f"{parameter}: {type_name(kind)}" + ("" if required else " with a default")


def _caching(
    dataset: str, exporting: Mapping[str, SourceModule], taken: Mapping[str, frozenset[str]]
) -> Iterator[Finding]:
    """Yield sources that are not cached although those that read like them are."""
    for name, source in exporting.items():
        exported = source.exports[dataset]
        alike = [other for other in exporting if other != name and taken[other] == taken[name]]
        cached = [other for other in alike if exporting[other].exports[dataset].is_cached]
        if exported.is_cached or not cached or 2 * len(cached) <= len(alike):
            continue
        # Two sources may well be cached differently; the only one of many, or one dataset of a source, is a slip.
        slipped = len(cached) > 1 or any(other.is_cached for other in source.datasets.values())
        yield Finding(
            rule="not-cached",
            severity="error" if slipped else "warning",
            expected=f"@function_cache, as in {', '.join(cached)}",
            found="a loader that reads anew each time",
            fix="Put @function_cache below @extract_columns, or pass --ignore not-cached.",
            dataset=dataset,
            **source.here(exported),
        )
