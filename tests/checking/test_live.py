"""Files on a real S3 and on disk, changed in one way each, behind the live check."""

from __future__ import annotations

import functools
import gzip
import http.server
import io
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from loaders.checking import Report, check_interchangeable
from loaders.probing.budget import BUDGET_BYTES
from loaders.sandbox.s3_server import S3Server
from tests.checking.projects import PROJECTS

SHOP = PROJECTS["shop"]
ORDERS = pa.schema(
    [
        pa.field("order_id", pa.int64(), nullable=False),
        ("placed", pa.timestamp("us", tz="UTC")),
        ("amount", pa.decimal128(12, 2)),
        ("customer", pa.string()),
    ]
)
CUSTOMERS = pa.schema([pa.field("name", pa.string(), nullable=False), ("country", pa.string()), ("age", pa.int16())])

Check = Callable[..., Report]


def orders(rows: int = 50) -> pa.Table:
    placed = pd.date_range("2024-01-01", periods=rows, freq="h", tz="UTC").as_unit("us")
    columns = {
        "order_id": list(range(rows)),
        "placed": placed,
        "amount": pa.array([f"{n}.25" for n in range(rows)]).cast(pa.decimal128(12, 2)),
        "customer": [f"c{n % 7}" for n in range(rows)],
    }
    return pa.table(columns, schema=ORDERS)


def customers() -> pa.Table:
    ages = pa.array([20, None, 40, 50, 60, 70, 80], pa.int16())
    return pa.table({"name": [f"c{n}" for n in range(7)], "country": ["DE"] * 7, "age": ages}, schema=CUSTOMERS)


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def as_csv(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pyarrow.csv.write_csv(table, sink, pyarrow.csv.WriteOptions(quoting_style="needed"))
    return sink.getvalue()


def feather(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pyarrow.feather.write_feather(table, sink, compression="uncompressed")
    return sink.getvalue()


def json_lines(table: pa.Table) -> bytes:
    return table.to_pandas().to_json(orient="records", lines=True, date_format="iso").encode()


@pytest.fixture(scope="module")
def good_bucket(s3_server: S3Server) -> str:
    """A bucket with the shop's good files, for qa and for prod; tests add to it and change nothing in it."""
    client = s3_server.client()
    client.create_bucket(Bucket="live-check")
    for env in ("qa", "prod"):
        client.put_object(Bucket="live-check", Key=f"{env}/orders.parquet", Body=parquet(orders()))
        client.put_object(Bucket="live-check", Key=f"{env}/customers.parquet", Body=parquet(customers()))
    return "live-check"


@pytest.fixture
def put(s3_server: S3Server, good_bucket: str, tmp_path: Path) -> Callable[[str, bytes], None]:
    client = s3_server.client()
    return lambda name, body: client.put_object(Bucket=good_bucket, Key=f"{tmp_path.name}/prod/{name}", Body=body)


@pytest.fixture
def live(
    tmp_path: Path,
    s3_server: S3Server,
    good_bucket: str,
    put: Callable[[str, bytes], None],
    monkeypatch: pytest.MonkeyPatch,
) -> Check:
    """Check the shop with good files everywhere, except for one of production, whose format its name says."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for variable, value in s3_server.environment().items():
        monkeypatch.setenv(variable, value)

    def check(body: bytes | None = None, name: str = "", **options: Any) -> Report:
        name = name or ("orders.parquet" if body is not None else "")
        if body is not None:
            put(name, body)
        configs = {
            f"configs/{env}.yaml": SHOP.files[f"configs/{env}.yaml"].replace(
                f"${{SHOP_BUCKET:-shop-{env}}}", f"{good_bucket}/{env}"
            )
            for env in ("qa", "prod")
        }
        if name:
            good = f"{good_bucket}/prod/orders.parquet"
            own = f"{good_bucket}/{tmp_path.name}/prod/{name}"
            configs["configs/prod.yaml"] = configs["configs/prod.yaml"].replace(good, own)
        folder = SHOP.write(tmp_path / "shop", configs)
        (tmp_path / "shop/data").mkdir(exist_ok=True)
        (tmp_path / "shop/data/orders.csv").write_bytes(as_csv(orders()))
        (tmp_path / "shop/data/customers.csv").write_bytes(as_csv(customers()))
        return check_interchangeable(str(folder), live=True, **options)

    return check


def test_good_files_have_no_finding_and_say_rows_age_and_bytes(live: Check) -> None:
    report = live()
    assert not report.findings, report
    assert sorted(probe.rows or 0 for probe in report.probes) == [7, 7, 7, 50, 50, 50]
    assert all(0 < probe.fetched_bytes <= BUDGET_BYTES for probe in report.probes)
    assert all(probe.modified is not None for probe in report.probes)
    assert "fetched in all" in str(report)


GOOD_FORMATS: dict[str, Callable[[], bytes]] = {
    "orders.csv": lambda: as_csv(orders()),
    "orders.csv.gz": lambda: gzip.compress(as_csv(orders())),
    "orders.csv.zst": lambda: pa.compress(as_csv(orders()), "zstd", asbytes=True),
    "orders.feather": lambda: feather(orders()),
    "orders.parquet": lambda: parquet(orders(3000), row_group_size=100),
}


@pytest.mark.parametrize("name", GOOD_FORMATS)
def test_other_formats_of_the_same_data_have_no_finding(live: Check, name: str) -> None:
    report = live(GOOD_FORMATS[name](), name)
    assert not report.findings, report


def cast(name: str, arrow_type: pa.DataType) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.set_column(table.column_names.index(name), name, table[name].cast(arrow_type))


def renamed(table: pa.Table) -> pa.Table:
    return table.rename_columns(["order_id", "placed", "sum", "customer"])


def with_null(table: pa.Table) -> pa.Table:
    values = [None, *range(1, len(table))]
    return table.set_column(0, pa.field("order_id", pa.int64()), pa.array(values))


def nullable(table: pa.Table) -> pa.Table:
    return table.set_column(0, pa.field("order_id", pa.int64()), table["order_id"])


CHANGED_TABLES: dict[str, tuple[Callable[[pa.Table], pa.Table], str]] = {
    "column renamed": (renamed, "amount"),
    "column dropped": (lambda table: table.drop_columns(["customer"]), "customer"),
    "number to text": (cast("order_id", pa.string()), "order_id"),
    "integer to float": (cast("order_id", pa.float64()), "order_id"),
    "integer narrowed": (cast("order_id", pa.int32()), "order_id"),
    "decimal to float": (cast("amount", pa.float64()), "amount"),
    "decimal widened": (cast("amount", pa.decimal128(14, 2)), "amount"),
    "instant to local time": (cast("placed", pa.timestamp("us")), "placed"),
    "other unit": (cast("placed", pa.timestamp("ms", tz="UTC")), "placed"),
    "null in the key": (with_null, "order_id"),
    "nulls allowed": (nullable, "order_id"),
    "value out of range": (
        lambda table: table.set_column(2, "amount", pa.array(["-1.00"] * len(table)).cast(pa.decimal128(12, 2))),
        "amount",
    ),
    "no rows": (lambda table: table.slice(0, 0), "rows"),
}


@pytest.mark.parametrize("what", CHANGED_TABLES)
def test_changed_parquet_is_caught_with_column_dataset_and_location(live: Check, what: str) -> None:
    change, column = CHANGED_TABLES[what]
    report = live(parquet(change(orders())))
    caught(report, column)


def caught(report: Report, word: str, name: str = "orders.parquet") -> None:
    assert report.errors, report
    prod = [found for found in report.errors if found.environment == "prod"]
    assert prod, report
    for found in prod:
        assert (found.dataset, found.function, found.module) == ("orders", "orders", "shop.prod")
        assert found.file.endswith("configs/prod.yaml")
        assert found.line == 4
        assert f"prod/{name}" in found.found
    assert any(word in found.expected + found.found for found in prod), report


TYPED_CHANGES = [what for what in CHANGED_TABLES if "out of range" not in what]


@pytest.mark.parametrize("what", TYPED_CHANGES)
def test_changed_arrow_file_is_caught(live: Check, what: str) -> None:
    change, column = CHANGED_TABLES[what]
    caught(live(feather(change(orders())), "orders.feather"), column, "orders.feather")


# CSV has no types: what reads as the same values is no difference.
CSV_CHANGES = ["column renamed", "column dropped", "instant to local time", "null in the key", "value out of range"]


@pytest.mark.parametrize("suffix", ["csv", "csv.gz"])
@pytest.mark.parametrize("what", [*CSV_CHANGES, "reordered", "text", "no rows", "key twice"])
def test_changed_csv_is_caught(live: Check, what: str, suffix: str) -> None:
    changes = {
        "reordered": (lambda table: table.select(["order_id", "amount", "placed", "customer"]), "placed"),
        "text": (
            lambda table: table.set_column(2, "amount", pa.array([*["1.00"] * (len(table) - 1), "a lot"])),
            "amount",
        ),
        "key twice": (lambda table: pa.concat_tables([table, table.slice(0, 1)]), "order_id"),
    }
    change, column = (CHANGED_TABLES | changes)[what]
    body = as_csv(change(orders()))
    name = f"orders.{suffix}"
    caught(live(gzip.compress(body) if suffix.endswith("gz") else body, name), column, name)


BROKEN_FILES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "empty parquet": ("orders.parquet", lambda: b""),
    "empty csv": ("orders.csv", lambda: b""),
    "empty gz": ("orders.csv.gz", lambda: b""),
    "gz of nothing": ("orders.csv.gz", lambda: gzip.compress(b"")),
    "parquet cut in half": ("orders.parquet", lambda: parquet(orders())[: len(parquet(orders())) // 2]),
    "large parquet cut": ("orders.parquet", lambda: parquet(orders(40_000))[:-100]),
    "parquet without its middle": (
        "orders.parquet",
        lambda: (lambda data: data[:1000] + data[-5000:])(parquet(orders(40_000), use_dictionary=False)),
    ),
    "csv cut in a row": ("orders.csv", lambda: as_csv(orders())[:-20]),
    "large csv cut": ("orders.csv", lambda: as_csv(orders(20_000))[:-20]),
    "gz cut": ("orders.csv.gz", lambda: gzip.compress(as_csv(orders()))[:-20]),
    "feather cut": ("orders.feather", lambda: feather(orders())[:-20]),
    "jsonl cut": ("orders.jsonl", lambda: json_lines(orders())[:-20]),
    "page of HTML": ("orders.parquet", lambda: b"<html>Sorry</html>" * 99),
    "parquet called csv": ("orders.csv", lambda: parquet(orders())),
}


@pytest.mark.parametrize("what", BROKEN_FILES)
def test_broken_file_is_caught(live: Check, what: str) -> None:
    name, body = BROKEN_FILES[what]
    caught(live(body(), name), "", name)


def test_missing_object_and_bucket_are_findings_of_their_environment(live: Check) -> None:
    report = live(None, "nowhere.parquet")
    caught(report, "no object", "nowhere.parquet")
    assert len(report.errors) == 1


def test_wrong_credentials_are_a_finding_without_the_secret(live: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    live()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret-at-all")
    report = live()
    assert {found.rule for found in report.errors} == {"live-unreadable"}
    assert "not-the-secret-at-all" not in str(report)


def test_large_files_cost_no_more_than_the_budget(live: Check) -> None:
    for name, body in (("orders.parquet", parquet(orders(300_000))), ("orders.csv", as_csv(orders(200_000)))):
        report = live(body, name)
        assert not report.findings, report
        probe = next(probe for probe in report.probes if (probe.environment, probe.dataset) == ("prod", "orders"))
        assert probe.size_bytes > 10 * BUDGET_BYTES // 4
        assert probe.fetched_bytes <= BUDGET_BYTES


def test_parts_are_sampled_and_all_parts_probes_each(live: Check, put: Callable[[str, bytes], None]) -> None:
    for part in range(7):
        table = renamed(orders()) if part == 1 else orders()
        put(f"parts/{part}.parquet", parquet(table))
    sampled = live(None, "parts/")
    assert sampled.ok, sampled
    probe = next(probe for probe in sampled.probes if (probe.environment, probe.dataset) == ("prod", "orders"))
    assert (len(probe.files), probe.parts) == (3, 7)
    every = live(None, "parts/", all_parts=True)
    assert any("1.parquet" in found.found for found in every.errors), every


@pytest.mark.parametrize(("rows", "rules"), [(20, set()), (20_000, {"live-unknown"})])
def test_web_server_without_ranges_is_never_asked_for_a_large_file(
    live: Check, tmp_path: Path, rows: int, rules: set[str]
) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web/orders.csv").write_bytes(as_csv(orders(rows)))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path / "web")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        live()
        for path in ("shop/shop/prod.py", "shop/configs/prod.yaml"):
            text = (tmp_path / path).read_text().replace('allow=("s3",)', 'allow=("s3", "http")')
            location = f"orders_path: http://127.0.0.1:{server.server_port}/orders.csv"
            (tmp_path / path).write_text(re.sub(r"orders_path: s3://\S+", location, text))
        report = check_interchangeable(str(tmp_path / "shop/configs"), live=True)
        server.shutdown()
    # That production reads from this very machine is a finding of its own.
    assert {found.rule for found in report.findings} == rules | {"endpoint-local"}, report
    probe = next(probe for probe in report.probes if (probe.environment, probe.dataset) == ("prod", "orders"))
    assert probe.fetched_bytes <= BUDGET_BYTES
