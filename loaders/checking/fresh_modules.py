"""Import the modules of a project anew."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import time
from collections.abc import Iterable, Iterator, Set
from contextlib import contextmanager
from pathlib import Path

_YOUNG_SECONDS = 5.0


@contextmanager
def fresh_modules(root: Path, packages: Set[str]) -> Iterator[None]:
    """Import a project's packages again inside the block, so that the files are checked as they are now."""
    loaded = {name: module for name, module in sys.modules.items() if name.split(".")[0] in packages}
    for name in loaded:
        del sys.modules[name]
    _forget_young_bytecode(root, packages)
    importlib.invalidate_caches()
    # Another project of this process may lie before this one on the path.
    path = list(sys.path)
    sys.path[:] = [str(root), *(entry for entry in sys.path if entry != str(root))]
    try:
        yield
    finally:
        sys.path[:] = path
        for name in [name for name in sys.modules if name.split(".")[0] in packages]:
            del sys.modules[name]
        sys.modules.update(loaded)


def _forget_young_bytecode(root: Path, packages: Iterable[str]) -> None:
    """Remove the bytecode of modules written a moment ago.

    Python tells bytecode by the second and the size of its source: an edit within the second it was compiled in goes
    unseen, and what would be checked is the module as it was before.
    """
    for package in packages:
        for source in (root / f"{package}.py", *(root / package).rglob("*.py")):
            with contextlib.suppress(OSError, NotImplementedError):
                if time.time() - source.stat().st_mtime < _YOUNG_SECONDS:
                    Path(importlib.util.cache_from_source(str(source))).unlink(missing_ok=True)
