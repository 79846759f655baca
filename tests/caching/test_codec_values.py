"""Plain Python values, numpy arrays and Arrow data come back exactly, or are refused."""

from __future__ import annotations

import datetime
import subprocess
import sys
import uuid
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from caching.codec import Damaged, NotExact, decode, encode
from tests.caching.exactness import assert_same
from tests.caching.round_trip import round_trip

ZONES = st.sampled_from(
    [None, datetime.UTC, ZoneInfo("Europe/Berlin"), datetime.timezone(datetime.timedelta(hours=-3))]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.complex_numbers(),
    st.text(st.characters(exclude_categories=())),
    st.binary(),
    st.dates(),
    st.datetimes(timezones=ZONES, allow_imaginary=True),
    st.times(),
    st.timedeltas(),
    st.decimals().filter(lambda number: not number.is_snan()),
    st.fractions(),
    st.uuids(),
    st.just(...),
)
HASHABLE = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=4).map(tuple), st.frozensets(inner, max_size=4))
)
VALUES = st.recursive(
    HASHABLE,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(HASHABLE, inner, max_size=4),
        st.sets(HASHABLE, max_size=3),
        st.lists(inner, max_size=3).map(deque),
        st.binary().map(bytearray),
    ),
    max_leaves=30,
)


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_any_plain_value_comes_back_exactly(value: Any) -> None:
    assert_same(value, round_trip(value))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(),
            st.text(st.characters(exclude_categories=())),
        ),
        min_size=16,
    )
)
def test_long_lists_of_plain_items_come_back_exactly(value: list[Any]) -> None:
    assert_same(value, round_trip(value))
    assert_same(
        {str(n): item for n, item in enumerate(value)},
        round_trip({str(n): item for n, item in enumerate(value)}),
    )


DTYPES = st.one_of(
    npst.scalar_dtypes(),
    npst.byte_string_dtypes(),
    npst.unicode_string_dtypes(),
    npst.array_dtypes(allow_subarrays=True),
)


@settings(max_examples=200, deadline=None)
@given(npst.arrays(DTYPES, npst.array_shapes(min_dims=0, min_side=0, max_side=4)), st.booleans(), st.booleans())
def test_any_array_comes_back_exactly(array: np.ndarray[Any, Any], fortran: bool, step: bool) -> None:
    if fortran:
        array = np.asfortranarray(array)
    if step and array.ndim:
        array = array[::2]
    assert_same(array, round_trip(array))
    for item in array.ravel()[:2]:
        assert_same(item, round_trip(item))


@pytest.mark.parametrize(
    "value",
    [
        2**9999,
        -0.0,
        float("nan"),
        -float("nan"),
        float("inf"),
        "\ud83d\ude00"[:1],
        "\ud83d" + "\ude00",
        "a\0b",
        "x" * 10**5,
        "é" * 10**4,
        b"x" * 10**5,
        Decimal("1E+5"),
        Decimal("-0.00"),
        Decimal("sNaN12"),
        Fraction(10**40, 3),
        uuid.UUID("6f8b2f3a-7d0e-11ef-8c64-0242ac120002"),
        Path("/a/b"),
        PurePosixPath("a"),
        PureWindowsPath("c:/x"),
        range(3, 9, 2),
        slice(None, 3),
        OrderedDict(b=1, a=2),
        Counter("aab"),
        deque([1, 2], 3),
        datetime.datetime(2021, 10, 31, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime.time(1, 2, 3, 4, fold=1),
        {1: "a", "1": "b", (1,): "c", None: "d"},
        {float("nan"): 1},
        [[[]], (), {}, set()],
        np.float32(1.5),
        np.longlong(3),
        np.datetime64("2020-01-01"),
        np.datetime64("NaT"),
        np.str_("a\0"),
        np.bytes_(b"a\0"),
        np.array(3),
        np.array([None, [1, [2]], "x"], dtype=object),
        np.array([[], []], dtype=object),
        np.dtype("i4"),
        np.zeros((2, 0, 3)),
        np.array(["a", "bcd"]),
        np.array([1, 2], dtype=">u2"),
        np.array([1, 2], dtype="q"),
        np.array([(1, "a")], dtype=np.dtype([("x", "i8"), ("y", "U3")], align=True)),
        np.broadcast_to(np.arange(3), (2, 3)),
        pa.table({"a": [1, None], "b": ["x", "y"]}),
        pa.table({}),
        pa.scalar("x"),
        pa.scalar(None, pa.int8()),
        pa.schema([pa.field("a", pa.int8(), nullable=False, metadata={"k": "v"})], metadata={"m": "n"}),
        pa.int64(),
        pa.field("x", pa.list_(pa.string())),
        pa.record_batch({"a": [1, 2]}),
        pa.array([1, None, 3])[1:],
        pa.chunked_array([[1], [], [2, 3]]),
        pa.Table.from_arrays([pa.chunked_array([[1], [2]]), pa.array([3, 4])], ["a", "a"]),
    ],
    ids=lambda value: f"{type(value).__name__}-{str(value)[:12]!a}" if not isinstance(value, int) else "int",
)
def test_notable_values_come_back_exactly(value: Any) -> None:
    assert_same(value, round_trip(value))


def test_a_read_only_array_stays_read_only_and_others_can_be_written() -> None:
    array = np.arange(3)
    back = round_trip(array)
    back[0] = 9
    array.flags.writeable = False
    assert round_trip(array).flags.writeable is False


def test_objects_that_occur_twice_stay_one_object() -> None:
    inner, array = [1], np.arange(3)
    back = round_trip([inner, inner, {"x": inner}, array, array, (inner,), (inner,)])
    assert back[0] is back[1] is back[2]["x"] is back[5][0] is back[6][0]
    assert back[3] is back[4]


def test_containers_that_contain_themselves_come_back_so() -> None:
    loop: list[Any] = [1]
    loop += [loop, {"again": loop}]
    back = round_trip(loop)
    assert back[1] is back
    assert back[2]["again"] is back
    mapping: dict[str, Any] = {}
    mapping["self"] = [mapping]
    assert (again := round_trip(mapping))["self"][0] is again


Point = namedtuple("Point", "x y")
TUPLE_LOOP: list[Any] = []
TUPLE_LOOP.append(deque([TUPLE_LOOP]))
DEQUE_LOOP: deque[Any] = deque()
DEQUE_LOOP.append(DEQUE_LOOP)
DEEP: list[Any] = []
for _ in range(300):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "value",
    [
        Point(1, 2),
        type("Text", (str,), {})("a"),
        type("Number", (int,), {})(1),
        object(),
        print,
        int,
        Path,
        defaultdict(list),
        np.ma.array([1]),
        np.array([1]).view(np.recarray),
        np.dtype("i4", metadata={"a": 1}),
        DEQUE_LOOP,
        DEEP,
        np.array([("x",)], dtype=[("a", object)]),
        memoryview(b"a"),
        iter([1]),
        pl.LazyFrame({"a": [1]}),
        pl.Series([object()], dtype=pl.Object),
        (n for n in [1]),
        lambda: 1,
        sys,
        ZoneInfo.no_cache("Europe/Berlin"),
        pa.array([1], pa.int64()).cast(pa.int64()).buffers()[1],
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_come_back_exactly_is_refused(value: Any) -> None:
    with pytest.raises(NotExact):
        encode(value)
    with pytest.raises(NotExact):
        encode([{"inside": value}])


def test_arrays_that_share_memory_are_refused_and_neighbours_are_not() -> None:
    table = np.arange(20).reshape(4, 5)
    assert_same([table[:2], table[2:]], round_trip([table[:2], table[2:]]))
    assert_same([table[:, :2], table[:, 2:]], round_trip([table[:, :2], table[:, 2:]]))
    with pytest.raises(NotExact, match="views of the same memory"):
        encode({"all": table, "first": table[:1]})


def test_polars_frames_come_back_exactly() -> None:
    frame = pl.DataFrame(
        {
            "i": [1, None, 3],
            "s": ["x", None, "longer than twelve bytes"],
            "f": [1.5, None, float("nan")],
            "t": [datetime.datetime(2020, 1, 1), None, None],
            "l": [[1], None, []],
            "d": [Decimal("1.50"), None, None],
            "n": [{"a": 1}, None, {"a": None}],
        }
    ).with_columns(
        pl.col("t").dt.replace_time_zone("Europe/Berlin").alias("z"),
        pl.Series("e", ["b", None, "a"], dtype=pl.Enum(["b", "a"])),
    )
    for value in (frame, frame[1:2], frame[:0], pl.DataFrame()):
        back = round_trip(value)
        assert back.schema == value.schema
        assert back.equals(value)
    series = pl.Series("x", [1, None], dtype=pl.Int8)
    back = round_trip(series)
    assert (back.name, back.dtype, back.to_list()) == ("x", pl.Int8, [1, None])


HOSTILE = [
    b"",
    b"[",
    b"{}",
    b"[]",
    b"[1]",
    b"[null]",
    b'["os.system","x"]',
    b'["ref",0]',
    b'["def",0,["ref",0]]',
    b'["path","system","x"]',
    b'["bytes",-1]',
    b'["bytes",true]',
    b'["np.array",["O",[1],"C",0],true]',
    b'["np.array",["<i8",[10],"C",0],true]',
    b'["np.array",["O8",[1],"C",0],true]',
    b'["np.array",["<i8",[-1],"C",0],true]',
    b'["np.array",["<i8",[9],"C",-1],true]',
    b'["np.array",["|O",[1],"C",0],true]',
    b'["np.scalar","|O","0000000000000000"]',
    b'["list",7]',
    b'["list",0]',
    b'["pd.offset*","Path",1,false,["dict",[],[]]]',
    b'["pd.categorical",["|i1",[3],"C",0],["pd.category-dtype",null,false]]',
    b'["pa.array",["large_string",[[5,0,0,[-1,0,0]]]]]',
    b'["pa.array",["int64",[[5,0,0,[-1,0]]]]]',
    b'["pa.array",["int64",[[1,0,0,[]]]]]',
    b'["pa.array",["int64",[[1,0,0,[-1,0,0,0]]]]]',
    b'["pa.array",["int64",[[-5,0,0,[-1,0]]]]]',
    b'["pa.array",["null",[[1,0,0,[-1]]]]]',
    b'["pa.schema",0]',
    b'["pa.array",["int64",0]]',
    b'["pd.frame",["pd.range",0,2,1,null],["pd.range",0,1,1,null],[],null]',
    b'["pd.frame",["pd.range",0,1,1,null],["pd.range",0,5,1,null],[[["np",["|u1",[1,3],"C",0]],[0]]],null]',
    b'["pd.frame",["pd.range",0,1,1,null],["pd.range",0,3,1,null],[[["np",["|u1",[1,3],"C",0]],[7]]],null]',
    b'["tz.zoneinfo","../../etc/passwd"]',
    b'["dateutil.file","/etc/passwd"]',
    b'["dateutil.file","../x"]',
    b'["pl.series",["x","os",0]]',
    b'["pd.multi",[["pd.range",0,1,1,null]],[["|i1",[3],"C",0]],null,[null]]',
    b'["pd.series",["np",["|u1",[3],"C",0]],["pd.range",0,9,1,null],null,null]',
]


@pytest.mark.parametrize("document", HOSTILE, ids=str)
def test_a_hostile_document_ends_in_an_exception(document: bytes) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it is, the entry is ignored
        decode(document, [memoryview(bytearray(b"\x05\x06\x07"))])


@settings(max_examples=300, deadline=None)
@given(
    st.recursive(
        st.one_of(
            st.none(),
            st.integers(-3, 99),
            st.sampled_from(
                [
                    "list",
                    "dict",
                    "ref",
                    "def",
                    "np.array",
                    "pd.frame",
                    "pd.index",
                    "pd.arrow",
                    "pa.array",
                    "large_string",
                    "<i8",
                    "Index",
                    "O",
                    "C",
                ]
            ),
        ),
        lambda inner: st.lists(inner, max_size=5),
        max_leaves=25,
    )
)
def test_any_nonsense_of_known_tags_does_no_harm(node: Any) -> None:
    import json

    try:
        decode(json.dumps(node).encode(), [memoryview(bytearray(64))])
    except (Damaged, Exception):  # noqa: BLE001 - that it returns or raises, and does not crash, is the claim
        return


def test_plain_values_need_no_library() -> None:
    script = (
        "import sys, tempfile\nfrom caching.store.local_cache import LocalCache\n"
        "cache, value = LocalCache(tempfile.mkdtemp()), [1, {'a': (2.5, None)}, b'x']\n"
        "assert cache.save(('n', 'k'), value) and cache.load(('n', 'k')) == value\n"
        "print([name for name in ('numpy', 'pandas', 'pyarrow', 'polars') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
