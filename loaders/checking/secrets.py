"""Find secrets written into files, by their shape and their key, without showing them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from loaders.checking.findings import Finding, shown_path

_SHAPES = (
    ("an AWS access key", re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}(?![A-Z0-9])")),
    ("a user and password in a URL", re.compile(r"(?<=://)[^/@\s:'\"${}]+:[^/@\s'\"{}]+(?=@)")),
    ("the signature of a presigned URL", re.compile(r"(?<=[?&])(?:X-Amz-Signature|Signature|sig)=[^&\s'\"]{8,}")),
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
    ("a token of GitHub or Slack", re.compile(r"(?<!\w)(?:gh[pousr]_[A-Za-z0-9]{30,}|xox[abpr]-[A-Za-z0-9-]{10,})")),
)
_NAME = re.compile(
    r"(?:^|[_\-.])(?:secret|password|passwd|passphrase|pwd|token|api_?key|access_?key(?:_?id)?|secret_?key|"
    r"secret_?access_?key|private_?key|account_?key|credentials?)$",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# What stands where a secret would: a variable without a default, or words that only hold its place.
_VARIABLE = re.compile(r"\$\{[A-Za-z_]\w*(?::-)?\}")
_DEFAULT = re.compile(r"\$\{[A-Za-z_]\w*:-([^}]+)\}")
_PLACEHOLDER = re.compile(r"^(?:|<[^>]*>|\*+|x{3,}|\.{3}|none|null|todo)$", re.IGNORECASE)


@dataclass(frozen=True)
class Secret:
    """A secret in a file: its kind, its line, and its text for masking."""

    kind: str
    line: int
    text: str


def is_secret_name(name: str) -> bool:
    """Return whether a key or variable of this name holds a secret.

    >>> is_secret_name("db_password"), is_secret_name("secretAccessKey"), is_secret_name("tokens_data_path")
    (True, True, False)
    """
    return _NAME.search(_CAMEL.sub("_", name)) is not None


def secrets_in(path: Path) -> list[Secret]:
    """Return the secrets in a YAML or Python file; none if it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    found = [*_by_shape(text), *(_in_python(text) if path.suffix == ".py" else _in_yaml(text))]
    return list({(secret.line, secret.text): secret for secret in reversed(found)}.values())


def secret_findings(paths: Iterable[Path]) -> tuple[list[Finding], set[str]]:
    """Return a finding for each line with a secret, and the secrets, to mask them elsewhere."""
    findings = []
    texts = set()
    for path in dict.fromkeys(path.resolve() for path in paths):
        for secret in secrets_in(path):
            texts.add(secret.text)
            fix = "Remove it and make it invalid; take it from the AWS chain, or from the environment as ${VARIABLE}."
            finding = Finding(
                rule="secret",
                expected="no secrets in files",
                found=f"{secret.kind} (not shown)",
                fix=fix,
                file=shown_path(path),
                line=secret.line,
            )
            findings.append(finding)
    one_a_line = {(finding.file, finding.line): finding for finding in reversed(findings)}
    return list(reversed(one_a_line.values())), texts


def _by_shape(text: str) -> Iterator[Secret]:
    for number, line in enumerate(text.splitlines(), 1):
        for kind, shape in _SHAPES:
            for match in shape.finditer(line):
                yield Secret(kind, number, match.group())


def _in_yaml(text: str) -> Iterator[Secret]:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        yield from _in_broken_yaml(text)
        return
    waiting: list[Any] = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        if not isinstance(node, yaml.MappingNode):
            continue
        for key, value in node.value:
            waiting.append(value)
            if isinstance(value, yaml.ScalarNode) and is_secret_name(str(key.value)):
                yield from _literal(str(key.value), str(value.value), key.start_mark.line + 1)


def _in_broken_yaml(text: str) -> Iterator[Secret]:
    for number, line in enumerate(text.splitlines(), 1):
        name, colon, value = line.partition(":")
        if colon and is_secret_name(name.strip(" -'\"")):
            yield from _literal(name.strip(), value.strip().strip("'\""), number)


def _in_python(text: str) -> Iterator[Secret]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        for name, value in _named(node):
            if isinstance(value, ast.Constant) and isinstance(value.value, str) and is_secret_name(name):
                yield from _literal(name, value.value, value.lineno)


def _named(node: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    """Yield names with their values: assignments, arguments, defaults and dict items."""
    if isinstance(node, ast.Assign | ast.AnnAssign):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(target, ast.Name | ast.Attribute):
                yield (target.id if isinstance(target, ast.Name) else target.attr), node.value
            if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
                yield str(target.slice.value), node.value
    elif isinstance(node, ast.keyword) and node.arg:
        yield node.arg, node.value
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant):
                yield str(key.value), value
    elif isinstance(node, ast.arguments):
        positional = [*node.posonlyargs, *node.args]
        for argument, value in zip(positional[len(positional) - len(node.defaults) :], node.defaults, strict=True):
            yield argument.arg, value
        for argument, default in zip(node.kwonlyargs, node.kw_defaults, strict=True):
            yield argument.arg, default


def _literal(name: str, value: str, line: int) -> Iterator[Secret]:
    default = _DEFAULT.search(value)
    written = default[1] if default else _VARIABLE.sub("", value)
    if not _PLACEHOLDER.match(written.strip()):
        yield Secret(f"a value for '{name}'", line, written.strip())
