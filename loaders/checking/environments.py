"""Check environments against their sources, their dataflow and each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from caching import LocalCache
from loaders.checking.annotations import type_name
from loaders.checking.environment import Environment, config_problem
from loaders.checking.exports import quiet_hamilton
from loaders.checking.findings import Finding
from loaders.checking.locations import location_findings
from loaders.checking.majority import deviations
from loaders.checking.shared_locations import shared_locations
from loaders.errors import LoaderError
from loaders.names import did_you_mean, quoted
from loaders.planning.definitions import Definition
from loaders.planning.inputs import is_plain, typed_input
from loaders.planning.plan import Plan


def check_environment(environment: Environment, elsewhere: Iterable[str]) -> Iterator[Finding]:
    """Yield the contradictions within one environment.

    `elsewhere` are the nodes that some other source offers: that this one lacks them is said of its module.
    """
    found = [
        *_inputs(environment),
        *_wanted(environment, set(elsewhere)),
        *_twice(environment),
        *_coroutines(environment),
        *_outputs(environment),
        *location_findings(environment),
        *_sections(environment),
    ]
    yield from found
    if not any(finding.severity == "error" for finding in found):
        yield from _plan(environment)


def _inputs(environment: Environment) -> Iterator[Finding]:
    """Yield inputs that no function takes, that have the wrong type, or that would replace a node."""
    taken: dict[str, list[Definition]] = {}
    modules = [*([environment.source] if environment.source else []), *environment.flow]
    definitions = [definition for module in modules for definition in module.definitions]
    for definition in definitions:
        for name in (*definition.inputs, *definition.config_keys):
            taken.setdefault(name, []).append(definition)
    if environment.source is None or any(module.problems or module.module is None for module in modules):
        # What cannot be looked at may take anything.
        return
    for name, value in environment.config.inputs.items():
        here = environment.at("inputs", name)
        nodes = {**environment.loading, **environment.computed}
        if name in nodes:
            fix = "Rename or remove the input: it would silently replace the function."
            found = f"'{name}', which {nodes[name][0]} computes"
            yield Finding(rule="input-shadows-node", expected="inputs that are no nodes", found=found, fix=fix, **here)
        elif name not in taken:
            where = ", ".join(dict.fromkeys(module.path for module in modules))
            yield Finding(
                rule="input-unused",
                expected="inputs that a function takes",
                found=f"'{name}', which no function of {where} takes",
                fix=f"Remove it, or name the function's parameter so.{did_you_mean(name, taken)}",
                **here,
            )
        for definition in taken.get(name, []):
            if name in definition.inputs:
                yield from _typed(environment, name, value, definition)


def _typed(environment: Environment, name: str, value: Any, definition: Definition) -> Iterator[Finding]:
    try:
        typed_input(name, value, definition.inputs[name][0], environment.name)
    except LoaderError as error:
        said = str(error).partition(": ")[2] or str(error)
        fix = f"{definition} declares it; correct the value or the declaration."
        here = environment.at("inputs", name)
        yield Finding(rule="input-value", expected="a value of the declared type", found=said, fix=fix, **here)


def _wanted(environment: Environment, elsewhere: set[str]) -> Iterator[Finding]:
    """Yield missing inputs, columns that no dataset provides, and nodes requested as another type."""
    source = environment.source
    nodes = {**environment.loading, **environment.computed}
    inputs = environment.config.inputs
    if source is not None:
        for definition in source.definitions:
            for name, (kind, required) in definition.inputs.items():
                if required and is_plain(kind) and name not in {*nodes, *inputs, "data_source"}:
                    place = source.at(definition.name)
                    yield Finding(
                        rule="input-missing",
                        expected=f"input '{name}', which {definition.node_name} of source '{source.name}' reads "
                        f"({place['file']}:{place['line']})",
                        found=f"inputs {quoted(inputs) or 'none'}",
                        fix=f"Give it under 'inputs'.{did_you_mean(name, inputs)}",
                        module=source.path,
                        function=definition.name,
                        dataset=definition.node_name,
                        **environment.at("inputs"),
                    )
    incomplete = source is None or source.module is None or source.problems
    for module in environment.flow:
        for definition in module.definitions:
            here = module.at(definition.name) | {"environment": environment.name}
            for name, (kind, required) in definition.inputs.items():
                if name in nodes:
                    yield from _flow_type(name, kind, nodes[name], here)
                elif required and not incomplete and name not in {*inputs, "data_source", *elsewhere}:
                    yield _unprovided(name, nodes, inputs, here)


def _unprovided(name: str, nodes: Mapping[str, Any], inputs: Mapping[str, Any], here: dict[str, Any]) -> Finding:
    return Finding(
        rule="column-unknown",
        expected=f"a dataset, a function or an input that gives '{name}'",
        found="none",
        fix=f"Correct the parameter's name, or provide it.{did_you_mean(name, [*nodes, *inputs])}",
        **here,
    )


def _flow_type(name: str, wanted: Any, made: tuple[Definition, Any], here: dict[str, Any]) -> Iterator[Finding]:
    from hamilton.htypes import types_match

    definition, kind = made
    if not types_match(wanted, kind):
        yield Finding(
            rule="type",
            expected=f"{name}: {type_name(kind)}, as {definition.node_name} gives it",
            found=f"{name}: {type_name(wanted)}",
            fix="Declare the parameter so.",
            **here,
        )


def _twice(environment: Environment) -> Iterator[Finding]:
    """Yield nodes that are defined more than once."""
    made: dict[str, Definition] = {name: definition for name, (definition, _) in environment.loading.items()}
    for module in environment.flow:
        for node, (definition, _) in module.nodes.items():
            other = made.setdefault(node, definition)
            if other is not definition:
                here = module.at(definition.name) | {"environment": environment.name}
                yield Finding(
                    rule="node-twice",
                    expected=f"one function that makes '{node}'",
                    found=f"this and {other}",
                    fix="Rename one, or give a contract a prefix.",
                    **here,
                )


def _coroutines(environment: Environment) -> Iterator[Finding]:
    """Yield coroutine functions, which the synchronous driver of a run would not await."""
    for module in [*([environment.source] if environment.source else []), *environment.flow]:
        for definition in module.definitions:
            if definition.nodes and definition.is_async:
                yield Finding(
                    rule="async-function",
                    expected="plain functions: a run's driver is synchronous",
                    found=f"async def {definition.name}(), whose coroutine would be passed on as data",
                    fix="Define it by 'def'; inside of it, asyncio.run(…) runs what is asynchronous.",
                    **module.at(definition.name) | {"environment": environment.name},
                )


def _outputs(environment: Environment) -> Iterator[Finding]:
    nodes = {**environment.loading, **environment.computed, **environment.config.inputs}
    modules = [*([environment.source] if environment.source else []), *environment.flow]
    if any(module.problems or module.module is None for module in modules):
        return
    for output in environment.config.settings.outputs:
        if output not in nodes:
            here = environment.at("outputs")
            fix = f"Correct it, or define a function of this name.{did_you_mean(output, nodes)}"
            found = f"'{output}', which is none"
            yield Finding(rule="output-unknown", expected="outputs that are nodes", found=found, fix=fix, **here)


def _sections(environment: Environment) -> Iterator[Finding]:
    """Yield contradictions in the sections beside the inputs."""
    settings = environment.config.settings
    offered = environment.source.exports if environment.source else {}
    for dataset in settings.formats:
        if environment.source and environment.source.module and dataset not in offered:
            here = environment.at("formats", dataset)
            fix = f"Correct the name.{did_you_mean(dataset, offered)}"
            found = f"'{dataset}', which source '{environment.source.name}' does not export"
            yield Finding(rule="config", expected="formats of datasets", found=found, fix=fix, **here)
    try:
        LocalCache(settings.cache.directory, max_size=settings.cache.max_size, ttl_seconds=settings.cache.ttl_seconds)
    except Exception as error:  # noqa: BLE001 — whatever the cache refuses is said by its own error
        key = "max_size" if settings.cache.max_size is not None else "ttl_seconds"
        found = str(error).splitlines()[0]
        here = environment.at("cache", key)
        yield Finding(rule="config", expected="a cache that can be made", found=found, fix="Correct it.", **here)


def _plan(environment: Environment) -> Iterator[Finding]:
    """Yield errors that the driver factory or Hamilton raises for the environment."""
    source = environment.source
    modules = [module.module for module in environment.flow if module.module is not None]
    if source is None or source.module is None or len(modules) < len(environment.flow) or source.problems:
        return
    nodes = {**environment.loading, **environment.computed, **environment.config.inputs}
    definitions = [definition for module in (source, *environment.flow) for definition in module.definitions]
    if any(
        required and name not in nodes and not is_plain(kind)
        for definition in definitions
        for name, (kind, required) in definition.inputs.items()
    ):
        # Frames and other objects are given by who builds the driver; no file can hold them.
        return
    try:
        planned = Plan(environment.config, source.name, source.module, modules)
        with planned.active("off"), quiet_hamilton():
            planned.build()
    except LoaderError as error:
        yield config_problem(str(error).replace("\n", " "), environment.name, environment.file)
    except Exception as error:  # noqa: BLE001 — Hamilton raises plain ValueErrors, whose text says why
        text = " ".join(str(error).split())[:400]
        fix = "Correct what the message names."
        here = environment.at("modules")
        yield Finding(rule="build", expected="a dataflow that Hamilton can build", found=text, fix=fix, **here)


def compare_environments(environments: Sequence[Environment]) -> Iterator[Finding]:
    """Yield differences in the dataflows of environments, and locations that two of them share."""
    runs = {environment.name: environment for environment in environments}
    flows = {name: tuple(sorted(env.config.settings.modules)) for name, env in runs.items()}
    for deviation in deviations(flows):
        yield _differs(
            "dataflow", "modules", runs[deviation.name], deviation.expected, deviation.value, deviation.others
        )
    outputs = {name: tuple(sorted(env.config.settings.outputs)) for name, env in runs.items()}
    for deviation in deviations(outputs):
        if flows[deviation.name] == flows[deviation.others[0]]:
            yield _differs(
                "outputs", "outputs", runs[deviation.name], deviation.expected, deviation.value, deviation.others
            )
    yield from shared_locations(environments)


def _differs(
    rule: str, key: str, environment: Environment, expected: Sequence[str], found: Sequence[str], others: Sequence[str]
) -> Finding:
    return Finding(
        rule=f"{rule}-differs",
        severity="error" if rule == "dataflow" else "warning",
        expected=f"{key} {quoted(expected) or 'none'}, as in {', '.join(others)}",
        found=quoted(found) or "none",
        fix="Say it once in the file that all environments extend.",
        **environment.at(key),
    )
