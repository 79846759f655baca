"""The driver factory: one source serves, and everything that is wrong is told before anything runs."""

from __future__ import annotations

import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pandas as pd
import pyarrow as pa
import pytest
from hamilton import base
from hamilton.driver import Driver
from hamilton.io.materialization import to
from hamilton.plugins.h_threadpool import FutureAdapter

import loaders.local
import loaders.prod
import loaders.switched
from caching import LocalCache
from loaders import ConfigError, DatasetContract, build_driver, load_config
from loaders.driver import plan

SPEND = pd.DataFrame(
    {
        "week": pd.to_datetime(["2024-01-01", "2024-01-08", "2024-01-15"]),
        "spend": [10.0, 20.0, 40.0],
        "signups": [1, 10, 50],
    }
)
IN_MEMORY = {"data_source": "in_memory", "frames": {"marketing_spend": SPEND}}

ModuleMaker = Callable[..., ModuleType]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleMaker]:
    """Make a module from source text; Hamilton wants real files and names unique in the process."""
    monkeypatch.syspath_prepend(tmp_path)
    made: list[str] = []

    def make(text: str, name: str | None = None) -> ModuleType:
        name = name or f"flow_{tmp_path.name}_{len(made)}".replace("-", "_")
        header = "import pandas as pd\nfrom hamilton.function_modifiers import config, extract_columns\n"
        (tmp_path / f"{name}.py").write_text(header + textwrap.dedent(text))
        made.append(name)
        return __import__(name)

    yield make
    for name in made:
        sys.modules.pop(name, None)


@pytest.fixture
def features(module: ModuleMaker) -> ModuleType:
    return module("""
        def spend_per_signup(spend: pd.Series, signups: pd.Series) -> pd.Series:
            return spend / signups
    """)


def refused(*arguments: object, **options: object) -> str:
    with pytest.raises(ConfigError) as caught:
        build_driver(*arguments, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert len(message.splitlines()) <= 4
    return message


def test_a_real_hamilton_driver_serves_columns_of_the_chosen_source(features: ModuleType) -> None:
    driver = build_driver(IN_MEMORY, features)
    assert isinstance(driver, Driver)
    result = driver.execute(["spend_per_signup", "week"])
    assert list(result["spend_per_signup"]) == [10.0, 2.0, 0.8]
    assert result["week"].dtype == pd.ArrowDtype(pa.date32())


def test_unknown_source_is_refused_with_all_names_and_the_nearest(features: ModuleType) -> None:
    message = refused({"data_source": "prd"}, features)
    assert "data source 'prd' does not exist" in message
    assert "'local', 'staging', 'prod', 'in_memory'" in message
    assert "Did you mean 'prod'?" in message


def test_missing_source_is_refused_with_all_names(features: ModuleType) -> None:
    message = refused({"marketing_spend_data_path": "x.csv"}, features)
    assert "'data_source' is missing" in message
    assert "'local', 'staging', 'prod', 'in_memory'" in message


def test_missing_input_is_refused_naming_dataset_and_source(features: ModuleType) -> None:
    message = refused({"data_source": "prod"}, features)
    assert "input 'marketing_spend_data_path' is missing" in message
    assert "dataset 'marketing_spend' of source 'prod'" in message


def test_misspelt_input_is_refused_with_the_name_that_is_taken(features: ModuleType) -> None:
    config = {"data_source": "prod", "marketing_spend_data_path": "s3://b/x.csv", "marketing_spend_path": "s3://b/x"}
    message = refused(config, features)
    assert "input 'marketing_spend_path' is taken by no function" in message
    assert "Did you mean 'marketing_spend_data_path'?" in message


def test_input_with_a_nodes_name_is_refused_naming_the_function_it_would_replace(features: ModuleType) -> None:
    message = refused({**IN_MEMORY, "spend": 3}, features)
    assert "'spend' is given as an input, but loaders.in_memory.marketing_spend()" in message
    message = refused({**IN_MEMORY, "spend_per_signup": 3}, features)
    assert "spend_per_signup()" in message


def test_dataflow_that_asks_for_an_unknown_column_is_refused_with_the_nearest(module: ModuleMaker) -> None:
    flow = module("def cost(spnd: pd.Series) -> pd.Series:\n    return spnd\n")
    message = refused(IN_MEMORY, flow)
    assert "asks for 'spnd', which no dataset of source 'in_memory' provides" in message
    assert "Did you mean 'spend'?" in message
    assert "cost()" in message


def test_parameter_with_a_default_needs_no_input(module: ModuleMaker) -> None:
    flow = module("def scaled(spend: pd.Series, factor: float = 2.0) -> pd.Series:\n    return spend * factor\n")
    assert list(build_driver(IN_MEMORY, flow).execute(["scaled"])["scaled"]) == [20.0, 40.0, 80.0]
    assert list(build_driver({**IN_MEMORY, "factor": 3}, flow).execute(["scaled"])["scaled"]) == [30.0, 60.0, 120.0]


ORDERS = """
    from loaders import DatasetContract, take_frame
    import pyarrow as pa
    from collections.abc import Mapping
    ORDERS = DatasetContract("orders", pa.schema([("year", pa.int64()), ("amount", pa.float64())]))
    REFUNDS = DatasetContract("refunds", pa.schema([("year", pa.int64()), ("back", pa.float64())]){prefix})

    @extract_columns(*ORDERS.columns)
    def orders(frames: Mapping) -> pd.DataFrame:
        return take_frame(frames, ORDERS)

    @extract_columns(*REFUNDS.columns)
    def refunds(frames: Mapping) -> pd.DataFrame:
        return take_frame(frames, REFUNDS)
"""


def test_two_datasets_with_the_same_column_are_refused_naming_both(module: ModuleMaker) -> None:
    source = module(ORDERS.format(prefix=""))
    message = refused({"data_source": "mine", "frames": {}}, sources={"mine": source})
    assert "'year' is made twice" in message
    assert "orders()" in message
    assert "refunds()" in message
    assert "prefix" in message


def test_a_prefix_lets_two_datasets_share_a_source_column(module: ModuleMaker) -> None:
    source = module(ORDERS.format(prefix=", prefix='refunds_'"))
    frames = {
        "orders": pd.DataFrame({"year": [2024], "amount": [1.5]}),
        "refunds": pd.DataFrame({"year": [2023], "back": [0.5]}),
    }
    driver = build_driver({"data_source": "mine", "frames": frames}, sources={"mine": source})
    result = driver.execute(["year", "refunds_year", "refunds_back"])
    assert [column.tolist() for column in result.values()] == [[2024], [2023], [0.5]]


def test_own_source_extends_and_replaces_the_table(module: ModuleMaker, features: ModuleType) -> None:
    source = module("""
        @extract_columns("spend", "signups")
        def marketing_spend(scale: int) -> pd.DataFrame:
            return pd.DataFrame({"spend": [1.0 * scale], "signups": [2]})
    """)
    for name in ("qa", "prod"):
        driver = build_driver({"data_source": name, "scale": "4"}, features, sources={name: source})
        assert list(driver.execute(["spend_per_signup"])["spend_per_signup"]) == [2.0]
    by_path = {"data_source": "qa", "scale": 4, "sources": {"qa": source.__name__}}
    assert list(build_driver(by_path, features).execute(["spend"])["spend"]) == [4.0]


def test_source_that_cannot_be_imported_is_named(features: ModuleType) -> None:
    message = refused({"data_source": "qa"}, features, sources={"qa": "no_such_package.loaders"})
    assert "Source 'qa' 'no_such_package.loaders' cannot be imported" in message


def test_source_without_a_dataset_is_refused(module: ModuleMaker, features: ModuleType) -> None:
    empty = module("from loaders.local import marketing_spend\n")
    assert "has no dataset" in refused({"data_source": "qa"}, features, sources={"qa": empty})


def test_variant_dropped_by_config_when_is_explained(module: ModuleMaker) -> None:
    flow = module("""
        @config.when(region="eu")
        def rate__eu() -> float:
            return 0.2

        def taxed(spend: pd.Series, rate: float) -> pd.Series:
            return spend * rate
    """)
    driver = build_driver({**IN_MEMORY, "region": "eu"}, flow)
    assert list(driver.execute(["taxed"])["taxed"]) == [2.0, 4.0, 8.0]
    message = refused({**IN_MEMORY, "region": "us"}, flow)
    assert "asks for 'rate'" in message
    assert "@config.when that does not match region='us'" in message


@pytest.mark.parametrize(
    ("declared", "value", "expected"),
    [("int", "3", 3), ("float", 2, 2.0), ("str", 7, "7"), ("list[int]", "[1, 2]", [1, 2]), ("bool", "true", True)],
)
def test_input_becomes_the_type_that_the_function_declares(
    module: ModuleMaker, declared: str, value: object, expected: object
) -> None:
    flow = module(f"def echo(setting: {declared}) -> object:\n    return setting\n")
    result = build_driver({**IN_MEMORY, "setting": value}, flow).execute(["echo"])["echo"]
    assert result == expected
    assert type(result) is type(expected)


def test_input_of_another_type_is_refused_with_what_was_expected(module: ModuleMaker) -> None:
    flow = module("def echo(window: int) -> int:\n    return window\n")
    message = refused({**IN_MEMORY, "window": "soon"}, flow)
    assert "input 'window' must be int, found 'soon'" in message


def test_datasets_load_concurrently(module: ModuleMaker) -> None:
    source = module("""
        import threading
        MEETING = threading.Barrier(3)

        def _load(name: str) -> pd.DataFrame:
            MEETING.wait(timeout=20)
            return pd.DataFrame({f"{name}_{n}": [n] for n in range(30)})

        @extract_columns(*[f"a_{n}" for n in range(30)])
        def a() -> pd.DataFrame:
            return _load("a")

        @extract_columns(*[f"b_{n}" for n in range(30)])
        def b() -> pd.DataFrame:
            return _load("b")

        @extract_columns(*[f"c_{n}" for n in range(30)])
        def c() -> pd.DataFrame:
            return _load("c")
    """)
    outputs = [f"{name}_{n}" for name in "abc" for n in range(30)]
    result = build_driver({"data_source": "mine"}, sources={"mine": source}).execute(outputs)
    assert len(result) == 90


def test_the_first_node_to_fail_is_told_at_once_and_ends_the_others(module: ModuleMaker) -> None:
    source = module("""
        import threading
        from loaders.clients.cancellation import ReadCancelledError, active_cancellation
        WAITING, ENDED, LET_GO = threading.Event(), threading.Event(), threading.Event()

        @extract_columns("a")
        def slow_first() -> pd.DataFrame:
            WAITING.set()
            try:
                active_cancellation().wait(60)
            except ReadCancelledError:
                ENDED.set()
                raise
            return pd.DataFrame({"a": [1]})

        @extract_columns("b")
        def deaf() -> pd.DataFrame:
            LET_GO.wait(60)
            return pd.DataFrame({"b": [1]})

        @extract_columns("c")
        def missing() -> pd.DataFrame:
            assert WAITING.wait(60)
            raise FileNotFoundError("no such object")
    """)
    flow = module("""
        RAN = []
        def both(a: pd.Series, b: pd.Series, c: pd.Series) -> pd.Series:
            RAN.append(1)
            return a + b + c

        def after(b: pd.Series) -> pd.Series:
            RAN.append(1)
            return b
    """)
    driver = build_driver({"data_source": "mine"}, flow, sources={"mine": source})
    with pytest.raises(FileNotFoundError, match="no such object"):
        driver.execute(["a", "after", "both"])
    assert not source.LET_GO.is_set()
    source.LET_GO.set()
    assert source.ENDED.wait(10)
    next(adapter for adapter in driver.adapter.adapters if isinstance(adapter, FutureAdapter)).executor.shutdown()
    assert flow.RAN == []


def test_own_result_builder_is_used(features: ModuleType) -> None:
    driver = build_driver(IN_MEMORY, features, adapters=[base.PandasDataFrameResult()])
    frame = driver.execute(["spend", "spend_per_signup"])
    assert list(frame.columns) == ["spend", "spend_per_signup"]


def test_drivers_of_two_environments_run_at_once(features: ModuleType) -> None:
    results: dict[int, list[float]] = {}

    def run(scale: int) -> None:
        frame = SPEND.assign(spend=SPEND["spend"] * scale)
        driver = build_driver({"data_source": "in_memory", "frames": {"marketing_spend": frame}}, features)
        for _ in range(5):
            results[scale] = list(driver.execute(["spend"])["spend"])

    threads = [threading.Thread(target=run, args=(scale,)) for scale in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {scale: [10.0 * scale, 20.0 * scale, 40.0 * scale] for scale in (1, 2, 3)}


def test_missing_frame_names_the_frames_there_are(features: ModuleType) -> None:
    driver = build_driver({"data_source": "in_memory", "frames": {"marketing_spent": SPEND}}, features)
    with pytest.raises(ConfigError, match=r"no frame for dataset 'marketing_spend'.*Did you mean 'marketing_spent'\?"):
        driver.execute(["spend"])


def test_frames_of_the_caller_are_not_altered(features: ModuleType) -> None:
    before = SPEND.copy(deep=True)
    frame = build_driver(IN_MEMORY, features).execute(["marketing_spend"])["marketing_spend"]
    frame.loc[0, "spend"] = -1.0
    pd.testing.assert_frame_equal(SPEND, before)


def test_loader_modules_have_identical_public_functions() -> None:
    import loaders.in_memory
    import loaders.staging

    modules = [loaders.local, loaders.staging, loaders.prod, loaders.in_memory]
    offered = [
        {name for name, value in vars(m).items() if callable(value) and value.__module__ == m.__name__} for m in modules
    ]
    assert offered == [{"marketing_spend"}] * 4
    assert len({m.marketing_spend.__doc__ for m in modules}) == 1


@pytest.mark.parametrize("data_source", ["local", "prod", "in_memory"])
def test_switched_module_offers_the_same_nodes_under_each_source(data_source: str, tmp_path: Path) -> None:
    given: dict[str, object] = {"marketing_spend_data_path": str(tmp_path / "spend.csv")}
    if data_source == "in_memory":
        given = {"frames": {"marketing_spend": SPEND}}
    own = build_driver({"data_source": data_source, **given})
    switched = build_driver({"data_source": data_source, **given}, sources={data_source: loaders.switched})

    def nodes(driver: Driver) -> set[str]:
        return {variable.name for variable in driver.list_available_variables() if not variable.is_external_input}

    assert nodes(own) == nodes(switched) == {"marketing_spend", "week", "spend", "signups"}


def test_configured_project_is_importable_from_its_root(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "flow_of_this_project.py").write_text(
        "import pandas as pd\ndef doubled(spend: pd.Series) -> pd.Series:\n    return spend * 2\n"
    )
    (tmp_path / "data.csv").write_text("week,spend,signups\n2024-01-01,1.5,3\n")
    (tmp_path / "configs" / "local.yaml").write_text(
        f"data_source: local\nmodules: [flow_of_this_project]\ninputs:\n"
        f"  marketing_spend_data_path: {tmp_path / 'data.csv'}\n"
    )
    driver = build_driver(load_config("local", tmp_path / "configs"))
    assert list(driver.execute(["doubled"])["doubled"]) == [3.0]


def test_relative_location_is_relative_to_the_project_wherever_it_is_run_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data.csv").write_text("week,spend,signups\n2024-01-01,1.5,3\n")
    (tmp_path / "configs" / "local.yaml").write_text(
        "data_source: local\ninputs:\n  marketing_spend_data_path: data.csv\n"
    )
    monkeypatch.chdir(tmp_path / "elsewhere")
    driver = build_driver(load_config("local", tmp_path / "configs"))
    assert list(driver.execute(["spend"])["spend"]) == [1.5]


def test_contract_and_loader_of_one_dataset_are_all_it_takes(module: ModuleMaker, tmp_path: Path) -> None:
    source = module("""
        import pyarrow as pa
        from caching import function_cache
        from loaders import DatasetContract, read_table
        ORDERS = DatasetContract("orders", pa.schema([("amount", pa.float64())]))

        @extract_columns(*ORDERS.columns)
        @function_cache
        def orders(orders_data_path: str) -> pd.DataFrame:
            return read_table(orders_data_path, ORDERS)
    """)
    (tmp_path / "orders.csv").write_text("amount\n2.5\n")
    config = {"data_source": "qa", "orders_data_path": str(tmp_path / "orders.csv")}
    driver = build_driver(config, sources={"qa": source})
    assert list(driver.execute(["amount"])["amount"]) == [2.5]
    assert isinstance(source.ORDERS, DatasetContract)


def needed(flow: ModuleType, *outputs: str) -> dict[str, tuple[str, ...]]:
    return plan(IN_MEMORY, flow).needed_columns(outputs)


def test_only_columns_that_the_outputs_reach_are_needed(module: ModuleMaker) -> None:
    flow = module("""
        def cost(spend: pd.Series) -> pd.Series:
            return spend

        def doubled(cost: pd.Series) -> pd.Series:
            return cost * 2

        def rows(marketing_spend: pd.DataFrame) -> int:
            return len(marketing_spend)
    """)
    assert needed(flow, "doubled") == {"marketing_spend": ("spend",)}
    assert needed(flow, "doubled", "week") == {"marketing_spend": ("week", "spend")}
    assert needed(flow, "rows") == {}
    assert needed(flow, "doubled", "rows") == {}
    assert needed(flow, "doubled", "marketing_spend") == {}
    assert needed(flow, "doubled", "some_materializer") == {}


@pytest.mark.parametrize("source", ["", ".local", "a..b", 3, ["loaders.local"]])
def test_a_source_that_is_no_module_is_refused(features: ModuleType, source: object) -> None:
    message = refused({"data_source": "qa"}, features, sources={"qa": source})
    assert f"Source 'qa' must be a module or its import path, such as 'my_project.loaders'; found {source!r}" in message


@pytest.mark.parametrize("config", ["prod", None, ["data_source"]])
def test_what_is_no_configuration_is_refused_with_the_way_to_load_one(features: ModuleType, config: object) -> None:
    message = refused(config, features)
    assert f"found {config!r}" in message
    assert "load_config" in message


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"formats": {"marketing_spent": {"delimiter": ";"}}}, "Did you mean 'marketing_spend'?"),
        ({"formats": {"marketing_spend": {"format": "xls"}}}, "must be one of csv, parquet, feather, jsonl"),
        ({"formats": {"marketing_spend": {"delimiter": ";;"}}}, "must be one ASCII character"),
        ({"cache": {"max_size": "plenty"}}, "'cache.max_size': max_size='plenty' is no size"),
    ],
)
def test_sections_that_cannot_hold_are_refused_before_anything_runs(
    features: ModuleType, sections: dict[str, object], said: str
) -> None:
    message = refused({**IN_MEMORY, **sections}, features)
    assert message.startswith("config: ")
    assert said in message


def test_a_location_may_be_given_as_a_path(features: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "spend.csv"
    SPEND.to_csv(path, index=False)
    driver = build_driver({"data_source": "local", "marketing_spend_data_path": path}, features)
    assert list(driver.execute(["spend_per_signup"])["spend_per_signup"]) == [10.0, 2.0, 0.8]


def test_materializing_waits_for_the_files_and_returns_values(features: ModuleType, tmp_path: Path) -> None:
    driver = build_driver(IN_MEMORY, features)
    target = tmp_path / "out.parquet"
    save = to.parquet(
        id="saved", dependencies=["spend", "spend_per_signup"], path=str(target), combine=base.PandasDataFrameResult()
    )
    saved, values = driver.materialize(save, additional_vars=["spend_per_signup"])
    assert list(pd.read_parquet(target)["spend_per_signup"]) == [10.0, 2.0, 0.8]
    assert saved["saved"]["file_metadata"]["path"] == str(target)
    assert list(values["spend_per_signup"]) == [10.0, 2.0, 0.8]


def test_missing_input_is_never_taken_for_one_that_is_given_and_used(module: ModuleMaker) -> None:
    source = module("""
        @extract_columns("a")
        def stocks(stocks_data_path: str) -> pd.DataFrame:
            return pd.DataFrame({"a": [1]})

        @extract_columns("b")
        def stores(stores_data_path: str) -> pd.DataFrame:
            return pd.DataFrame({"b": [1]})
    """)
    config = {"data_source": "mine", "stocks_data_path": "x.csv"}
    assert "Did you mean" not in refused(config, sources={"mine": source})
    assert "Did you mean 'store_data_path'?" in refused({**config, "store_data_path": "y"}, sources={"mine": source})


def test_the_users_own_thread_pool_works_with_the_environments_cache(features: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "spend.csv"
    SPEND.to_csv(path, index=False)
    cache = {"directory": str(tmp_path / "cache")}
    config = {"data_source": "local", "marketing_spend_data_path": path, "cache": cache}
    pool = FutureAdapter(max_workers=2, result_builder=base.PandasDataFrameResult())
    result = build_driver(config, features, adapters=[pool]).execute(["spend_per_signup"])
    assert list(result["spend_per_signup"]) == [10.0, 2.0, 0.8]
    assert LocalCache(cache["directory"]).get_namespaces() == {"loaders.local.marketing_spend"}


@pytest.mark.parametrize("password", ["s3cr3tpw", "s3cr3tpw" * 10])
def test_what_hamilton_logs_of_a_failing_node_shows_no_location(
    module: ModuleMaker, caplog: pytest.LogCaptureFixture, password: str
) -> None:
    """It shows what a node was given, shortened wherever fifty characters end."""
    fails = module("""
        def failing(place: str, number: int) -> int:
            return number // 0
    """)
    driver = build_driver({**IN_MEMORY, "place": f"http://me:{password}@127.0.0.1/a.csv?token=t", "number": 7}, fails)
    with pytest.raises(ZeroDivisionError):
        driver.execute(["failing"])
    assert "failing" in caplog.text
    assert "s3cr3t" not in caplog.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def x(:\n", "SyntaxError: "),
        ("a = 1 / 0\n", "ZeroDivisionError: division by zero"),
        ("a = b\n", "NameError: "),
    ],
)
def test_module_that_fails_on_import_is_told_with_its_line(module: ModuleMaker, text: str, said: str) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011 — it is written; that its import fails is the point
        module(text, "fails_on_import")
    message = refused(IN_MEMORY, "fails_on_import")
    assert f"Dataflow module 'fails_on_import' cannot be imported: {said}" in message
    assert "fails_on_import.py:3)" in message
