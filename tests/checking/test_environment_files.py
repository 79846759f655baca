"""Which files of a configuration folder are environments."""

from __future__ import annotations

from pathlib import Path

import pytest

from loaders import ConfigError, load_config
from loaders.config.environment import environments
from loaders.config.environment_files import environment_files
from tests.checking.conftest import Edited
from tests.checking.projects import PROJECTS

SHOP = PROJECTS["shop"]


@pytest.mark.parametrize("name", [".#qa.yaml", "._base.yml", ".old.yaml", ".yaml"])
@pytest.mark.parametrize("text", ["data_source: [", "\x00\x05\x16\x07", "data_source: prod\n"])
def test_hidden_file_is_no_environment(edited: Edited, tmp_path: Path, name: str, text: str) -> None:
    report = edited({f"configs/{name}": text})
    assert not report.findings, report
    assert environments(tmp_path / "configs") == ["local", "prod", "qa"]
    with pytest.raises(ConfigError, match="does not exist"):
        load_config(name.rpartition(".")[0], tmp_path / "configs")


def test_lock_link_of_an_editor_is_no_environment(edited: Edited, tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/.#prod.yaml").symlink_to("me@host.4711:1700000000")
    assert not edited({}).findings


@pytest.mark.parametrize("env", ["qa", "local"])
def test_two_files_of_one_environment_are_an_error_of_it(edited: Edited, tmp_path: Path, env: str) -> None:
    report = edited({f"configs/{env}.yml": SHOP.files[f"configs/{env}.yaml"]})
    assert [(found.rule, found.file, found.environment) for found in report.errors] == [
        ("config", f"configs/{env}.yml", env)
    ]
    assert f"'{env}.yaml' and '{env}.yml'" in str(report)
    with pytest.raises(ConfigError, match="Keep one of them"):
        load_config(env, tmp_path / "configs")
    assert load_config("prod", tmp_path / "configs").data_source == "prod"


def test_two_files_of_a_base_are_an_error_of_all_that_extend_it(edited: Edited) -> None:
    report = edited({"configs/base.yml": SHOP.files["configs/base.yaml"]})
    assert {found.file for found in report.errors} == {"configs/base.yml"}
    assert {env for found in report.errors for env in found.environment.split(", ")} == {"local", "prod", "qa"}


def test_files_of_other_kinds_are_not_listed(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yml", "a.yaml~", "c.yaml.bak", "#d.yaml#", "e.json", ".f.yaml"):
        (tmp_path / name).touch()
    assert [path.name for path in environment_files(tmp_path)] == ["a.yaml", "b.yml"]
    assert environment_files(tmp_path / "nowhere") == []
