"""Compare the inputs that each source takes for a dataset."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping

from loaders.checking.annotations import type_name
from loaders.checking.exports import Offer, SourceModule
from loaders.checking.findings import Finding
from loaders.checking.loader_bodies import unused_parameters
from loaders.checking.majority import dissents
from loaders.names import quoted


def input_findings(dataset: str, offering: Mapping[str, SourceModule]) -> Iterator[Finding]:
    """Yield sources whose loader takes a misspelt, missing or additional input, or one of another type.

    A source may well take other inputs than the rest: frames in memory, a connection. What is no mistake is a set of
    inputs that shares nothing with the others', not even nearly a name.
    """
    taken = {name: frozenset(source.offers[dataset].inputs) for name, source in offering.items()}
    for name, inputs in taken.items():
        others = [found for other, found in taken.items() if other != name]
        expected = _expected(inputs, others)
        if expected is not None:
            yield _other_inputs(dataset, offering, name, expected)
        yield from _unused(dataset, offering[name], frozenset().union(*others))
    yield from _declarations(dataset, offering)
    yield from _caching(dataset, offering, taken)


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


def _other_inputs(dataset: str, offering: Mapping[str, SourceModule], name: str, expected: frozenset[str]) -> Finding:
    source = offering[name]
    inputs = source.offers[dataset].inputs
    same = [other for other in offering if frozenset(offering[other].offers[dataset].inputs) == expected]
    where = f" ({offering[same[0]].place(offering[same[0]].offers[dataset])})" if len(same) == 1 else ""
    return Finding(
        rule="inputs",
        expected=f"inputs {quoted(sorted(expected))}, as in {', '.join(same)}{where}",
        found=quoted(sorted(inputs)) or "none",
        fix="Give the parameters the same names in every source, so that one set of inputs serves them all.",
        dataset=dataset,
        **source.here(source.offers[dataset]),
    )


def _unused(dataset: str, source: SourceModule, taken_elsewhere: frozenset[str]) -> Iterator[Finding]:
    """Yield inputs that only this source takes and that its function never uses."""
    offer = source.offers[dataset]
    for parameter in unused_parameters(offer.function):
        if parameter in offer.inputs and parameter not in taken_elsewhere:
            yield Finding(
                rule="unused-input",
                expected="inputs that the function uses",
                found=f"'{parameter}', which it never looks at",
                fix="Remove the parameter.",
                dataset=dataset,
                **source.here(offer),
            )


def _declarations(dataset: str, offering: Mapping[str, SourceModule]) -> Iterator[Finding]:
    """Yield inputs that are declared differently than elsewhere: by type, or as optional."""
    for parameter in sorted({name for source in offering.values() for name in source.offers[dataset].inputs}):
        declared = {
            name: declaration(source.offers[dataset], parameter)
            for name, source in offering.items()
            if parameter in source.offers[dataset].inputs
        }
        for dissent in dissents(declared):
            source = offering[dissent.name]
            yield Finding(
                rule="input-type",
                expected=f"{dissent.expected}, as in {', '.join(dissent.others)}",
                found=dissent.value,
                fix="Declare the input alike in every source.",
                dataset=dataset,
                **source.here(source.offers[dataset]),
            )


def declaration(offer: Offer, parameter: str) -> str:
    """Return the declaration of a parameter, without the value of its default."""
    kind, required = offer.inputs[parameter]
    return f"{parameter}: {type_name(kind)}" + ("" if required else " with a default")


def _caching(
    dataset: str, offering: Mapping[str, SourceModule], taken: Mapping[str, frozenset[str]]
) -> Iterator[Finding]:
    """Yield sources that are not cached although those that read like them are."""
    for name, source in offering.items():
        offer = source.offers[dataset]
        alike = [other for other in offering if other != name and taken[other] == taken[name]]
        cached = [other for other in alike if offering[other].offers[dataset].is_cached]
        if offer.is_cached or not cached or 2 * len(cached) <= len(alike):
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
            **source.here(offer),
        )
