"""The project root, the folder that relative locations start from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from caching.threads import InheritedVar

_active: InheritedVar[Path | None] = InheritedVar("sourceswap_project_root", default=None)


def project_root() -> Path:
    """Return the root of the running driver's project, or the working directory."""
    return _active.get() or Path.cwd()


@contextmanager
def use_project_root(root: Path) -> Iterator[None]:
    """Resolve relative locations against `root` inside the block."""
    token = _active.set(root)
    try:
        yield
    finally:
        _active.reset(token)
