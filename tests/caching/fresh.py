"""Fresh processes by the dozen: one that has imported the cache forks a child for every step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

_SERVER = r"""
import json, os, sys, traceback
sys.path.insert(0, {root!r})
import asyncio, warnings
import caching.decorator, caching.context, caching.store.local_cache, caching.tracking.audit_hook, caching.misses
import platformdirs
{imports}
sys.path.remove({root!r})
for line in sys.stdin:
    step = json.loads(line)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.chdir(step["folder"])
            os.environ.update(step["environment"])
            sys.path[:0] = step["path"]
            events = []
            space = {{"__name__": "driver", "events": events}}
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                with caching.context.activate(
                    caching.store.local_cache.LocalCache(step["cache"]), mode=step["mode"], observer=events.append
                ):
                    exec(step["before"], space)
                    events.clear()
                    value = eval(step["call"], space)
            answer = {{
                "value": repr(value),
                "outcome": events[-1].outcome if events else None,
                "reason": events[-1].reason if events else None,
                "warnings": [str(w.message) for w in caught if w.category.__name__ == "CachingWarning"],
            }}
        except BaseException:
            answer = {{"error": traceback.format_exc()}}
        os.write(writer, json.dumps(answer).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        print(pipe.read(), flush=True)
    os.waitpid(pid, 0)
"""


class FreshProcesses:
    """Children of one process, which has run the `imports` that all of them would run first."""

    def __init__(self, imports: str = "") -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-c", _SERVER.format(root=str(ROOT), imports=imports)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip

    def run(
        self, project: Path, call: str, *, before: str = "", mode: str = "on",
        environment: dict[str, str] | None = None, site: bool = False,
    ) -> dict[str, Any]:  # fmt: skip
        path = [str(project), *([str(project / "site-packages")] if site else [])]
        step = {
            "folder": str(project), "path": path, "cache": str(project.parent / "cache"), "call": call, "mode": mode,
            "before": f"import m\n{before}", "environment": environment or {},
        }  # fmt: skip
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(step) + "\n")
        self._server.stdin.flush()
        answer: dict[str, Any] = json.loads(self._server.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer

    def close(self) -> None:
        assert self._server.stdin
        self._server.stdin.close()
        self._server.wait()
