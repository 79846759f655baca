"""On a terminal: the progress of reads, the end by an interrupt, and the report of a failure while others read."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.progress import _Line
from loaders.clients.local import LocalFile
from loaders.clients.location import parse_location
from loaders.clients.progress import ReadProgress, Tracker, watch_reads
from loaders.sandbox.s3_server import S3Server
from tests.cli.conftest import COMMAND, Run
from tests.fault_proxy import FaultProxy

SAMPLE = Path("examples/marketing_spend/marketing_spend.csv")
# What is not ended takes this long, and a test that waits for it fails.
MINUTE = 60


class Terminal:
    """A command on a terminal of its own, and all that it paints there."""

    def __init__(self, words: list[str], cwd: Path, environment: dict[str, str]) -> None:
        self._terminal, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [str(COMMAND), *words], cwd=cwd, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        self.text = ""

    def until(self, pattern: str) -> None:
        deadline = time.monotonic() + 30
        while not re.search(pattern, self.text):
            assert self._more(deadline - time.monotonic()), self.text

    def end(self) -> int:
        """Return the exit code; what runs on although it should end is killed."""
        deadline = time.monotonic() + 20
        while self._more(deadline - time.monotonic()):
            pass
        os.close(self._terminal)
        self.process.kill()
        return self.process.wait()

    def _more(self, seconds: float) -> bool:
        if not select.select([self._terminal], [], [], max(0, seconds))[0]:
            return False
        try:
            piece = os.read(self._terminal, 65536)
        except OSError:  # Linux: the command has closed its side
            return False
        self.text += piece.decode()
        return bool(piece)


@pytest.fixture(autouse=True)
def color_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "200"}.items():
        monkeypatch.setenv(name, value)


def last_drawn(capsys: pytest.CaptureFixture[str]) -> str:
    """The text beside the bar, as it was drawn last."""
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().err.rpartition("\x1b[2K")[2]).lstrip("━╸╺ ")


@pytest.fixture
def slow(s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """The S3 of the test, at a rate at which the sample takes a minute."""
    with FaultProxy(s3_server) as proxy:
        for name, value in proxy.environment().items():
            monkeypatch.setenv(name, value)
        yield proxy


@pytest.fixture
def on_terminal(project: Path, slow: FaultProxy, s3_server: S3Server, s3_bucket: str, tmp_path: Path) -> type[Terminal]:
    data = (project / SAMPLE).read_bytes()
    s3_server.client().put_object(Bucket=s3_bucket, Key="marketing_spend.csv", Body=data)
    slow.bytes_per_second = len(data) / MINUTE
    location = f"marketing_spend_data_path=s3://{s3_bucket}/marketing_spend.csv"

    class Here(Terminal):
        def __init__(self, *words: str) -> None:
            environment = {name: value for name, value in os.environ.items() if name != "SOURCESWAP_ENV"}
            environment |= {"SOURCESWAP_CACHE_DIR": str(tmp_path / "cache"), "COLUMNS": "200"}
            super().__init__([*words, "--params", location, "-e", "prod"], project, environment)

    return Here


@pytest.mark.parametrize(
    "words", [("run", "--no-cache"), ("show", "marketing_spend"), ("sample", "--to", "local", "--force")], ids=" ".join
)
def test_an_interrupt_ends_the_process_and_leaves_the_line_empty(
    on_terminal: type[Terminal], slow: FaultProxy, project: Path, words: tuple[str, ...]
) -> None:
    before = (project / SAMPLE).read_bytes()
    terminal = on_terminal(*words)
    terminal.until(r"marketing_spend \d+% .*/s")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    # The cursor is shown again, and the line is erased.
    assert terminal.text.endswith("\x1b[?25h\r\x1b[1A\x1b[2K\r\nAborted!\r\n")
    assert "Traceback" not in terminal.text
    assert slow.bytes_sent() < len(before)
    assert (project / SAMPLE).read_bytes() == before


def test_an_interrupt_ends_a_function_that_runs_on(
    on_terminal: type[Terminal], slow: FaultProxy, project: Path
) -> None:
    slow.bytes_per_second = None
    with (project / "examples/marketing_spend/features.py").open("a") as file:
        file.write("\n\ndef endless(spend: pd.Series) -> float:\n    import time\n    print('begun', flush=True)\n")
        file.write("    time.sleep(60)\n    return 1.0\n")
    terminal = on_terminal("run", "--no-cache", "-s", "endless")
    terminal.until("begun")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130


def test_a_dataset_that_fails_is_reported_while_another_is_read_and_ends_the_run(
    on_terminal: type[Terminal], project: Path
) -> None:
    (project / "two.py").write_text(
        "import pandas as pd\n"
        "from hamilton.function_modifiers import extract_columns\n"
        "from loaders import read_table\n"
        "from loaders.contracts import MARKETING_SPEND\n"
        "@extract_columns(*MARKETING_SPEND.columns)\n"
        "def marketing_spend(marketing_spend_data_path: str) -> pd.DataFrame:\n"
        "    return read_table(marketing_spend_data_path, MARKETING_SPEND)\n"
        "@extract_columns('clicks')\n"
        "def other() -> pd.DataFrame:\n"
        "    open('wait').read()\n"
        "    return read_table('nowhere.csv', MARKETING_SPEND)\n"
    )
    config = project / "configs" / "prod.yaml"
    config.write_text(config.read_text() + "sources: {prod: two}\n")
    os.mkfifo(project / "wait")
    terminal = on_terminal("run", "--no-cache", "-s", "spend", "-s", "clicks")
    terminal.until(r"marketing_spend \d+% .*/s")
    (project / "wait").write_text("Now.")
    assert terminal.end() == 1
    error = terminal.text[terminal.text.index("Error:") :]
    assert "nowhere.csv" in error
    assert "\x1b[K" not in error
    assert "ancelled" not in terminal.text


def test_nothing_is_painted_but_on_a_terminal(
    sourceswap: Run, s3_server: S3Server, s3_bucket: str, slow: FaultProxy, project: Path
) -> None:
    data = (project / SAMPLE).read_bytes()
    s3_server.client().put_object(Bucket=s3_bucket, Key="marketing_spend.csv", Body=data)
    slow.bytes_per_second = len(data) / 1.5
    location = f"marketing_spend_data_path=s3://{s3_bucket}/marketing_spend.csv"
    result = sourceswap("show", "marketing_spend", "-e", "prod", "--params", location)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""


def test_two_reads_of_one_dataset_are_two_and_names_are_literal(capsys: pytest.CaptureFixture[str]) -> None:
    line = _Line()
    for number, done in ((1, 10), (2, 20)):
        line.update(ReadProgress("[red]orders[/]", "here", done, 100, 2.0, number=number))
    assert last_drawn(capsys) == "[red]orders[/] 10% 10 bytes 5 bytes/s  [red]orders[/] 20% 20 bytes 10 bytes/s"
    line.update(ReadProgress("[red]orders[/]", "here", 100, 100, 3.0, finished=True, number=1))
    assert last_drawn(capsys) == "[red]orders[/] 20% 20 bytes 10 bytes/s"
    line.clear()
    assert capsys.readouterr().err.endswith("\x1b[?25h\r\x1b[1A\x1b[2K")


@pytest.mark.parametrize("columns", [10, 24, 40])
def test_a_narrow_terminal_gets_one_line(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    line = _Line()
    for number in range(5):
        line.update(ReadProgress("orders", "here", 10, 100, 2.0, number=number))
    line.update(ReadProgress("orders", "here", 0, 0, 2.0, number=6))
    assert "\n" not in capsys.readouterr().err
    line.clear()


def test_local_reads_are_counted_and_reported_while_they_are_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loaders.clients.progress._QUIET_SECONDS", 0)
    monkeypatch.setattr("loaders.clients.local._PIECE_BYTES", 7)
    (tmp_path / "orders.csv").write_bytes(bytes(100))
    location = parse_location(tmp_path / "orders.csv")
    seen: list[ReadProgress] = []
    reported = threading.Event()

    def observe(progress: ReadProgress) -> None:
        seen.append(progress)
        if progress.done_bytes == 100:
            reported.set()

    with watch_reads(observe), Tracker("orders", location.shown) as tracker:
        file = LocalFile(location, tracker)
        assert memoryview(file.read()).tobytes() == bytes(100)
        # No byte comes any more, as while it is parsed.
        assert reported.wait(10)
        file.close()
    assert seen[-1].finished
    assert seen[-1].total_bytes == 100
