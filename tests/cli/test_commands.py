"""The other commands, and what holds for all of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from cli.main import main
from tests.cli.conftest import Run


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    found: list[tuple[tuple[str, ...], click.Command]] = []
    for name, command in group.commands.items():
        found.append(((*path, name), command))
        if isinstance(command, click.Group):
            found += commands(command, (*path, name))
    return found


ALL = commands(main)


@pytest.mark.parametrize("path", [path for path, _ in ALL], ids=" ".join)
def test_every_command_and_option_has_help(path: tuple[str, ...]) -> None:
    command = dict(ALL)[path]
    assert command.get_short_help_str()
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{' '.join(path)} {option.name}"


@pytest.mark.parametrize("path", [path for path, _ in ALL], ids=" ".join)
def test_every_command_is_in_the_readme(path: tuple[str, ...]) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    if path[0] == "cache" and len(path) > 1:
        assert path[1] in readme
    else:
        assert f"sourceswap {' '.join(path)}" in readme


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from cli.main import main\n"
        "for words in (['--help'], ['run', '--help'], ['cache', '--help'], ['--version']):\n"
        "    assert CliRunner().invoke(main, words).exit_code == 0\n"
        "heavy = {'pandas', 'numpy', 'pyarrow', 'hamilton', 'boto3', 'botocore', 's3fs', 'fsspec', 'pydantic'}\n"
        "heavy |= {'awscrt', 'obstore'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_version_is_the_distributions(sourceswap: Run) -> None:
    from importlib.metadata import version

    assert sourceswap("--version").stdout.strip() == f"sourceswap, version {version('sourceswap')}"


def test_envs_lists_source_and_description(sourceswap: Run) -> None:
    lines = sourceswap("envs").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["environment", "local", "prod", "staging"]
    assert "the production bucket" in lines[2]


def test_envs_shows_an_environment_that_cannot_be_resolved(sourceswap: Run, project: Path) -> None:
    (project / "configs/qa.yaml").write_text("data_source: prod\ninputs: {path: '${NO_SUCH_VARIABLE}'}\n")
    assert "NO_SUCH_VARIABLE" in sourceswap("envs").stdout


def test_a_file_that_is_no_yaml_is_listed_and_keeps_no_other_environment_from_working(
    sourceswap: Run, project: Path
) -> None:
    (project / "configs/qa.yaml").write_text("data_source: [local\n")
    listed = sourceswap("envs")
    assert listed.returncode == 0, listed.stderr
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["environment", "local", "prod", "qa", "staging"]
    assert "cannot be resolved: configs/qa.yaml:2: is not valid YAML" in listed.stdout
    assert sourceswap("ls", "--env", "local").returncode == 0
    assert sourceswap("ls", "--env", "qa").returncode == 2


def test_config_show_tells_where_each_value_comes_from(sourceswap: Run) -> None:
    shown = [line.split() for line in sourceswap("config", "show", "--env", "prod").stdout.splitlines()]
    assert ["data_source", "prod", "configs/prod.yaml:3"] in shown
    assert ["modules", "examples.marketing_spend.features", "configs/base.yaml:2"] in shown
    location = ["inputs.marketing_spend_data_path", "s3://acme-marketing/marketing_spend.parquet"]
    assert [*location, "configs/prod.yaml:5"] in shown


def test_config_show_marks_what_was_overridden(sourceswap: Run) -> None:
    shown = sourceswap("config", "show", "-e", "local", "--params", "marketing_spend_data_path=x.csv").stdout
    assert "x.csv" in shown
    assert "--params" in shown


def test_config_show_hides_secrets(sourceswap: Run, project: Path) -> None:
    (project / "configs/qa.yaml").write_text(
        "data_source: prod\ninputs:\n  api_token: hush-hush\n  url: https://me:hush-hush@host/x?sig=hush-hush\n"
    )
    shown = sourceswap("config", "show", "-e", "qa")
    assert shown.returncode == 0
    assert "hush-hush" not in shown.stdout
    assert "https://***@host/x?***" in shown.stdout


def test_ls_lists_datasets_with_key_and_location(sourceswap: Run) -> None:
    header, line = sourceswap("ls", "--env", "prod").stdout.splitlines()
    assert header.split() == ["dataset", "columns", "key", "location", "description"]
    assert line.split()[:4] == ["marketing_spend", "3", "week", "s3://acme-marketing/marketing_spend.parquet"]


def test_show_prints_contract_and_first_rows(sourceswap: Run) -> None:
    shown = sourceswap("show", "marketing_spend", "--env", "local", "--rows", "2").stdout
    assert "Marketing spend and signups; one row per week." in shown
    assert "date32[day]" in shown
    assert "104 rows; the first 2" in shown
    assert "778.04" in shown
    assert "957.04" not in shown


def test_cache_commands_list_and_clear_what_runs_have_stored(sourceswap: Run) -> None:
    sourceswap("run", "--env", "local")
    assert "loaders.local.marketing_spend" in sourceswap("cache", "ls").stdout
    cleared = sourceswap("cache", "clear", "--funcs", "marketing_spend")
    assert cleared.returncode == 0, cleared.stderr
    assert "loaders.local.marketing_spend" not in sourceswap("cache", "ls").stdout
    assert "miss" in sourceswap("run", "--env", "local").stderr


def test_imported_packages_are_this_distributions() -> None:
    import caching
    import cli
    import loaders

    root = Path(__file__).parents[2]
    places = {Path(module.__file__ or "").parents[1] for module in (caching, cli, loaders)}
    assert len(places) == 1
    assert places == {root} or "site-packages" in str(places.pop())


def test_graph_shows_datasets_columns_and_functions_in_the_direction_of_the_data(sourceswap: Run) -> None:
    dot = sourceswap("graph", "--env", "prod", "-s", "spend_zero_mean").stdout
    assert dot.startswith("digraph dataflow {")
    for edge in ('"marketing_spend" -> "spend"', '"spend" -> "spend_mean"', '"spend_mean" -> "spend_zero_mean"'):
        assert edge in dot
    assert "s3://acme-marketing/marketing_spend.parquet" in dot
    assert "signups" not in dot


def test_graph_is_written_as_dot_and_a_picture_needs_graphviz(sourceswap: Run, tmp_path: Path) -> None:
    assert sourceswap("graph", "--env", "local", "-o", tmp_path / "flow.dot").returncode == 0
    assert (tmp_path / "flow.dot").read_text().endswith("}\n")
    result = sourceswap("graph", "--env", "local", "-o", tmp_path / "flow.svg", PATH="")
    assert result.returncode == 2
    assert "needs Graphviz's program `dot`" in result.stderr
    assert not (tmp_path / "flow.svg").exists()


@pytest.mark.parametrize("command", [("show", "things", "--env", "broken"), ("diff", "broken", "broken", "things")])
@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("raise RuntimeError('it is down')", "failed with RuntimeError: it is down"),
        ("return 3", "returned int for 'things', not a DataFrame"),
        ("return pd.DataFrame({'a': [1]})", "returned a frame without the contract's b"),
    ],
)
def test_a_loader_that_fails_is_told_in_a_few_lines_by_every_command(
    sourceswap: Run, project: Path, command: tuple[str, ...], body: str, told: str
) -> None:
    (project / "broken.py").write_text(
        "import pandas as pd\nimport pyarrow as pa\nfrom loaders import DatasetContract\n"
        "THINGS = DatasetContract('things', pa.schema([('a', pa.int64()), ('b', pa.int64())]))\n"
        f"def things() -> pd.DataFrame:\n    {body}\n"
    )
    (project / "configs/broken.yaml").write_text("data_source: broken\nsources:\n  broken: broken\n")
    result = sourceswap(*command)
    assert result.returncode == 1
    assert told in result.stderr
    assert "Traceback" not in result.stderr


def test_an_environment_whose_file_is_none_is_told_and_listed(sourceswap: Run, project: Path) -> None:
    (project / "configs/qa.yaml").symlink_to("nowhere.yaml")
    result = sourceswap("run", "--env", "qa")
    assert result.returncode == 2
    assert "'configs/qa.yaml' is a folder or a broken link" in result.stderr
    assert "qa" in sourceswap("envs").stdout
    assert sourceswap("run", "--env", "local", "-s", "spend").returncode == 0
