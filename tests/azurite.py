"""Azurite, Microsoft's emulator of Azure Blob Storage, from npm."""

from __future__ import annotations

import base64
import fcntl
import hmac
import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

ACCOUNT = "devstoreaccount1"
# The key of every Azurite, as its documentation gives it.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True)
class Azurite:
    """A running emulator."""

    endpoint_url: str

    def environment(self) -> dict[str, str]:
        """Return the variables of its account."""
        return {"AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT, "AZURE_STORAGE_ACCOUNT_KEY": KEY}

    def store(self, container: str) -> Any:
        """Return an obstore store of a container."""
        from obstore.store import AzureStore

        return AzureStore(
            container,
            account_name=ACCOUNT,
            account_key=KEY,
            endpoint=f"{self.endpoint_url}/{ACCOUNT}",
            client_options={"allow_http": True},
        )

    def create(self, container: str) -> None:
        """Create a container, which obstore cannot: by a request signed as Azure's "Shared Key" is."""
        headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
        lines = [*(f"{name}:{value}" for name, value in headers.items()), f"/{ACCOUNT}/{ACCOUNT}/{container}"]
        text = "PUT" + "\n" * 12 + "\n".join([*lines, "restype:container"])
        signature = base64.b64encode(hmac.digest(base64.b64decode(KEY), text.encode(), "sha256")).decode()
        headers["Authorization"] = f"SharedKey {ACCOUNT}:{signature}"
        url = f"{self.endpoint_url}/{ACCOUNT}/{container}?restype=container"
        urllib.request.urlopen(urllib.request.Request(url, method="PUT", headers=headers)).close()


@contextmanager
def azurite(folder: Path) -> Iterator[Azurite]:
    """Run Azurite, which is installed into the folder first; skip the test if npm cannot do that."""
    program = _installed(folder)
    command = [
        program,
        "--blobHost",
        "127.0.0.1",
        "--blobPort",
        "0",
        "--inMemoryPersistence",
        "--skipApiVersionCheck",
        "--disableTelemetry",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            listening = (re.search(r"(?:listening at|listens on) (http://[\d.]+:\d+)", line) for line in process.stdout)
            yield Azurite(next(found[1] for found in listening if found))
        finally:
            process.kill()


def _installed(folder: Path) -> str:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("Azurite, the emulator of Azure, comes from npm, which is not installed")
    program = folder / "node_modules" / ".bin" / "azurite-blob"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            command = [npm, "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder), "azurite@3"]
            done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ))
            if done.returncode:
                pytest.skip(f"npm cannot install Azurite, the emulator of Azure: {done.stderr.strip()[-200:]}")
    return str(program)
