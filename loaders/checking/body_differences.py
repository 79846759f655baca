"""Compare what the loaders of a dataset do with its frame besides reading it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from loaders.checking.exports import SourceModule
from loaders.checking.findings import Finding
from loaders.checking.function_scope import Texts
from loaders.checking.loader_steps import READS_FROM, Step, Steps, decorator_steps, steps_of
from loaders.checking.majority import deviations
from loaders.names import shortened

_HARMLESS_DECORATORS = (
    *("extract_columns", "function_cache", "cache", "config", "when", "when_in", "when_not", "when_not_in"),
    *("tag", "tag_outputs", "schema", "wraps"),
)
_MOST_STEPS = 4
_LONGEST_STEP = 100


def body_differences(dataset: str, exporting: Mapping[str, SourceModule]) -> Iterator[Finding]:
    """Yield loaders whose frame never meets its contract, and those that alter it unlike the other sources."""
    texts = Texts()
    found = {name: _steps(source, dataset, texts) for name, source in exporting.items()}
    for name, steps in found.items():
        if steps is not None and steps.is_unmet and not steps.is_held and exporting[name].exports[dataset].contract:
            yield _unmet(dataset, exporting[name])
    held = {name: steps for name, steps in found.items() if steps is not None and steps.is_held}
    if len({frozenset(source.exports[dataset].inputs) for source in exporting.values()}) > 1:
        # Loaders with other inputs build their locations from them in another way.
        for steps in held.values():
            steps.steps[:] = [step for step in steps.steps if not step.text.startswith(READS_FROM)]
    for deviation in deviations({name: steps.texts for name, steps in held.items()}):
        more = list((Counter(deviation.value) - Counter(deviation.expected)).elements())
        fewer = list((Counter(deviation.expected) - Counter(deviation.value)).elements())
        # Of two loaders that differ, the one that does more is reported.
        if more or not _is_tied(deviation.expected, held):
            source = exporting[deviation.name]
            yield _differs(dataset, source, held[deviation.name].steps, more, fewer, deviation.others)


def _is_tied(expected: tuple[str, ...], held: Mapping[str, Steps]) -> bool:
    counts = Counter(steps.texts for steps in held.values()).most_common(2)
    return len(counts) == 2 and counts[0][1] == counts[1][1]


def _steps(source: SourceModule, dataset: str, texts: Texts) -> Steps | None:
    exported = source.exports[dataset]
    steps = steps_of(exported.function, texts) if exported.is_dataset else None
    node = source.text.function(exported.definition.name)
    if steps is not None and node is not None:
        steps.steps.extend(decorator_steps(node, _HARMLESS_DECORATORS))
    return steps


def _unmet(dataset: str, source: SourceModule) -> Finding:
    return Finding(
        rule="contract-unmet",
        expected=f"a frame that is held to the contract of '{dataset}'",
        found="one whose types and values depend on the file alone",
        fix=f"Read it by read_table(location, CONTRACT), where CONTRACT is that of '{dataset}'.",
        dataset=dataset,
        **source.here(source.exports[dataset]),
    )


def _differs(
    dataset: str,
    source: SourceModule,
    steps: Sequence[Step],
    more: Sequence[str],
    fewer: Sequence[str],
    others: Sequence[str],
) -> Finding:
    here = source.here(source.exports[dataset])
    line = next((step.line for step in steps if step.text in more), here["line"])
    return Finding(
        rule="loader-differs",
        severity="warning",
        expected=f"{_listed(fewer) or 'the frame as it is read'}, as in {', '.join(others)}",
        found=_listed(more) or ("none of it" if not steps else "the same in another order"),
        fix="Do the same in every source, or do it in the dataflow: sources should differ only in where they read.",
        dataset=dataset,
        **here | {"line": line},
    )


def _listed(steps: Sequence[str]) -> str:
    shown = [shortened(step, _LONGEST_STEP) for step in steps[:_MOST_STEPS]]
    more = f" and {len(steps) - _MOST_STEPS} more" if len(steps) > _MOST_STEPS else ""
    return "; ".join(shown) + more
