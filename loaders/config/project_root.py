"""The project root, from which relative locations start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from caching.threads import InheritedVar

_active: InheritedVar[Path | None] = InheritedVar("sourceswap_project_root", default=None)


def project_root() -> Path:
    """Return the root of the project whose driver executes; outside of one, the working directory."""
    return _active.get() or Path.cwd()


@contextmanager
def use_project_root(root: Path) -> Iterator[None]:
    """Have relative locations start at `root` in this context."""
    token = _active.set(root)
    try:
        yield
    finally:
        _active.reset(token)
