"""Check a whole project, or a set of loader modules."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from loaders.checking.environment import Environment, config_problem, resolve, shown_file
from loaders.checking.environments import check_environment, compare_environments
from loaders.checking.exports import SourceModule, source_module
from loaders.checking.findings import Finding, shown_path
from loaders.checking.fresh_modules import fresh_modules
from loaders.checking.modules import compare_modules, expected_datasets
from loaders.checking.report import Report
from loaders.checking.secrets import is_secret_name, secret_findings
from loaders.checking.shared_locations import unknown_partners
from loaders.checking.source_modules import SourceModules
from loaders.checking.switching import switched, switched_beside, unknown_values
from loaders.config.environment import Config, environments
from loaders.config.environment_files import environment_files
from loaders.config.yaml_file import read_yaml
from loaders.driver import config_from_mapping
from loaders.errors import ConfigError
from loaders.names import did_you_mean, quoted
from loaders.planning.sources import SOURCES, Source, make_importable, pick_source, source_path

Subject = ModuleType | str | os.PathLike[str] | Config

_SHORTEST_MASKED = 4


def check_interchangeable(
    *subjects: Subject | Iterable[Subject] | Mapping[str, ModuleType | str],
    environments: Sequence[str] | None = None,
    live: bool = False,
    all_parts: bool = False,
) -> Report:
    """Return a report of everything that keeps data sources from being interchangeable.

    Args:
        subjects: loader modules (or their import paths), which are held against each other; or a configuration: the
            folder of its files, what `load_config` returned, or a mapping as `build_driver` takes it. Without any, the
            folder `configs`.
        environments: of the folder, those to look at; all of them if None.
        live: also probe the files that the environments name, at most 256 KiB of each.
        all_parts: probe each part of a dataset that lies in many files, not a sample of them.

    Raises ConfigError where the folder or a named environment does not exist; whatever is wrong inside is a finding.
    """
    flat = list(_flat(subjects))
    configs = [subject for subject in flat if isinstance(subject, Config)]
    folders = [Path(subject) for subject in flat if _is_folder(subject)]
    modules = [subject for subject in flat if not isinstance(subject, Config) and not _is_folder(subject)]
    if modules and (configs or folders):
        raise ConfigError("check_interchangeable takes loader modules, or a configuration; not both at once.")
    if modules:
        return check_modules(modules)
    if len(folders) > 1:
        raise ConfigError(
            f"check_interchangeable takes one folder of configurations; found {quoted(map(str, folders))}."
        )
    if configs and not folders:
        return _check(_Project(configs[0].root, None, configs, []), live=live, all_parts=all_parts)
    return check_project(folders[0] if folders else "configs", environments, live=live, all_parts=all_parts)


def assert_interchangeable(*modules: ModuleType | str) -> None:
    """Raise AssertionError with every difference, unless the loader modules are interchangeable."""
    report = check_modules(modules)
    if not report.ok:
        raise AssertionError(str(report))


def check_modules(modules: Iterable[Any]) -> Report:
    """Compare loader modules; one that switches by `data_source` is compared under each of its values."""
    named = [(item if isinstance(item, tuple) else (None, item)) for item in modules]
    sources = []
    for name, module in named:
        path = module.__name__ if isinstance(module, ModuleType) else str(module)
        looked = source_module(name or path, module)
        sources += switched(looked) or [looked]
    return _finished(compare_modules(sources), sources, [], set())


def check_project(
    directory: str | os.PathLike[str] = "configs",
    chosen: Sequence[str] | None = None,
    *,
    live: bool = False,
    all_parts: bool = False,
) -> Report:
    """Compare the sources and environments of a project."""
    folder = Path(directory)
    unreadable = _unreadable(folder)
    if unreadable:
        # Nobody knows what such a file would say; the whole project is what is looked at.
        return _finished(unreadable, [], [], secret_findings(environment_files(folder))[1])
    known = environments(folder)
    for env in chosen or ():
        if env not in known:
            raise ConfigError(
                f"Environment '{env}' does not exist in '{folder}'. Its environments are: {quoted(known) or 'none'}."
                f"{did_you_mean(env, known)}"
            )
    resolved = {env: resolve(env, folder) for env in chosen or known}
    configs = [config for config, _ in resolved.values() if config is not None]
    problems = [problem for _, found in resolved.values() for problem in found]
    return _check(_Project(folder.resolve().parent, folder, configs, problems), live=live, all_parts=all_parts)


def _unreadable(folder: Path) -> list[Finding]:
    found = []
    for path in environment_files(folder):
        try:
            read_yaml(path)
        except ConfigError as error:
            found.append(config_problem(str(error), path.stem, shown_path(path)))
    return found


class _Project:
    """A project under check: its resolved configurations, their loader modules, and the problems found so far."""

    def __init__(self, root: Path, folder: Path | None, configs: list[Config], problems: list[Finding]) -> None:
        self.root = root
        self.folder = folder
        self.configs = configs
        self.problems = problems

    def table(self) -> dict[str, dict[str, Source]]:
        """Return the modules of each source, by name: those declared, those used, otherwise the toolkit's."""
        table: dict[str, dict[str, Source]] = {}
        for config in self.configs:
            used = [] if config.data_source is None else [self.source_of(config)]
            for name, module in [*config.settings.sources.items(), *(found for found in used if found)]:
                table.setdefault(name, {})[source_path(module)] = module
        declared = any(config.settings.sources for config in self.configs)
        toolkit = set(SOURCES.values())
        if not declared and all(path in toolkit for paths in table.values() for path in paths):
            for name, path in SOURCES.items():
                table.setdefault(name, {})[path] = path
        return table

    def source_of(self, config: Config) -> tuple[str, Source] | None:
        """Return name and module of an environment's source; if there is none, add a problem."""
        environment = Environment(config, self.file_of(config))
        try:
            return pick_source(config.data_source, config.settings.sources)
        except ConfigError as error:
            text = str(error).removeprefix("config: ")
            here = environment.at("data_source")
            problem = config_problem(text, config.env, environment.file, "data-source")
            self.problems.append(replace(problem, **here))
            return None

    def file_of(self, config: Config) -> str:
        """Return the file of an environment, for findings that have no line."""
        return shown_file(config.env, self.folder) if self.folder is not None else ""


def _check(project: _Project, *, live: bool, all_parts: bool) -> Report:
    make_importable(project.root)
    with fresh_modules(project.root, _packages(project)):
        sources, checked = _looked_at(project)
        modules = [*sources, *(module for environment in checked for module in environment.flow)]
        elsewhere = {node for source in sources for node in source.nodes}
        findings = [*compare_modules(sources), *_flow_problems(checked)]
        for environment in checked:
            findings += check_environment(environment, elsewhere)
        findings += compare_environments(checked)
        findings += unknown_partners(checked, _names(project))
        findings += unknown_values(sources)
        secrets, texts = secret_findings(_files(project, modules))
        texts |= {
            str(value) for config in project.configs for key, value in config.inputs.items() if is_secret_name(key)
        }
        report = _finished([*secrets, *project.problems, *findings], sources, checked, texts)
        if live:
            from loaders.checking.live import probe_environments

            found, probes = probe_environments(checked, all_parts=all_parts)
            return replace(report, findings=(*report.findings, *_masked(found, texts)), probes=tuple(probes))
        return report


def _looked_at(project: _Project) -> tuple[list[SourceModule], list[Environment]]:
    """Return all sources, and the environments that resolve, each with its source and dataflow."""
    served = SourceModules()
    checked = []
    for config in project.configs:
        environment = Environment(config, project.file_of(config))
        with contextlib.suppress(ConfigError):
            environment.source = served.of(environment, *pick_source(config.data_source, config.settings.sources))
        if config.data_source is None:
            # Other mistakes of it are told when the table is made.
            project.source_of(config)
        environment.flow = [
            source_module(config.env, module, environment.known, "dataflow module")
            for module in dict.fromkeys(config.settings.modules)
        ]
        checked.append(environment)
    for name, modules in project.table().items():
        for module in modules.values():
            served.add(name, module)
    sources = served.all()
    for source in list(sources):
        twins = switched_beside(source, [source.name for source in served.all()])
        sources += [twin for twin in twins if twin.path not in {found.path for found in sources}]
    for environment in checked:
        _locate_problems(environment)
    return sources, checked


def _locate_problems(environment: Environment) -> None:
    """Give the problems of a module that does not exist a place: the configuration that names it is at fault."""
    if environment.source is not None:
        place = environment.at("sources", environment.config.data_source or "")
        here = {key: value for key, value in place.items() if key != "environment"}
        problems = environment.source.problems
        problems[:] = [problem if problem.file else replace(problem, **here) for problem in problems]


def _flow_problems(checked: Iterable[Environment]) -> Iterator[Finding]:
    for environment in checked:
        for module in environment.flow:
            _ = module.exports
            for problem in module.problems:
                where = environment.at("modules") if not problem.file else {"environment": environment.name}
                yield replace(problem, **where)


def _files(project: _Project, modules: Iterable[SourceModule]) -> Iterator[Path]:
    """Yield the files that may hold a secret: configurations and the project's imported modules."""
    if project.folder is not None:
        yield from environment_files(project.folder)
    for config in project.configs:
        yield from (Path(origin.source) for origin in config.origins.values() if origin.line is not None)
    yield from (module.text.path for module in modules if module.text.path is not None)
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name.split(".")[0] in _packages(project) and isinstance(file, str):
            yield Path(file)


def _packages(project: _Project) -> set[str]:
    """Return the top-level packages of the project's own modules."""
    paths = {
        source_path(module)
        for config in project.configs
        for module in (*config.settings.modules, *config.settings.sources.values())
    }
    return {path.split(".")[0] for path in paths} - {"loaders", "caching", "cli"}


def _finished(
    findings: Iterable[Finding], sources: Sequence[SourceModule], checked: Sequence[Environment], secrets: set[str]
) -> Report:
    return Report(
        _by_environment(_masked(findings, secrets)),
        tuple(dict.fromkeys(source.name for source in sources)),
        tuple(environment.name for environment in checked),
        tuple(expected_datasets(sources)),
    )


def _by_environment(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return each finding once, with all the environments it applies to."""
    environments: dict[Finding, list[str]] = {}
    for finding in findings:
        environments.setdefault(replace(finding, environment=""), []).append(finding.environment)
    return tuple(
        replace(finding, environment=", ".join(dict.fromkeys(filter(None, names))))
        for finding, names in environments.items()
    )


def _masked(findings: Iterable[Finding], secrets: set[str]) -> Iterator[Finding]:
    hidden = sorted((text for text in secrets if len(text) >= _SHORTEST_MASKED), key=len, reverse=True)
    for finding in findings:
        texts = {name: getattr(finding, name) for name in ("expected", "found", "fix")}
        for secret in hidden:
            texts = {name: text.replace(secret, "***") for name, text in texts.items()}
        yield replace(finding, **texts)


def _names(project: _Project) -> list[str]:
    return environments(project.folder) if project.folder else [config.env for config in project.configs]


def _flat(subjects: Iterable[Any]) -> Iterator[Any]:
    for subject in subjects:
        if isinstance(subject, Mapping):
            yield from [config_from_mapping(subject)] if "data_source" in subject else subject.items()
        elif isinstance(subject, list | tuple | set):
            yield from _flat(subject)
        else:
            yield subject


def _is_folder(subject: Any) -> bool:
    if isinstance(subject, Path):
        return True
    return isinstance(subject, str) and (os.sep in subject or Path(subject).is_dir())
