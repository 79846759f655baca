"""What the options of a format and the settings of a storage may be: all else is refused where it is said."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loaders import ConfigError, DatasetContract, FormatOptions, build_driver, load_config, read_table
from loaders.config.storage import StorageSettings, shown_endpoint
from loaders.schema.active_format import use_formats

# --- formats ---


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("null_values", ["NA", (1,), None, 5, {"NA": 1}, ("", None)]),
        ("hive_partitions", ["no", 1, None]),
        ("delimiter", [5, "", ";;", "é", "\n", "\r", "\0", "\ud800", b";", [";"]]),
        ("quote_char", [None, 5, "\n", "\r", "\0", "''", "«", b"'"]),
        ("encoding", [None, 5, "", "no-such", "idna", "punycode", "rot13", "base64", "undefined", "a\0b", "\ud800"]),
        ("format", ["xls", 5, ["csv"], b"csv"]),
        ("compression", ["gz", 5, True]),
    ],
)
def test_an_option_of_a_format_that_no_file_can_have_is_refused_by_name(option: str, values: list[object]) -> None:
    for value in values:
        with pytest.raises(ConfigError) as caught:
            FormatOptions(**{option: value})  # type: ignore[arg-type]
        assert str(caught.value).startswith(f"Format option {option} must ")
        assert str(caught.value).endswith(f"; found {value!r}.")


@pytest.mark.parametrize(
    "options",
    [{"delimiter": '"'}, {"delimiter": "'", "quote_char": "'"}, {"quote_char": ","}, {"quote_char": "\t"}],
)
def test_delimiter_and_quote_cannot_be_one_character(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="delimiter"):
        FormatOptions(**options)  # type: ignore[arg-type]


def test_options_that_a_file_can_have_are_taken() -> None:
    assert FormatOptions(null_values=["", "NA"]).null_values == ("", "NA")  # type: ignore[arg-type]
    assert FormatOptions(null_values=()).null_values == ()
    assert FormatOptions(delimiter='"', quote_char="").delimiter == '"'
    assert FormatOptions(quote_char=",", delimiter=";").quote_char == ","
    for encoding in ("latin-1", "utf-16", "cp1252", "UTF8", "cp037"):
        assert FormatOptions(encoding=encoding).encoding == encoding


TEXTS = DatasetContract("texts", pa.schema([("text", pa.string())]), format=FormatOptions(quote_char="'"))


def test_a_single_option_is_checked_together_with_the_contracts(tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_text("text\n'a'\n")
    with use_formats({"texts": {"delimiter": "'"}}), pytest.raises(ConfigError, match="must differ"):
        read_table(tmp_path / "texts.csv", TEXTS)
    with use_formats({"texts": {"delimiter": '"'}}):
        assert list(read_table(tmp_path / "texts.csv", TEXTS)["text"]) == ["a"]


def test_a_single_option_that_does_not_go_with_the_contracts_is_refused_before_anything_runs() -> None:
    flow = ModuleType("flow")
    config = {
        "data_source": "in_memory",
        "frames": {},
        "formats": {"marketing_spend": {"delimiter": '"'}},
    }
    with pytest.raises(ConfigError, match=r"'formats.marketing_spend' and its contract do not fit together"):
        build_driver(config, flow)


# --- storage ---

NUMBERS = [field.name for field in fields(StorageSettings) if field.type in ("int", "float", "float | None")]
WHOLE = [field.name for field in fields(StorageSettings) if field.type == "int"]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [0, -1, math.inf, -math.inf, math.nan, True, False, "5", 1 << 70])
def test_a_number_that_no_storage_can_have_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"Storage setting {name} must be a (whole )?number"):
        StorageSettings(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_counted_is_whole(name: str) -> None:
    with pytest.raises(ConfigError, match="whole number"):
        StorageSettings(**{name: 5000.5})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("setting", "values"),
    [
        ("range_bytes", [1, 4095]),
        ("connections", [257]),
        ("attempts", [101]),
        ("region", ["", "eu west", "eu/west", "evil.example.com/", "-", 5]),
        ("profile", [5]),
        ("verify", ["some", None, True]),
        ("anonymous", ["no", 1, None]),
        ("etag_is_md5", ["no", None]),
        ("endpoint_url", ["", "localhost:9000", "ftp://h", "http://", "http:///x", "http://:9000", "http://h:0", 5]),
        ("endpoint_url", ["http://h:99999", "http://h:x", "http://[::1", "http://h\n", "http://a b", "http://a\\b"]),
        ("endpoint_url", ["http://h?x=1", "http://h#x", "http://me@h", "http://me:secret@h"]),
    ],
)
def test_a_setting_that_no_storage_can_have_is_refused_by_name(setting: str, values: list[object]) -> None:
    for value in values:
        with pytest.raises(ConfigError, match=f"Storage setting {setting} must ") as caught:
            StorageSettings(**{setting: value})  # type: ignore[arg-type]
        assert "secret" not in str(caught.value)


def test_settings_that_a_storage_can_have_are_taken() -> None:
    for url in ("http://localhost:9000", "https://s3.example.com/base/", "HTTP://[::1]:9000", "http://minio_1:65535"):
        assert StorageSettings(endpoint_url=url).endpoint_url == url
    settings = StorageSettings(
        region="us-gov-west-1", connections=256, attempts=1, range_bytes=4096, deadline_seconds=7
    )
    assert settings.region == "us-gov-west-1"


@given(st.text("ab:/?#@ ", max_size=12), st.sampled_from(["http://", "https://", ""]), st.text("/?#@:x", max_size=4))
def test_a_refused_endpoint_shows_nothing_of_a_password_or_a_signature(before: str, scheme: str, after: str) -> None:
    for url in (f"{scheme}{before}SECRET{after}@host:9", f"{scheme}host{before}?x=SECRET{after}"):
        assert "SECRET" not in shown_endpoint(url)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("storage: {range_bytes: -1}", "'storage.range_bytes' must be a whole number of bytes, at least 4096"),
        ("storage: {connections: '0'}", "'storage.connections' must be a whole number within 1 and 256; found 0."),
        ("storage: {attempts: true}", "'storage.attempts' must be a whole number within 1 and 100; found True."),
        ("storage: {deadline_seconds: yes}", "'storage.deadline_seconds' must be a number of seconds"),
        ("storage: {stall_timeout_seconds: .nan}", "'storage.stall_timeout_seconds' must be a number of seconds"),
        ("storage: {endpoint_url: 'localhost:9000'}", "must begin with http:// or https://; found 'localhost:9000'."),
        ("storage: {endpoint_url: 'https://me:se/cret@h'}", "found 'https://***@h'."),
        ("storage: {region: a b}", "'storage.region' must be a word of letters, digits and hyphens"),
        ("storage: 3", "'storage' must be a mapping of keys to values; found 3."),
        ("formats: {orders: 3}", "'formats.orders' must be a mapping of keys to values; found 3."),
        ("formats: {orders: {null_values: NA}}", "'formats.orders.null_values' must be a list, such as [NA]; found"),
        ("formats: {orders: {null_values: [1]}}", "'formats.orders.null_values.0' must be text (in quotes); found 1."),
        ("formats: {orders: {compression: gz}}", "'formats.orders.compression' must be one of none, gzip, zstd"),
        ("formats: {orders: {encoding: rot13}}", "'formats.orders.encoding' must name a text encoding"),
        ("formats: {orders: {hive_partitions: perhaps}}", "must be true or false; found 'perhaps'."),
        ("outputs: nope", "'outputs' must be a list, such as [nope]; found 'nope'."),
        ("modules: flow", "'modules' must be a list, such as [flow]; found 'flow'."),
        ("cache: {max_size: [1]}", "'cache.max_size' must be a size, such as '10GB'"),
    ],
)
def test_a_refused_option_in_a_file_is_told_once_with_file_line_and_name(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "local.yaml"
    file.write_text(f"data_source: local\n{text}\n")
    with pytest.raises(ConfigError) as caught:
        load_config("local", tmp_path)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{file}:2: ")
    assert said in line
    assert line.count("; found ") == 1
    for word in ("Input should", "tuple", "instance", "FormatOverride", "StorageSettings", "cret"):
        assert word not in line


def test_an_empty_section_says_nothing_and_what_is_extended_stays(tmp_path: Path) -> None:
    sections = ("inputs", "storage", "cache", "formats", "sources", "outputs", "modules", "description")
    (tmp_path / "base.yaml").write_text("storage: {region: eu-west-1}\ninputs: {path: a.csv}\n")
    empty = "".join(f"{name}:\n" for name in sections)
    (tmp_path / "local.yaml").write_text(f"extends: base\ndata_source: local\n{empty}")
    config = load_config("local", tmp_path, {"window": "3"})
    assert config.settings.storage == StorageSettings(region="eu-west-1")
    assert config.inputs == {"path": "a.csv", "window": "3"}
    assert config.settings.outputs == ()
