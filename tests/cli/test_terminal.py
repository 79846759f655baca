"""Tables and colour: on a terminal within its width, elsewhere plain lines; values are printed literally."""

from __future__ import annotations

import re

import pytest

from cli import terminal
from cli.terminal import echo_table, echo_text
from tests.cli.conftest import Run

HEADER = ("name", "description")
ROWS = [("orders", "[red]all[/] [/] :smile:"), ("customers", "one row per customer, " * 8)]


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "is_terminal", lambda *, err=False: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "60"}.items():
        monkeypatch.setenv(name, value)


def test_elsewhere_a_row_is_one_plain_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    echo_table(HEADER, ROWS)
    echo_text("Error: no.")
    assert capsys.readouterr().out.splitlines() == [
        "name       description",
        f"orders     {ROWS[0][1]}",
        f"customers  {ROWS[1][1].rstrip()}",
        "Error: no.",
    ]


def test_a_table_stays_within_the_terminal_and_loses_nothing(
    on_terminal: None, capsys: pytest.CaptureFixture[str]
) -> None:
    echo_table(HEADER, ROWS)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert max(map(len, lines)) <= 60
    assert ROWS[0][1] in lines[1]
    assert " ".join(" ".join(lines[2:]).split()) == f"customers {ROWS[1][1]}".strip()


def test_a_terminal_too_narrow_for_the_columns_gets_plain_lines(
    on_terminal: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    echo_table(HEADER, ROWS)
    assert capsys.readouterr().out.count("\n") == 3


def test_severity_is_coloured_and_not_under_no_color(
    on_terminal: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "error: [/] here\n  found: a warning: none\nwarning: there"
    echo_text(text)
    assert (
        capsys.readouterr().out
        == text.replace("error:", "\x1b[31merror:\x1b[0m").replace("\nwarning:", "\n\x1b[33mwarning:\x1b[0m") + "\n"
    )
    monkeypatch.setenv("NO_COLOR", "1")
    echo_text(text)
    assert capsys.readouterr().out == f"{text}\n"


def test_results_in_a_pipe_are_not_wrapped(sourceswap: Run) -> None:
    result = sourceswap("run", "-e", "local", COLUMNS="40", FORCE_COLOR="1")
    header = result.stdout.splitlines()[0]
    assert header.split()[0] == "week"
    assert header.split()[-1] == "spend_zero_mean_unit_variance"
    assert "\x1b" not in result.stdout + result.stderr
