"""Format names and foreign texts for error messages."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


def quoted(names: Iterable[str]) -> str:
    """Return the names in quotes, separated by commas.

    >>> quoted(["local", "prod"])
    "'local', 'prod'"
    """
    return ", ".join(f"'{name}'" for name in names)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence that suggests the known name nearest to `name`, or an empty text.

    >>> did_you_mean("prd", ["local", "prod"])
    " Did you mean 'prod'?"
    """
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean '{near[0]}'?" if near else ""


def bounded(text: str, longest: int = 300) -> str:
    """Return text whose words of more than `longest` characters are cut; lines and spaces stay.

    >>> bounded("'" + "x" * 400 + "' is unknown", 3)
    "'xx… is unknown"
    """
    return re.sub(rf"(\S{{{longest}}})\S+", r"\1…", text)


def printable(text: str) -> str:
    """Return text whose control characters, halves of surrogates and marks of direction are escaped; lines stay.

    >>> printable("a\\x1b[31m\\udc8b\\nä")
    'a\\\\x1b[31m\\\\udc8b\\nä'
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in text)


def shortened(text: str, longest: int = 300) -> str:
    """Return text on one line, cut after `longest` characters.

    >>> shortened("a\\n b", 3), shortened("x" * 400, 3)
    ('a b', 'xxx…')
    """
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[:longest]}…"
