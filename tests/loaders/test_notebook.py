"""`open_project`: the datasets of an environment in a notebook."""

from __future__ import annotations

import shutil
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pandas.testing
import pytest

from loaders import ConfigError, Project, build_driver, load_config, open_project

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    for folder in ("configs", "examples"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOURCESWAP_CACHE_DIR", str(tmp_path / "cache"))
    return open_project("local")


def test_a_dataset_is_an_attribute_and_loads_as_the_driver_does(project: Project) -> None:
    expected = build_driver(load_config("local")).execute(["marketing_spend"])["marketing_spend"]
    pandas.testing.assert_frame_equal(project.marketing_spend.load(), expected)
    pandas.testing.assert_frame_equal(
        project["marketing_spend"].load(columns=["spend", "week"]), expected[["spend", "week"]]
    )
    pandas.testing.assert_frame_equal(project.marketing_spend.preview(3), expected.head(3))
    assert len(project.marketing_spend.preview(0)) == 0
    assert list(project) == ["marketing_spend"]
    assert "marketing_spend" in dir(project)
    assert isinstance(project.driver().execute(["spend"])["spend"], pd.Series)


def test_what_is_wrong_is_an_error_with_the_nearest_name(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AttributeError, match="Did you mean 'marketing_spend'"):
        project.marketing_spent  # noqa: B018
    with pytest.raises(KeyError, match="Did you mean 'marketing_spend'"):
        project["marketing_spent"]
    with pytest.raises(ConfigError, match=r"no column 'spendd'.*Did you mean 'spend'"):
        project.marketing_spend.load(columns=["spendd"])
    with pytest.raises(ConfigError, match="found the text 'spend'"):
        project.marketing_spend.load(columns="spend")
    with pytest.raises(ConfigError, match="found rows=-1"):
        project.marketing_spend.preview(-1)
    monkeypatch.delenv("SOURCESWAP_ENV", raising=False)
    with pytest.raises(ConfigError, match="Name the environment"):
        open_project()
    monkeypatch.setenv("SOURCESWAP_ENV", "local")
    assert open_project().env == "local"


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data + " "


def test_it_shows_itself_in_a_few_lines_and_in_html(project: Project) -> None:
    assert repr(project) == "<Project of environment 'local': 'marketing_spend'>"
    assert len(repr(project.marketing_spend).splitlines()) == 1
    for shown in (project._repr_html_(), project.marketing_spend._repr_html_()):
        tags = Tags()
        tags.feed(shown)
        assert tags.open == []
        assert "marketing_spend" in tags.text
        assert "<script" not in shown
    html = project.marketing_spend._repr_html_()
    assert "not null" in html
    assert "miss" in html
    project.marketing_spend.load()
    assert "hit" in project.marketing_spend._repr_html_()
