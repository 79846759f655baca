"""Lists of objects: whole, of the keys that were asked for, or an error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pyarrow as pa
import pytest

from loaders import DatasetContract, ReadError, read_table
from tests.fault_proxy import FaultProxy
from tests.reading.scripted_store import Asked, ScriptedStore, answer, page

NUMBERS = DatasetContract("numbers", pa.schema([pa.field("a", pa.int64())]))
CSV = b"a\n1\n2\n3\n"
pytestmark = pytest.mark.usefixtures("impatient")


@contextmanager
def listing(monkeypatch: pytest.MonkeyPatch, pages: Callable[[Asked], bytes]) -> Iterator[ScriptedStore]:
    """A store that lists as the function says and holds the same rows under every key."""

    def script(asked: Asked) -> bytes:
        if asked.kind == "LIST":
            return pages(asked)
        return answer(body=CSV, ETag='"x"') if asked.kind == "GET" else answer(ETag='"x"', Content_Length="8")

    with ScriptedStore(script) as store:
        for name, value in store.environment().items():
            monkeypatch.setenv(name, value)
        yield store


def rows() -> int:
    return len(read_table("s3://bkt/data/", NUMBERS))


def two_pages(first: str) -> Callable[[Asked], bytes]:
    return lambda asked: page("data/2.csv") if "continuation-token" in asked.query else page("data/1.csv", more=first)


@pytest.mark.parametrize(
    "more",
    [
        "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>",
        "<IsTruncated>True</IsTruncated><NextContinuationToken>t</NextContinuationToken>",
        "<IsTruncated> true\n</IsTruncated><NextContinuationToken>t</NextContinuationToken>",
        "<NextContinuationToken>t</NextContinuationToken>",
        "<IsTruncated>false</IsTruncated><NextContinuationToken>t</NextContinuationToken>",
    ],
)
def test_a_list_goes_on_as_long_as_a_token_comes(more: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with listing(monkeypatch, two_pages(more)):
        assert rows() == 6


def test_a_list_with_more_and_no_token_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    more = "<IsTruncated>true</IsTruncated><NextMarker>data/1.csv</NextMarker>"
    with (
        listing(monkeypatch, two_pages(more)),
        pytest.raises(ReadError, match=r"s3://bkt/data/'.*gives no NextContinuationToken"),
    ):
        rows()


@pytest.mark.parametrize("key", ["other/1.csv", "data2.csv", ""])
def test_a_key_outside_of_the_prefix_is_an_error(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        listing(monkeypatch, lambda _: page("data/1.csv", key)),
        pytest.raises(ReadError, match="does not begin with 'data/'"),
    ):
        rows()


def test_a_size_that_is_no_number_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for size in ("abc", "9" * 5000):
        body = f"<ListBucketResult><Contents><Key>data/1.csv</Key><Size>{size}</Size></Contents></ListBucketResult>"
        with (
            listing(monkeypatch, lambda _, body=body: answer(body=body)),  # type: ignore[misc]
            pytest.raises(ReadError, match=r"\(listing\)"),
        ):
            rows()


def endless(token: Callable[[int], Any], keys: Callable[[int], list[str]]) -> Callable[[Asked], bytes]:
    numbers = count()

    def pages(_: Asked) -> bytes:
        number = next(numbers)
        more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token(number)}</NextContinuationToken>"
        return page(*keys(number), more=more)

    return pages


@pytest.mark.parametrize(
    ("pages", "why"),
    [
        (endless(lambda _: "t", lambda number: [f"data/{number}.csv"]), "leads back"),
        (endless(lambda number: number % 3, lambda number: [f"data/{number}.csv"]), "leads back"),
        (endless(lambda number: number, lambda _: []), "101 pages in a row brought nothing new"),
        (endless(lambda number: number, lambda _: ["data/1.csv"]), "101 pages in a row brought nothing new"),
    ],
    ids=["one token", "a circle", "empty pages", "the same page"],
)
def test_a_list_without_end_is_given_up_soon(
    pages: Callable[[Asked], bytes], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = time.monotonic()
    with listing(monkeypatch, pages) as store, pytest.raises(ReadError, match=why):
        rows()
    assert len(store.asked) <= 103
    assert time.monotonic() - started < 3


def test_a_list_of_too_many_pages_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loaders.clients.s3._MOST_PAGES", 30)
    pages = endless(lambda number: number, lambda number: [f"data/{number}.csv"])
    with listing(monkeypatch, pages) as store, pytest.raises(ReadError, match="goes on after 30 pages with 30 objects"):
        rows()
    assert len(store.asked) == 30


def test_a_store_that_says_no_more_and_gives_tokens_is_believed_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    more = "<IsTruncated>false</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
    with listing(monkeypatch, lambda _: page("data/1.csv", more=more)):
        assert rows() == 3


def test_keys_that_xml_cannot_say_are_listed_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    more = "<EncodingType>url</EncodingType>"
    with listing(monkeypatch, lambda _: page("data/a%0D+b%2B%01.csv", more=more)) as store:
        assert rows() == 3
    assert store.asked[0].query["encoding-type"] == "url"
    assert store.asked[1].path == "/bkt/data/a\r b+\x01.csv"


@pytest.mark.parametrize("name", ["a%20b.csv", "a b+c.csv", "ü&<>\"';.csv", "a\rb.csv"])
def test_any_key_in_a_folder_is_read_as_it_is(name: str, proxy: FaultProxy, s3_client: Any, bucket: str) -> None:
    folder = f"keys-{name.encode().hex()}"
    s3_client.put_object(Bucket=bucket, Key=f"{folder}/{name}", Body=CSV)
    assert len(read_table(f"s3://{bucket}/{folder}/", NUMBERS)) == 3
