"""What loaders do with the frame, beside reading it: alike in every source, and under its contract."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest

from loaders.checking import Report
from tests.checking.conftest import Edited
from tests.checking.projects import PROJECTS

SHOP = PROJECTS["shop"]
LOADERS = {"shop/local.py": "file", "shop/qa.py": "s3", "shop/prod.py": "s3"}
READ = "read_table(orders_path, ORDERS, allow=({}))"


def read(path: str) -> str:
    return f'read_table(orders_path, ORDERS, allow=("{LOADERS[path]}",))'


def body(path: str, text: str, top: str = "") -> dict[str, str]:
    """The change that gives `orders` of a source another body; READ stands for its read, `top` goes above it."""
    lines = textwrap.indent(text.replace("READ", read(path)), "    ").lstrip()
    change = {f"return {read(path)}": lines}
    return change | ({"\n\n@extract_columns(*ORDERS": f"\n{top}\n\n\n@extract_columns(*ORDERS"} if top else {})


ALTERED = {
    "query": ('return READ.query("orders_amount > 0")', "frame.query('orders_amount > 0')"),
    "sample": ("frame = READ\nreturn frame.sample(frac=0.5)", "frame.sample(frac=0.5)"),
    "slice": ("return READ[:1000]", "frame[:1000]"),
    "mask": ("frame = READ\nreturn frame[frame.orders_amount > 3]", "frame[frame.orders_amount > 3]"),
    "renamed": ('return READ.rename(columns={"a": "b"})', "frame.rename(columns={'a': 'b'})"),
    "other type": ('return READ.astype({"orders_amount": "float64"})', "frame.astype("),
    "column replaced": ('frame = READ\nframe["orders_amount"] = 0\nreturn frame', "frame['orders_amount'] = 0"),
    "part replaced": ("frame = READ\nframe.loc[0, 'x'] = 1\nreturn frame", "frame.loc[0, 'x'] = 1"),
    "attribute set": ("frame = READ\nframe.columns = list('abcd')\nreturn frame", "frame.columns ="),
    "in place": ("frame = READ\nframe.dropna(inplace=True)\nreturn frame", "frame.dropna(inplace=True)"),
    "augmented": ("frame = READ\nframe *= 2\nreturn frame", "frame *= 2"),
    "column deleted": ("frame = READ\ndel frame['x']\nreturn frame", "del frame['x']"),
    "column popped": ("frame = READ\nframe.pop('x')\nreturn frame", "frame.pop('x')"),
    "condition": (
        "frame = READ\nif len(frame) > 9:\n    frame = frame.head(9)\nreturn frame",
        "if len(frame) > 9: frame.head(9)",
    ),
    "inner function": ("def again():\n    return READ.head(8)\nreturn again()", "frame.head(8)"),
    "other branch": ("if orders_path:\n    return READ\nreturn READ.tail(3)", "frame.tail(3)"),
    "loop": ("frame = READ\nfor name in frame:\n    frame[name] = frame[name].ffill()\nreturn frame", "ffill"),
    "comprehension": ("return pd.concat([READ, READ])", "pd.concat([frame, frame])"),
    "walrus": ("return (f := READ).assign(x=f.orders_amount)", "assign"),
    "function of pandas": ("return pd.DataFrame(READ, index=[1, 2])", "index=[1, 2]"),
    "chain": ("return READ.pipe(lambda f: f.head(2)).copy()", "frame.pipe("),
    "match": (
        "frame = READ\nmatch orders_path:\n    case 'x':\n        frame = frame.head()\nreturn frame",
        "case orders_path is 'x': frame.head()",
    ),
    "empty on failure": (
        "try:\n    return READ\nexcept Exception:\n    return pd.DataFrame(columns=ORDERS.columns)",
        "except Exception: return pd.DataFrame(",
    ),
    "failure passed over": (
        "frame = pd.DataFrame()\ntry:\n    frame = READ\nexcept OSError:\n    pass\nreturn frame",
        "except OSError: pass",
    ),
    "other location": ("return read_table(orders_path + '.bak', ORDERS)", "reads from orders_path + '.bak'"),
    "location assigned": (
        "path = orders_path.replace('a', 'b')\nreturn read_table(path, ORDERS)",
        "reads from orders_path.replace('a', 'b')",
    ),
    "other contract": (
        "import dataclasses\nreturn read_table(orders_path, dataclasses.replace(ORDERS, checks={}))",
        "reads under dataclasses.replace(ORDERS, checks={})",
    ),
    "local constant": ("limit = 5\nreturn READ.head(limit)", "frame.head(5)"),
}  # fmt: skip


def differs(report: Report) -> list[tuple[str, str]]:
    assert report.ok, report
    assert {found.rule for found in report.warnings} <= {"loader-differs"}, report
    return [(found.file, found.found) for found in report.warnings]


@pytest.mark.parametrize(
    ("what", "path"),
    [*((what, "shop/prod.py") for what in ALTERED), ("query", "shop/local.py"), ("loop", "shop/qa.py")],
)
def test_frame_altered_in_one_source_is_a_warning_that_names_it(edited: Edited, what: str, path: str) -> None:
    text, named = ALTERED[what]
    ((file, found),) = differs(edited({path: body(path, text)}))
    assert file == path
    assert named in found


HELPERS = {
    "helper": ("return _clean(READ)", "def _clean(data):\n    return data.dropna()", "frame.dropna()"),
    "helper that reads": (
        "return _load(orders_path)",
        "def _load(path):\n    data = read_table(path, ORDERS)\n    return data.fillna(0)",
        "frame.fillna(0)",
    ),
    "helper in place": (
        "frame = READ\n_fix(frame)\nreturn frame",
        "def _fix(data):\n    data['x'] = 1",
        "frame['x'] = 1",
    ),
    "helper of a helper": (
        "return _outer(READ)",
        "def _inner(f, n):\n    return f.nlargest(n, 'x')\n\n\ndef _outer(g):\n    return _inner(g, 7)",
        "frame.nlargest(7, 'x')",
    ),
    "location in a helper": (
        "return _load(orders_path + 's')",
        "def _load(path):\n    return read_table(path, ORDERS)",
        "reads from orders_path + 's'",
    ),
    "constant of the module": ("return READ.head(_LIMIT)", "_LIMIT = 12", "frame.head(12)"),
}


@pytest.mark.parametrize("what", HELPERS)
def test_frame_altered_in_a_helper_is_named_at_the_loader(edited: Edited, what: str) -> None:
    text, top, named = HELPERS[what]
    ((file, found),) = differs(edited({"shop/prod.py": body("shop/prod.py", text, top)}))
    assert file == "shop/prod.py"
    assert named in found


def test_helper_imported_from_the_project_is_followed(edited: Edited) -> None:
    change = body("shop/prod.py", "return recent(READ)") | {
        "from caching": "from shop.helpers import recent\nfrom caching"
    }
    helpers = "def recent(frame):\n    return frame[frame.orders_placed > '2024']\n"
    ((_, found),) = differs(edited({"shop/prod.py": change, "shop/helpers.py": helpers}))
    assert "frame[frame.orders_placed > '2024']" in found


@pytest.mark.parametrize(("limits", "warned"), [((5, 5, 5), []), ((5, 5, 50), ["shop/prod.py"])])
def test_constant_counts_by_its_value(edited: Edited, limits: tuple[int, ...], warned: list[str]) -> None:
    changes: dict[str, Any] = {
        path: body(path, f"return READ.head(_N{number})", f"_N{number} = {limit}")
        for number, (path, limit) in enumerate(zip(LOADERS, limits, strict=True))
    }
    assert [file for file, _ in differs(edited(changes))] == warned


_HALF = """
import functools


def _half(function):
    @functools.wraps(function)
    def half(*given, **options):
        return function(*given, **options)[::2]
    return half
"""


def test_decorator_in_one_source_is_named(edited: Edited) -> None:
    change = {
        "\n\n@extract_columns(*ORDERS": f"\n{_HALF}\n\n@extract_columns(*ORDERS",
        "@function_cache\ndef orders": "@function_cache\n@_half\ndef orders",
    }
    ((_, found),) = differs(edited({"shop/prod.py": change}))
    assert found == "@_half"


def test_source_that_leaves_out_what_the_others_do_is_named(edited: Edited) -> None:
    changes: dict[str, Any] = {path: body(path, "return READ.dropna()") for path in ("shop/local.py", "shop/qa.py")}
    report = edited(changes)
    assert differs(report) == [("shop/prod.py", "none of it")]
    assert "frame.dropna(), as in local, qa" in report.warnings[0].expected


def test_of_two_sources_the_one_that_does_more_is_named(edited: Edited) -> None:
    only = {"configs/base.yaml": {"  qa: shop.qa\n": ""}, "configs/qa.yaml": {"data_source: qa": "data_source: prod"}}
    changes = {**only, "shop/local.py": body("shop/local.py", "return READ.head(3)")}
    assert differs(edited(changes)) == [("shop/local.py", "frame.head(3)")]


HARMLESS = {
    "variable": ("data = READ\nreturn data", ""),
    "two at once": ("a, b = READ, 3\nreturn a", ""),
    "two variables": ("a = READ\nb = a\nreturn b", ""),
    "annotated variable": ("frame: pd.DataFrame = READ\nreturn frame", ""),
    "import in the function": ("from loaders import read_table as load\nreturn load(*(orders_path, ORDERS))", ""),
    "copy": ("return READ.copy()", ""),
    "cast": ("return cast(pd.DataFrame, READ)", "from typing import cast"),
    "print": ("frame = READ\nprint(len(frame), frame)\nreturn frame", ""),
    "log": (
        "frame = READ\n_log.info('%d rows', len(frame))\nreturn frame",
        "import logging\n_log = logging.getLogger('x')",
    ),
    "raise": ("if not orders_path:\n    raise ValueError(orders_path)\nreturn READ", ""),
    "another error": ("try:\n    return READ\nexcept OSError as error:\n    raise RuntimeError() from error", ""),
    "finally": ("try:\n    return READ\nfinally:\n    print('read')", ""),
    "context": ("with warnings.catch_warnings():\n    return READ", "import warnings"),
    "path": ("return read_table(Path(orders_path), ORDERS)", "from pathlib import Path"),
    "both branches": ("if orders_path.endswith('x'):\n    return READ\nelse:\n    return READ", ""),
    "inner function": ("def again():\n    return READ\nframe = again()\nreturn frame", ""),
    "helper with the contract": (
        "return _load(orders_path, ORDERS)",
        "def _load(path, contract):\n    return read_table(path, contract)",
    ),
    "helper with anything": ("return _load(orders_path, ORDERS)", "def _load(*a):\n    return read_table(*a)"),
    "cached helper": (
        "return _load(orders_path)",
        "@function_cache\ndef _load(path: str) -> pd.DataFrame:\n    return read_table(path, ORDERS)",
    ),
    "measured": ("start = time.time()\nframe = READ\nprint(time.time() - start)\nreturn frame", "import time"),
}  # fmt: skip


@pytest.mark.parametrize("what", HARMLESS)
def test_body_that_reads_the_same_has_no_finding(edited: Edited, what: str) -> None:
    text, top = HARMLESS[what]
    report = edited({"shop/prod.py": body("shop/prod.py", text, top)})
    assert not report.findings, report


def test_the_same_alteration_in_every_source_has_no_finding(edited: Edited) -> None:
    names = dict(zip(LOADERS, ("a", "frame", "data"), strict=True))
    changes = {path: body(path, f"{n} = READ\n{n} = {n}.sort_values('x')\nreturn {n}") for path, n in names.items()}
    assert not edited(changes).findings


UNMET = {
    "pandas": "return pd.read_csv(orders_path)",
    "pandas with the contract's names": "return pd.read_csv(orders_path)[list(ORDERS.columns)]",
    "pandas with the contract's types": "return pd.read_parquet(orders_path).astype(ORDERS.dtypes)",
    "chained": "frame = pd.read_json(orders_path)\nframe = frame.rename(columns=str.lower)\nreturn frame",
    "made up": "return pd.DataFrame({'orders_order_id': [1]})",
    "read and forgotten": "READ\nreturn pd.read_csv(orders_path)",
    "read for the log": "print(READ)\nreturn pd.read_csv(orders_path)",
    "own helper": "return _load(orders_path, ORDERS)",
    "library imported in the function": "import duckdb\nreturn duckdb.sql(f'from {orders_path!r}').df()",
    "name imported in the function": "from fastavro import reader\nreturn pd.DataFrame(reader(orders_path))",
    "connection": "with open(orders_path) as file:\n    rows = file.readlines()\nreturn pd.DataFrame(rows)",
}


@pytest.mark.parametrize("everywhere", [False, True], ids=["one source", "every source"])
@pytest.mark.parametrize("what", UNMET)
def test_loader_whose_frame_never_meets_its_contract_is_an_error(edited: Edited, what: str, everywhere: bool) -> None:
    top = "def _load(path, contract):\n    return pd.read_csv(path)[list(contract.columns)]"
    paths = list(LOADERS) if everywhere else ["shop/qa.py"]
    changes: dict[str, Any] = {path: body(path, UNMET[what], top) for path in paths}
    report = edited(changes)
    assert {(found.rule, found.file, found.function) for found in report.errors} == {
        ("contract-unmet", path, "orders") for path in paths
    }, report


_READER = """
class _Reader:
    def __init__(self, contract):
        self.contract = contract

    def read(self, path):
        return read_table(path, self.contract)

    __call__ = read


_reader = _Reader(ORDERS)
"""

_HELPERS = "\n\n\n".join(f"def _h{n}(path):\n    return _h{n + 1}(path)" for n in range(30))

_OFTEN = "\n\n\n".join(
    f"def _g{n}(path):\n    a = _g{n + 1}(path)\n    b = _g{n + 1}(a)\n    return _g{n + 1}(b)" for n in range(30)
)

MET = {
    "conform": ("return conform(pd.read_csv(orders_path), ORDERS)", "from loaders.conforming import conform"),
    "reader of a library": ("from loaders.reading import read_table as load\nreturn load(orders_path, ORDERS)", ""),
    "method": ("return _reader.read(orders_path)", _READER),
    "callable object": ("return _reader(orders_path)", _READER),
    "object": ("return _Reader(ORDERS).read(orders_path)", _READER),
    "partial": (
        "return _read(orders_path)",
        "import functools\n\n_read = functools.partial(read_table, contract=ORDERS)",
    ),
}

UNKNOWN = {
    "generated": ("return ORDERS.example(int(orders_path))", ""),
    "thread": (
        "return ThreadPoolExecutor(1).submit(read_table, orders_path, ORDERS).result()",
        "from concurrent.futures import ThreadPoolExecutor",
    ),
    "gathered": ("parts = []\nfor p in 'ab':\n    parts.append(read_table(p, ORDERS))\nreturn pd.concat(parts)", ""),
    "comprehension": ("return pd.concat([read_table(p, ORDERS) for p in orders_path.split()])", ""),
    "passed on": ("return _retry(lambda: READ)", "def _retry(f):\n    return f()"),
    "many helpers": ("return _h0(orders_path)", _HELPERS),
    "helpers that call each other often": ("return _g0(orders_path)", _OFTEN),
    "own module imported in the function": ("from shop.later import load\nreturn load(orders_path)", ""),
    "by a library": ("return json.loads(orders_path, ORDERS)", "import json"),
    "from a table": ("return _KINDS[len(orders_path)](orders_path)", "_KINDS = {}"),
}


@pytest.mark.parametrize("what", MET)
def test_frame_that_met_its_contract_some_way_has_no_finding(edited: Edited, what: str) -> None:
    text, top = MET[what]
    report = edited({"shop/prod.py": body("shop/prod.py", text, top)})
    assert not report.findings, report


@pytest.mark.parametrize("what", UNKNOWN)
def test_frame_that_may_have_met_its_contract_is_no_error(edited: Edited, what: str) -> None:
    text, top = UNKNOWN[what]
    assert edited({"shop/prod.py": body("shop/prod.py", text, top)}).ok


def test_source_that_is_given_other_inputs_makes_its_location_as_it_likes(edited: Edited) -> None:
    path = "shop/prod.py"
    change = {
        read(path): "read_table(f's3://{bucket}/o.parquet', ORDERS)",
        "orders(orders_path": "orders(bucket",
    }
    location = {"orders_path: s3://${SHOP_BUCKET:-shop-prod}/orders.parquet": "bucket: shop-prod"}
    report = edited({path: change, "configs/prod.yaml": location})
    assert not report.findings, report
