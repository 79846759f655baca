"""`sourceswap sample`: a small part of one environment's data where another expects it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from loaders import DatasetContract, FormatOptions
from loaders.errors import ConfigError
from loaders.project.sampling import sample_frames
from loaders.project.writing import encode_table
from tests.cli.conftest import COMMAND, Run

SAMPLE = Path("examples/marketing_spend/marketing_spend.csv")


@pytest.fixture
def other(project: Path) -> Path:
    """An environment that reads a file of its own, which does not exist yet."""
    (project / "configs/small.yaml").write_text(
        "extends: base\ndata_source: local\ninputs:\n  marketing_spend_data_path: small/spend.csv\n"
    )
    return project / "small/spend.csv"


def test_sample_is_written_where_the_other_environment_reads_it(sourceswap: Run, other: Path) -> None:
    result = sourceswap("sample", "--env", "local", "--to", "small", "--rows", "10")
    assert result.returncode == 0, result.stderr
    assert "10 of 104 rows" in result.stderr
    shown = sourceswap("run", "--env", "small", "-s", "spend", "-s", "signups")
    assert shown.returncode == 0, shown.stderr
    assert "10 rows" in shown.stderr


def test_sample_does_not_replace_the_data_that_it_is_taken_from(sourceswap: Run, project: Path) -> None:
    before = (project / SAMPLE).read_bytes()
    result = sourceswap("sample", "--env", "local", "--rows", "5", "--force")
    assert result.returncode == 2
    assert "is read by environment 'local' itself" in result.stderr
    assert (project / SAMPLE).read_bytes() == before


def test_sample_of_production_comes_from_its_bucket(sourceswap: Run, other: Path) -> None:
    words = [str(COMMAND), "sample", "--env", "prod", "--to", "small", "--rows", "5", "--method", "random"]
    result = sourceswap("sandbox", "--", *words)
    assert result.returncode == 0, result.stderr
    assert len(other.read_text().splitlines()) == 6


def test_existing_file_is_kept_without_force(sourceswap: Run, project: Path) -> None:
    before = (project / SAMPLE).read_text()
    result = sourceswap("sample", "--env", "local", "--to", "local", "--rows", "10")
    assert result.returncode == 2
    assert "--force replaces it" in result.stderr
    assert (project / SAMPLE).read_text() == before
    assert sourceswap("sample", "--env", "local", "--to", "local", "--rows", "10", "--force").returncode == 0
    assert (project / SAMPLE).read_text().splitlines()[1:] == before.splitlines()[1:11]


def test_sample_of_a_folder_takes_the_place_of_its_parts(sourceswap: Run, project: Path) -> None:
    lines = (project / SAMPLE).read_text().splitlines(keepends=True)
    parts = project / "data/parts"
    parts.mkdir(parents=True)
    (parts / "a.csv").write_text("".join(lines[:50]))
    (parts / "b.csv").write_text("".join(lines[:1] + lines[50:]))
    (parts / "README").write_text("what these are")
    (project / "configs/local.yaml").write_text(
        "extends: base\ndata_source: local\ninputs:\n  marketing_spend_data_path: data/parts\n"
    )
    kept = sourceswap("sample", "--env", "local", "--to", "local", "--rows", "10")
    assert kept.returncode == 2
    assert "a.csv exists; --force replaces it" in kept.stderr
    replaced = sourceswap("sample", "--env", "local", "--to", "local", "--rows", "10", "--force")
    assert replaced.returncode == 0, replaced.stderr
    assert sorted(path.name for path in parts.iterdir()) == ["README", "part-0.csv"]
    assert "10 rows" in sourceswap("run", "--env", "local").stderr


def test_environment_without_local_files_is_refused(sourceswap: Run) -> None:
    result = sourceswap("sample", "--env", "local", "--to", "prod")
    assert result.returncode == 2
    assert "reads no dataset from a local file" in result.stderr


ORDERS = DatasetContract(
    "orders",
    pa.schema([("order", pa.int64()), ("customer", pa.string())]),
    references={"customer": "customers.name"},
)
CUSTOMERS = DatasetContract("customers", pa.schema([("name", pa.string()), ("city", pa.string())]), key="name")
CONTRACTS = {"customers": CUSTOMERS, "orders": ORDERS}
FRAMES = {
    "customers": pd.DataFrame({"name": [f"c{n}" for n in range(100)], "city": "x"}),
    "orders": pd.DataFrame({"order": range(1000), "customer": [f"c{99 - n % 7}" for n in range(1000)]}),
}


def test_sample_by_key_keeps_exactly_what_the_chosen_rows_refer_to() -> None:
    sampled = sample_frames(FRAMES, CONTRACTS, 3, "key")
    assert list(sampled["orders"]["order"]) == [0, 1, 2]
    assert list(sampled["customers"]["name"]) == ["c97", "c98", "c99"]


def test_random_sample_is_repeated_by_its_seed_and_keeps_the_order() -> None:
    one = sample_frames(FRAMES, CONTRACTS, 50, "random", seed=1)["orders"]["order"]
    assert one.equals(sample_frames(FRAMES, CONTRACTS, 50, "random", seed=1)["orders"]["order"])
    assert not one.equals(sample_frames(FRAMES, CONTRACTS, 50, "random", seed=2)["orders"]["order"])
    assert one.is_monotonic_increasing
    assert len(one) == 50


@pytest.mark.parametrize(
    "name", ["x.csv", "x.csv.gz", "x.parquet", "x.feather", "x.jsonl", "x.tsv", "x.json", "x.pq", "x.tab.zst"]
)
def test_written_file_reads_back_as_the_same_frame(name: str, tmp_path: Path) -> None:
    _write_and_read_back(name, FormatOptions(), tmp_path)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("x.csv", FormatOptions(quote_char="'")),
        ("x.csv", FormatOptions(quote_char="'", delimiter=";")),
        ("x.csv", FormatOptions(null_values=("NA", "null"))),
        ("x.csv", FormatOptions(null_values=("", "NA"))),
        ("x.csv", FormatOptions(encoding="utf-16")),
        ("x.csv", FormatOptions(encoding="utf-8-sig")),
        ("x.csv.gz", FormatOptions(encoding="latin-1", quote_char="'", null_values=("-",))),
        ("x.jsonl", FormatOptions(encoding="utf-16")),
    ],
)
def test_written_file_obeys_the_format_options_of_its_contract(
    name: str, options: FormatOptions, tmp_path: Path
) -> None:
    _write_and_read_back(name, options, tmp_path)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (FormatOptions(quote_char=""), "would need quotes"),
        (FormatOptions(null_values=()), "no way to write null"),
        (FormatOptions(null_values=("0.1",)), "'0.1' would be read as null"),
        (FormatOptions(encoding="ascii"), "ascii"),
    ],
)
def test_frame_that_the_format_options_cannot_hold_is_refused(
    options: FormatOptions, what: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=what):
        _write_and_read_back("x.csv", options, tmp_path)


def _write_and_read_back(name: str, options: FormatOptions, folder: Path) -> None:
    from loaders import read_table
    from loaders.conforming import conform

    contract = DatasetContract(
        "things",
        pa.schema(
            [
                pa.field("id", pa.int64(), nullable=False),
                ("text", pa.string()),
                ("amount", pa.decimal128(10, 2)),
                ("at", pa.timestamp("us", tz="UTC")),
                ("day", pa.date32()),
                ("ratio", pa.float64()),
                ("flag", pa.bool_()),
            ]
        ),
        key="id",
        prefix="things_",
        format=options,
    )
    table = pa.table(
        {
            "things_id": pa.array([1, 2, 2**62, 4]),
            "things_text": pa.array(["a \"quoted\", 'é' text;\nwith lines", "", None, "NA"]),
            "things_amount": pa.array(["1.50", None, "-3.25", None]).cast(pa.decimal128(10, 2)),
            "things_at": pa.array([0, 1, None, 3], pa.timestamp("us", tz="UTC")),
            "things_day": pa.array([0, None, 20000, 1], pa.date32()),
            "things_ratio": pa.array([0.1, None, 1e300, -0.0]),
            "things_flag": pa.array([True, False, None, True]),
        }
    )
    frame = conform(table, contract, location="here")
    (folder / name).write_bytes(encode_table(frame, contract, name))
    pd.testing.assert_frame_equal(read_table(folder / name, contract), frame)
