"""`sourceswap init`: a project that runs, tests and checks green at once, of sample data or of one's own files."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner

from cli.init import init
from cli.output import _FORMATS
from cli.run import run
from loaders.project.scaffold import package_name
from tests.cli.conftest import COMMAND, Run


def green(sourceswap: Run, folder: Path, env: str = "local") -> None:
    """Assert that a project runs, tests and checks without a word of complaint."""
    result = sourceswap("run", "--env", env, cwd=folder)
    assert result.returncode == 0, result.stderr
    checked = sourceswap("check", cwd=folder)
    assert checked.returncode == 0, checked.stdout
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert tested.returncode == 0, tested.stdout


def test_new_project_is_green_at_once(sourceswap: Run, tmp_path: Path) -> None:
    folder = tmp_path / "my-shop"
    made = sourceswap("init", folder, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    green(sourceswap, folder)
    prod = sourceswap("sandbox", "--", str(COMMAND), "run", "--env", "prod", cwd=folder)
    assert prod.returncode == 0, prod.stderr
    assert prod.stdout == sourceswap("run", "--env", "local", cwd=folder).stdout


def test_project_of_own_files_has_their_contracts(sourceswap: Run, tmp_path: Path) -> None:
    rows = 400
    late = pd.DataFrame(
        {
            "id": range(rows),
            "amount": [*range(rows - 2), 1.5, 2.5],  # whole numbers, but for the last rows
            "code": [*map(str, range(rows - 1)), "x1"],
            "share": ["1.25"] * (rows - 1) + ["NA"],
            "when": pd.date_range("2024-01-01", periods=rows, tz="UTC").astype(str),
        }
    )
    (tmp_path / "my sales.csv").write_text(late.to_csv(index=False).rstrip("\n"))
    pd.DataFrame({"id": [1, 2], "name": ["a", None]}).to_parquet(tmp_path / "people.parquet")
    folder = tmp_path / "loaders"
    made = sourceswap("init", folder, "--from", tmp_path / "my sales.csv", tmp_path / "people.parquet", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    green(sourceswap, folder)
    contracts = (folder / "loaders_project" / "contracts.py").read_text()
    assert 'pa.field("amount", pa.float64())' in contracts
    assert 'pa.field("code", pa.string())' in contracts
    assert 'pa.field("share", pa.float64())' in contracts
    assert 'prefix="people_"' in contracts  # both have a column `id`
    assert (folder / "data" / "my sales.csv").read_bytes().endswith(b"\n")


def test_a_folder_that_holds_something_is_left_alone(sourceswap: Run, tmp_path: Path) -> None:
    folder = tmp_path / "full"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    result = sourceswap("init", folder)
    assert result.returncode == 2
    assert "is not empty" in result.stderr
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def test_a_file_that_is_no_table_is_an_error_and_nothing_is_written(sourceswap: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"no parquet at all")
    result = sourceswap("init", tmp_path / "new", "--from", tmp_path / "broken.parquet")
    assert result.returncode in (1, 2)
    assert "broken.parquet" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("second", ["orders.csv", "Orders.parquet"])
def test_two_files_of_one_dataset_name_are_refused(sourceswap: Run, tmp_path: Path, second: str) -> None:
    frame = pd.DataFrame({"order_id": [1, 2]})
    frame.to_parquet(tmp_path / "orders.parquet")
    other = tmp_path / "more" / second
    other.parent.mkdir()
    frame.to_csv(other, index=False) if second.endswith("csv") else frame.to_parquet(other)
    result = sourceswap("init", tmp_path / "new", "--from", tmp_path / "orders.parquet", "--from", other)
    assert result.returncode == 2
    for said in ("'orders.parquet'", f"'{second}'", "dataset 'orders'", "Rename one"):
        assert said in result.stderr
    assert not (tmp_path / "new").exists()


def test_next_steps_can_be_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "pytest" else find_spec(name))
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(init, ["p x"])
    assert result.exit_code == 0, result.output
    assert "  cd 'p x'\n" in result.output
    assert "  pip install pytest\n  pytest\n" in result.output


def test_help_names_every_format() -> None:
    assert "JSON Lines" in " ".join(CliRunner().invoke(init, ["--help"]).output.split())
    shown = CliRunner().invoke(run, ["--help"]).output
    for ending in (*_FORMATS, ".gz", ".zst", ".bz2", ".xz"):
        assert ending in shown


@pytest.mark.parametrize("ending", ["feather", "jsonl", "jsonl.gz", "csv.zst"])
def test_project_of_a_file_of_any_format_runs(sourceswap: Run, tmp_path: Path, ending: str) -> None:
    frame = pd.DataFrame({"order_id": [1, 2], "country": ["DE", "FR"]})
    file = tmp_path / f"orders.{ending}"
    if ending == "feather":
        frame.to_feather(file)
    elif ending.startswith("jsonl"):
        frame.to_json(file, orient="records", lines=True)
    else:
        file.write_bytes(pa.compress(frame.to_csv(index=False).encode(), "zstd", asbytes=True))
    made = sourceswap("init", tmp_path / "new", "--from", file)
    assert made.returncode == 0, made.stderr
    shown = sourceswap("run", "--env", "local", cwd=tmp_path / "new")
    assert shown.returncode == 0, shown.stderr


@pytest.mark.parametrize(
    ("folder", "package"),
    [("my-shop", "my_shop"), ("cli", "cli_project"), ("json", "json_project"), ("2024 data", "project_2024_data")],
)
def test_package_of_a_project_hides_no_other_module(folder: str, package: str) -> None:
    assert package_name(folder) == package
