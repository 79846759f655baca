"""Explain the latest miss of a function: the parts of its key that differ from the nearest entry."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from caching.store.local_cache import LocalCache

LATEST_MISS = "latest-miss"
NO_ENTRY = "no entry"


def pack_parts(parts: dict[str, str]) -> str:
    """Return the named parts of a key as one text, which is quicker to skip than JSON when a hit reads the record."""
    return "\n".join(f"{name}\t{part}" for name, part in parts.items())


def unpack_parts(text: str) -> dict[str, str]:
    """Return the named parts that `pack_parts` wrote.

    >>> unpack_parts(pack_parts({"value m.K": "1f", "argument a": "2e"}))
    {'value m.K': '1f', 'argument a': '2e'}
    """
    return dict(line.rsplit("\t", 1) for line in text.split("\n") if "\t" in line)


def explain_miss(cache: LocalCache, namespace: str) -> list[str]:
    """Return why the latest call of a function was a miss, one line each; empty if none is recorded."""
    note = cache.read_note(namespace, LATEST_MISS)
    if note is None:
        return []
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(float(note["at"])))
    head = f"{namespace}: the latest miss was at {when}"
    reason = str(note["reason"])
    if reason != NO_ENTRY:
        return [head, f"  {reason}"]
    return [head, *(f"  {line}" for line in _nearest_differences(cache, namespace, note))]


def _nearest_differences(cache: LocalCache, namespace: str, note: dict[str, Any]) -> list[str]:
    """Return the differences between the call of a note and the entry that differs least, the newest of several."""
    now = unpack_parts(str(note["parts"]))
    # Entries younger than the call did not exist when it was looked up.
    began_at = float(note.get("began_at", note["at"]))
    others = [
        (len(differences), -entry.created_at, differences)
        for entry in cache.entries(namespace)
        if entry.key[1] != note["key"] and "parts" in entry.record and entry.created_at < began_at
        for differences in [list(_differences(namespace, unpack_parts(str(entry.record["parts"])), now))]
    ]
    if not others:
        return ["there was no entry to compare with: it was the first call, or the cache was cleared or refreshed"]
    # An entry without differences belongs to the same call: a column of its frame.
    return min(others)[2] or ["the same call is cached, but not with these columns"]


def _differences(namespace: str, before: dict[str, str], now: dict[str, str]) -> Iterator[str]:
    for name in sorted({*before, *now}, key=_importance):
        if before.get(name) != now.get(name):
            kind, _, rest = name.partition(" ")
            yield _difference(namespace, kind, rest, before.get(name), now.get(name))


def _importance(name: str) -> tuple[int, str]:
    kinds = (
        "argument",
        "function",
        "class",
        "value",
        "import",
        "environment",
        "depends_on",
        "the",
        "library",
    )
    kind = name.partition(" ")[0]
    return kinds.index(kind) if kind in kinds else len(kinds), name


def _difference(namespace: str, kind: str, name: str, before: str | None, now: str | None) -> str:
    module, _, last = name.rpartition(".")
    if kind == "library":
        return f"library {name}: {before or 'not used'} → {now or 'not used'}"
    if kind == "argument":
        return f"argument `{name}` has another value"
    if kind == "environment":
        return f"environment {name} has another value"
    if kind == "depends_on":
        return "what depends_on gives is another"
    if kind == "the":
        return f"the {name} is another"
    what = {"function": "helper", "class": "class", "value": "constant", "import": "import"}.get(kind, kind)
    subject = f"{what} `{last}` in module `{module}`" if module else f"{what} `{name}`"
    if kind == "function" and name == namespace:
        subject = "its own code"
    if before is None:
        return f"{subject} is used now, and was not then"
    return f"{subject} is no longer used" if now is None else f"{subject} changed"
