"""What is said, and how soon, when a store refuses: of the location that was asked for, and what to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from loaders import ReadError, read_table
from loaders.config.storage import use_storage
from loaders.reading.versions import version_of
from tests.reading.conftest import IMPATIENT
from tests.reading.scripted_store import Asked, ScriptedStore, answer, page
from tests.reading.test_s3_listing import CSV, NUMBERS

pytestmark = pytest.mark.usefixtures("impatient")


@contextmanager
def scripted(
    monkeypatch: pytest.MonkeyPatch, script: Callable[[Asked], bytes | None] | dict[str, bytes | None]
) -> Iterator[ScriptedStore]:
    with ScriptedStore(script if callable(script) else lambda asked: script[asked.kind]) as store:
        for name, value in store.environment().items():
            monkeypatch.setenv(name, value)
        yield store


def refused(location: str = "s3://bkt/x.csv") -> str:
    with pytest.raises(ReadError) as caught:
        read_table(location, NUMBERS)
    return str(caught.value)


def body(code: str, more: str = "") -> str:
    return f"<Error><Code>{code}</Code>{more}</Error>"


MISSING = {"HEAD": answer(404), "GET": answer(404, body("NoSuchKey"))}


@pytest.mark.parametrize(
    "listing",
    [answer(403, body("AccessDenied")), answer(503, body("SlowDown")), None, answer(body="no list"), page("out.csv")],
    ids=["denied", "busy", "stalled", "no list", "of something else"],
)
def test_an_object_that_is_missing_is_said_whatever_the_list_of_a_folder_says(
    listing: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted(monkeypatch, MISSING | {"LIST": listing}):
        message = refused()
        assert version_of("s3://bkt/x.csv") is None
    assert message.startswith("'s3://bkt/x.csv': there is no object 'x.csv' in bucket 'bkt'.")
    assert "x.csv/" not in message


def test_a_list_that_was_refused_is_said_because_a_folder_would_not_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(monkeypatch, MISSING | {"LIST": answer(403, body("AccessDenied"))}):
        assert "the store refused to list it (403 AccessDenied)" in refused()


def test_a_folder_whose_list_has_no_certain_end_is_not_called_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    listing = page("x.csv/1.csv", more="<IsTruncated>true</IsTruncated>")
    with scripted(monkeypatch, MISSING | {"LIST": listing}):
        assert "gives no NextContinuationToken" in refused()


def test_a_list_that_stalls_takes_no_deadline_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(IMPATIENT, deadline_seconds=1.5, stall_timeout_seconds=1, attempts=5)
    with scripted(monkeypatch, MISSING | {"LIST": None}) as store, use_storage(settings):
        started = time.monotonic()
        assert version_of("s3://bkt/x.csv") is None
        assert time.monotonic() - started < 2.2
        assert store.kinds().count("LIST") <= 2


@pytest.mark.parametrize("kind", ["HEAD", "LIST"])
def test_a_clock_that_differs_is_named_at_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    skewed = answer(403, body("RequestTimeTooSkewed"))
    with scripted(monkeypatch, {"HEAD": answer(403), "GET": skewed, "LIST": skewed}) as store:
        assert "Set the clock" in refused("s3://bkt/x.csv" if kind == "HEAD" else "s3://bkt/folder/")
    assert len(store.asked) <= 2


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (301, "set storage.region or AWS_REGION"),
        (307, "set storage.region or AWS_REGION"),
        (401, "access denied"),
        (403, "access denied"),
        (405, "Check storage.endpoint_url"),
        (416, "answered 416."),
        (418, "answered 418."),
    ],
)
def test_a_status_without_a_body_comes_with_advice(status: int, advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(monkeypatch, lambda _: answer(status)):
        message = refused()
    assert advice in message
    assert " ." not in message


@pytest.mark.parametrize("status", [405, 416])
def test_the_reason_of_a_bare_head_is_asked_for(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(monkeypatch, {"HEAD": answer(status), "GET": answer(status, body("Odd"))}) as store:
        assert f"answered {status} Odd." in refused()
    assert store.kinds() == ["HEAD", "GET"]


REDIRECT = answer(301, x_amz_bucket_region="eu-north-1")
MALFORMED = answer(400, body("AuthorizationHeaderMalformed", "<Region>eu-north-1</Region>"))


@pytest.mark.parametrize("elsewhere", [REDIRECT, MALFORMED], ids=["a header", "a body"])
def test_a_bucket_of_another_region_is_asked_there(elsewhere: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def script(asked: Asked) -> bytes:
        if "/eu-north-1/s3/" not in asked.headers.get("authorization", ""):
            return elsewhere.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if asked.method == "HEAD" else elsewhere
        return answer(body=CSV, ETag='"x"') if asked.kind == "GET" else answer(ETag='"x"', Content_Length="8")

    with scripted(monkeypatch, script):
        assert len(read_table("s3://bkt/x.csv", NUMBERS)) == 3
