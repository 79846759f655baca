"""Names that a library looks up in its caller's frame: `df.query("a > @LIMIT")`, `duckdb.sql("from TABLE")`.

Single instructions do not tell which text a call is given, nor who calls: a query may be a constant of one module,
and run by a helper in another. So every name counts in every function that is reached and that has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from caching.keys.bytecode import CodeFacts, Use
from caching.keys.operands import Arguments, text_of

_METHODS = frozenset({"query", "eval"})
# Here an @ is an error: every name is the caller's. pandas 3 tells the first of its function, pandas 2 the second.
_EVALUATORS = frozenset({"pandas.eval", "pandas.core.computation.eval.eval"})
# Their SQL may name any variable.
_SQL_LIBRARIES = ("duckdb", "_duckdb", "polars")
_SQL = re.compile(r"\b(?:from|join|table|pivot|unpivot|describe|summarize)\b", re.I)
_NAME = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_MARKED = re.compile(rf"@\s*({_NAME})")
_BARE = re.compile(_NAME)


class Queries:
    """The functions reached so far, and the texts that may name their variables."""

    def __init__(self) -> None:
        self._functions: list[tuple[FunctionType, str, CodeFacts]] = []
        self._defaults: set[str] = set()
        self._evaluated: set[str] = set()
        self._evaluates_any = False
        self._runs_sql = False
        self._given: set[tuple[int, str]] = set()

    def function(self, function: FunctionType, label: str, facts: CodeFacts) -> None:
        """Add a function that is reached."""
        self._functions.append((function, label, facts))
        defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
        self._defaults |= {text for text in defaults if type(text) is str}  # a root's count as arguments
        for use in facts.uses:
            if use.imported is not None:  # pandas need not be loaded yet
                path = (use.imported.module, *use.imported.attributes, *use.attributes)
                self.call(".".join(path), use.arguments, function.__globals__)

    def call(self, called: str, arguments: Arguments, namespace: dict[str, Any]) -> None:
        """Add a call of a library's function."""
        self._runs_sql |= called.partition(".")[0] in _SQL_LIBRARIES
        if called in _EVALUATORS:
            text = text_of(arguments.get(0, "expr"), namespace)
            self._evaluates_any |= text is None
            self._evaluated.add(text or "")

    def uses(self, texts: set[str]) -> list[tuple[FunctionType, str, Use]]:
        """Yield each variable that a text names in one of the functions, once."""
        found = []
        for name in sorted(self._names(texts | self._defaults)):  # in order, as labels are numbered
            head, *attributes = name.split(".")
            for function, label, facts in self._functions:
                for space, use in _meanings(function, facts, head, tuple(attributes)):
                    if (id(space), name) not in self._given:
                        self._given.add((id(space), name))
                        found.append((function, label, use))
        return found

    def _names(self, texts: set[str]) -> set[str]:
        bare = [*self._evaluated, *(texts if self._evaluates_any else ())]
        if self._runs_sql:
            bare += [text for text in texts if _SQL.search(text)]
        names = {name for text in bare for name in _BARE.findall(text)}
        asked = not _METHODS.isdisjoint(texts) or any(_METHODS & facts.attributes for *_, facts in self._functions)
        if asked:
            names |= {name for text in texts if "@" in text for name in _MARKED.findall(text)}
        return names


def _meanings(
    function: FunctionType, facts: CodeFacts, name: str, attributes: tuple[str, ...]
) -> Iterator[tuple[Any, Use]]:
    """Yield the values that a name may have in a function."""
    for imported in facts.aliases.get(name, ()):
        yield imported, Use("import", name, attributes, imported)
    if name in function.__code__.co_freevars:
        yield function, Use("free", name, attributes)
    yield function.__globals__, Use("named", name, attributes)
