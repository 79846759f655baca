"""Read YAML with the file and line of each value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from loaders.errors import ConfigError
from loaders.names import shortened

KeyPath = tuple[str, ...]

# Hand-written configurations are smaller. Without limits, aliases let a small file expand to billions of values.
_MOST_LEVELS = 100
_MOST_VALUES = 20_000

try:
    _Loader: type[Any] = yaml.CSafeLoader
except AttributeError:  # PyYAML built without libyaml
    _Loader = yaml.SafeLoader


@dataclass(frozen=True)
class Origin:
    """The origin of a value: a file and a line (from 1), or another place such as the command line."""

    source: str
    line: int | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


def read_yaml(path: Path) -> tuple[dict[str, Any], dict[KeyPath, Origin]]:
    """Return the mapping in a file, and the origin of each key and list item.

    An empty file is an empty mapping. Raises ConfigError for invalid YAML, for a document other than a mapping, and for
    a repeated key: PyYAML would silently keep the last value.
    """
    try:
        text = path.read_text(encoding="utf-8")
        loader = _Loader(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read: {shortened(str(error))}.") from None
    origins: dict[KeyPath, Origin] = {}
    try:
        _refuse_size(text, path)
        node = loader.get_single_node()
        if node is None:
            return {}, origins
        _locate(node, (), str(path), origins)
        data = loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        origin = Origin(str(path), mark.line + 1 if mark else None)
        raise ConfigError(f"{origin}: is not valid YAML: {_problem(error)}.") from None
    except (ValueError, OverflowError, RecursionError) as error:
        # For example a date that does not exist, a number of thousands of digits, a recursive merge key.
        raise ConfigError(f"{path}: holds a value that cannot be read: {shortened(str(error))}.") from None
    finally:
        loader.dispose()
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: must hold a mapping of keys to values, found {type(data).__name__}.")
    return data, origins


def _refuse_size(text: str, path: Path) -> None:
    """Raise ConfigError for YAML that would exhaust the stack or take many seconds to parse."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, _Loader)):
        if number > 4 * _MOST_VALUES:
            raise ConfigError(f"{path}: has more than {_MOST_VALUES:,} values. Move data to a separate file.")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MOST_LEVELS:
            mark = event.start_mark
            raise ConfigError(
                f"{path}:{mark.line + 1 if mark else 1}: is nested more than {_MOST_LEVELS} levels deep; flatten it."
            )


def _locate(node: Any, key: KeyPath, source: str, origins: dict[KeyPath, Origin]) -> None:
    if len(key) > _MOST_LEVELS or len(origins) > _MOST_VALUES:
        raise ConfigError(
            f"{source}:{node.start_mark.line + 1}: has more than {_MOST_VALUES:,} values, counting those "
            "of aliases; an alias of itself has infinitely many. Move data to a separate file."
        )
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            origins[(*key, str(number))] = Origin(source, item.start_mark.line + 1)
            _locate(item, (*key, str(number)), source, origins)
    if not isinstance(node, yaml.MappingNode):
        return
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise ConfigError(f"{source}:{key_node.start_mark.line + 1}: a list or mapping is used as a key; use text.")
        here = (*key, str(key_node.value))
        origin = Origin(source, key_node.start_mark.line + 1)
        if here in origins:
            raise ConfigError(
                f"{origin}: '{'.'.join(here)}' was already given on line {origins[here].line}; keep one of them."
            )
        origins[here] = origin
        _locate(value_node, here, source, origins)


def _problem(error: yaml.YAMLError) -> str:
    problem = getattr(error, "problem", None)
    return " ".join(str(problem or error).split())[:300]
