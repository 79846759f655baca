"""No message of a read shows a secret, and none is sent where it does not belong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loaders import ConfigError, ReadError, read_table
from loaders.clients.account import resolve_account
from loaders.clients.location import parse_location
from loaders.config.storage import StorageSettings, use_storage
from loaders.errors import LoaderError
from tests.reading.conftest import IMPATIENT, ORDERS
from tests.reading.scripted_store import Asked, ScriptedStore, answer
from tests.reading.test_s3_listing import CSV, NUMBERS

pytestmark = pytest.mark.usefixtures("impatient")


def store_of_numbers(asked: Asked) -> bytes:
    return answer(body=CSV, ETag='"x"') if asked.kind == "GET" else answer(ETag='"x"', Content_Length="8")


def refused(store: ScriptedStore, monkeypatch: pytest.MonkeyPatch, location: str = "s3://bkt/x.csv") -> str:
    for name, value in store.environment().items():
        monkeypatch.setenv(name, value)
    with pytest.raises(LoaderError) as caught:
        read_table(location, ORDERS)
    return str(caught.value)


@pytest.mark.parametrize(
    "name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL_S3"]
)
def test_a_line_end_behind_a_variable_of_aws_is_no_part_of_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedStore(store_of_numbers) as store:
        for key, value in ({"AWS_SESSION_TOKEN": "TOKEN"} | store.environment()).items():
            monkeypatch.setenv(key, f"{value}\r\n" if key == name else value)
        assert len(read_table("s3://bkt/x.csv", NUMBERS)) == 3
    assert store.asked[0].headers["x-amz-security-token"] == "TOKEN"
    assert "Credential=AKIASCRIPTED/" in store.asked[0].headers["authorization"]


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])
@pytest.mark.parametrize("value", ["HU\nSH", "HU\x7fSH", "HU\x1bSH"])
def test_a_variable_with_a_control_character_is_refused_unseen(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedStore(store_of_numbers) as store:
        for key, plain in store.environment().items():
            monkeypatch.setenv(key, plain)
        monkeypatch.setenv(name, value)
        with pytest.raises(LoaderError, match="cannot be part of one") as caught:
            read_table("s3://bkt/x.csv", NUMBERS)
    assert "HU" not in str(caught.value)
    assert "SH" not in str(caught.value)
    assert not store.asked


def test_white_space_is_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedStore(store_of_numbers) as store:
        for key, plain in (store.environment() | {"AWS_ACCESS_KEY_ID": " \n"}).items():
            monkeypatch.setenv(key, plain)
        with pytest.raises(ReadError, match="is empty"):
            read_table("s3://bkt/x.csv", NUMBERS)
    assert not store.asked


@pytest.mark.parametrize(
    "endpoint", ["u:HUSH@host:9", "http://u:HUSH@127.0.0.1:9", "ftp://u:HUSH@h", "http://h?x=HUSH", "http://["]
)
def test_an_endpoint_that_is_none_is_refused_without_its_password(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="endpoint_url") as caught:
        replace(IMPATIENT, endpoint_url=endpoint)
    assert "HUSH" not in str(caught.value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    settings = replace(IMPATIENT, anonymous=True)
    with use_storage(settings), pytest.raises(ConfigError, match="The S3 endpoint") as caught:
        read_table("s3://bkt/x.csv", ORDERS)
    assert "HUSH" not in str(caught.value)


@pytest.mark.parametrize("location", ["s3://key:HUSH@bkt/x.csv", "s3://HUSH@bkt/x.csv", "s3://key:HUSH/x.csv"])
def test_a_password_in_a_location_is_no_bucket(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedStore(store_of_numbers) as store:
        message = refused(store, monkeypatch, location)
    assert "holds no '@'" in message
    assert "HUSH" not in message
    assert not store.asked


@pytest.mark.parametrize("location", ["s3:///x.csv", "s3://*/x.csv", "s3://a b/x.csv", "s3://host#/x.csv"])
def test_a_location_without_a_bucket_is_refused(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedStore(store_of_numbers) as store:
        assert "names no bucket" in refused(store, monkeypatch, location)
    assert not store.asked


def test_what_python_shows_of_a_location_or_an_account_holds_no_secret() -> None:
    assert repr(parse_location("https://u:HUSH@h/x?sig=HUSH")) == "Location('https://***@h/x?***')"
    settings = StorageSettings(endpoint_url="http://host-of-secret:9", anonymous=True)
    assert "secret" not in repr(resolve_account(settings))


def test_of_a_stores_message_a_line_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"Not with https://u:HUSH@h/?HUSH\nHUSH{'x' * 60_000}"
    body = f"<Error><Code>Odd</Code><Message>{text}</Message></Error>"
    with ScriptedStore(lambda asked: answer(418, b"" if asked.method == "HEAD" else body)) as store:
        message = refused(store, monkeypatch, "s3://bkt/folder/")
    assert "418 Odd: Not with https://***@h/?***" in message
    assert "HUSH" not in message
    assert len(message) < 500


def test_a_region_that_would_lead_elsewhere_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedStore(lambda _: answer(301, x_amz_bucket_region="evil.example/#")) as store:
        assert "evil" not in refused(store, monkeypatch)
    monkeypatch.setenv("AWS_REGION", "evil.example/#")
    with pytest.raises(LoaderError, match="The S3 region must be a word"):
        read_table("s3://bkt/x.csv", ORDERS)


def test_a_lone_surrogate_in_a_location_is_an_error() -> None:
    with pytest.raises(ReadError, match="lone surrogates"):
        read_table("s3://bkt/x\udc80.csv", ORDERS)
