"""Objects in S3: checksums of every kind, versions, credentials, and what is said when the store refuses."""

from __future__ import annotations

import base64
import io
import itertools
import os
import subprocess
import sys
import textwrap
import urllib.request
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3.s3.transfer
import pandas.testing
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loaders import ConfigError, ReadError, read_table
from loaders.clients.crc import CRC32, CRC32C, CRC64NVME, Crc
from loaders.clients.progress import ReadProgress, watch_reads
from loaders.config.storage import StorageSettings, use_storage
from loaders.conforming import conform
from loaders.contracts import MARKETING_SPEND
from loaders.reading.versions import version_of
from tests.fault_proxy import FaultProxy, Kind
from tests.reading.conftest import IMPATIENT, ORDERS, Put, encoded, orders

CSV = encoded(orders(), "csv")
pytestmark = pytest.mark.usefixtures("impatient")


def error(location: str) -> str:
    with pytest.raises(ReadError) as caught:
        read_table(location, MARKETING_SPEND)
    assert location in str(caught.value)
    assert os.environ.get("AWS_SECRET_ACCESS_KEY", "-") not in str(caught.value)
    return str(caught.value)


def assert_read(location: str) -> None:
    pandas.testing.assert_frame_equal(read_table(location, ORDERS), conform(orders(), ORDERS, location="memory"))


@pytest.mark.parametrize(
    ("crc", "value"), [(CRC32, 0xCBF43926), (CRC32C, 0xE3069283), (CRC64NVME, 0xAE8B14860A799888)], ids=lambda v: str(v)
)
def test_checks_are_those_of_the_catalogue(crc: Crc, value: int) -> None:
    assert crc.of(memoryview(b"123456789")) == value


@given(st.binary(max_size=5000), st.integers(0, 5000), st.sampled_from([CRC32, CRC32C, CRC64NVME]))
def test_checks_of_parts_join_to_that_of_the_whole(data: bytes, cut: int, crc: Crc) -> None:
    view = memoryview(data)
    first, second = view[:cut], view[cut:]
    assert crc.combined(crc.of(first), crc.of(second), len(second)) == crc.of(view)
    assert crc.of(second, crc.of(first)) == crc.of(view)


def test_the_check_of_many_pieces_is_the_one_that_zlib_gives() -> None:
    data = memoryview(os.urandom(1_500_003))
    value = 0
    for start in range(0, len(data), 70_001):
        piece = data[start : start + 70_001]
        value = CRC32.combined(value, CRC32.of(piece), len(piece))
    assert value == zlib.crc32(data)


@pytest.mark.parametrize("ranges", [False, True], ids=["one request", "ranges"])
@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_every_stored_checksum_is_checked(
    algorithm: str, ranges: bool, proxy: FaultProxy, put: Put, s3_client: Any, bucket: str
) -> None:
    crcs = {"CRC32C": CRC32C, "CRC64NVME": CRC64NVME}
    if algorithm in crcs:  # which botocore computes only with awscrt; the store refuses a wrong one
        crc = crcs[algorithm]
        value = crc.of(memoryview(CSV)).to_bytes(crc.digest_bytes, "big")
        extra = {f"Checksum{algorithm}": base64.b64encode(value).decode()}
    else:
        extra = {"ChecksumAlgorithm": algorithm}
    location = put("orders.csv", CSV, **extra)
    key = location.partition(f"{bucket}/")[2]
    assert f"Checksum{algorithm}" in s3_client.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    with use_storage(replace(IMPATIENT, range_bytes=50_000 if ranges else 1 << 24)):
        assert_read(location)
        proxy.inject("bit flip", on="GET", times=None)
        with pytest.raises(ReadError, match="altered on its way"):
            read_table(location, ORDERS)


def multipart(client: Any, bucket: str, key: str, data: bytes, **extra: Any) -> str:
    config = boto3.s3.transfer.TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
    client.upload_fileobj(io.BytesIO(data), bucket, key, Config=config, ExtraArgs=extra)
    assert "-3" in client.head_object(Bucket=bucket, Key=key)["ETag"]
    return f"s3://{bucket}/{key}"


@pytest.mark.parametrize("extra", [{}, {"ChecksumAlgorithm": "SHA256"}], ids=["default", "SHA256"])
def test_objects_uploaded_in_parts_are_checked(
    extra: dict[str, str], proxy: FaultProxy, s3_client: Any, bucket: str
) -> None:
    data = encoded(orders(120_000), "csv")
    assert 10 << 20 < len(data) < 15 << 20
    location = multipart(s3_client, bucket, f"parts-{len(extra)}.csv", data, **extra)
    with use_storage(replace(IMPATIENT, stall_timeout_seconds=5, deadline_seconds=30, range_bytes=3 << 20)):
        assert len(read_table(location, ORDERS)) == 120_000
        proxy.inject("bit flip", on="RANGE", times=1)
        assert len(read_table(location, ORDERS)) == 120_000
        proxy.inject("bit flip", on="RANGE", times=None)
        with pytest.raises(ReadError, match="altered on its way"):
            read_table(location, ORDERS)


def uneven(client: Any, bucket: str, key: str, data: bytes, mebibytes: tuple[int, ...]) -> str:
    """Upload in parts of these sizes and the rest."""
    upload = client.create_multipart_upload(Bucket=bucket, Key=key, ChecksumAlgorithm="CRC32")["UploadId"]
    ends = [0, *itertools.accumulate(size << 20 for size in mebibytes), len(data)]
    parts = []
    for number, (start, end) in enumerate(itertools.pairwise(ends), 1):
        place = {"Bucket": bucket, "Key": key, "UploadId": upload, "PartNumber": number}
        stored = client.upload_part(**place, Body=data[start:end], ChecksumAlgorithm="CRC32")
        parts.append({"PartNumber": number, "ETag": stored["ETag"], "ChecksumCRC32": stored["ChecksumCRC32"]})
    client.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})
    return f"s3://{bucket}/{key}"


@pytest.mark.parametrize("mebibytes", [(5, 6), (6, 5)], ids=["as if even", "first largest"])
def test_parts_of_any_sizes_are_checked(
    mebibytes: tuple[int, ...], proxy: FaultProxy, s3_client: Any, bucket: str
) -> None:
    data = encoded(orders(140_000), "csv")
    location = uneven(s3_client, bucket, f"uneven-{mebibytes}.csv", data, mebibytes)
    with use_storage(replace(IMPATIENT, stall_timeout_seconds=5, deadline_seconds=30)):
        assert len(read_table(location, ORDERS)) == 140_000
        proxy.inject("bit flip", on="GET", times=None)
        with pytest.raises(ReadError, match="altered on its way"):
            read_table(location, ORDERS)


@pytest.mark.parametrize("fault", ["503", "reset", "stall"])
def test_a_question_about_parts_that_fails_is_asked_again(
    fault: Kind, proxy: FaultProxy, s3_client: Any, bucket: str
) -> None:
    """And not taken for an answer that there is nothing to check."""
    data = encoded(orders(120_000), "csv")
    location = multipart(s3_client, bucket, "asked-again.csv", data)
    with use_storage(replace(IMPATIENT, deadline_seconds=30)):
        proxy.inject(fault, on="HEAD", times=1, skip=1)
        proxy.inject("bit flip", on="GET", times=None)
        with pytest.raises(ReadError, match="altered on its way"):
            read_table(location, ORDERS)


def test_verify_object_refuses_what_cannot_be_checked(proxy: FaultProxy, put: Put) -> None:
    location = put("orders.csv", CSV)
    with use_storage(replace(IMPATIENT, verify="object")):
        assert_read(location)


def test_large_objects_come_in_ranges_of_one_version(proxy: FaultProxy, put: Put) -> None:
    location = put("orders.csv", CSV)
    with use_storage(replace(IMPATIENT, range_bytes=50_000)):
        assert_read(location)
    gets = [request for request in proxy.requests if request.method == "GET"]
    assert len(gets) == -(-len(CSV) // 50_000)
    assert all(request.headers["if-match"] for request in gets)
    assert proxy.bytes_sent() == len(CSV)


def test_needed_columns_fetch_little_more_than_their_chunks(proxy: FaultProxy, put: Put) -> None:
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(orders(60_000), sink, row_group_size=20_000)
    data = sink.getvalue()
    location = put("orders.parquet", data)
    metadata = pq.read_metadata(io.BytesIO(data))
    chunks = [metadata.row_group(g).column(c) for g in range(metadata.num_row_groups) for c in (0, 4)]
    needed = sum(chunk.total_compressed_size for chunk in chunks) + metadata.serialized_size + 8
    with use_storage(replace(IMPATIENT, verify="ranges")):
        frame = read_table(location, ORDERS, columns=["order_id", "weight"])
    pandas.testing.assert_frame_equal(
        frame, conform(orders(60_000), ORDERS, location="memory", columns=["order_id", "weight"])
    )
    assert proxy.bytes_sent() <= 1.1 * needed + (64 << 10)


def test_over_plain_http_whole_objects_are_checked_even_for_few_columns(proxy: FaultProxy, put: Put) -> None:
    location = put("orders.parquet", encoded(orders(), "parquet"))
    proxy.inject("bit flip", on="GET", times=None)
    with pytest.raises(ReadError, match="altered on its way"):
        read_table(location, ORDERS, columns=["order_id"])


def test_keys_may_hold_any_character(proxy: FaultProxy, put: Put) -> None:
    assert_read(put("a folder/ü+&=%20'(x)~$,;:@!.csv", CSV))


def test_a_version_is_that_of_the_bytes(proxy: FaultProxy, put: Put) -> None:
    location = put("data/orders.csv", CSV)
    folder = location.rpartition("/")[0]
    first = [version_of(place) for place in (location, folder, f"{folder}/", f"{folder}/*.csv")]
    assert [version_of(place) for place in (location, folder, f"{folder}/", f"{folder}/*.csv")] == first
    put("data/orders.csv", CSV + CSV.splitlines(keepends=True)[-1])
    second = [version_of(place) for place in (location, folder, f"{folder}/", f"{folder}/*.csv")]
    assert all(old != new for old, new in zip(first, second, strict=True))
    put("data/more.csv", CSV)
    third = [version_of(place) for place in (location, folder, f"{folder}/", f"{folder}/*.csv")]
    assert third[0] == second[0]
    assert all(old != new for old, new in zip(second[1:], third[1:], strict=True))
    assert version_of(f"{location}.gone") is None


def test_what_is_missing_is_named(proxy: FaultProxy, put: Put, bucket: str) -> None:
    location = put("orders.csv", CSV)
    wrong = location.replace("orders.csv", "order.csv")
    assert "there is no object" in error(wrong)
    assert "Did you mean 'orders.csv'?" in error(wrong)
    assert "there is no bucket 'no-such-bucket'" in error("s3://no-such-bucket/orders.csv")


def test_wrong_credentials_are_named(proxy: FaultProxy, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    location = put("orders.csv", CSV)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    assert "the secret key does not belong to the access key" in error(location)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAUNKNOWN")
    message = error(location)
    assert "does not know the access key" in message
    assert "AWS_PROFILE" in message


def test_no_credentials_are_named(proxy: FaultProxy, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    location = put("orders.csv", CSV)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(ReadError, match=r"No AWS credentials were found\. Set AWS_PROFILE"):
        read_table(location, ORDERS)
    with use_storage(replace(IMPATIENT, anonymous=True)), pytest.raises(ReadError, match=r"access|denied|403"):
        read_table(location, ORDERS)


def test_a_profile_gives_credentials_endpoint_and_region(
    proxy: FaultProxy, put: Put, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    location = put("orders.csv", CSV)
    environment = proxy.environment()
    (tmp_path / "config").write_text(
        f"[profile acme]\nregion = us-east-1\nendpoint_url = {proxy.endpoint_url}\n"
        f"aws_access_key_id = {environment['AWS_ACCESS_KEY_ID']}\n"
        f"aws_secret_access_key = {environment['AWS_SECRET_ACCESS_KEY']}\n"
    )
    for name in environment:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with use_storage(replace(IMPATIENT, profile="acme")):
        assert_read(location)
    monkeypatch.setenv("AWS_PROFILE", "acme")
    assert_read(location)
    with use_storage(replace(IMPATIENT, profile="other")), pytest.raises(ConfigError, match="other"):
        read_table(location, ORDERS)


def test_settings_come_before_the_environment(proxy: FaultProxy, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    location = put("orders.csv", CSV)
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with use_storage(replace(IMPATIENT, endpoint_url=proxy.endpoint_url, region="us-east-1")):
        assert_read(location)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("AWS_ENDPOINT_URL_S3", "localhost:9000", "must begin with http:// or https://; found 'localhost:9000'"),
        ("AWS_ENDPOINT_URL_S3", "http://h:99999", "a port within 1 and 65535"),
        ("AWS_ENDPOINT_URL_S3", "http://me:secret@127.0.0.1:9", "must hold no user or password"),
        ("AWS_REGION", "eu west", "must be a word of letters, digits and hyphens"),
    ],
)
def test_an_endpoint_or_region_of_the_environment_that_cannot_be_is_refused(
    proxy: FaultProxy, put: Put, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    location = put("orders.csv", CSV)
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError) as caught:
        read_table(location, ORDERS)
    assert said in str(caught.value)
    assert variable.removesuffix("_S3") in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_presigned_url_is_read_and_never_shown(proxy: FaultProxy, put: Put, s3_client: Any, bucket: str) -> None:
    key = put("orders.csv", CSV).partition(f"{bucket}/")[2]
    url = s3_client.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key})
    assert_read(url)
    assert version_of(url) == version_of(url)
    with urllib.request.urlopen(url) as answer:
        assert answer.status == 200
    wrong = url.replace("orders.csv", "other.csv")
    with pytest.raises(ReadError) as caught:
        read_table(wrong, ORDERS)
    assert "other.csv" in str(caught.value)
    assert "Signature" not in str(caught.value)


@pytest.mark.parametrize("fault", ["503", "reset mid-body", "short", "stall mid-body"])
def test_faults_of_a_web_server_are_recovered_from_or_errors(
    fault: Any, proxy: FaultProxy, put: Put, s3_client: Any, bucket: str, s3_server: Any
) -> None:
    key = put("orders.csv", CSV).partition(f"{bucket}/")[2]
    url = s3_client.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key})
    # The server checks the signed Host; the proxy hands requests on as they are.
    url = url.replace(s3_server.endpoint_url, proxy.endpoint_url)
    signed = boto3.session.Session().client("s3").generate_presigned_url("get_object", {"Bucket": bucket, "Key": key})
    proxy.inject(fault, on="GET", times=1)
    assert_read(signed)
    proxy.inject(fault, on="GET", times=None)
    with pytest.raises(ReadError, match="try 1"):
        read_table(signed, ORDERS)


def test_long_reads_tell_their_progress(proxy: FaultProxy, put: Put) -> None:
    location = put("orders.csv", CSV)
    seen: list[ReadProgress] = []
    proxy.bytes_per_second = len(CSV) / 1.6
    try:
        with watch_reads(seen.append), use_storage(replace(IMPATIENT, deadline_seconds=20, stall_timeout_seconds=2)):
            read_table(location, ORDERS)
    finally:
        proxy.bytes_per_second = None
    assert 2 <= len(seen) < 40
    assert all(progress.dataset == "orders" and progress.location == location for progress in seen)
    assert seen[0].seconds >= 0.9
    assert [progress.done_bytes for progress in seen] == sorted(progress.done_bytes for progress in seen)
    assert seen[-1].finished
    assert seen[-1].done_bytes == seen[-1].total_bytes == len(CSV)


def test_local_reads_import_no_client_library_of_remote_stores(tmp_path: Path) -> None:
    (tmp_path / "spend.csv").write_text("week,spend,signups\n2024-01-01,1,2\n")
    code = textwrap.dedent(
        """
        import sys
        from loaders import read_table
        from loaders.contracts import MARKETING_SPEND
        read_table(sys.argv[1], MARKETING_SPEND)
        heavy = {"obstore", "boto3", "botocore", "s3fs", "fsspec", "aiobotocore", "urllib.request", "pyarrow.dataset"}
        print(sorted(heavy & set(sys.modules)))
        """
    )
    command = [sys.executable, "-c", code, str(tmp_path / "spend.csv")]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.usefixtures("proxy")
def test_a_read_with_keys_in_variables_imports_no_boto3(put: Put) -> None:
    weeks = pa.array(range(30_000), pa.int32()).cast(pa.date32())
    table = pa.table({"week": weeks, "spend": pc.random(len(weeks)), "signups": pa.array(range(len(weeks)))})
    location = put("spend.parquet", encoded(table, "parquet"))
    code = textwrap.dedent(
        """
        import sys
        from loaders import read_table
        from loaders.contracts import MARKETING_SPEND
        assert "obstore" not in sys.modules
        read_table(sys.argv[1], MARKETING_SPEND)
        heavy = {"boto3", "botocore", "s3fs", "fsspec", "aiohttp", "pyarrow.dataset"}
        print(sorted(heavy & set(sys.modules)))
        """
    )
    command = [sys.executable, "-c", code, location]
    run = subprocess.run(command, capture_output=True, text=True)
    assert (run.stdout, run.stderr) == ("[]\n", "")


def test_default_settings_are_patient_in_proportion_to_size() -> None:
    settings = StorageSettings()
    assert settings.deadline_for(0) == 300
    assert settings.deadline_for(10 << 30) > 10_000
    assert StorageSettings(deadline_seconds=7).deadline_for(10 << 30) == 7
