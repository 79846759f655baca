"""The installed command, run as a user runs it: in a process of its own, in a project folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("sourceswap")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the sample project, as it lies at the top of the repository."""
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "configs", folder / "configs")
    shutil.copytree(ROOT / "examples" / "marketing_spend", folder / "examples" / "marketing_spend")
    return folder


@pytest.fixture
def sourceswap(project: Path, tmp_path: Path) -> Run:
    """Run the command in the project with a cache of its own; `variables` are added to the environment."""

    def run(*words: str | Path, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        # Read now, not when the fixture is made: another fixture may point the AWS variables at its server.
        environment = {name: value for name, value in os.environ.items() if name != "SOURCESWAP_ENV"}
        environment |= {"SOURCESWAP_CACHE_DIR": str(tmp_path / "cache"), "COLUMNS": "200", **variables}
        return subprocess.run(
            [str(COMMAND), *map(str, words)],
            cwd=cwd or project,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run
