"""The exception and the warning of the cache.

CachingException   a call cannot be keyed, or a cache is set up wrongly
CachingWarning     a result was not cached, or an entry was not served; the caller has its result all the same
"""

from __future__ import annotations

import os
import sys
import warnings


class CachingException(Exception):  # noqa: N818 - the name is part of the public interface
    """Raised when a call cannot be cached as requested; names the function, the parameter and its type."""


class CachingWarning(UserWarning):
    """Issued when a result is returned uncached, or when an entry on disk is ignored."""


_LIBRARY = os.path.dirname(os.__file__)
_HERE = os.path.dirname(__file__)


def warn_user(text: str) -> None:
    """Issue a CachingWarning at the user's line that made the call."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and _is_inner(frame.f_code.co_filename, str(frame.f_globals.get("__name__"))):
        level, frame = level + 1, frame.f_back
    # Beyond the last frame it names no line, instead of a meaningless one.
    level += _is_inner(frame.f_code.co_filename, str(frame.f_globals.get("__name__")))
    warnings.warn(text, CachingWarning, stacklevel=level)


def _is_inner(file: str, module: str) -> bool:
    """Return whether a file belongs to this toolkit, to Hamilton, click or Python."""
    if file.startswith(f"{_LIBRARY}{os.sep}"):
        inside = file[len(_LIBRARY) + 1 :].partition(os.sep)[0]
        if inside not in ("site-packages", "dist-packages"):
            return True
    # The wrapper of a cached function has the globals of what it wraps: its file tells.
    return (
        file.startswith(f"{_HERE}{os.sep}")
        or module.partition(".")[0] in ("caching", "loaders", "cli", "hamilton", "click")
        or file.startswith("<frozen ")
        or os.path.dirname(file) == os.path.dirname(sys.executable)
    )
