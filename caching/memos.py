"""What the memos of a project's helpers hold (`functools.cache`, `lru_cache`): who asks second reads nothing any more.

Two cached functions share a helper that reads a file once. So that the second one's result counts on the file as well,
what the first one's run reads within the helper is noted for the memo, and every later run that reaches the memo takes
it over. What was read outside of any recorded run is not known.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable
from types import CodeType, FrameType, FunctionType
from typing import Any
from weakref import WeakKeyDictionary

from caching.locations import shown
from caching.sources import Source, stale_reason

Sources = dict[str, Source]

_sources: WeakKeyDictionary[Any, Sources] = WeakKeyDictionary()
_MEMO = type(functools.cache(lambda: None))


def is_memo(value: object) -> bool:
    """Whether it is a function with a memo, of which can be told when it runs."""
    return isinstance(value, _MEMO) and isinstance(getattr(value, "__wrapped__", None), FunctionType)


class Memos:
    """The memos that a run may use."""

    def __init__(self, memos: Iterable[Any] = ()) -> None:
        self._memos = list(memos)
        self._by_code: dict[CodeType, list[Sources]] = {}
        for memo in self._memos:
            held = _sources.setdefault(memo, {})
            if memo.cache_info().misses == 0:
                held.clear()  # it was emptied
            self._by_code.setdefault(memo.__wrapped__.__code__, []).append(held)

    def note(self, source: Source) -> None:
        """Note a source for those whose function runs at the moment, in this thread."""
        if not self._by_code:
            return
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            for held in self._by_code.get(frame.f_code, ()):
                held[source.location] = source
            frame = frame.f_back

    def sources(self) -> Sources:
        """What they hold was made from."""
        return {location: source for memo in self._memos for location, source in list(_sources[memo].items())}

    def stale(self) -> str:
        """Why what one of them holds is not what it would read now, or an empty text."""
        for memo in self._memos:
            for source in list(_sources[memo].values()):
                if stale_reason(source):
                    name = memo.__qualname__
                    return (
                        f"{name}() remembers what it read of {shown(source.location)} before that changed; "
                        f"{name}.cache_clear() has it read anew"
                    )
        return ""
