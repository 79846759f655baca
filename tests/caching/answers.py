"""The results of repeated calls, and what the cache warned of."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from caching import CachingWarning


def answers(call: Callable[[], Any]) -> tuple[list[Any], list[str]]:
    """Two results of a call, and the warnings of the cache."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = [call(), call()]
    return results, [str(warning.message) for warning in caught if warning.category is CachingWarning]
