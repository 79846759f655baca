"""Environments: one YAML file each, layered by `extends`, every value with its origin.

Precedence: `params` > the environment's file > the file it extends. There are no other defaults for `data_source` and
inputs, so that an environment never runs on the data of another one by mistake.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, field_validator, model_validator

from loaders.config.environment_files import environment_files, file_of
from loaders.config.storage import StorageSettings, refuse_booleans
from loaders.config.yaml_file import KeyPath, Origin, read_yaml
from loaders.errors import ConfigError, OptionError
from loaders.names import did_you_mean, quoted
from loaders.redaction import redact
from loaders.schema.format_options import FormatOptions, refuse_impossible

_VARIABLE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-(?P<text>[^}]*))?\}|(?P<open>\$\{)")

# Sections that may be empty, with their defaults.
_EMPTY: Mapping[str, Callable[[], Any]] = {
    "description": str,
    "modules": list,
    "sources": dict,
    "inputs": dict,
    "outputs": list,
    "shared_with": list,
    "storage": dict,
    "cache": dict,
    "formats": dict,
}
_MAPPING = "must be a mapping of keys to values"
_WHOLE_NUMBER = "must be a whole number"
_NUMBER = "must be a number"
_TRUE_OR_FALSE = "must be true or false"
# The texts for pydantic's types of errors.
_EXPECTED = {
    "dict_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "dataclass_type": _MAPPING,
    "string_type": "must be text (in quotes)",
    "bool_type": _TRUE_OR_FALSE,
    "bool_parsing": _TRUE_OR_FALSE,
    "int_type": _WHOLE_NUMBER,
    "int_parsing": _WHOLE_NUMBER,
    "int_parsing_size": _WHOLE_NUMBER,
    "int_from_float": _WHOLE_NUMBER,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "greater_than": "must be greater than 0",
}


class CacheSettings(BaseModel):
    """Folder, size and age limits of an environment's cache."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    directory: str | None = None
    max_size: int | str | None = None
    ttl_seconds: float | None = Field(default=None, gt=0)

    @field_validator("max_size")
    @classmethod
    def _is_a_size(cls, size: int | str | None) -> int | str | None:
        # Imported only if needed: most environments set no size.
        from caching.store.eviction import parse_size

        if size is not None:
            parse_size(size)
        return size


def _possible_options(override: BaseModel) -> BaseModel:
    """Return the format options after validating each."""
    # `Plan` checks whether they fit together, because that depends on the contract's options too.
    refuse_impossible(override.model_dump(exclude_unset=True))
    return override


if TYPE_CHECKING:
    FormatOverride = BaseModel
else:
    #: The options of a dataset's format that an environment overrides; dump it with `exclude_unset`.
    FormatOverride = create_model(
        "FormatOverride",
        __config__=ConfigDict(extra="forbid", frozen=True),
        __validators__={"possible": model_validator(mode="after")(_possible_options)},
        **{name: (kind, None) for name, kind in get_type_hints(FormatOptions).items()},
    )


class Settings(BaseModel):
    """The keys of an environment's merged files; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    description: str = ""
    data_source: str | None = None
    modules: tuple[str, ...] = ()
    sources: dict[str, Any] = {}
    inputs: dict[str, Any] = {}
    outputs: tuple[str, ...] = ()
    shared_with: tuple[str, ...] = ()
    only_needed_columns: bool = True
    storage: StorageSettings = StorageSettings()
    cache: CacheSettings = CacheSettings()
    formats: dict[str, FormatOverride] = {}

    @field_validator("storage", mode="before")
    @classmethod
    def _numbers_are_no_booleans(cls, section: Any) -> Any:
        # pydantic would accept booleans as 0 and 1.
        if isinstance(section, dict):
            refuse_booleans(section)
        return section


@dataclass(frozen=True)
class Config:
    """A resolved environment, and the origin of each value.

    Attributes:
        env: the environment's name.
        root: the project's root, which contains the configuration folder. Its modules are importable, and relative
            locations start from it.
        settings: the merged and validated values.
        origins: file and line of each value, by its path of keys.
    """

    env: str
    root: Path
    settings: Settings
    origins: Mapping[KeyPath, Origin] = field(default_factory=dict)

    @property
    def data_source(self) -> str | None:
        """The name of the source that serves the data."""
        return self.settings.data_source

    @property
    def inputs(self) -> Mapping[str, Any]:
        """The input values of loaders and dataflow, by name."""
        return self.settings.inputs

    def origin(self, *key: str) -> Origin:
        """Return the origin of a value, or of the nearest mapping around it."""
        for length in range(len(key), 0, -1):
            if key[:length] in self.origins:
                return self.origins[key[:length]]
        return Origin("default")

    def written(self, *key: str) -> str:
        """Return the origin of a value as the beginning of an error message; "" if no file has it."""
        origin = self.origin(*key)
        return "" if origin.line is None else f"{origin}: "


def environments(directory: str | os.PathLike[str] = "configs") -> list[str]:
    """Return the sorted names of the environments in a configuration folder.

    A file that others extend and that names no data source is a base, not an environment. A file that cannot be read
    counts as an environment; it does not affect the others.
    """
    folder = Path(directory)
    if folder.is_file():
        raise ConfigError(f"'{folder}' is a file. Name the configuration's folder with --configs.")
    if not folder.is_dir():
        raise ConfigError(
            f"Configuration folder '{folder}' does not exist (looked in {Path.cwd()}). Run from the project's root, "
            "or name the folder with --configs."
        )
    try:
        files = {path.stem: path for path in environment_files(folder)}
    except OSError as error:
        raise ConfigError(f"Configuration folder '{folder}' cannot be listed: {error.strerror}.") from None
    if not files:
        inner = folder / "configs"
        advice = f"Its configuration is in '{inner}'; use that folder." if inner.is_dir() else "Name the right folder."
        raise ConfigError(f"Configuration folder '{folder}' has no environment (a file NAME.yaml). {advice}")
    contents = {name: _content(path) for name, path in files.items()}
    extended = [content.get("extends") for content in contents.values()]
    return [name for name, content in contents.items() if "data_source" in content or name not in extended]


def _content(path: Path) -> dict[str, Any]:
    try:
        return read_yaml(path)[0]
    except ConfigError:
        # `load_config` reports the reason if the file is needed.
        return {}


def load_config(
    env: str, directory: str | os.PathLike[str] = "configs", params: Mapping[str, Any] | None = None
) -> Config:
    """Return the environment `env` of a configuration folder, merged, expanded and validated.

    `params` override inputs by name. Raises ConfigError, with file and line, for an unknown environment, a circle of
    `extends`, an unknown key, a value of the wrong type, and a `${VAR}` that is not set.
    """
    folder = Path(directory)
    known = environments(folder)
    if env not in known:
        raise ConfigError(
            f"Environment '{env}' does not exist in '{folder}'. Its environments are: "
            f"{quoted(known) or 'none'}.{did_you_mean(str(env), known)}"
        )
    data, origins = _chain(env, folder, ())
    data.pop("extends", None)
    origins.pop(("extends",), None)
    for name, value in (params or {}).items():
        inputs = data.setdefault("inputs", {})
        if isinstance(inputs, dict):
            inputs[name] = value
            origins[("inputs", name)] = Origin("--params")
    expanded = _expand(data, (), origins)
    settings = parse_settings(expanded, origins, str(folder / env))
    # The path to the configuration may contain a link; the project root is the parent of the real folder.
    return Config(env, folder.resolve().parent, settings, origins)


def unset_variables(env: str, directory: str | os.PathLike[str] = "configs") -> list[tuple[str, KeyPath, Origin]]:
    """Return name, key and origin of each `${VAR}` in an environment's files that has neither a value nor a default."""
    data, origins = _chain(env, Path(directory), ())
    return [
        (match["name"], key, origins.get(key, Origin(env)))
        for key, text in _texts(data, ())
        for match in _VARIABLE.finditer(text)
        if match["name"] and match["default"] is None and match["name"] not in os.environ
    ]


def _texts(value: Any, key: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _texts(item, (*key, str(name)))
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, key)
    elif isinstance(value, str):
        yield key, value


def parse_settings(data: Mapping[str, Any], origins: Mapping[KeyPath, Origin], where: str) -> Settings:
    """Return validated settings; raise ConfigError with the place and the expected value of each mistake."""
    try:
        return Settings.model_validate(_filled(data))
    except ValidationError as error:
        # pydantic reports an error for each of several possible types of a value.
        lines = dict.fromkeys(_explain(item, origins, where) for item in error.errors())
        raise ConfigError("\n".join(lines)) from None


def _filled(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with empty sections for those that YAML reads as null."""
    filled = {name: _EMPTY[name]() if value is None and name in _EMPTY else value for name, value in data.items()}
    if isinstance(filled.get("formats"), dict):
        filled["formats"] = {name: {} if item is None else item for name, item in filled["formats"].items()}
    return filled


def _explain(item: Any, origins: Mapping[KeyPath, Origin], where: str) -> str:
    key = tuple(str(part) for part in item["loc"])
    refused = item.get("ctx", {}).get("error")
    if isinstance(refused, OptionError):
        key = (*key, refused.option)
    place = next((origins[key[:n]] for n in range(len(key), 0, -1) if key[:n] in origins), where)
    if key[:2] == ("cache", "max_size"):
        # The rest of the path is the name of one of its types.
        key = key[:2]
    name = ".".join(key)
    if item["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        known = _known_keys(key)
        return f"{place}: unknown key '{name}'. Known are: {quoted(known)}.{did_you_mean(key[-1], known)}"
    if isinstance(refused, OptionError):
        return f"{place}: '{name}' {refused.problem}; found {refused.shown}."
    return f"{place}: '{name}'{_expected(item)}; found {_shown(item['input'])}."


def _expected(item: Any) -> str:
    """Return a description of the expected value in terms of YAML."""
    value = item["input"]
    if item["loc"][:2] == ("cache", "max_size") and item["type"] != "value_error":
        return " must be a size, such as '10GB' or '512 MiB', or a whole number of bytes"
    if item["type"] in ("tuple_type", "list_type"):
        return f" must be a list, such as [{value if isinstance(value, str) else 'a, b'}]"
    if item["type"] == "literal_error":
        return f" must be one of {item['ctx']['expected']}"
    if item["type"] in _EXPECTED:
        return f" {_EXPECTED[item['type']]}"
    # The messages of our own validators are sentences.
    return f": {str(item['msg']).removeprefix('Value error, ').removesuffix('.')}"


def _known_keys(key: KeyPath) -> list[str]:
    sections: dict[str, Iterable[str]] = {
        "cache": CacheSettings.model_fields,
        "storage": (item.name for item in fields(StorageSettings)),
        "formats": (item.name for item in fields(FormatOptions)),
    }
    return list(sections[key[0]]) if len(key) > 1 else ["extends", *Settings.model_fields]


def _shown(value: Any) -> str:
    text = redact(repr(value))
    return text if len(text) <= 80 else text[:77] + "..."


def _chain(env: str, folder: Path, seen: tuple[str, ...]) -> tuple[dict[str, Any], dict[KeyPath, Origin]]:
    """Merge a file with the files it extends; the nearest file wins."""
    if env in seen:
        raise ConfigError(f"'extends' runs in a circle: {' → '.join((*seen, env))}. Break it in one of these files.")
    path = file_of(env, folder)
    if path is None and not seen:
        raise ConfigError(f"'{folder / env}.yaml' is a folder or a broken link, not a file. Replace it.")
    if path is None:
        raise ConfigError(f"'{seen[-1]}' extends '{env}', but '{folder}' has no {env}.yaml.")
    data, origins = read_yaml(path)
    data = _filled(data)
    parent = data.get("extends")
    if parent is None:
        return data, origins
    if not isinstance(parent, str):
        raise ConfigError(f"{origins[('extends',)]}: 'extends' must name one file of '{folder}', found {parent!r}.")
    below, below_origins = _chain(parent, folder, (*seen, env))
    merged = _merge(below, data, (), below_origins, origins)
    return merged, below_origins | origins


def _merge(
    below: dict[str, Any],
    above: dict[str, Any],
    key: KeyPath,
    below_origins: dict[KeyPath, Origin],
    origins: dict[KeyPath, Origin],
) -> dict[str, Any]:
    """Merge mappings recursively; other values and their origins are replaced."""
    merged = dict(below)
    for name, value in above.items():
        here = (*key, name)
        if isinstance(value, dict) and isinstance(below.get(name), dict):
            merged[name] = _merge(below[name], value, here, below_origins, origins)
            continue
        merged[name] = value
        for path in [path for path in below_origins if path[: len(here)] == here]:
            del below_origins[path]
    return merged


def _expand(value: Any, key: KeyPath, origins: Mapping[KeyPath, Origin]) -> Any:
    """Replace `${VAR}` and `${VAR:-default}` in every text; `$${` stands for a literal `${`."""
    if isinstance(value, dict):
        return {name: _expand(item, (*key, str(name)), origins) for name, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, key, origins) for item in value]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        name = match["name"]
        if match["open"] or "${" in (match["text"] or ""):
            raise ConfigError(
                f"{origins.get(key, key)}: '{'.'.join(key)}' has a '${{' that begins no variable: {_shown(value)}. "
                "Write ${NAME} or ${NAME:-default}, with plain text for the default; $${ stands for a literal ${."
            )
        if name is None:
            return "${"
        found = os.environ.get(name)
        if found or (found is not None and match["default"] is None):
            return found
        if match["default"] is None:
            raise ConfigError(
                f"{origins.get(key, key)}: '{'.'.join(key)}' needs the environment variable {name}, which is not set. "
                f"Set it, or give a default: ${{{name}:-value}}."
            )
        return str(match["text"])

    return _VARIABLE.sub(replace, value)
