"""Text files under the live check: other encodings, packed bytes under a plain name, and the last row."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loaders.checking import Report, check_interchangeable
from loaders.checking.findings import Finding
from loaders.checking.report import as_github, as_json
from tests.checking.projects import PROJECTS

CUSTOMERS = "name,country,age\n" + "".join(f"Zoë {n},DE,3{n % 10}\n" for n in range(9))
LARGE = CUSTOMERS + "".join(f"{random.Random(n).random()},DE,30\n" for n in range(20_000))
ORDERS = "order_id,placed,amount,customer\n1,2024-01-01 00:00:00Z,1.25,Zoë 1\n2,2024-01-01 00:00:00Z,1.25,Zoë 2"
LINES = '{"name": "Zoë", "country": "DE", "age": 30}\n{"name": "Jo", "country": "DE", "age": 31}'

Probe = Callable[..., Report]


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Probe:
    """Probe the shop's local files, with other customers or orders, or the orders of a second environment."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.chdir(tmp_path)

    def check(
        customers: bytes | str = CUSTOMERS,
        name: str = "customers.csv",
        orders: str = f"{ORDERS}\n",
        other: str = "",
        encoding: str = "utf-8",
    ) -> Report:
        config = PROJECTS["shop"].files["configs/local.yaml"].replace("customers.csv", name)
        text = PROJECTS["shop"].files["shop/contracts.py"].replace("Check, D", "Check, FormatOptions, D")
        text = text.replace('key=("name",)', f'key=("name",), format=FormatOptions(encoding="{encoding}")')
        files = {"configs/local.yaml": config, "shop/contracts.py": text}
        if other:
            files["configs/other.yaml"] = config.replace("data/", "more/")
        PROJECTS["shop"].write(tmp_path, files)
        for folder, body in (("data", orders), ("more", other)):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "orders.csv").write_text(body, encoding="utf-8")
            written = customers if isinstance(customers, bytes) else customers.encode(encoding)
            (tmp_path / folder / name).write_bytes(written)
        return check_interchangeable("configs", environments=["local", *(["other"] if other else [])], live=True)

    return check


def printed_cleanly(report: Report) -> None:
    """Each form of the report is printable UTF-8, and the JSON is JSON."""
    assert json.loads(as_json(report).encode())["findings"]
    for text in (str(report), as_github(report), json.dumps([found.found for found in report.findings])):
        text.encode()
        assert all(char.isprintable() or char == "\n" for char in text), ascii(text)


NO_TEXT = {
    "UTF-16 with a mark": lambda: CUSTOMERS.encode("utf-16"),
    "UTF-16 big-endian with a mark": lambda: b"\xfe\xff" + CUSTOMERS.encode("utf-16-be"),
    "UTF-32": lambda: CUSTOMERS.encode("utf-32"),
    "UTF-16 without a mark": lambda: CUSTOMERS.replace("ë", "e").encode("utf-16-le"),
    "large UTF-16": lambda: LARGE.encode("utf-16"),
    "gzip": lambda: gzip.compress(CUSTOMERS.encode()),
    "large gzip": lambda: gzip.compress(LARGE.encode()),
    "bzip2": lambda: bz2.compress(CUSTOMERS.encode()),
    "xz": lambda: lzma.compress(CUSTOMERS.encode()),
    "spreadsheet": lambda: b"PK\x03\x04\x14\x00\x06\x00" + random.Random(3).randbytes(4000),
    "picture": lambda: b"\x89PNG\r\n\x1a\n" + random.Random(4).randbytes(4000),
    "zeros": lambda: b"\0" * 5000,
}


@pytest.mark.parametrize("name", ["customers.csv", "customers.jsonl", "customers.csv.gz"])
@pytest.mark.parametrize("what", NO_TEXT)
def test_file_that_is_no_text_is_one_error_that_prints_none_of_its_bytes(probe: Probe, what: str, name: str) -> None:
    if name.endswith(".gz") and "gzip" in what:
        pytest.skip("that is what the name says")
    report = probe(NO_TEXT[what](), name)
    assert len(report.errors) == 1, report
    assert report.errors[0].dataset == "customers"
    assert len(report.errors[0].found) < 400
    printed_cleanly(report)


@pytest.mark.parametrize("name", ["customers.csv.bz2", "customers.csv.zst", "customers.csv.xz", "customers.csv.gz"])
def test_large_file_of_another_compression_or_damaged_is_one_error(probe: Probe, name: str) -> None:
    magic = {"bz2": b"BZh9", "zst": b"\x28\xb5\x2f\xfd", "xz": b"\xfd7zXZ\x00", "gz": b"\x1f\x8b"}[name[-3:].strip(".")]
    report = probe(magic + random.Random(5).randbytes(400_000), name)
    assert len(report.errors) == 1, report
    printed_cleanly(report)


def test_encoding_is_named_where_it_shows(probe: Probe) -> None:
    assert "is UTF-16, not UTF-8" in str(probe(CUSTOMERS.encode("utf-16")))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32-le", "cp1252", "gb18030", "utf-8-sig"])
@pytest.mark.parametrize("text", [CUSTOMERS, LARGE.replace("ë", "é")], ids=["small", "large"])
def test_encoding_that_the_contract_says_has_no_finding(probe: Probe, encoding: str, text: str) -> None:
    report = probe(text, encoding=encoding)
    assert not report.findings, report


@pytest.mark.parametrize("name", ["na\x1b[31mme", "nam\u202ee", "name\x07"])
def test_control_characters_of_a_header_are_escaped(probe: Probe, name: str) -> None:
    report = probe(CUSTOMERS.replace("name,", f"{name},"))
    assert report.errors
    printed_cleanly(report)


def test_finding_escapes_what_no_terminal_and_no_json_should_get() -> None:
    found = Finding(rule="x", expected="a\udc8bb", found="\x1b]0;title\x07", fix="line\nline", file="a\x00.yaml")
    assert (found.expected, found.found, found.fix) == ("a\\udc8bb", "\\x1b]0;title\\x07", "line\nline")
    assert found.place == "a\\x00.yaml"


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_complete_last_row_with_or_without_line_end_has_no_finding(probe: Probe, end: str) -> None:
    assert not probe(orders=ORDERS + end).findings


@pytest.mark.parametrize("end", ["", "\n"])
def test_complete_last_line_of_json_has_no_finding(probe: Probe, end: str) -> None:
    report = probe(LINES + end, "customers.jsonl", orders=ORDERS.replace("Zoë 1", "Zoë").replace("Zoë 2", "Jo"))
    assert not report.findings, report


@pytest.mark.parametrize("cut", [len("Zoë 2"), len(",Zoë 2"), len("25,Zoë 2"), len(" 00:00:00Z,1.25,Zoë 2")])
def test_incomplete_last_row_is_an_error(probe: Probe, cut: int) -> None:
    report = probe(orders=ORDERS[: -cut - (cut == 5)])
    assert [found.rule for found in report.errors] == ["live-damaged"], report


def test_last_row_without_line_end_is_a_warning_where_another_environment_has_one(probe: Probe) -> None:
    report = probe(other=ORDERS)
    assert report.ok
    (found,) = report.warnings
    assert (found.rule, found.environment, found.dataset) == ("live-last-line", "other", "orders")
    assert "as in local" in found.expected
    assert "complete last row" in found.found


def test_last_rows_without_line_end_everywhere_have_no_finding(probe: Probe) -> None:
    assert not probe(orders=ORDERS, other=ORDERS).findings
