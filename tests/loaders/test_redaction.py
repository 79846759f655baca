"""What is shown of a location, or of a text with locations in it, holds no secret of it."""

from __future__ import annotations

import pytest

from loaders.redaction import first_line, redact


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("http://u:p@SECRET@h/x.csv", "http://***@h/x.csv"),
        ("http://u:SEC/RET@h/x.csv", "http://***@h/x.csv"),
        ("http://u:SEC RET@h:80/x.csv", "http://***@h:80/x.csv"),
        ("http://u:SECRET?#@h/x.csv", "http://***@h/x.csv"),
        ("https://h/a b.csv?sig=SECRETa'SECRETb", "https://h/a b.csv?***"),
        ("https://h/x.csv?sig=SECRET a SECRETb\nSECRETc", "https://h/x.csv?***"),
        ("https://h/x.csv?'SECRET", "https://h/x.csv?***"),
        ("https://h/x.csv#token=SECRET", "https://h/x.csv#***"),
        ("https://h/x.csv#SECRET", "https://h/x.csv#***"),
        ("abfs://h/x.csv#token=SECRET", "abfs://h/x.csv#***"),
        ("zip://x.csv::https://u:SECRET@h/a.zip?sig=SECRET", "zip://x.csv::https://***@h/a.zip?***"),
        ("u:SECRET@host:9", "***@host:9"),
        ("u:p@SECRET@host/x", "***@host/x"),
        ("s3://key:SECRET@bkt/x.csv", "s3://***@bkt/x.csv"),
    ],
)
def test_a_location_is_shown_without_its_secrets(location: str, shown: str) -> None:
    assert redact(location) == shown
    assert redact(shown) == shown


@pytest.mark.parametrize(
    "location",
    [
        "http://u:p@SECRET@h/x.csv",
        "http://u:SEC/RET@h/x.csv",
        "https://h/x.csv?sig=SECRETa'SECRETb",
        "https://h/x.csv?sig=SECRET SECRET",
        "https://h/x.csv#SECRET",
        "abfs://h/x.csv#token=SECRET",
    ],
)
def test_a_location_in_a_text_is_shown_without_its_secrets(location: str) -> None:
    assert "SECRET" not in redact(f"cannot read '{location}': it was refused")


@pytest.mark.parametrize(
    "text",
    [
        "s3://bkt/2024/a@b.csv",
        "s3://bkt/part #1.csv",
        "http://h:9000/a@b.csv",
        "file:///data/a@b.csv",
        "/data/a:b/c@d.csv",
        "no file 'x': ask a@b.c",
        "'s3://b/x.csv': there is no object. Did you mean 'y.csv'? Correct the location.",
        "'https://h/x?***': the server answered 403. A presigned URL may have expired.",
    ],
)
def test_what_is_no_secret_is_shown(text: str) -> None:
    assert redact(text) == text


def test_of_a_text_of_somebody_else_the_first_line_is_shown() -> None:
    assert first_line("\n bad https://u:SECRET@h/?SECRET \nSECRET") == "bad https://***@h/?***"
    assert len(first_line("x" * 70_000)) == 300
    assert first_line("") == ""
    assert first_line("\x9b31m red") == "?31m red"
