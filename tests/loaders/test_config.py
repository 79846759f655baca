"""Environments: layering, expansion, origins, and every mistake that must be told."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loaders import ConfigError, load_config
from loaders.config.environment import _merge, environments


@pytest.fixture
def configs(tmp_path: Path) -> Path:
    folder = tmp_path / "configs"
    folder.mkdir()
    write(folder, "base", "modules: [features]\ninputs:\n  window: 3\n  region: eu\n")
    write(folder, "local", "extends: base\ndata_source: local\ninputs:\n  path: data.csv\n  region: us\n")
    write(folder, "prod", "extends: base\ndata_source: prod\ninputs:\n  path: s3://${BUCKET:-acme}/data.parquet\n")
    return folder


def write(folder: Path, name: str, text: str) -> None:
    (folder / f"{name}.yaml").write_text(text)


def refused(configs: Path, env: str = "local", **params: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(env, configs, params)
    assert len(str(caught.value).splitlines()) <= 4
    return str(caught.value)


def test_environment_file_wins_over_what_it_extends(configs: Path) -> None:
    config = load_config("local", configs)
    assert config.inputs == {"window": 3, "region": "us", "path": "data.csv"}
    assert config.settings.modules == ("features",)


def test_params_win_over_the_environment_file(configs: Path) -> None:
    config = load_config("local", configs, {"region": "asia"})
    assert config.inputs["region"] == "asia"
    assert str(config.origin("inputs", "region")) == "--params"


def test_each_value_has_the_file_and_line_it_was_written_on(configs: Path) -> None:
    config = load_config("local", configs)
    assert str(config.origin("inputs", "window")) == f"{configs / 'base.yaml'}:3"
    assert str(config.origin("inputs", "region")) == f"{configs / 'local.yaml'}:5"
    assert str(config.origin("data_source")) == f"{configs / 'local.yaml'}:2"
    assert str(config.origin("cache", "directory")) == "default"


def test_lists_replace_and_mappings_merge(configs: Path) -> None:
    write(configs, "other", "extends: local\nmodules: [mine]\nstorage: {region: eu-west-1}\n")
    config = load_config("other", configs)
    assert config.settings.modules == ("mine",)
    assert config.settings.storage.region == "eu-west-1"
    assert config.inputs["window"] == 3


def test_root_is_the_folder_that_holds_the_configuration(configs: Path) -> None:
    assert load_config("local", configs).root == configs.parent.resolve()


def test_variable_is_expanded_and_default_used_where_it_is_unset_or_empty(
    configs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_config("prod", configs).inputs["path"] == "s3://acme/data.parquet"
    monkeypatch.setenv("BUCKET", "")
    assert load_config("prod", configs).inputs["path"] == "s3://acme/data.parquet"
    monkeypatch.setenv("BUCKET", "other")
    assert load_config("prod", configs).inputs["path"] == "s3://other/data.parquet"


def test_escaped_variable_stays_literal(configs: Path) -> None:
    write(configs, "local", "data_source: local\ninputs: {path: '$${HOME}'}\n")
    assert load_config("local", configs).inputs["path"] == "${HOME}"


def test_variables_are_expanded_in_every_section(configs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE", "prod")
    monkeypatch.setenv("AREA", "eu-west-1")
    write(configs, "local", "data_source: ${SOURCE}\nmodules: ['${AREA}']\nstorage: {region: '${AREA}'}\n")
    config = load_config("local", configs)
    assert (config.data_source, config.settings.modules, config.settings.storage.region) == (
        "prod",
        ("eu-west-1",),
        "eu-west-1",
    )


def test_unset_variable_is_an_error_naming_file_line_and_key(configs: Path) -> None:
    write(configs, "local", "data_source: local\ninputs:\n  path: ${NO_SUCH_VARIABLE}/x.csv\n")
    message = refused(configs)
    assert f"{configs / 'local.yaml'}:3" in message
    assert "'inputs.path' needs the environment variable NO_SUCH_VARIABLE" in message


def test_unset_variable_of_a_value_that_is_overridden_does_not_matter(configs: Path) -> None:
    write(configs, "base", "inputs: {path: '${NO_SUCH_VARIABLE}'}\n")
    assert load_config("local", configs).inputs["path"] == "data.csv"


def test_malformed_variable_is_an_error(configs: Path) -> None:
    write(configs, "local", "data_source: local\ninputs: {path: 's3://${BUCKET'}\n")
    assert "'inputs.path'" in refused(configs)


def test_unknown_environment_lists_the_environments_and_the_nearest(configs: Path) -> None:
    message = refused(configs, "prd")
    assert "Environment 'prd' does not exist" in message
    assert "'local', 'prod'" in message
    assert "Did you mean 'prod'?" in message


def test_a_file_that_is_only_extended_is_no_environment(configs: Path) -> None:
    assert environments(configs) == ["local", "prod"]


@pytest.mark.parametrize("text", ["a: [1\n", "- a list\n", "a: 1\na: 2\n", "\x00"])
def test_a_file_that_cannot_be_read_concerns_only_the_environments_it_belongs_to(configs: Path, text: str) -> None:
    write(configs, "qa", text)
    assert environments(configs) == ["local", "prod", "qa"]
    assert load_config("local", configs).inputs["path"] == "data.csv"
    assert "qa.yaml" in refused(configs, "qa")
    write(configs, "base", text)
    assert environments(configs) == ["local", "prod", "qa"]
    assert "base.yaml" in refused(configs, "local")


def test_missing_folder_says_where_it_looked(tmp_path: Path) -> None:
    message = refused(tmp_path / "nowhere")
    assert "does not exist" in message
    assert str(Path.cwd()) in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data_sorce: local\n", "unknown key 'data_sorce'. "),
        ("data_sorce: local\n", "Did you mean 'data_source'?"),
        ("cache: {max_sise: 1}\n", "unknown key 'cache.max_sise'"),
        ("storage: {endpont_url: x}\n", "unknown key 'storage.endpont_url'"),
        ("storage: {endpont_url: x}\n", "Did you mean 'endpoint_url'?"),
        ("formats: {orders: {delimeter: ';'}}\n", "Did you mean 'delimiter'?"),
        ("modules: features\n", "'modules'"),
        ("inputs: [a]\n", "'inputs'"),
        ("cache: {ttl_seconds: soon}\n", "'cache.ttl_seconds'"),
        ("storage: {attempts: many}\n", "'storage.attempts'"),
        ("data_source: [local]\n", "'data_source'"),
    ],
)
def test_wrong_key_or_value_is_named_with_file_and_line(configs: Path, text: str, expected: str) -> None:
    write(configs, "wrong", f"description: wrong on line 2\n{text}")
    write(configs, "local", "extends: wrong\ninputs: {path: x}\n" if "inputs" not in text else "extends: wrong\n")
    message = refused(configs)
    assert expected in message
    assert f"{configs / 'wrong.yaml'}:2" in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a list\n", "must hold a mapping"),
        ("a: [1\n", "is not valid YAML"),
        ("data_source: local\ndata_source: prod\n", "already given on line 1"),
        ("data_source: local\ninputs:\n  path: a\n  path: b\n", "'inputs.path' was already given on line 3"),
    ],
)
def test_broken_file_is_named(configs: Path, text: str, expected: str) -> None:
    write(configs, "local", text)
    message = refused(configs)
    assert expected in message
    assert "local.yaml" in message


def test_broken_yaml_is_named_with_its_line_alone(configs: Path) -> None:
    write(configs, "local", "data_source: local\ninputs:\n\tpath: a\n")
    message = refused(configs)
    assert f"{configs / 'local.yaml'}:3: is not valid YAML" in message
    assert "<unicode string>" not in message


@pytest.mark.parametrize("nested", ["${A:-${B}}", "${HOME:-${B:-c}}"])
def test_a_variable_within_a_default_is_refused_rather_than_read_as_text(configs: Path, nested: str) -> None:
    write(configs, "local", f"data_source: local\ninputs:\n  path: {nested}\n")
    message = refused(configs)
    assert "local.yaml:3: 'inputs.path' has a '${' that begins no variable" in message
    assert "plain text for the default" in message


def test_several_names_in_extends_are_refused(configs: Path) -> None:
    write(configs, "local", "extends: [base]\ndata_source: local\n")
    assert "'extends' must name one file" in refused(configs)


def test_circle_of_extends_is_shown(configs: Path) -> None:
    write(configs, "base", "extends: local\n")
    assert "local → base → local" in refused(configs)


def test_extending_a_file_that_is_missing_names_both(configs: Path) -> None:
    write(configs, "local", "extends: bas\ndata_source: local\n")
    message = refused(configs)
    assert "'local' extends 'bas'" in message


_leaves = st.integers() | st.lists(st.integers(), max_size=2)
_values = _leaves | st.dictionaries(st.sampled_from("ab"), _leaves, max_size=2)
_mappings = st.dictionaries(st.sampled_from("abc"), _values, max_size=3)


@given(_mappings, _mappings)
def test_merging_keeps_every_leaf_of_the_upper_mapping_and_what_it_does_not_replace(
    below: dict[str, object], above: dict[str, object]
) -> None:
    merged = _merge(below, above, (), {}, {})
    assert merged.keys() == below.keys() | above.keys()
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(key), dict):
            assert merged[key] == _merge(below[key], value, (), {}, {})  # type: ignore[arg-type]
        else:
            assert merged[key] == value
    for key in below.keys() - above.keys():
        assert merged[key] == below[key]


@given(_mappings)
def test_merging_with_nothing_changes_nothing(mapping: dict[str, object]) -> None:
    assert _merge(mapping, {}, (), {}, {}) == mapping
    assert _merge({}, mapping, (), {}, {}) == mapping
