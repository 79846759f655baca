"""Run a server in a temporary folder, and end it when the process that started it ends.

It is started as `python -I -S _lifeline.py`, so it imports only the standard library. It reads one line of JSON from
standard input, with `command`, `files` to write into the folder first, and `leftovers`, a pattern that finds in the
command's output the paths it made elsewhere. It ends the command at the next line, or when standard input closes.

The kernel closes the pipe even if the parent is killed. The parent's process id is watched too, because a fork of the
parent may hold a copy of the pipe open. At the end the folder and the leftovers are removed, and the end of the
command's output is written to standard output.
"""

import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 0.1
_OUTPUT_CHARACTERS = 4000


def _die_with_this_process() -> None:
    # The command does not watch our pipe; on Linux the kernel ends it if this process is killed.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait_for_release(released: threading.Event) -> None:
    sys.stdin.readline()  # a line or the end of the pipe
    released.set()


def _run(command: list[str], folder: Path, parent_id: int) -> None:
    environment = {"PATH": os.defpath, "HOME": str(folder), "TMPDIR": str(folder)}
    with (folder / "output").open("wb") as output:
        child = subprocess.Popen(  # noqa: S603 - the parent chooses the command; it could run it itself
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=_die_with_this_process,  # safe, because there is only one thread
        )
    try:
        released = threading.Event()
        threading.Thread(target=_wait_for_release, args=(released,), daemon=True).start()
        while child.poll() is None and os.getppid() == parent_id and not released.wait(_POLL_SECONDS):
            pass
    finally:
        child.kill()
        child.wait()


def main() -> None:
    """Read the command, run it until the parent ends or asks to stop, and clean up."""
    parent_id = os.getppid()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))  # so that the cleanup below runs
    request = json.loads(sys.stdin.readline())
    folder = Path(tempfile.mkdtemp(prefix="sourceswap-"))
    output = ""
    try:
        for name, text in request["files"].items():
            (folder / name).write_text(text, encoding="utf-8")
        _run(request["command"], folder, parent_id)
    finally:
        with contextlib.suppress(OSError):
            output = (folder / "output").read_text(encoding="utf-8", errors="replace")
        shutil.rmtree(folder, ignore_errors=True)
        for path in re.findall(request["leftovers"], output):
            with contextlib.suppress(OSError):
                Path(path).unlink()
    with contextlib.suppress(OSError):
        sys.stdout.buffer.write(output[-_OUTPUT_CHARACTERS:].encode())
        sys.stdout.flush()


if __name__ == "__main__":
    main()
