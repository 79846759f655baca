"""The fault proxy itself: without faults it changes nothing, and each fault is what its name says."""

from __future__ import annotations

import hashlib
import http.client
import socket
import time
from collections.abc import Iterator
from typing import Any

import boto3
import botocore.exceptions
import pytest
from botocore.config import Config

from loaders.sandbox.s3_server import S3Server
from tests.fault_proxy import FaultProxy, Kind

BODY = b"0123456789" * 2000


@pytest.fixture
def proxy(s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    s3_server.client().put_object(Bucket=s3_bucket, Key="folder/data x.csv", Body=BODY)
    with FaultProxy(s3_server) as proxy:
        for name, value in proxy.environment().items():
            monkeypatch.setenv(name, value)
        yield proxy


def client(**options: Any) -> Any:
    options = {"retries": {"total_max_attempts": 1}, "read_timeout": 1} | options
    return boto3.session.Session().client("s3", config=Config(**options))


def get(bucket: str, **options: Any) -> dict[str, Any]:
    answer: dict[str, Any] = client().get_object(Bucket=bucket, Key="folder/data x.csv", **options)
    return answer | {"data": answer["Body"].read()}


def raw_get(
    proxy: FaultProxy, bucket: str, *, timeout: float = 20, **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    """What is on the wire, read by a client that trusts it."""
    parameters = {"Bucket": bucket, "Key": "folder/data x.csv"}
    url = client().generate_presigned_url("get_object", parameters)
    connection = http.client.HTTPConnection(*proxy.endpoint_url.removeprefix("http://").split(":"), timeout=timeout)
    connection.request("GET", url.removeprefix(proxy.endpoint_url), headers=headers)
    answer = connection.getresponse()
    try:
        return answer, answer.read()
    except (OSError, http.client.IncompleteRead) as error:
        return answer, error.partial if isinstance(error, http.client.IncompleteRead) else b""
    finally:
        connection.close()


def test_without_faults_everything_passes_and_is_listed(proxy: FaultProxy, s3_bucket: str) -> None:
    assert get(s3_bucket)["data"] == BODY
    assert get(s3_bucket, Range="bytes=5-14")["data"] == BODY[5:15]
    client().head_object(Bucket=s3_bucket, Key="folder/data x.csv")
    client().put_object(Bucket=s3_bucket, Key="put", Body=b"x" * 1_000_000)
    assert client().list_objects_v2(Bucket=s3_bucket)["KeyCount"] == 2
    assert [(r.method, r.path.removeprefix(f"/{s3_bucket}"), r.range, r.status) for r in proxy.requests] == [
        ("GET", "/folder/data x.csv", None, 200),
        ("GET", "/folder/data x.csv", "bytes=5-14", 206),
        ("HEAD", "/folder/data x.csv", None, 200),
        ("PUT", "/put", None, 200),
        ("GET", "", None, 200),
    ]
    assert [r.bytes for r in proxy.requests[:4]] == [len(BODY), 10, 0, 0]
    assert proxy.requests[4].is_of("LIST")
    assert not proxy.requests[4].is_of("GET")


def test_a_wrong_secret_is_refused_through_it(
    proxy: FaultProxy, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(botocore.exceptions.ClientError, match="SignatureDoesNotMatch"):
        get(s3_bucket)


@pytest.mark.parametrize("kind", ["503", "500", "429"])
def test_an_error_status_is_answered(proxy: FaultProxy, s3_bucket: str, kind: Kind) -> None:
    proxy.inject(kind)
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        get(s3_bucket)
    assert str(raised.value.response["ResponseMetadata"]["HTTPStatusCode"]) == kind
    assert get(s3_bucket)["data"] == BODY


def test_a_fault_happens_as_often_as_it_is_asked_for_on_the_requests_that_it_is_for(
    proxy: FaultProxy, s3_bucket: str
) -> None:
    proxy.inject("500", on="RANGE", skip=1, times=2)
    statuses = []
    for options in ({}, *[{"Range": "bytes=0-1"}] * 4):
        try:
            statuses.append(get(s3_bucket, **options)["ResponseMetadata"]["HTTPStatusCode"])
        except botocore.exceptions.ClientError as error:
            statuses.append(error.response["ResponseMetadata"]["HTTPStatusCode"])
    assert statuses == [200, 206, 500, 500, 206]
    proxy.clear()
    proxy.inject("500", times=None, key="other")
    assert get(s3_bucket)["data"] == BODY


def test_a_reset_ends_the_connection_before_any_answer(proxy: FaultProxy, s3_bucket: str) -> None:
    proxy.inject("reset")
    with pytest.raises(ConnectionResetError):
        raw_get(proxy, s3_bucket)


def test_a_reset_mid_body_comes_after_half_of_it(proxy: FaultProxy, s3_bucket: str) -> None:
    proxy.inject("reset mid-body")
    answer = client().get_object(Bucket=s3_bucket, Key="folder/data x.csv")["Body"]
    assert answer.read(len(BODY) // 2) == BODY[: len(BODY) // 2]
    with pytest.raises(botocore.exceptions.ResponseStreamingError, match="reset"):
        answer.read()


def test_a_short_body_ends_before_its_length(proxy: FaultProxy, s3_bucket: str) -> None:
    proxy.inject("short")
    answer, data = raw_get(proxy, s3_bucket)
    assert answer.getheader("Content-Length") == str(len(BODY))
    assert data == BODY[: len(BODY) // 2]


def test_a_stall_sends_nothing(proxy: FaultProxy, s3_bucket: str) -> None:
    proxy.inject("stall")
    with pytest.raises(socket.timeout):
        raw_get(proxy, s3_bucket, timeout=1)


def test_a_stall_mid_body_comes_after_half_of_it(proxy: FaultProxy, s3_bucket: str) -> None:
    proxy.inject("stall mid-body")
    answer = client().get_object(Bucket=s3_bucket, Key="folder/data x.csv")["Body"]
    assert answer.read(len(BODY) // 2) == BODY[: len(BODY) // 2]
    with pytest.raises(botocore.exceptions.ReadTimeoutError):
        answer.read()


def test_a_slow_body_comes_at_two_kibibytes_a_second(proxy: FaultProxy, s3_bucket: str) -> None:
    proxy.inject("slow")
    started = time.monotonic()
    client().get_object(Bucket=s3_bucket, Key="folder/data x.csv")["Body"].read(2048)
    assert 0.7 < time.monotonic() - started < 3


def test_half_a_body_says_that_it_is_whole(proxy: FaultProxy, s3_bucket: str) -> None:
    proxy.inject("half")
    answer, data = raw_get(proxy, s3_bucket)
    assert answer.getheader("Content-Length") == str(len(data))
    assert data == BODY[: len(BODY) // 2]
    assert answer.getheader("ETag") == f'"{hashlib.md5(BODY).hexdigest()}"'


def test_a_bit_flip_changes_one_bit(proxy: FaultProxy, s3_bucket: str) -> None:
    proxy.inject("bit flip")
    _, data = raw_get(proxy, s3_bucket)
    assert len(data) == len(BODY)
    assert sum((a ^ b).bit_count() for a, b in zip(data, BODY, strict=True)) == 1


def test_an_ignored_range_answers_with_the_whole_object(proxy: FaultProxy, s3_bucket: str) -> None:
    proxy.inject("range ignored", on="RANGE")
    answer, data = raw_get(proxy, s3_bucket, Range="bytes=5-14")
    assert (answer.status, answer.getheader("Content-Range")) == (200, None)
    assert data == BODY


def test_a_captive_portal_answers_in_html(proxy: FaultProxy, s3_bucket: str) -> None:
    proxy.inject("html")
    answer, data = raw_get(proxy, s3_bucket)
    assert answer.status == 200
    assert data.startswith(b"<!doctype html>")


@pytest.mark.parametrize("kind", ["nothing", "reset mid-body"])
def test_an_object_is_overwritten_between_two_requests(
    proxy: FaultProxy, s3_server: S3Server, s3_bucket: str, kind: Kind
) -> None:
    def overwrite() -> None:
        s3_server.client().put_object(Bucket=s3_bucket, Key="folder/data x.csv", Body=b"new")

    proxy.inject(kind, then=overwrite)
    _, first = raw_get(proxy, s3_bucket)
    assert first == (BODY if kind == "nothing" else b"")
    assert get(s3_bucket)["data"] == b"new"


def test_latency_delays_each_request(proxy: FaultProxy, s3_bucket: str) -> None:
    proxy.latency_seconds = 0.2
    started = time.monotonic()
    get(s3_bucket)
    assert time.monotonic() - started >= 0.2


def test_it_ends_while_clients_hang(s3_server: S3Server, s3_bucket: str) -> None:
    with FaultProxy(s3_server) as proxy:
        proxy.inject("stall", on="*", times=None)
        address = proxy.endpoint_url.removeprefix("http://").split(":")
        hanging = http.client.HTTPConnection(*address, timeout=5)
        hanging.request("GET", f"/{s3_bucket}/k")
        idle = socket.create_connection((address[0], int(address[1])))
        while not proxy.requests:
            time.sleep(0.01)
    idle.close()
    hanging.close()
