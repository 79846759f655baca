"""Commands never destroy what they read, and never end as if nothing had happened."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Run

DATA = Path("examples/marketing_spend/marketing_spend.csv")


def _exactly(project: Path) -> Path:
    return project / DATA


def _relative(project: Path) -> Path:
    return Path("configs/..") / DATA


def _symlink(project: Path) -> Path:
    (project / "out.csv").symlink_to(project / DATA)
    return Path("out.csv")


def _link_of_a_folder(project: Path) -> Path:
    (project / "link").symlink_to(project / DATA.parent)
    return Path("link") / DATA.name


def _hard_link(project: Path) -> Path:
    os.link(project / DATA, project / "out.csv")
    return Path("out.csv")


WAYS = [_exactly, _relative, _symlink, _link_of_a_folder, _hard_link]


def _parts(project: Path) -> Path:
    """Put the data into a folder of parts, beside which everything else stays."""
    folder = project / "parts" / "year=2024"
    folder.mkdir(parents=True)
    shutil.copy(project / DATA, folder / "1.csv")
    return folder


@pytest.mark.parametrize("way", WAYS)
def test_an_output_that_is_the_input_is_refused_before_anything_runs(
    project: Path, sourceswap: Run, way: Callable[[Path], Path]
) -> None:
    output, before = way(project), (project / DATA).read_bytes()
    done = sourceswap("run", "--env", "local", "-o", output)
    assert done.returncode == 2, done.stderr
    assert "is read by this run: the input 'marketing_spend_data_path'" in done.stderr
    assert (project / DATA).read_bytes() == before
    assert len(done.stderr.splitlines()) <= 3


@pytest.mark.parametrize(
    ("location", "output", "refused"),
    [
        ("parts", "parts/year=2024/1.csv", True),
        ("parts", "parts/new.csv", True),
        ("parts/year=2024/*.csv", "parts/year=2024/1.csv", True),
        ("parts/year=2024/*.csv", "parts/year=2024/2.csv", True),
        ("parts/**/*.csv", "parts/year=2024/2.csv", True),
        ("parts/year=2024/*.csv", "parts/year=2024/2.jsonl", False),
        ("parts/year=2024/*.csv", "parts/2.csv", False),
        ("parts/year=2024/1.csv", "parts/year=2024/2.csv", False),
    ],
)
def test_an_output_among_the_parts_is_refused_and_one_beside_them_is_not(
    project: Path, sourceswap: Run, location: str, output: str, refused: bool
) -> None:
    part = _parts(project) / "1.csv"
    before = part.read_bytes()
    done = sourceswap("run", "--env", "local", "--params", f"marketing_spend_data_path={location}", "-o", output)
    assert (done.returncode, part.read_bytes()) == (2 if refused else 0, before), done.stderr


@pytest.mark.parametrize(
    ("command", "ending"),
    [(("graph", "--env", "local"), ".dot"), (("diff", "local", "local", "marketing_spend"), ".html")],
)
def test_reports_and_pictures_do_not_replace_data(
    project: Path, sourceswap: Run, command: tuple[str, ...], ending: str
) -> None:
    link = project / f"picture{ending}"
    link.symlink_to(project / DATA)
    before = (project / DATA).read_bytes()
    done = sourceswap(*command, "-o", link)
    assert done.returncode == 2, done.stderr
    assert "Name another file" in done.stderr
    assert (project / DATA).read_bytes() == before


def _append(file: Path, text: str) -> None:
    file.write_text(file.read_text(encoding="utf-8") + text, encoding="utf-8")


def _flow(project: Path) -> Path:
    """Give the project a dataflow of its own, beside the sample's, and return its file."""
    (project / "own_flow.py").write_text("import sys\nimport pandas as pd\n\n", encoding="utf-8")
    _append(project / "configs" / "local.yaml", "\nmodules: [own_flow]\noutputs: [answer]\n")
    return project / "own_flow.py"


@pytest.mark.parametrize("code", ["sys.exit()", "sys.exit(0)", "raise SystemExit", "sys.exit('done')", "quit()"])
@pytest.mark.parametrize("command", ["run", "check"])
def test_a_module_that_exits_on_import_is_an_error(project: Path, sourceswap: Run, command: str, code: str) -> None:
    _append(_flow(project), f"def answer(spend: pd.Series) -> float:\n    return 1.0\n\n{code}\n")
    done = sourceswap(command, "--env", "local")
    assert done.returncode in (1, 2), (done.stdout, done.stderr)
    assert "sys.exit" in done.stdout + done.stderr
    assert "own_flow" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("code", ["sys.exit()", "sys.exit(0)", "raise SystemExit(3)"])
def test_a_node_that_exits_fails_the_run_and_is_named(project: Path, sourceswap: Run, code: str) -> None:
    _append(_flow(project), f"def answer(spend: pd.Series) -> float:\n    {code}\n    return 1.0\n")
    done = sourceswap("run", "--env", "local")
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert "own_flow.answer()" in done.stderr
    assert "sys.exit(" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [("show", "marketing_spend"), ("sample", "--to", "second", "--force"), ("run",)],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize("code", ["sys.exit(0)", "sys.exit()"])
def test_a_loader_that_exits_fails_every_command_and_is_named(
    project: Path, sourceswap: Run, words: tuple[str, ...], code: str
) -> None:
    _exiting_loaders(project, code)
    _environment(project, "second", "data/second.csv")
    _append(project / "configs" / "local.yaml", "\nsources: {local: own_loaders}\n")
    done = sourceswap(*words, "--env", "local")
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert "own_loaders.marketing_spend() called sys.exit(" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_difference_of_a_loader_that_exits_is_an_error(project: Path, sourceswap: Run) -> None:
    _exiting_loaders(project, "raise SystemExit")
    _environment(project, "second", str(DATA), extra="sources: {local: own_loaders}\n")
    done = sourceswap("diff", "second", "local", "marketing_spend")
    assert (done.returncode, done.stdout) == (1, "")
    assert "own_loaders.marketing_spend() called sys.exit(" in done.stderr


def _exiting_loaders(project: Path, code: str) -> None:
    (project / "own_loaders.py").write_text(
        "import sys\nimport pandas as pd\nfrom hamilton.function_modifiers import extract_columns\n"
        "from loaders.contracts import MARKETING_SPEND\n\n@extract_columns(*MARKETING_SPEND.columns)\n"
        "def marketing_spend(marketing_spend_data_path: str) -> pd.DataFrame:\n"
        f'    """Weekly marketing spend; one row per week."""\n    {code}\n',
        encoding="utf-8",
    )


def _environment(project: Path, name: str, location: str, *, extra: str = "") -> None:
    (project / "configs" / f"{name}.yaml").write_text(
        f"extends: base\ndata_source: local\ninputs:\n  marketing_spend_data_path: {location}\n{extra}",
        encoding="utf-8",
    )


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (str(DATA), str(DATA)),
        (str(DATA), f"configs/../{DATA}"),
        (str(DATA), "link.csv"),
        ("parts", "parts/year=2024/1.csv"),
        ("parts/year=2024/1.csv", "parts/year=2024"),
        ("parts", "parts/new.csv"),
        ("parts/**/*.csv", "parts/year=2024/2.csv"),
    ],
)
def test_a_sample_never_replaces_what_its_source_reads(
    project: Path, sourceswap: Run, source: str, target: str
) -> None:
    _parts(project)
    (project / "link.csv").symlink_to(project / DATA)
    _environment(project, "source", source)
    _environment(project, "target", target)
    before = {path: path.read_bytes() for path in project.rglob("*.csv")}
    done = sourceswap("sample", "--env", "source", "--to", "target", "--rows", "1", "--force")
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "is read by environment 'source' itself" in done.stderr
    assert {path: path.read_bytes() for path in project.rglob("*.csv")} == before


CIRCLES = {
    "two": "def answer(b: int) -> int:\n    return b\n\ndef b(answer: int) -> int:\n    return answer\n",
    "itself": "def answer(answer: int) -> int:\n    return answer\n",
    "three": "def answer(b: int) -> int:\n    return b\n\ndef b(c: int) -> int:\n    return c\n\n"
    "def c(b: int) -> int:\n    return b\n",
}


@pytest.mark.parametrize("name", CIRCLES)
@pytest.mark.parametrize("command", [("run",), ("run", "--dry-run"), ("check",)])
def test_a_circle_of_nodes_is_told_with_its_names(
    project: Path, sourceswap: Run, name: str, command: tuple[str, ...]
) -> None:
    _append(_flow(project), CIRCLES[name])
    done = sourceswap(*command, "--env", "local")
    assert done.returncode in (1, 2), (done.stdout, done.stderr)
    assert {"two": "answer → b → answer", "itself": "answer → answer", "three": "b → c → b"}[name] in (
        done.stdout + done.stderr
    )
    assert "Traceback" not in done.stderr


_BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
HOSTILE = {
    "a date that does not exist": "inputs: {day: 2024-02-30}",
    "a time that does not exist": "inputs: {at: 2024-01-01 25:61:61}",
    "a huge integer": f"inputs: {{number: {'9' * 6000}}}",
    "a list that holds itself": "inputs: {loop: &loop [*loop]}",
    "a mapping that holds itself": "inputs: &loop {again: *loop}",
    "a bomb of aliases": _BOMB,
    "a merge of itself": "inputs: &loop\n  <<: *loop\n  a: 1",
    "a bomb of aliases in a key": "? ["
    + ", ".join(
        ["&k1 [x, x, x, x, x, x, x, x, x]"] + [f"&k{n} [{', '.join([f'*k{n - 1}'] * 9)}]" for n in range(2, 12)]
    )
    + "]\n: 1",
    "300,000 keys": "\n".join(f"k{n}: 1" for n in range(300_000)),
    "900 levels": "inputs: " + "[" * 900 + "]" * 900,
    "90,000 levels": "inputs: " + "{a: " * 90_000 + "1" + "}" * 90_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_yaml_is_an_error_of_two_lines_that_concerns_only_its_environment(
    project: Path, sourceswap: Run, name: str
) -> None:
    (project / "configs" / "hostile.yaml").write_text(
        f"extends: base\ndata_source: local\n{HOSTILE[name]}\n", encoding="utf-8"
    )
    done = sourceswap("run", "--env", "hostile")
    assert done.returncode == 2, (done.stdout[-500:], done.stderr[-500:])
    assert len(done.stderr.splitlines()) <= 2
    assert len(done.stderr) < 1000
    assert "hostile" in done.stderr
    assert sourceswap("run", "--env", "local", "--dry-run").returncode == 0
    listed = sourceswap("envs")
    assert listed.returncode == 0, listed.stderr
    assert "local" in listed.stdout


def test_a_loop_of_links_among_the_files_is_an_error(project: Path, sourceswap: Run) -> None:
    (project / "configs" / "one.yaml").symlink_to("two.yaml")
    (project / "configs" / "two.yaml").symlink_to("one.yaml")
    done = sourceswap("run", "--env", "one")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) <= 2
    assert sourceswap("envs").returncode == 0


def test_a_value_of_100_kilobytes_is_shortened_in_messages(project: Path, sourceswap: Run) -> None:
    _append(project / "configs" / "local.yaml", f"\nonly_needed_columns: {'x' * 100_000}\n")
    done = sourceswap("run", "--env", "local")
    assert done.returncode == 2
    assert len(done.stderr) < 2000


@pytest.mark.parametrize("words", [("run", "--env", "local"), ("envs",), ("check",)])
def test_a_removed_working_directory_is_an_error_of_a_line(
    tmp_path: Path, sourceswap: Run, words: tuple[str, ...]
) -> None:
    import subprocess
    import sys

    script = "import os, sys, subprocess\nos.mkdir('gone')\nos.chdir('gone')\nos.rmdir('../gone')\n"
    script += f"sys.exit(subprocess.call([{str(Path(sys.executable).with_name('sourceswap'))!r}, *{words!r}]))"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 2


@pytest.mark.parametrize(
    ("closing", "code", "shown"),
    [("2>&-", 0, "week"), (">&-", 1, "standard output is closed")],
    ids=["error", "output"],
)
def test_a_closed_standard_error_is_nothing_and_a_closed_output_an_error(
    project: Path, tmp_path: Path, closing: str, code: int, shown: str
) -> None:
    import subprocess
    import sys

    command = f"{Path(sys.executable).with_name('sourceswap')} run --env local -s week {closing}"
    environment = os.environ | {"SOURCESWAP_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        ["bash", "-c", command], cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert shown in done.stdout + done.stderr


_LONG = "x" * 100_000


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--env", _LONG),
        ("run", "--env", "local", "-s", _LONG),
        ("run", "--env", "local", "--params", f"{_LONG}=1"),
        ("run", "--env", "local", "--params", _LONG),
        ("run", "--env", "local", "--params", f"marketing_spend_data_path={_LONG}"),
        ("run", "--env", "local", "--dry-run", "--params", f"marketing_spend_data_path={_LONG}"),
        ("show", _LONG, "--env", "local"),
        ("diff", _LONG, "local", "prod"),
        ("check", "--env", _LONG),
    ],
    ids=lambda words: " ".join(word[:30] for word in words),
)
def test_a_value_of_a_hundred_kilobytes_is_cut_in_messages(
    project: Path, sourceswap: Run, words: tuple[str, ...]
) -> None:
    done = sourceswap(*words)
    assert done.returncode != 0
    assert len(done.stdout + done.stderr) < 3_000


def test_cache_commands_work_on_the_folder_of_the_environment(project: Path, sourceswap: Run, tmp_path: Path) -> None:
    _append(project / "configs" / "local.yaml", f"\ncache:\n  directory: {tmp_path / 'own'}\n")
    assert sourceswap("run", "--env", "local", "-s", "week").returncode == 0
    own = sourceswap("cache", "--env", "local", "ls")
    assert own.returncode == 0
    assert "marketing_spend" in own.stdout
    assert "marketing_spend" not in sourceswap("cache", "--cache-dir", str(tmp_path / "other"), "ls").stdout
    unknown = sourceswap("cache", "--env", "nosuch", "ls")
    assert unknown.returncode == 2
    assert "nosuch" in unknown.stderr
