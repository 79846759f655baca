"""The environment of a call as part of its key: variables, working directory, command line, `depends_on`.

Which of it a function asks for is found in its code; what it is now is asked at each call.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import BuiltinFunctionType, FunctionType, MethodDescriptorType
from typing import Any

_ENVIRONMENTS = frozenset(id(getattr(os, name)) for name in ("environ", "environb") if hasattr(os, name))
_GETENV = frozenset(id(getattr(os, name)) for name in ("getenv", "getenvb") if hasattr(os, name))
_FOLDER_FUNCTIONS = frozenset({id(os.getcwd), id(os.getcwdb), id(os.path.abspath), id(os.path.realpath)})
# Methods whose result depends on the working directory or on HOME, whatever object they are of.
_FOLDER_METHODS = frozenset({"getcwd", "getcwdb", "cwd", "abspath", "realpath", "absolute", "resolve"})
_HOME_METHODS = frozenset({"expanduser", "home"})
# What knows the local time zone. Not now() and today(): what they say is past in any zone.
_ZONE_METHODS = frozenset(
    [
        "fromtimestamp",
        "timestamp",
        "astimezone",
        "localtime",
        "mktime",
        "ctime",
        "strftime",
        "tzname",
        "altzone",
        "daylight",
        "tzlocal",
        "get_localzone",
    ]
)
# Those of argparse and optparse read `sys.argv` too.
_COMMAND_LINE = frozenset({"argv", "parse_args", "parse_known_args"})
_NAMED = (FunctionType, BuiltinFunctionType, MethodDescriptorType, type)
# Changed by every shell and every test, and not read by a computed name.
BOOKKEEPING = frozenset({"_", "SHLVL", "PYTEST_CURRENT_TEST"})


@dataclass
class UsedEnvironment:
    """The parts of the environment that a function uses."""

    environment: set[str] = field(default_factory=set)
    whole_environment: bool = False
    working_directory: bool = False
    command_line: bool = False
    decimal_context: bool = False
    depends_on: list[Callable[[], bytes]] = field(default_factory=list)

    def use(self, value: Any, attributes: tuple[str, ...], name: str | None) -> bool:
        """Record the use of a name and the constant it is called with; return whether that says everything."""
        identity = id(value)
        self.decimal_context |= getattr(value, "__module__", None) == "decimal"
        if identity in _ENVIRONMENTS or identity in _GETENV:
            if name is not None and attributes in ((), ("get",)):
                self.environment.add(name)
            else:
                self.whole_environment = True
        elif identity in _FOLDER_FUNCTIONS:
            self.working_directory = True
        elif value is os.path.expandvars:
            self.whole_environment = True
        elif value is os.path.expanduser:
            self.environment.add("HOME")
        else:
            self.command_line |= value is sys.argv
            if isinstance(value, _NAMED) and value.__name__ in _ZONE_METHODS:
                self.environment.add("TZ")
        # Of the functions it counts too which of them it is.
        return identity in _ENVIRONMENTS

    def use_attributes(self, attributes: frozenset[str]) -> None:
        """Record the names of methods that are called on any object."""
        self.working_directory |= not attributes.isdisjoint(_FOLDER_METHODS)
        self.command_line |= not attributes.isdisjoint(_COMMAND_LINE)
        self.decimal_context |= "Decimal" in attributes
        if not attributes.isdisjoint(_HOME_METHODS):
            self.environment.add("HOME")
        if not attributes.isdisjoint(_ZONE_METHODS):
            self.environment.add("TZ")

    def ask(self) -> dict[str, bytes]:
        """Return the current value of each part, by name."""
        found: dict[str, bytes] = {}
        if self.whole_environment:
            kept = sorted(item for item in os.environ.items() if item[0] not in BOOKKEEPING)
            found["the environment"] = repr(kept).encode("utf-8", "surrogatepass")
        for name in sorted(self.environment):
            found[f"environment variable {name}"] = repr(os.environ.get(name)).encode("utf-8", "surrogatepass")
        if self.working_directory:
            found["the working directory"] = os.fsencode(os.getcwd())
        if self.command_line:
            found["the command line"] = repr(sys.argv).encode("utf-8", "surrogatepass")
        if self.decimal_context:
            import decimal

            found["the decimal context"] = repr(decimal.getcontext()).partition(", flags=")[0].encode()
        for number, ask in enumerate(self.depends_on):
            found[f"depends_on {number + 1}"] = ask()
        return found
