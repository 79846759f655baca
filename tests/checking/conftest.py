"""A project under check, with texts replaced in its files."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loaders.checking import Report, check_interchangeable
from tests.checking.projects import PROJECTS

Edited = Callable[..., Report]


@pytest.fixture
def edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edited:
    """Check a project after replacing texts of its files, `{path: {old: new}}`, and adding others, `{path: text}`."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.chdir(tmp_path)

    def check(changes: dict[str, dict[str, str] | str], project: str = "shop", *, live: bool = False) -> Report:
        files = dict(PROJECTS[project].files)
        for path, change in changes.items():
            if isinstance(change, str):
                files[path] = change
                continue
            for old, new in change.items():
                assert old in files[path], f"{path} has no {old!r}"
                files[path] = files[path].replace(old, new)
        PROJECTS[project].write(tmp_path, files)
        return check_interchangeable("configs", live=live)

    return check
