"""`sourceswap run` on local files and on a real S3, as the installed command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from loaders import DatasetContract, read_table
from loaders.sandbox.s3_server import S3Server
from tests.cli.conftest import COMMAND, Run

SAMPLE = Path("examples/marketing_spend/marketing_spend.csv")


def error_lines(result: Any, code: int) -> str:
    """Assert that a command failed in a few lines on standard error, and return them."""
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) <= 10, result.stderr
    return str(result.stderr)


def test_a_run_on_local_files_imports_no_client_of_a_store(project: Path, tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from cli.main import main\n"
        "try:\n"
        "    main(['run', '--env', 'local'])\n"
        "finally:\n"
        "    stores = {'boto3', 'botocore', 'obstore', 'awscrt', 's3fs'}\n"
        "    print('imported', sorted(stores & set(sys.modules)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=project,
        env=os.environ | {"SOURCESWAP_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith("imported []\n")


def test_results_go_to_stdout_and_the_report_to_stderr(sourceswap: Run) -> None:
    result = sourceswap("run", "--env", "local")
    assert result.returncode == 0, result.stderr
    assert "spend_per_signup" in result.stdout
    assert "2024-01-01" in result.stdout
    report = " ".join(result.stderr.split())
    assert "environment local, source local (loaders.local)" in report
    assert f"marketing_spend {SAMPLE} miss 104 rows" in report
    assert "7 outputs in" in report


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("words", [("run", "--env", "local"), ("ls", "--env", "local"), ("--help",)])
def test_output_that_finds_no_room_is_an_error(words: tuple[str, ...], project: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "SOURCESWAP_CACHE_DIR": str(tmp_path / "cache")}
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [str(COMMAND), *words], cwd=project, env=environment, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == "Error: The output cannot be written: No space left on device."
    assert "Traceback" not in result.stderr


def test_second_run_hits_the_cache_and_gives_the_same(sourceswap: Run) -> None:
    first = sourceswap("run", "--env", "local")
    second = sourceswap("run", "--env", "local")
    assert first.stdout == second.stdout
    assert f"marketing_spend  {SAMPLE}  hit" in second.stderr


def test_changed_file_is_a_miss(sourceswap: Run, project: Path) -> None:
    sourceswap("run", "--env", "local")
    text = (project / SAMPLE).read_text()
    (project / SAMPLE).write_text(text.replace("778.04", "778.05"))
    result = sourceswap("run", "--env", "local", "-s", "spend")
    assert f"{SAMPLE}  miss" in result.stderr
    assert "778.05" in result.stdout


def test_no_cache_neither_reads_nor_writes_it(sourceswap: Run, tmp_path: Path) -> None:
    result = sourceswap("run", "--env", "local", "--no-cache")
    assert result.returncode == 0
    assert "hit" not in result.stderr
    assert not list((tmp_path / "cache").rglob("*marketing_spend*"))


def test_refresh_loads_anew_and_caches(sourceswap: Run) -> None:
    sourceswap("run", "--env", "local")
    assert f"{SAMPLE}  refresh" in sourceswap("run", "--env", "local", "--refresh").stderr
    assert f"{SAMPLE}  hit" in sourceswap("run", "--env", "local").stderr


def test_dry_run_shows_the_plan_and_loads_nothing(sourceswap: Run) -> None:
    result = sourceswap("run", "--env", "local", "--dry-run")
    assert result.returncode == 0, result.stderr
    assert "environment local, source local (loaders.local)" in result.stdout
    assert "dataflow: examples.marketing_spend.features" in result.stdout
    assert "spend_per_signup" in result.stdout
    assert f"marketing_spend  {SAMPLE}  3 of 3   miss" in result.stdout
    sourceswap("run", "--env", "local")
    assert f"marketing_spend  {SAMPLE}  3 of 3   hit" in sourceswap("run", "--env", "local", "--dry-run").stdout
    one = sourceswap("run", "--env", "local", "-s", "spend_mean", "--dry-run")
    assert f"marketing_spend  {SAMPLE}  1 of 3   hit" in one.stdout


def test_dry_run_says_that_a_local_file_is_missing_and_exits_as_the_run_would(sourceswap: Run) -> None:
    missing = ["run", "-e", "local", "--params", "marketing_spend_data_path=nowhere.csv"]
    result = sourceswap(*missing, "--dry-run")
    assert result.returncode == sourceswap(*missing).returncode == 1
    assert "unreadable  No file 'nowhere.csv'" in result.stdout
    assert result.stderr.startswith("Error: marketing_spend: No file 'nowhere.csv'")


@pytest.mark.parametrize(
    ("env", "text", "place"),
    [
        ("local", "outputs:\n  - spend\n  - nope\n", "4: Output 'nope' is not a node"),
        ("local", "modules:\n  - nope\n", "3: Dataflow module 'nope' cannot be imported"),
        ("local", "sources:\n  local: nope.local\n", "3: Source 'local' 'nope.local' cannot be imported"),
        ("prod", "storage:\n  profile: nope\n", "3: The config profile (nope) could not be found"),
    ],
)
def test_a_name_in_a_file_that_means_nothing_is_told_with_file_and_line(
    sourceswap: Run, project: Path, env: str, text: str, place: str
) -> None:
    (project / "configs/qa.yaml").write_text(f"extends: {env}\n{text}")
    assert f"Error: configs/qa.yaml:{place}" in error_lines(sourceswap("run", "-e", "qa"), 2)


def test_environment_variable_chooses_the_environment(sourceswap: Run) -> None:
    result = sourceswap("run", "-s", "spend_mean", SOURCESWAP_ENV="local")
    assert result.returncode == 0
    assert result.stdout.startswith("spend_mean: 1")


@pytest.mark.parametrize("suffix", ["parquet", "csv", "feather", "json"])
def test_output_file_holds_the_outputs_as_columns(sourceswap: Run, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"out.{suffix}"
    result = sourceswap("run", "--env", "local", "-s", "week", "-s", "spend_per_signup", "-o", target)
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    read = {"parquet": pd.read_parquet, "csv": pd.read_csv, "feather": pd.read_feather, "json": pd.read_json}[suffix]
    frame = read(target)
    assert list(frame.columns) == ["week", "spend_per_signup"]
    assert len(frame) == 104
    assert frame["spend_per_signup"].iloc[0] == pytest.approx(778.04 / 33)
    assert [path.name for path in tmp_path.glob("*out*")] == [target.name]


@pytest.mark.parametrize("suffix", ["csv.gz", "csv.zst", "csv.bz2", "jsonl.zst", "jsonl.xz", "arrow", "parquet"])
def test_what_is_written_is_read_again(sourceswap: Run, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"out.{suffix}"
    result = sourceswap("run", "--env", "local", "-s", "week", "-s", "signups", "-o", target)
    assert result.returncode == 0, result.stderr
    contract = DatasetContract("out", pa.schema([("week", pa.date32()), ("signups", pa.int64())]))
    frame = read_table(target, contract)
    assert len(frame) == 104
    assert frame["signups"].sum() == 6502
    assert target.name.encode() not in target.read_bytes()


@pytest.mark.parametrize("suffix", ["parquet", "csv", "feather", "json", "jsonl"])
def test_output_file_keeps_what_the_index_says(sourceswap: Run, project: Path, tmp_path: Path, suffix: str) -> None:
    features = project / "examples" / "marketing_spend" / "features.py"
    features.write_text(
        "import pandas as pd\n"
        "def largest(spend: pd.Series, signups: pd.Series) -> pd.Series:\n"
        "    return spend.groupby((signups > 60).map({True: 'many', False: 'few'}).rename('kind')).max()\n"
    )
    (project / "configs" / "base.yaml").write_text("modules: [examples.marketing_spend.features]\n")
    target = tmp_path / f"out.{suffix}"
    result = sourceswap("run", "--env", "local", "-o", target)
    assert result.returncode == 0, result.stderr
    read = {"parquet": pd.read_parquet, "csv": pd.read_csv, "feather": pd.read_feather}
    frame = read[suffix](target) if suffix in read else pd.read_json(target, lines=suffix == "jsonl")
    assert list(frame.columns) == ["kind", "largest"]
    assert list(frame["kind"]) == ["few", "many"]


@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_json_output_keeps_every_digit(sourceswap: Run, tmp_path: Path, suffix: str) -> None:
    for target in (tmp_path / f"out.{suffix}", tmp_path / "out.parquet"):
        command = ["run", "--env", "local", "-s", "week", "-s", "spend_per_signup", "-s", "spend_mean_3_weeks"]
        assert sourceswap(*command, "-o", target).returncode == 0
    text = (tmp_path / f"out.{suffix}").read_text()
    rows = json.loads(text) if suffix == "json" else [json.loads(line) for line in text.splitlines()]
    exact = pd.read_parquet(tmp_path / "out.parquet")
    exact_values = [None if pd.isna(value) else value for value in exact["spend_per_signup"]]
    assert [row["spend_per_signup"] for row in rows] == exact_values
    assert rows[0]["spend_mean_3_weeks"] is None
    assert rows[0]["week"] == "2024-01-01"


def test_single_values_are_written_as_one_row(sourceswap: Run, tmp_path: Path) -> None:
    result = sourceswap("run", "--env", "local", "-s", "spend_mean", "-s", "spend_std_dev", "-o", tmp_path / "o.json")
    assert result.returncode == 0, result.stderr
    (row,) = json.loads((tmp_path / "o.json").read_text())
    assert row.keys() == {"spend_mean", "spend_std_dev"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["run"],
            "No environment: give --env NAME or set SOURCESWAP_ENV. Environments are: 'local', 'prod', 'staging'.",
        ),
        (["run", "-e", "prd"], "Did you mean 'prod'?"),
        (["run", "-e", "local", "-s", "spend_per_sinup"], "Did you mean 'spend_per_signup'?"),
        (["run", "-e", "local", "-s", "spend,week"], "Give -s once for each output: -s spend -s week."),
        (
            ["run", "-e", "local", "--params", "marketing_spend_data_path="],
            "--params: input 'marketing_spend_data_path'",
        ),
        (["show", "marketing_spend", "-e", "local", "--params", "marketing_spend_data_path="], "is empty, but dataset"),
        (["show", "marketing_spend", "-e", "local", "--rows", "-1"], "-1 is not in the range"),
        (["run", "-e", "local", "--params", "windw=3"], "input 'windw' is taken by no function"),
        (["run", "-e", "local", "--params", "window"], "--params takes NAME=VALUE"),
        (["run", "-e", "local", "--params", "spend=3"], "'spend' is given as an input, but"),
        (["run", "-e", "local", "-o", "out.parquet.gz"], "out.parquet.gz' would be compressed twice"),
        (
            ["run", "-e", "local", "-o", "out.xlsx"],
            "must end in one of .parquet, .csv, .feather, .arrow, .json, .jsonl",
        ),
        (["run", "-e", "local", "-o", "no/such/folder/out.csv"], "folder 'no/such/folder' does not exist"),
        (["run", "-e", "local", "--no-cache", "--refresh"], "exclude each other"),
        (["run", "-e", "local", "--configs", "nowhere"], "Configuration folder 'nowhere' does not exist"),
        (["run", "-e", "local", "--configs", "."], "Its configuration is in 'configs'; use that folder."),
        (["show", "orders", "-e", "local"], "has no dataset 'orders'"),
    ],
)
def test_usage_and_configuration_errors_exit_2_in_a_few_lines(sourceswap: Run, words: list[str], expected: str) -> None:
    assert expected in error_lines(sourceswap(*words), 2)


def test_missing_local_file_exits_1_naming_it(sourceswap: Run) -> None:
    message = sourceswap("run", "-e", "local", "--params", "marketing_spend_data_path=nowhere.csv").stderr
    assert "nowhere.csv" in message
    assert "Traceback" not in message


def test_function_that_fails_is_named_with_its_file_and_debug_shows_the_traceback(
    sourceswap: Run, project: Path
) -> None:
    with (project / "examples/marketing_spend/features.py").open("a") as file:
        file.write("\n\ndef broken(spend: pd.Series) -> float:\n    return {}['no such key']\n")
    result = sourceswap("run", "-e", "local", "-s", "broken")
    assert result.returncode == 1
    assert "broken() (features.py:" in result.stderr
    assert "KeyError: 'no such key'" in result.stderr
    assert "Traceback" not in result.stderr
    assert "no such key']" in sourceswap("run", "-e", "local", "-s", "broken", "--debug").stderr


def test_failed_run_leaves_an_existing_output_as_it_was(sourceswap: Run, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("before")
    result = sourceswap("run", "-e", "local", "--params", "marketing_spend_data_path=nowhere.csv", "-o", target)
    assert result.returncode == 1
    assert target.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == ["out.csv"]


@pytest.mark.parametrize("command", [["run", "-s", "spend"], ["graph"]])
def test_an_output_that_the_system_refuses_to_write_exits_1_in_two_lines(sourceswap: Run, command: list[str]) -> None:
    target = "/proc/out.csv" if command[0] == "run" else "/proc/out.dot"
    result = sourceswap(*command, "-e", "local", "-o", target)
    assert result.returncode == 1
    said = result.stderr.partition("Error: ")[2]
    assert said.startswith(f"'{target}' cannot be written: ")
    assert len(said.splitlines()) <= 2


def test_outputs_that_a_format_cannot_hold_exit_1_and_leave_nothing(
    sourceswap: Run, project: Path, tmp_path: Path
) -> None:
    with (project / "examples/marketing_spend/features.py").open("a") as file:
        file.write("\n\ndef mixed(spend: pd.Series) -> pd.Series:\n    return pd.Series([1, 'a'], dtype=object)\n")
    result = sourceswap("run", "-e", "local", "-s", "mixed", "-o", tmp_path / "out.parquet")
    assert result.returncode == 1
    assert "out.parquet' cannot hold these outputs: " in result.stderr
    assert "Traceback" not in result.stderr
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


# --- the same dataflow on a real S3 ---


@pytest.fixture
def buckets(s3_server: S3Server, s3_bucket: str, project: Path) -> str:
    """A bucket with the sample as Parquet, where the environments staging and prod expect it."""
    frame = pd.read_csv(project / SAMPLE, dtype={"signups": "Int64"}, parse_dates=["week"])
    frame["week"] = frame["week"].dt.date
    frame.to_parquet(project / "sample.parquet", index=False)
    s3_server.client().upload_file(str(project / "sample.parquet"), s3_bucket, "marketing_spend.parquet")
    return s3_bucket


def point_at(bucket: str) -> dict[str, str]:
    return {"MARKETING_BUCKET": bucket, "MARKETING_STAGING_BUCKET": bucket}


@pytest.mark.parametrize("env", ["staging", "prod"])
def test_staging_and_prod_give_what_local_gives(sourceswap: Run, buckets: str, env: str) -> None:
    local = sourceswap("run", "--env", "local")
    remote = sourceswap("run", "--env", env, **point_at(buckets))
    assert remote.returncode == 0, remote.stderr
    assert remote.stdout == local.stdout
    report = " ".join(remote.stderr.split())
    assert f"environment {env}, source {env} (loaders.{env})" in report
    assert f"marketing_spend s3://{buckets}/marketing_spend.parquet miss 104 rows" in report
    again = sourceswap("run", "--env", env, **point_at(buckets))
    assert again.stdout == local.stdout
    assert "marketing_spend.parquet  hit" in again.stderr


def test_overwritten_object_is_a_miss(sourceswap: Run, buckets: str, s3_server: S3Server) -> None:
    sourceswap("run", "--env", "prod", **point_at(buckets))
    s3_server.client().delete_object(Bucket=buckets, Key="marketing_spend.parquet")
    result = sourceswap("run", "--env", "prod", **point_at(buckets))
    assert result.returncode == 1
    assert f"s3://{buckets}/marketing_spend.parquet" in result.stderr


def put(server: S3Server, bucket: str, body: bytes) -> None:
    server.client().put_object(Bucket=bucket, Key="marketing_spend.parquet", Body=body)


def as_parquet(frame: pd.DataFrame) -> bytes:
    return frame.to_parquet(index=False)


WEEKS = pd.to_datetime(["2024-01-01", "2024-01-08"]).date

BROKEN_OBJECTS = {
    "empty object": (b"", ["empty"]),
    "not a table": (b"<html>Sorry</html>" * 50, ["Parquet"]),
    "column missing": (
        as_parquet(pd.DataFrame({"week": WEEKS, "spent": [1.0, 2.0], "signups": [1, 2]})),
        ["'spend'", "spent"],
    ),
    "wrong type": (
        as_parquet(pd.DataFrame({"week": WEEKS, "spend": ["1", "many"], "signups": [1, 2]})),
        ["spend: expected float64, found text"],
    ),
    "null in a key": (
        as_parquet(pd.DataFrame({"week": [WEEKS[0], None], "spend": [1.0, 2.0], "signups": [1, 2]})),
        ["week", "null"],
    ),
    "same key twice": (
        as_parquet(pd.DataFrame({"week": [WEEKS[0], WEEKS[0]], "spend": [1.0, 2.0], "signups": [1, 2]})),
        ["week", "2024-01-01"],
    ),
    "value out of range": (
        as_parquet(pd.DataFrame({"week": WEEKS, "spend": [1.0, -2.0], "signups": [1, 2]})),
        ["spend: below the minimum 0", "-2"],
    ),
}


@pytest.mark.parametrize("case", BROKEN_OBJECTS)
def test_broken_object_exits_1_in_a_few_lines_and_writes_nothing(
    sourceswap: Run, s3_server: S3Server, buckets: str, tmp_path: Path, case: str
) -> None:
    body, expected = BROKEN_OBJECTS[case]
    put(s3_server, buckets, body)
    result = sourceswap("run", "--env", "prod", "-o", tmp_path / "out.csv", **point_at(buckets))
    message = error_lines(result, 1)
    assert f"s3://{buckets}/marketing_spend.parquet" in message
    for part in expected:
        assert part.lower() in message.lower()
    assert not (tmp_path / "out.csv").exists()


def test_wrong_credentials_exit_1_and_show_no_secret(sourceswap: Run, buckets: str) -> None:
    wrong = {"AWS_SECRET_ACCESS_KEY": "not-the-secret-at-all"}
    message = error_lines(sourceswap("run", "--env", "prod", **point_at(buckets), **wrong), 1)
    assert "the secret key" in message
    assert "AWS_SECRET_ACCESS_KEY" in message
    assert "not-the-secret-at-all" not in message


def test_no_credentials_exit_1_saying_so(sourceswap: Run, buckets: str) -> None:
    none = {"AWS_SECRET_ACCESS_KEY": "", "AWS_ACCESS_KEY_ID": ""}
    assert "credentials" in error_lines(sourceswap("run", "--env", "prod", **point_at(buckets), **none), 1)


def test_missing_bucket_exits_1_naming_it(sourceswap: Run, buckets: str) -> None:
    message = error_lines(sourceswap("run", "--env", "prod", **point_at("no-such-bucket-here")), 1)
    assert "no-such-bucket-here" in message
    assert "bucket" in message


def test_missing_object_exits_1_naming_it(sourceswap: Run, buckets: str) -> None:
    location = f"marketing_spend_data_path=s3://{buckets}/no/such.parquet"
    message = error_lines(sourceswap("run", "--env", "prod", "--params", location), 1)
    assert f"s3://{buckets}/no/such.parquet" in message


@pytest.mark.parametrize(("env", "location"), [("prod", str(SAMPLE)), ("local", "s3://bucket/key.parquet")])
def test_source_refuses_locations_of_another_kind(sourceswap: Run, env: str, location: str) -> None:
    result = sourceswap("run", "--env", env, "--params", f"marketing_spend_data_path={location}")
    assert location in error_lines(result, 1 if result.returncode == 1 else 2)


def test_endpoint_of_the_environments_file_is_used(
    sourceswap: Run, project: Path, s3_server: S3Server, buckets: str
) -> None:
    text = (project / "configs/prod.yaml").read_text()
    (project / "configs/prod.yaml").write_text(text + f"storage:\n  endpoint_url: {s3_server.endpoint_url}\n")
    unset = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}
    result = sourceswap("run", "--env", "prod", **point_at(buckets), **unset)
    assert result.returncode == 0, result.stderr


def test_format_of_a_dataset_that_is_not_there_is_refused(sourceswap: Run, project: Path) -> None:
    with (project / "configs" / "local.yaml").open("a") as config:
        config.write("formats:\n  marketing_spent: {delimiter: ';'}\n")
    message = error_lines(sourceswap("run", "--env", "local"), 2)
    assert "configs/local.yaml:" in message
    assert "Did you mean 'marketing_spend'?" in message
