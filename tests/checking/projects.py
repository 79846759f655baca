"""Two projects to mutate: the toolkit's own sample, moved into a package of its own, and a shop with two datasets."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Project:
    """The files of a project by their paths, and which of them are loader modules."""

    name: str
    files: dict[str, str]
    loaders: tuple[str, ...]
    variables: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path, changed: dict[str, str] | None = None) -> Path:
        for path, text in {**self.files, **(changed or {})}.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        return folder / "configs"


def sample_project() -> Project:
    """The sample: local, staging, prod, in_memory and switched, whose texts are the toolkit's."""
    names = ("local", "staging", "prod", "in_memory", "switched", "contracts")
    texts = {name: (ROOT / "loaders" / f"{name}.py").read_text() for name in names}
    files = {
        f"marketing/{name}.py": re.sub(r"from loaders\.contracts", "from marketing.contracts", text)
        for name, text in texts.items()
    }
    files["marketing/__init__.py"] = ""
    files["marketing/features.py"] = (ROOT / "examples/marketing_spend/features.py").read_text()
    for path in (ROOT / "configs").glob("*.yaml"):
        files[f"configs/{path.name}"] = path.read_text().replace("examples.marketing_spend", "marketing")
    files["configs/base.yaml"] += textwrap.dedent("""\
        sources:
          local: marketing.local
          staging: marketing.staging
          prod: marketing.prod
          in_memory: marketing.in_memory
        """)
    loaders = tuple(f"marketing/{name}.py" for name in ("local", "staging", "prod", "in_memory"))
    return Project("sample", files, loaders)


_CONTRACTS = '''
"""What the shop sells, and to whom."""

import pyarrow as pa

from loaders import Check, DatasetContract

ORDERS = DatasetContract(
    "orders",
    pa.schema([
        pa.field("order_id", pa.int64(), nullable=False),
        ("placed", pa.timestamp("us", tz="UTC")),
        ("amount", pa.decimal128(12, 2)),
        ("customer", pa.string()),
    ]),
    key=("order_id",),
    description="Orders; one row per order.",
    prefix="orders_",
    checks={"amount": Check(minimum=0)},
    references={"customer": "customers.customers_name"},
)
CUSTOMERS = DatasetContract(
    "customers",
    pa.schema([pa.field("name", pa.string(), nullable=False), ("country", pa.string()), ("age", pa.int16())]),
    key=("name",),
    description="Customers; one row per name.",
    prefix="customers_",
    checks={"country": Check(pattern="[A-Z]{2}"), "age": Check(minimum=0, maximum=150)},
)
'''

_LOADERS = '''
"""The shop's tables {where}."""

import pandas as pd
from hamilton.function_modifiers import extract_columns

from caching import function_cache
from loaders import read_table
from shop.contracts import CUSTOMERS, ORDERS


@extract_columns(*ORDERS.columns)
@function_cache
def orders(orders_path: str) -> pd.DataFrame:
    """Orders; one row per order."""
    return read_table(orders_path, ORDERS, allow=("{protocol}",))


@extract_columns(*CUSTOMERS.columns)
@function_cache
def customers(customers_path: str) -> pd.DataFrame:
    """Customers; one row per name."""
    return read_table(customers_path, CUSTOMERS, allow=("{protocol}",))
'''

_FEATURES = '''
"""What the shop wants to know."""

import pandas as pd


def revenue_by_country(
    orders_customer: pd.Series, orders_amount: pd.Series, customers_name: pd.Series, customers_country: pd.Series
) -> pd.Series:
    """Revenue by country."""
    countries = pd.Series(customers_country.array, index=customers_name.array)
    return orders_amount.groupby(orders_customer.map(countries)).sum()


def largest_order(orders_amount: pd.Series, at_least: float = 0.0) -> float:
    """The largest amount."""
    return max(float(orders_amount.max()), at_least)
'''


def shop_project() -> Project:
    """A project as a user writes it: two datasets, three environments, a contract module of its own."""
    files = {
        "shop/__init__.py": "",
        "shop/contracts.py": _CONTRACTS,
        "shop/features.py": _FEATURES,
        "shop/local.py": _LOADERS.format(where="as local files", protocol="file"),
        "shop/qa.py": _LOADERS.format(where="in the bucket of QA", protocol="s3"),
        "shop/prod.py": _LOADERS.format(where="in the production bucket", protocol="s3"),
        "configs/base.yaml": textwrap.dedent("""\
            modules: [shop.features]
            sources:
              local: shop.local
              qa: shop.qa
              prod: shop.prod
            outputs: [revenue_by_country, largest_order]
            """),
        "configs/local.yaml": textwrap.dedent("""\
            extends: base
            data_source: local
            inputs:
              orders_path: data/orders.csv
              customers_path: data/customers.csv
            """),
    }
    for env in ("qa", "prod"):
        files[f"configs/{env}.yaml"] = textwrap.dedent(f"""\
            extends: base
            data_source: {env}
            inputs:
              orders_path: s3://${{SHOP_BUCKET:-shop-{env}}}/orders.parquet
              customers_path: s3://${{SHOP_BUCKET:-shop-{env}}}/customers.parquet
            storage:
              region: eu-west-1
            """)
    return Project("shop", files, ("shop/local.py", "shop/qa.py", "shop/prod.py"))


PROJECTS = {project.name: project for project in (sample_project(), shop_project())}
