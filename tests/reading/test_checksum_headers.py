"""What the headers of a HEAD say of an object's checksum, however a store writes them."""

from __future__ import annotations

import base64
import hashlib
import zlib
from dataclasses import replace
from typing import Literal

import pytest

from loaders import ReadError, read_table
from loaders.clients.checksums import ObjectSum, expected
from loaders.clients.retry import TryAgainError
from loaders.config.storage import use_storage
from tests.reading.conftest import IMPATIENT
from tests.reading.scripted_store import Asked, ScriptedStore, answer
from tests.reading.test_s3_listing import CSV, NUMBERS

MD5 = hashlib.md5(CSV).hexdigest()
CRC = base64.b64encode(zlib.crc32(CSV).to_bytes(4, "big")).decode()


@pytest.mark.parametrize("etag", [MD5, f'"{MD5}"', f'"{MD5.upper()}"', MD5.upper()])
def test_an_etag_of_32_digits_is_an_md5_in_either_case(etag: str) -> None:
    found = expected({"etag": etag}, etag_is_md5=True)
    assert found is not None
    assert found.digest.hex() == MD5
    assert expected({"etag": etag}, etag_is_md5=False) is None


@pytest.mark.parametrize("etag", [f'W/"{MD5}"', f'"{MD5}-"', f'"{MD5}-{"9" * 5000}"', '"x"', f'"{MD5}"\n2'])
def test_any_other_etag_is_no_checksum(etag: str) -> None:
    assert expected({"etag": etag}, etag_is_md5=True) is None


@pytest.mark.parametrize("value", [f"{CRC}-x", f"{CRC}-{'9' * 5000}", f"{CRC}-0", "AAAAA", "AAAA", "%", f"{CRC}="])
def test_a_checksum_that_is_none_is_not_passed_over(value: str) -> None:
    headers = {"etag": f'"{MD5}"', "x-amz-checksum-crc32": value}
    with pytest.raises(TryAgainError, match="x-amz-checksum-crc32 holds no CRC32"):
        expected(headers, etag_is_md5=True)


def test_a_header_that_is_no_checksum_is_an_error_or_comes_right(
    monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    wrong = ["AAAAA"]

    def script(asked: object) -> bytes:
        value = wrong.pop() if wrong else CRC
        return answer(body=CSV, ETag='"x"', **{"x-amz-checksum-crc32": value})

    with ScriptedStore(
        lambda asked: script(asked).partition(b"a\n")[0] if asked.method == "HEAD" else script(asked)
    ) as store:
        for name, value in store.environment().items():
            monkeypatch.setenv(name, value)
        assert len(read_table("s3://bkt/x.csv", NUMBERS)) == 3
        wrong.extend(["AAAAA"] * 9)
        with pytest.raises(ReadError, match=r"GET(?s:.*)try 3(?s:.*)holds no CRC32"):
            read_table("s3://bkt/x.csv", NUMBERS)


def test_an_md5_that_differs_names_the_setting_for_etags_that_are_none() -> None:
    def mismatch(headers: dict[str, str]) -> str:
        found = expected(headers, etag_is_md5=True)
        assert found is not None
        total = ObjectSum(found, [(0, 1)])
        total.add(0, memoryview(b"x"))
        return total.mismatch() or ""

    assert "storage.etag_is_md5: false" in mismatch({"etag": f'"{MD5}"'})
    assert "etag_is_md5" not in mismatch({"etag": f'"{MD5}"', "x-amz-checksum-crc32": CRC})


@pytest.mark.parametrize("verify", ["auto", "object"])
def test_an_etag_of_an_encrypted_object_is_no_md5(
    verify: Literal["auto", "object"], monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    other = hashlib.md5(b"what is stored").hexdigest()
    headers = {"ETag": f'"{other}"', "x-amz-server-side-encryption": "aws:kms"}

    def script(asked: Asked) -> bytes:
        said = answer(body=CSV, **headers)
        return said.partition(b"a\n")[0] if asked.method == "HEAD" else said

    with ScriptedStore(script) as store, use_storage(replace(IMPATIENT, verify=verify)):
        for name, value in store.environment().items():
            monkeypatch.setenv(name, value)
        if verify == "auto":
            assert len(read_table("s3://bkt/x.csv", NUMBERS)) == 3
            return
        with pytest.raises(ReadError, match="has no checksum"):
            read_table("s3://bkt/x.csv", NUMBERS)
