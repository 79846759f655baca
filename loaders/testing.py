"""The pytest plugin: fixtures for sources in memory, generated data and a local S3 server.

    def test_spend_per_signup(loader_driver, memory_loaders):
        driver = loader_driver(features, sources=memory_loaders(marketing_spend=frame))
        assert driver.execute(["spend_per_signup"])["spend_per_signup"][0] == 30.0

pytest loads the plugin into every session where sourceswap is installed, so it imports only pytest and the standard
library until one of its fixtures is used.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType

    import pandas as pd
    from hamilton.driver import Driver

    from loaders.contract import DatasetContract
    from loaders.planning.definitions import Contracts
    from loaders.sandbox.s3_bucket import S3Bucket
    from loaders.sandbox.s3_server import S3Server


def __getattr__(name: str) -> Any:
    # Imported on first use, so that the plugin does not slow down sessions that do not use it.
    if name == "assert_interchangeable":
        from loaders.checking import assert_interchangeable

        return assert_interchangeable
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the plugin's options for the ini file."""
    parser.addini("loader_s3", "auto: skip tests of loader_s3 if its server is not installed; require: fail them.")
    parser.addini("loader_contracts", "Modules that hold the project's contracts.", type="linelist")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and make the project's modules importable."""
    if (config.rootpath / "configs").is_dir():
        from loaders.planning.sources import make_importable

        make_importable(config.rootpath)
    config.addinivalue_line(
        "markers", "loader_env(name): loader_driver takes its configuration from this environment of configs/."
    )
    config.pluginmanager.register(_Running(), "loader-test")


class _Running:
    """The running test and the loader modules made for it.

    Fixtures that return a function have session scope, because hypothesis refuses function-scoped fixtures. This
    object gives them access to the running test.
    """

    def __init__(self) -> None:
        self._item: pytest.Item | None = None
        self._is_called = False
        self._modules: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._item = item

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self) -> None:
        self._is_called = True

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self) -> None:
        self._is_called = False
        for name in self._modules:
            sys.modules.pop(name, None)
        self._modules.clear()

    @property
    def item(self) -> pytest.Item:
        if self._item is None:
            raise pytest.UsageError("The loader fixtures give data to a test, and no test is running.")
        return self._item

    @property
    def project_root(self) -> Path:
        """The folder with `configs/` nearest to the test, else pytest's root."""
        root = self.item.config.rootpath
        above = [folder for folder in self.item.path.parents if folder.is_relative_to(root)]
        return next((folder for folder in above if (folder / "configs").is_dir()), root)

    def cache_directory(self, temporary: pytest.TempPathFactory) -> Path:
        if _CACHE_DIRECTORY not in self.item.stash:
            self.item.stash[_CACHE_DIRECTORY] = temporary.mktemp("loader-cache")
        return self.item.stash[_CACHE_DIRECTORY]

    def contracts(self, given: Sequence[Contracts]) -> dict[str, DatasetContract]:
        from loaders.planning.definitions import collect_contracts
        from loaders.planning.memory_modules import project_contracts
        from loaders.planning.sources import import_module, make_importable

        if given:
            return collect_contracts(given)
        named = self.item.config.getini("loader_contracts")
        if not named:
            return project_contracts(self.project_root)
        make_importable(self.item.config.rootpath)
        return collect_contracts([import_module(path, "The ini option loader_contracts:") for path in named])

    def module(self, contracts: Mapping[str, DatasetContract], frames: Mapping[str, pd.DataFrame]) -> ModuleType:
        from loaders.planning.memory_modules import memory_module

        # Hamilton requires a module's name to be unique in the process.
        name = f"memory_loaders_{uuid.uuid4().hex}"
        if self._is_called:  # a module made by a fixture may serve other tests too
            self._modules.append(name)
        return memory_module(name, contracts, frames)


_CACHE_DIRECTORY = pytest.StashKey[Path]()


@pytest.fixture(scope="session")
def _loader_test(request: pytest.FixtureRequest) -> _Running:
    running = request.config.pluginmanager.get_plugin("loader-test")
    assert isinstance(running, _Running)
    return running


@pytest.fixture
def loader_cache_dir(
    _loader_test: _Running, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Return the folder of the test's own cache, which is the default cache while the test runs."""
    folder = _loader_test.cache_directory(tmp_path_factory)
    monkeypatch.setenv("SOURCESWAP_CACHE_DIR", str(folder))
    return folder


@pytest.fixture(scope="session")
def memory_loaders(_loader_test: _Running) -> Callable[..., ModuleType]:
    """Return a function that makes a loader module from frames: `memory_loaders(marketing_spend=frame)`.

    The contracts are those of the loader modules in the project's `configs/`, those of the ini option
    `loader_contracts`, or the first argument: `memory_loaders(my_project.contracts, orders=frame)`. A frame that breaks
    its contract raises ContractError.
    """

    def make(*contracts: Contracts, **frames: pd.DataFrame) -> ModuleType:
        return _loader_test.module(_loader_test.contracts(contracts), frames)

    return make


@pytest.fixture(scope="session")
def contract_loaders(_loader_test: _Running) -> Callable[..., ModuleType]:
    """Return a function that makes a loader module from generated data: `contract_loaders(rows=1000, seed=1)`.

    The rows obey the contracts, including their references. Contracts are found as for `memory_loaders`; a frame given
    by dataset name replaces the generated one.
    """

    def make(*contracts: Contracts, rows: int = 100, seed: int = 0, **frames: pd.DataFrame) -> ModuleType:
        from loaders.generation.examples import examples

        known = _loader_test.contracts(contracts)
        return _loader_test.module(known, examples(known.values(), rows, seed, frames=frames))

    return make


@pytest.fixture(scope="session")
def loader_driver(_loader_test: _Running, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Driver]:
    """Return a function that builds a driver over dataflow modules, with the test's own cache.

    `loader_driver(features, sources=module, window=3)` uses a loader module, `loader_driver(features,
    data_source="local", orders_data_path=…)` a source by name. With the marker `loader_env("staging")` it uses that
    environment's configuration, and keywords override its inputs.
    """

    def build(
        *modules: ModuleType | str,
        sources: ModuleType | Mapping[str, ModuleType | str] | None = None,
        adapters: Sequence[Any] = (),
        **config: Any,
    ) -> Driver:
        from loaders.driver import build_driver

        cache_directory = _loader_test.cache_directory(tmp_path_factory)
        marker = _loader_test.item.get_closest_marker("loader_env")
        own = {"cache": {"directory": str(cache_directory)}, **config}
        if sources is not None and not isinstance(sources, Mapping):
            table = {"test": sources}
            return build_driver({"data_source": "test", **own}, *modules, adapters=adapters, sources=table)
        if marker is None:
            return build_driver(own, *modules, adapters=adapters, sources=sources)
        environment = _environment(marker, _loader_test.project_root, config, cache_directory)
        return build_driver(environment, *modules, adapters=adapters, sources=sources)

    return build


@pytest.fixture(scope="session")
def loader_s3_server(request: pytest.FixtureRequest) -> Iterator[S3Server]:
    """Yield a local S3 server, one for the session (and for each worker of pytest-xdist)."""
    from loaders.errors import ConfigError
    from loaders.sandbox.s3_server import S3Server

    mode = request.config.getini("loader_s3") or "auto"
    if mode not in ("auto", "require"):
        raise pytest.UsageError(f"The ini option loader_s3 is 'auto' or 'require', found {mode!r}.")
    server = S3Server()
    try:
        server.start()
    except ConfigError as error:
        if mode == "require":
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))
    yield server
    server.stop()


@pytest.fixture
def loader_s3(loader_s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Bucket]:
    """Yield an empty bucket; the test's environment variables point every AWS client at its server.

    `loader_s3.put("spend.parquet", frame, CONTRACT)` and `loader_s3.put("spend.csv", path)` return the location.
    """
    from loaders.config.storage import SANDBOX_VARIABLE
    from loaders.sandbox.s3_bucket import S3Bucket

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in loader_s3_server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(SANDBOX_VARIABLE, loader_s3_server.endpoint_url)
    # boto3 and s3fs keep clients made with the environment variables of an earlier test.
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    _forget_s3fs()
    bucket = S3Bucket(f"test-{uuid.uuid4().hex[:12]}", loader_s3_server)
    bucket.client.create_bucket(Bucket=bucket.name)
    yield bucket
    bucket.client.delete_bucket(Bucket=bucket.name)  # including its objects
    _forget_s3fs()


def _environment(marker: pytest.Mark, root: Path, inputs: Mapping[str, Any], cache_directory: Path) -> Any:
    import dataclasses

    from loaders.config.environment import load_config

    if len(marker.args) != 1:
        raise pytest.UsageError("The marker loader_env takes one environment: @pytest.mark.loader_env('staging').")
    config = load_config(marker.args[0], root / "configs", inputs)
    cache = config.settings.cache.model_copy(update={"directory": str(cache_directory)})
    return dataclasses.replace(config, settings=config.settings.model_copy(update={"cache": cache}))


def _forget_s3fs() -> None:
    if s3fs := sys.modules.get("s3fs"):
        s3fs.S3FileSystem.clear_instance_cache()
