"""Run an action on a module: immediately if it is imported already, otherwise as soon as it is.

Most of what is observed is never imported in most processes, and importing it for that alone would cost them time.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

Action = Callable[[ModuleType], None]

_actions: dict[str, list[Action]] = {}


def on_import(name: str, action: Action) -> None:
    """Run an action on a module now, or when it is imported; again if it is reloaded.

    Where another thread imports it at this moment the action may be done twice.
    """
    if not _actions:
        sys.meta_path.insert(0, _Finder())
    _actions.setdefault(name, []).append(action)
    if sys.modules.get(name) is not None:
        # Waits for a thread that is still importing it.
        action(importlib.import_module(name))


class _Finder:
    """Runs pending actions after a module was executed; finds no modules itself."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name not in _actions:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                _await_execution(spec.loader, name)
                return spec
        return None


def _await_execution(loader: Any, name: str) -> None:
    execute = getattr(loader, "exec_module", None)
    if execute is None:
        return

    def execute_and_act(module: ModuleType) -> None:
        del loader.exec_module
        execute(module)
        for action in _actions[name]:
            action(module)

    # On this very loader, so that the module keeps the loader it would have had.
    loader.exec_module = execute_and_act
