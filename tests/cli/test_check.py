"""`sourceswap check` and `sourceswap diff`, as the installed command."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.cli.conftest import Run

SAMPLE = Path("examples/marketing_spend/marketing_spend.csv")


@pytest.fixture
def other(project: Path) -> Path:
    """Another environment of the sample project, whose file differs in a value, a row and a null."""
    text = (project / "configs/local.yaml").read_text()
    (project / "configs/other.yaml").write_text(text.replace(SAMPLE.name, "other.csv"))
    lines = (project / SAMPLE).read_text().splitlines()
    week, _, signups = lines[1].split(",")
    lines[1] = f"{week},,{signups}"
    week, spend, _ = lines[2].split(",")
    lines[2] = f"{week},{spend},7"
    del lines[3]
    target = project / SAMPLE.with_name("other.csv")
    target.write_text("\n".join([*lines, "2031-01-06,1.5,2"]) + "\n")
    return target


def test_sample_project_is_interchangeable_and_needs_no_credentials(sourceswap: Run) -> None:
    result = sourceswap("check")
    assert result.returncode == 0, result.stdout
    assert "interchangeable" in result.stdout


def test_finding_exits_1_naming_file_and_line(sourceswap: Run, project: Path) -> None:
    config = project / "configs/prod.yaml"
    config.write_text(config.read_text().replace("_data_path", "_path"))
    result = sourceswap("check")
    assert result.returncode == 1
    assert "configs/prod.yaml:5" in result.stdout
    assert "marketing_spend" in result.stdout
    assert sourceswap("check", "--env", "local", "--env", "staging").returncode == 0
    annotations = sourceswap("check", "--format", "github").stdout
    assert annotations.startswith("::error file=configs/prod.yaml,line=5,")
    data = json.loads(sourceswap("check", "--format", "json").stdout)
    assert data["errors"] == len([found for found in data["findings"] if found["severity"] == "error"])


def test_strict_exits_1_on_a_warning_unless_it_is_ignored(sourceswap: Run, other: Path) -> None:
    config = other.parents[2] / "configs/other.yaml"
    config.write_text(config.read_text().replace("other.csv", SAMPLE.name))
    result = sourceswap("check")
    assert (result.returncode, "0 errors, 1 warning" in result.stdout) == (0, True), result.stdout
    strict = sourceswap("check", "--strict")
    assert (strict.returncode, strict.stdout) == (1, result.stdout)
    assert sourceswap("check", "--strict", "--ignore", "location-shared").returncode == 0
    assert sourceswap("check", "--strict", "--env", "prod").returncode == 0


def test_live_probe_shows_what_it_fetched(sourceswap: Run) -> None:
    result = sourceswap("check", "--live", "--env", "local")
    assert result.returncode == 0, result.stdout
    assert f"{SAMPLE}  csv     104" in result.stdout
    assert "fetched in all" in result.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["check", "--env", "prd"], "Did you mean 'prod'?"),
        (["check", "--all-parts"], "needs --live"),
        (["diff", "local", "prd", "marketing_spend"], "Did you mean 'prod'?"),
        (["diff", "local", "local", "marketing"], "Did you mean 'marketing_spend'?"),
        (["diff", "local", "local", "marketing_spend", "-o", "x.pdf"], "must end in .html"),
    ],
)
def test_usage_errors_exit_2(sourceswap: Run, words: list[str], expected: str) -> None:
    result = sourceswap(*words)
    assert result.returncode == 2, result.stdout
    assert expected in result.stderr


def test_diff_of_the_same_data_exits_0(sourceswap: Run) -> None:
    result = sourceswap("diff", "local", "local", "marketing_spend")
    assert result.returncode == 0, result.stdout
    assert "the data is the same" in result.stdout


def test_diff_says_rows_keys_and_changed_values(sourceswap: Run, other: Path) -> None:
    result = sourceswap("diff", "local", "other", "marketing_spend")
    assert result.returncode == 1, result.stderr
    assert "keys only in local: 1: 2024-01-15" in result.stdout
    assert "keys only in other: 1: 2031-01-06" in result.stdout
    assert "2024-01-01: 778.04 → null" in result.stdout
    assert "→ 7" in result.stdout


def test_diff_as_json_and_as_a_page_with_plots(sourceswap: Run, other: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    result = sourceswap("diff", "local", "other", "marketing_spend", "--format", "json", "-o", page)
    assert result.returncode == 1
    data = json.loads(result.stdout)
    assert (data["rows"], data["only"], data["common"]) == ([104, 104], [1, 1], 103)
    spend = next(column for column in data["columns"] if column["name"] == "spend")
    assert spend["changed"] == 1
    assert spend["right"]["nulls"] == spend["left"]["nulls"] + 1
    text = page.read_text()
    assert "<script" not in text
    assert "http" not in text.replace("http-equiv", "")
    plots = [part.partition("</svg>")[0] + "</svg>" for part in text.split("<svg")[1:]]
    assert len(plots) == 3
    for plot in plots:
        ET.fromstring(f"<svg{plot}")
