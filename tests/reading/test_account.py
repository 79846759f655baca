"""The account of S3: boto3 knows the AWS configuration, and is imported only where variables are not enough."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from loaders import ConfigError, ReadError, read_table
from loaders.clients.account import resolve_account
from loaders.clients.s3 import S3
from loaders.config.storage import StorageSettings, use_storage
from tests.reading.conftest import IMPATIENT
from tests.reading.scripted_store import Asked, ScriptedStore, answer
from tests.reading.test_s3_listing import CSV, NUMBERS

KEYS = {"AWS_ACCESS_KEY_ID": "AKIAX", "AWS_SECRET_ACCESS_KEY": "y", "AWS_REGION": "eu-west-1"}
NOWHERE = {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (KEYS | NOWHERE).items():
        monkeypatch.setenv(name, value)


def of_numbers(asked: Asked) -> bytes:
    return answer(body=CSV, ETag='"x"') if asked.kind == "GET" else answer(ETag='"x"', Content_Length="8")


@pytest.mark.parametrize(
    ("variables", "region", "endpoint"),
    [
        ({}, None, "https://s3.eu-west-1.amazonaws.com"),
        ({"AWS_USE_FIPS_ENDPOINT": "true"}, "us-east-1", "https://s3-fips.us-east-1.amazonaws.com"),
        ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, None, "https://s3.dualstack.eu-west-1.amazonaws.com"),
        ({}, "cn-north-1", "https://s3.cn-north-1.amazonaws.com.cn"),
        ({"AWS_ENDPOINT_URL": "http://a:1", "AWS_ENDPOINT_URL_S3": "http://b:2/"}, None, "http://b:2"),
        ({"AWS_ENDPOINT_URL": "http://a:1", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, None, "https://s3.eu"),
    ],
    ids=["amazon", "fips", "dual-stack", "china", "service", "ignored"],
)
def test_the_endpoint_is_that_of_the_aws_configuration(
    variables: dict[str, str], region: str | None, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert resolve_account(StorageSettings(region=region)).endpoint_url.startswith(endpoint)


def test_a_profile_names_service_endpoint_region_and_a_process_that_gives_credentials(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "keys.py"
    program.write_text(
        "import json; print(json.dumps({'Version': 1, 'AccessKeyId': 'AKIAPROCESS', 'SecretAccessKey': 's',"
        " 'SessionToken': 'TOKEN', 'Expiration': '2999-01-01T00:00:00Z'}))"
    )
    for name in KEYS:
        monkeypatch.delenv(name)
    with ScriptedStore(of_numbers) as store:
        (tmp_path / "config").write_text(
            f"[profile team]\nregion = eu-south-2\nservices = local\ncredential_process = {sys.executable} {program}\n"
            f"[services local]\ns3 =\n  endpoint_url = {store.endpoint_url}\n"
        )
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        with use_storage(replace(IMPATIENT, profile="team", stall_timeout_seconds=5)):
            assert len(read_table("s3://bkt/x.csv", NUMBERS)) == 3
    sent = store.asked[0].headers
    assert "Credential=AKIAPROCESS/" in sent["authorization"]
    assert "/eu-south-2/s3/" in sent["authorization"]
    assert sent["x-amz-security-token"] == "TOKEN"


def test_credentials_that_cannot_be_had_are_an_error_of_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text(f"[profile team]\ncredential_process = {sys.executable} -c exit(3)\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with use_storage(replace(IMPATIENT, profile="team")), pytest.raises(ReadError, match="Log in again") as caught:
        read_table("s3://bkt/x.csv", NUMBERS)
    assert len(str(caught.value).splitlines()) == 1


def test_settings_of_the_request_reach_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedStore(of_numbers) as store:
        settings = replace(IMPATIENT, endpoint_url=store.endpoint_url, requester_pays=True, etag_is_md5=False)
        with use_storage(replace(settings, options={"disable_tagging": "true"}, stall_timeout_seconds=5)):
            assert len(read_table("s3://bkt/x.csv", NUMBERS)) == 3
    assert {asked.headers.get("x-amz-request-payer") for asked in store.asked} == {"requester"}


def test_a_virtual_host_names_the_bucket() -> None:
    store = S3("bkt", StorageSettings(virtual_hosted=True))
    assert store._opened().config["endpoint"] == "https://bkt.s3.eu-west-1.amazonaws.com"


@pytest.mark.parametrize("options", [{"no_such_option": "x"}, {"region": "x", "checksum_algorithm": "MD4"}])
def test_an_option_that_obstore_does_not_know_is_an_error(options: dict[str, str]) -> None:
    with use_storage(replace(IMPATIENT, options=options)), pytest.raises(ConfigError, match=r"storage\.options"):
        read_table("s3://bkt/x.csv", NUMBERS)


def test_keys_in_variables_need_no_boto3() -> None:
    code = (
        "import sys; from loaders.clients.account import resolve_account; "
        "from loaders.config.storage import StorageSettings; resolve_account(StorageSettings()); "
        "print(sorted({'boto3', 'botocore', 'obstore'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.stdout, run.stderr) == ("[]\n", "")
