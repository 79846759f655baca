"""`sourceswap sandbox`: the production path for real, on this machine, with nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import COMMAND, Run


@pytest.mark.parametrize("env", ["staging", "prod"])
def test_command_runs_against_the_sample_data_in_the_environments_bucket(sourceswap: Run, env: str) -> None:
    local = sourceswap("run", "--env", "local")
    result = sourceswap("sandbox", "--", str(COMMAND), "run", "--env", env)
    assert result.returncode == 0, result.stderr
    assert result.stdout == local.stdout
    assert f"source {env} (loaders.{env})" in result.stderr
    assert "104 rows" in result.stderr


def test_exit_code_is_the_commands(sourceswap: Run) -> None:
    assert sourceswap("sandbox", "--", sys.executable, "-c", "raise SystemExit(7)").returncode == 7


def test_command_that_does_not_exist_is_a_usage_error(sourceswap: Run) -> None:
    result = sourceswap("sandbox", "--", "no-such-command-here")
    assert result.returncode == 2
    assert "no-such-command-here" in result.stderr


def test_storage_of_the_environment_gives_way_to_the_sandbox(sourceswap: Run, project: Path) -> None:
    with (project / "configs/prod.yaml").open("a") as file:
        file.write("storage:\n  endpoint_url: https://s3.example.com\n  profile: production\n")
    result = sourceswap("sandbox", "--", str(COMMAND), "run", "--env", "prod", AWS_PROFILE="production")
    assert result.returncode == 0, result.stderr


def test_an_endpoint_elsewhere_is_refused(sourceswap: Run) -> None:
    result = sourceswap("run", "--env", "prod", SOURCESWAP_SANDBOX="https://s3.example.com")
    assert result.returncode == 2
    assert "is not on this machine" in result.stderr


def start_sandbox(project: Path, tmp_path: Path) -> tuple[Path, dict[str, str], subprocess.Popen[str]]:
    """A sandbox without a command, with the folder of its temporary files and its environment."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = {**os.environ, "SOURCESWAP_CACHE_DIR": str(tmp_path / "cache"), "TMPDIR": str(temporary)}
    process = subprocess.Popen(
        [str(COMMAND), "sandbox"],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return temporary, environment, process


def test_without_a_command_it_stays_up_until_ctrl_c_and_leaves_nothing(project: Path, tmp_path: Path) -> None:
    temporary, environment, process = start_sandbox(project, tmp_path)
    assert process.stdout is not None
    assert process.stderr is not None
    exported = {}
    for line in process.stdout:
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").strip().partition("=")
            exported[name] = value.strip("'")
        if "SOURCESWAP_SANDBOX" in exported:
            break
    result = subprocess.run(
        [str(COMMAND), "run", "--env", "prod"],
        cwd=project,
        env={**environment, **exported},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "stopped" in errors
    assert list(temporary.iterdir()) == []


def test_terminated_sandbox_leaves_nothing(project: Path, tmp_path: Path) -> None:
    temporary, _, process = start_sandbox(project, tmp_path)
    assert process.stdout is not None
    process.stdout.readline()
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("location", ["s3://acme/parts", "s3://acme/parts/", "s3://acme", "s3://acme/parts/*"])
def test_folder_of_parts_is_filled_with_one(sourceswap: Run, project: Path, location: str) -> None:
    (project / "configs/prod.yaml").write_text(
        f"extends: base\ndata_source: prod\ninputs:\n  marketing_spend_data_path: {location}\n"
    )
    result = sourceswap("sandbox", "--", str(COMMAND), "run", "--env", "prod")
    assert result.returncode == 0, result.stderr
    assert result.stdout == sourceswap("run", "--env", "local").stdout


def test_dataset_that_cannot_be_written_is_named_with_its_line(sourceswap: Run, project: Path) -> None:
    """A list, which no CSV can hold."""
    contract = 'DatasetContract("visits", pa.schema([("pages", pa.list_(pa.int64()))]))'
    loader = (
        "import pandas as pd\nimport pyarrow as pa\nfrom loaders import DatasetContract, read_table\n"
        f"VISITS = {contract}\n\n\ndef visits(visits_path: str) -> pd.DataFrame:\n"
        "    return read_table(visits_path, VISITS)\n"
    )
    (project / "visits_source.py").write_text(loader)
    (project / "visits.jsonl").write_text('{"pages": [1]}\n')
    for env, location in (("local", "visits.jsonl"), ("prod", "s3://acme/visits.csv")):
        (project / f"configs/{env}.yaml").write_text(
            f"data_source: mine\nsources:\n  mine: visits_source\ninputs:\n  visits_path: {location}\n"
        )
    result = sourceswap("sandbox", "--", sys.executable, "-c", "")
    assert result.returncode == 2
    for said in ("prod.yaml:5", "'prod'", "'visits'", "s3://acme/visits.csv"):
        assert said in result.stderr


TWO_LOCATIONS = """
import pandas as pd
from hamilton.function_modifiers import extract_columns
from loaders import read_table
from loaders.contracts import MARKETING_SPEND


@extract_columns(*MARKETING_SPEND.columns)
def marketing_spend(a_path: str, b_path: str) -> pd.DataFrame:
    return pd.concat([read_table(a_path, MARKETING_SPEND), read_table(b_path, MARKETING_SPEND)])
"""


def test_dataset_of_several_locations_is_said_to_be_left_out(sourceswap: Run, project: Path) -> None:
    (project / "two_source.py").write_text(TWO_LOCATIONS)
    for env, place in (("prod", "s3://acme"), ("other", "data")):
        (project / f"configs/{env}.yaml").write_text(
            "extends: base\ndata_source: two\nsources:\n  two: two_source\n"
            f"inputs:\n  a_path: {place}/a.csv\n  b_path: {place}/b.csv\n"
        )
    said = "'marketing_spend' is left out: it reads several locations (a_path, b_path)"
    result = sourceswap("sandbox", "--", sys.executable, "-c", "")
    assert result.returncode == 0, result.stderr
    assert f"sandbox: prod: {said}" in result.stderr
    sampled = sourceswap("sample", "--env", "local", "--to", "other")
    assert sampled.returncode == 2
    assert f"sample: other: {said}" in sampled.stderr
