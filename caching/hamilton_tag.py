"""The tag that makes Hamilton's own cache leave a node to `function_cache`."""

from __future__ import annotations

from typing import Any

# The attribute in which Hamilton keeps the decorators of a function that change its nodes.
_ATTRIBUTE = "decorate_nodes"


class _Recompute:
    """Hamilton's `@cache(behavior="recompute")`, made when Hamilton asks for it, so that caching does not import it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # copying and pickling look for these; Hamilton does not
            raise AttributeError(name)
        from hamilton.function_modifiers import cache

        return getattr(cache(behavior="recompute"), name)


def tag_recompute(function: Any) -> None:
    """Tag the nodes of a function, so that `Builder().with_cache()` always executes them.

    Hamilton's cache keys a node on its code and arguments: it would return the data of a file that was rewritten
    before `function_cache` is asked. What is computed from the node is keyed on the fingerprint of its value.
    """
    setattr(function, _ATTRIBUTE, [*getattr(function, _ATTRIBUTE, ()), _Recompute()])
