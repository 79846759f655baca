"""Create a new project: contracts, loader modules, dataflow, environments, tests and a CI workflow."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from loaders.contract import Check, DatasetContract
from loaders.contract.python_source import contract_source
from loaders.errors import ConfigError
from loaders.files import write_file
from loaders.project.draft import Sample
from loaders.schema.dtypes import is_text

_TAKEN = {"loaders", "caching", "cli", "tests", "configs", "data", "test"}

_SOURCES = {
    "local": ("local files: for development", "file"),
    "staging": ("the staging bucket: for QA", "s3"),
    "prod": ("the production bucket", "s3"),
}


def create_project(folder: Path, samples: Sequence[Sample]) -> list[Path]:
    """Write a project into a new or empty folder and return its files.

    Raises ConfigError if the folder is not empty or two samples have the same name; existing files are never changed.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"'{folder}' exists and is not empty. Name a new folder; nothing was written.")
    _refuse_same_names(samples)
    samples = _distinct_columns(samples or [example_sample()])
    package = package_name(folder.resolve().name)
    files = {f"data/{sample.file_name}": sample.body for sample in samples}
    files |= {path: text.encode() for path, text in _texts(package, samples).items()}
    for path, body in files.items():
        write_file(folder / path, body)
    return [folder / path for path in files]


def package_name(folder_name: str) -> str:
    """Return a package name for the project that is not the name of another module.

    >>> package_name("my-project")
    'my_project'
    >>> package_name("loaders")
    'loaders_project'
    """
    name = re.sub(r"\W+", "_", folder_name).strip("_").lower() or "project"
    if name[0].isdigit():
        name = f"project_{name}"
    if keyword.iskeyword(name) or name in _TAKEN or name in sys.stdlib_module_names or importlib.util.find_spec(name):
        name = f"{name}_project"
    return name


def example_sample() -> Sample:
    """Return the example dataset of a project without files: orders, one row per order."""
    contract = DatasetContract(
        "orders",
        pa.schema(
            [
                pa.field("order_id", pa.int64(), nullable=False),
                pa.field("placed", pa.date32(), nullable=False),
                pa.field("country", pa.string(), nullable=False),
                pa.field("amount", pa.float64()),
            ]
        ),
        key=("order_id",),
        description="Orders; one row per order, amounts in euros.",
        checks={"amount": Check(minimum=0)},
    )
    rows = [f"{n},2026-01-{1 + n % 28:02},{('DE', 'FR', 'NL')[n % 3]},{(n * 37) % 200 + 0.5}" for n in range(1, 61)]
    return Sample(contract, "orders.csv", ("\n".join(["order_id,placed,country,amount", *rows]) + "\n").encode())


def _refuse_same_names(samples: Sequence[Sample]) -> None:
    known: dict[str, str] = {}
    for sample in samples:
        # The contracts are constants with names in capitals, so names that differ only in case would collide.
        name = sample.contract.name.lower()
        if name in known:
            raise ConfigError(
                f"'{known[name]}' and '{sample.file_name}' would both be the dataset '{name}'; each file gives a "
                "dataset of its own, named after it. Rename one of the files, or leave it out; nothing was written."
            )
        known[name] = sample.file_name


def _distinct_columns(samples: Sequence[Sample]) -> list[Sample]:
    """Give each contract a prefix if two share a column, because a dataflow has one namespace."""
    names = [sample.contract.name for sample in samples]
    columns = [column for sample in samples for column in sample.contract.columns]
    if len(set(columns) | set(names)) == len(columns) + len(names):
        return list(samples)
    return [replace(sample, contract=_prefixed(sample.contract)) for sample in samples]


def _prefixed(contract: DatasetContract) -> DatasetContract:
    prefix = f"{contract.name}_"
    # With a field that starts with the prefix it would be unclear which names are source names.
    fields = [column.with_name(prefix + column.name) for column in contract.schema]
    sources = {prefix + column: contract.source_name(column) for column in contract.source_names}
    checks = {prefix + column: check for column, check in contract.checks.items()}
    key = tuple(prefix + column for column in contract.key)
    return replace(contract, schema=pa.schema(fields), key=key, prefix=prefix, source_names=sources, checks=checks)


def _texts(package: str, samples: Sequence[Sample]) -> Mapping[str, str]:
    contracts = [sample.contract for sample in samples]
    texts = {
        f"{package}/__init__.py": f'"""The datasets and the dataflow of {package}."""\n',
        f"{package}/contracts.py": _contracts(contracts),
        f"{package}/features.py": _features(contracts),
        "configs/base.yaml": _base(package),
        "tests/test_features.py": _tests(package, contracts),
        ".github/workflows/check.yml": _WORKFLOW,
        "pytest.ini": "[pytest]\ntestpaths = tests\npythonpath = .\n",
        ".gitignore": "__pycache__/\n.pytest_cache/\n.venv/\n",
        "README.md": _readme(package, contracts),
    }
    for source, (title, protocol) in _SOURCES.items():
        texts[f"{package}/{source}.py"] = _loader_module(package, contracts, title, protocol)
        texts[f"configs/{source}.yaml"] = _environment(package, source, protocol, samples)
    return texts


def _contracts(contracts: Sequence[DatasetContract]) -> str:
    names = ["DatasetContract"]
    if any(contract.checks for contract in contracts):
        names.append("Check")
    if any(contract.format != type(contract.format)() for contract in contracts):
        names.append("FormatOptions")
    head = '"""What each dataset is: columns, types, key and rules, the same for every source."""\n\n'
    imports = f"import pyarrow as pa\n\nfrom loaders import {', '.join(sorted(names))}\n\n"
    return head + imports + "\n\n".join(contract_source(contract) for contract in contracts) + "\n"


def _loader_module(package: str, contracts: Sequence[DatasetContract], title: str, protocol: str) -> str:
    imported = ", ".join(sorted(contract.name.upper() for contract in contracts))
    text = (
        f'"""The datasets from {title}."""\n\n'
        "import pandas as pd\nfrom hamilton.function_modifiers import extract_columns\n\n"
        "from caching import function_cache\nfrom loaders import read_table\n"
        f"from {package}.contracts import {imported}\n"
    )
    for contract in contracts:
        name = contract.name
        text += (
            f"\n\n@extract_columns(*{name.upper()}.columns)\n@function_cache\n"
            f"def {name}({name}_data_path: str) -> pd.DataFrame:\n"
            f'    """{contract.description or f"The dataset {name}."}"""\n'
            f'    return read_table({name}_data_path, {name.upper()}, allow=("{protocol}",))\n'
        )
    return text


def _features(contracts: Sequence[DatasetContract]) -> str:
    text = '"""The dataflow: each function is a node, its parameters are columns, inputs or other nodes."""\n\n'
    text += "import pandas as pd\n"
    for contract in contracts:
        name, first = contract.name, contract.columns[0]
        text += _function(f"{name}_rows", first, "int", f"Rows of {name}.", f"len({first})")
        others = [column for column in contract.schema if column.name not in contract.key]
        numbers = [c.name for c in others if pa.types.is_integer(c.type) or pa.types.is_floating(c.type)]
        for column in numbers[:1]:
            text += _function(f"{column}_mean", column, "float", f"Mean of {column}.", f"float({column}.mean())")
        for column in [c.name for c in others if is_text(c.type)][:1]:
            text += _function(
                f"rows_by_{column}", column, "pd.Series", f"Rows of {name} by {column}.", f"{column}.value_counts()"
            )
    return text


def _function(name: str, column: str, returns: str, doc: str, expression: str) -> str:
    return f'\n\ndef {name}({column}: pd.Series) -> {returns}:\n    """{doc}"""\n    return {expression}\n'


def _base(package: str) -> str:
    sources = "".join(f"  {source}: {package}.{source}\n" for source in _SOURCES)
    head = "# What every environment shares; each one names its own data source and locations.\n"
    return f"{head}modules:\n  - {package}.features\nsources:\n{sources}"


def _environment(package: str, source: str, protocol: str, samples: Sequence[Sample]) -> str:
    bucket = package.replace("_", "-")
    suffix, variable = ("", "BUCKET") if source == "prod" else (f"-{source}", f"{source.upper()}_BUCKET")
    place = "data" if protocol == "file" else f"s3://${{{variable}:-{bucket}{suffix}}}"
    inputs = "".join(f"  {sample.contract.name}_data_path: {place}/{sample.file_name}\n" for sample in samples)
    return f"extends: base\ndata_source: {source}\ninputs:\n{inputs}"


def _tests(package: str, contracts: Sequence[DatasetContract]) -> str:
    first = contracts[0]
    node = f"{first.name}_rows"
    return f'''"""The dataflow on generated data that obeys the contracts, and on the local sample."""

import pytest
from {package} import contracts, features


def test_dataflow_holds_for_any_valid_data(loader_driver, contract_loaders):
    driver = loader_driver(features, sources=contract_loaders(contracts, rows=200, seed=1))
    assert driver.execute(["{node}"])["{node}"] == 200


@pytest.mark.loader_env("local")
def test_local_sample_obeys_its_contract(loader_driver):
    frame = loader_driver().execute(["{first.name}"])["{first.name}"]
    assert len(frame) > 0
'''


def _readme(package: str, contracts: Sequence[DatasetContract]) -> str:
    names = ", ".join(f"`{contract.name}`" for contract in contracts)
    return f"""# {package}

Datasets: {names}. Sources: local, staging, prod; the locations are in `configs/`.

    sourceswap run --env local
    pytest
    sourceswap check
    sourceswap sandbox -- sourceswap run --env prod
"""


_WORKFLOW = """name: check
on: [push, pull_request]
jobs:
  check:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.11"
      - run: pip install 'sourceswap[s3-server]' pytest
      - run: sourceswap check --format github
      - run: pytest
"""
