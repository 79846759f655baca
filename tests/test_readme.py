"""What the README shows works: its Python examples, its YAML, its commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loaders.config.environment import load_config

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_python_examples_run_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.setenv("SOURCESWAP_CACHE_DIR", str(tmp_path))
    namespace: dict[str, object] = {"__name__": "readme"}
    examples = blocks("python")
    assert len(examples) == 5
    for example in examples:
        exec(compile(example, "README.md", "exec"), namespace)
    assert callable(namespace["orders"])


def test_yaml_example_is_a_valid_environment(tmp_path: Path) -> None:
    (example,) = blocks("yaml")
    (tmp_path / "base.yaml").write_text("")
    (tmp_path / "qa.yaml").write_text(example)
    assert load_config("qa", tmp_path).data_source == "qa"


def test_first_example_has_about_ten_lines() -> None:
    lines = [line for line in blocks("python")[0].splitlines() if line.strip()]
    assert len(lines) <= 12


def test_makefile_has_the_targets_that_are_shown() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", "\n".join(blocks("console")), flags=re.MULTILINE):
        assert f"\n{target}:" in makefile


def test_named_files_exist() -> None:
    for name in ("loaders/planning/sources.py", "examples/nyc_flights", "loaders/local.py"):
        assert name in README
        assert (ROOT / name).exists()
