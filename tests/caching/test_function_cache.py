from __future__ import annotations

import asyncio
import decimal
import functools
import inspect
import os
import shutil
import subprocess
import sys
import threading
import time
import typing
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import fsspec
import pandas as pd
import pytest

import caching
from caching import (
    CacheEvent,
    CachingException,
    CachingWarning,
    LocalCache,
    activate,
    function_cache,
    get_key,
    record_read,
    register_version,
)

FACTOR = 2


def double(x: int) -> int:
    return x * FACTOR


@pytest.fixture
def cacher(tmp_path: Path) -> LocalCache:
    return LocalCache(tmp_path / "cache")


@pytest.fixture
def events(cacher: LocalCache) -> Iterator[list[CacheEvent]]:
    seen: list[CacheEvent] = []
    with activate(cacher, observer=seen.append):
        yield seen


def outcomes(events: list[CacheEvent]) -> list[str]:
    return [event.outcome for event in events]


def test_all_is_what_the_package_offers() -> None:
    assert all(hasattr(caching, name) for name in caching.__all__)
    assert set(caching.__all__) <= set(dir(caching))
    assert sorted(caching._MODULES) == sorted(caching.__all__)


def test_importing_the_cache_imports_no_table_library() -> None:
    script = (
        "import sys, tempfile; from caching import function_cache, LocalCache\n"
        "f = function_cache(LocalCache(tempfile.mkdtemp()))(lambda x: [x, 'a']); f(1); f(1)\n"
        "print(sorted({'pandas', 'numpy', 'pyarrow', 'polars', 'fsspec', 'hamilton'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    assert subprocess.check_output([sys.executable, "-c", script], text=True, cwd=root) == "[]\n"


def test_every_form_of_the_decorator_caches(cacher: LocalCache) -> None:
    def loader(x: int) -> list[int]:
        return [x]

    with activate(cacher):
        decorators: list[Callable[..., Any]] = [
            function_cache, function_cache(), function_cache(cacher), function_cache(cacher=cacher),
            function_cache(cacher=cacher, ttl_seconds=60, depends_on=1, revalidate_seconds=9),
        ]  # fmt: skip
        for decorate in decorators:
            cached = decorate(loader)
            assert cached(1) == [1]
            assert cached.lookup(1).outcome == "hit"
            assert cached.__wrapped__ is loader
            assert inspect.isfunction(cached)


def test_the_ways_to_pass_an_argument_are_one_call(cacher: LocalCache, events: list[CacheEvent]) -> None:
    @function_cache
    def loader(a: int, b: int = 2, *rest: int, c: int = 3, **more: int) -> int:
        return a

    loader(1), loader(1, 2), loader(a=1, b=2), loader(1, b=2, c=3)
    assert outcomes(events) == ["miss", "hit", "hit", "hit"]
    loader(1, 2, 3), loader(1, d=3), loader(1, c=4)
    assert outcomes(events)[4:] == ["miss"] * 3


def test_arguments_that_do_not_fit_raise_what_the_function_raises(cacher: LocalCache) -> None:
    @function_cache(cacher)
    def loader(a: int, /, b: int) -> int:
        return a

    for args, kwargs in [
        ((), {}),
        ((1, 2, 3), {}),
        ((1,), {"b": 1, "c": 2}),
        ((1, 2), {"b": 2}),
        ((), {"a": 1, "b": 2}),
    ]:
        with pytest.raises(TypeError, match="loader"):
            loader(*args, **kwargs)
        with pytest.raises(TypeError):
            get_key(loader, args, kwargs)


def test_a_hit_is_a_copy_of_its_own(cacher: LocalCache) -> None:
    @function_cache(cacher)
    def loader() -> list[int]:
        return [1]

    loader().append(2)
    loader().append(3)
    assert loader() == [1]


def test_none_is_a_value(cacher: LocalCache, events: list[CacheEvent]) -> None:
    @function_cache
    def loader() -> None:
        return None

    assert (loader(), loader()) == (None, None)
    assert outcomes(events) == ["miss", "hit"]


def test_an_exception_is_the_callers_own_and_nothing_is_stored(cacher: LocalCache) -> None:
    @function_cache(cacher)
    def loader(x: int) -> int:
        raise ValueError("mine")

    for _ in range(2):
        with pytest.raises(ValueError, match="mine"):
            loader(1)
    assert cacher.get_namespaces() == set()


@dataclass
class Reader:
    scale: int

    @function_cache
    def load(self, x: int) -> int:
        return x * self.scale

    @function_cache
    @staticmethod
    def fixed(x: int) -> int:
        return x

    @classmethod
    @function_cache
    def made(cls, x: int) -> int:
        return x


def test_methods_are_keyed_by_the_state_of_self(cacher: LocalCache, events: list[CacheEvent]) -> None:
    assert (Reader(2).load(3), Reader(2).load(3), Reader(5).load(3)) == (6, 6, 15)
    assert (Reader.fixed(1), Reader.fixed(1), Reader.made(1), Reader(2).made(1)) == (1, 1, 1, 1)
    assert outcomes(events) == ["miss", "hit", "miss", "miss", "hit", "miss", "hit"]


def test_a_self_without_content_is_named(cacher: LocalCache) -> None:
    class Connected:
        def __init__(self) -> None:
            self.lock = threading.Lock()

        @function_cache(cacher)
        def load(self) -> int:
            return 1

    with pytest.raises(CachingException, match=r"load\(\).*'self'.*Connected holding a _thread.lock"):
        Connected().load()


def test_an_argument_without_content_is_named(cacher: LocalCache) -> None:
    @function_cache(cacher)
    def loader(handle: Any) -> int:
        return 1

    for value, kind in [
        (iter([]), "list_iterator"), ((x for x in ""), "generator"), (threading.Lock(), "_thread.lock"),
        (object(), "object"),
    ]:  # fmt: skip
        with pytest.raises(CachingException, match=rf"loader\(\).*'handle' is a {kind}"):
            loader(value)
        with pytest.raises(CachingException, match="handle"):
            get_key(loader, ([{"a": value}],))


@pytest.mark.parametrize("annotation", [Iterator[int], "Iterator[int]", TextIO, threading.Thread, Iterator[int] | None])
def test_a_parameter_annotated_as_something_without_content_is_refused_at_once(annotation: object) -> None:
    def loader(handle: Any) -> int:
        return 1

    loader.__annotations__["handle"] = annotation
    with pytest.raises(CachingException, match="'handle' is annotated as"):
        function_cache(loader)


def test_generators_are_refused_at_once() -> None:
    def loader() -> Iterator[int]:
        yield 1

    async def aloader() -> Any:
        yield 1

    for function in (loader, aloader):
        with pytest.raises(CachingException, match="generator"):
            function_cache(function)
    with pytest.raises(CachingException, match="only functions"):
        function_cache(Reader)
    with pytest.raises(CachingException, match="ttl_seconds"):
        function_cache(ttl_seconds=-1)


def test_a_bare_sentinel_default_may_be_left_out(cacher: LocalCache, events: list[CacheEvent]) -> None:
    @function_cache
    def loader(x: object = _NOTHING) -> bool:
        return x is _NOTHING

    assert (loader(), loader(), loader(1)) == (True, True, False)
    assert outcomes(events) == ["miss", "hit", "miss"]


_NOTHING = object()


def test_functions_as_arguments_count_with_what_they_reach(
    cacher: LocalCache, events: list[CacheEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    @function_cache
    def loader(transform: Callable[[int], int]) -> int:
        return transform(3)

    assert (loader(double), loader(double), loader(lambda x: x + 1), loader(lambda x: x + 2)) == (6, 6, 4, 5)
    monkeypatch.setattr(sys.modules[__name__], "FACTOR", 5)
    assert loader(double) == 15
    assert loader(functools.partial(pow, 2)) == 8
    assert outcomes(events)[:4] == ["miss", "hit", "miss", "miss"]


def test_depends_on_counts_at_each_call(cacher: LocalCache, events: list[CacheEvent]) -> None:
    clock = ["monday"]

    @function_cache(depends_on=lambda: clock[0])
    def loader(x: int) -> int:
        return x

    @function_cache
    def outer(x: int) -> int:
        return loader(x)

    outer(1), outer(1)
    clock[0] = "tuesday"
    events.clear()
    outer(1)
    assert outcomes(events) == ["miss", "miss"]


def test_an_entry_expires_also_for_those_that_used_it(cacher: LocalCache, events: list[CacheEvent]) -> None:
    @function_cache(ttl_seconds=0.3)
    def loader(x: int) -> int:
        return x

    @function_cache
    def outer(x: int) -> int:
        return loader(x)

    outer(1), outer(1)
    assert outcomes(events) == ["miss", "miss", "hit"]
    time.sleep(0.35)
    events.clear()
    outer(1)
    assert outcomes(events) == ["miss", "miss"]
    assert "expired" in events[-1].reason


def test_what_cannot_be_keyed_runs_with_one_warning(cacher: LocalCache, events: list[CacheEvent]) -> None:
    @function_cache
    def loader(x: str) -> object:
        return eval(x)

    @function_cache
    def outer(x: str) -> object:
        return loader(x)

    with pytest.warns(CachingWarning, match=r"eval\(\)") as caught:
        assert (loader("1"), loader("1")) == (1, 1)
    assert len(caught) == 1
    with pytest.warns(CachingWarning, match=r"eval\(\)"):
        outer("1")
    assert set(outcomes(events)) == {"uncached"}
    with pytest.raises(CachingException, match="eval"):
        get_key(loader, ("1",))


def test_modes_off_and_refresh(cacher: LocalCache) -> None:
    events: list[CacheEvent] = []
    runs = []

    @function_cache
    def loader(x: int) -> int:
        runs.append(x)
        return x

    for mode in ("off", "on", "on", "refresh", "off"):
        with activate(cacher, mode, events.append):
            assert loader(1) == 1
            assert loader.lookup(1).outcome != "hit" or mode == "on"
    assert outcomes(events) == ["uncached", "miss", "hit", "refresh", "uncached"]
    assert len(runs) == 4


def test_an_explicit_cacher_wins_over_the_active_cache(cacher: LocalCache, tmp_path: Path) -> None:
    own = LocalCache(tmp_path / "own")

    @function_cache(own)
    def loader() -> int:
        return 1

    with activate(cacher):
        loader()
    assert (cacher.get_namespaces(), len(own.get_namespaces())) == (set(), 1)


def test_a_file_that_changes_while_it_is_read_is_not_cached(tmp_path: Path, events: list[CacheEvent]) -> None:
    data = tmp_path / "data"
    data.write_text("old")
    change = threading.Event()
    writer = threading.Thread(target=lambda: (change.wait(), data.write_text("new!")))
    writer.start()

    @function_cache
    def loader(path: Path) -> str:
        text = path.read_text()
        change.set()
        writer.join()
        return text

    with pytest.warns(CachingWarning, match="changed while it was read"):
        assert loader(data) == "old"
    assert loader.lookup(data).outcome == "miss"


def test_recorded_reads_are_validated_by_the_registered_version(events: list[CacheEvent]) -> None:
    remote = fsspec.filesystem("memory")
    asked = []

    def version_of(location: str) -> str:
        asked.append(location)
        return str(remote.cat("/a"))

    register_version("fake", version_of)
    remote.pipe("/a", b"1")

    @function_cache
    def loader(x: int) -> bytes:
        record_read("fake://a")
        return fsspec.filesystem("memory").cat("/a")

    @function_cache(revalidate_seconds=60)
    def trusting(x: int) -> bytes:
        record_read("fake://a")
        return fsspec.filesystem("memory").cat("/a")

    @function_cache
    def outer(x: int) -> bytes:
        return loader(x)

    assert [loader(1), outer(1), trusting(1)] == [b"1"] * 3
    asked.clear()
    assert (trusting(1), asked) == (b"1", [])
    remote.pipe("/a", b"2")
    assert [loader(1), outer(1), trusting(1)] == [b"2", b"2", b"1"]
    assert events[-1].sources == ("fake://a", "memory:///a")


def test_without_a_registered_version_fsspec_is_asked(events: list[CacheEvent]) -> None:
    remote = fsspec.filesystem("memory")
    remote.pipe("/b", b"1")

    @function_cache
    def loader(location: str) -> bytes:
        return fsspec.open(location).open().read()

    assert [loader("memory://b"), loader("memory://b")] == [b"1"] * 2
    remote.pipe("/b", b"2")
    assert loader("memory://b") == b"2"
    assert outcomes(events) == ["miss", "hit", "miss"]


def test_a_version_pinned_by_the_reader_must_still_hold_after_the_load(events: list[CacheEvent]) -> None:
    register_version("moving", lambda location: "2")

    @function_cache
    def loader(x: int) -> int:
        record_read("moving://a", "1")
        return x

    with pytest.warns(CachingWarning, match="moving://a changed while it was read"):
        loader(1)


def test_a_location_without_a_version_is_cached_only_for_a_time(events: list[CacheEvent]) -> None:
    register_version("versionless", lambda location: None)

    def loader(url: str) -> str:
        return url

    with pytest.warns(CachingWarning, match="versionless://a cannot be told"):
        function_cache(loader)("versionless://a")
    timed = function_cache(ttl_seconds=60)(loader)
    timed("versionless://a")
    assert timed.lookup("versionless://a").outcome == "hit"


def test_coroutines_stay_coroutines_and_are_computed_once(cacher: LocalCache) -> None:
    runs = []

    @function_cache(cacher)
    async def loader(x: int) -> int:
        runs.append(x)
        await asyncio.sleep(0.05)
        return x * 2

    async def main() -> list[int]:
        return await asyncio.gather(*(loader(4) for _ in range(8)))

    assert inspect.iscoroutinefunction(loader)
    assert asyncio.run(main()) == [8] * 8
    assert runs == [4]


def test_threads_compute_once(cacher: LocalCache) -> None:
    runs = []

    @function_cache(cacher)
    def loader(x: int) -> int:
        runs.append(x)
        time.sleep(0.05)
        return x * 2

    threads = [threading.Thread(target=loader, args=(4,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert runs == [4]


def test_waiting_callers_compute_themselves_when_the_first_one_fails(cacher: LocalCache) -> None:
    runs = []
    failed = threading.Event()

    @function_cache(cacher)
    def loader(x: int) -> int:
        runs.append(x)
        time.sleep(0.05)
        if not failed.is_set():
            failed.set()
            raise ValueError
        return x

    results: list[object] = []

    def call() -> None:
        try:
            results.append(loader(1))
        except ValueError:
            results.append("failed")

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, results)) == ["1", "1", "failed"]
    assert len(runs) == 2


@pytest.mark.parametrize("above", [True, False])
def test_hamilton_takes_it_above_and_below_extract_columns(above: bool, cacher: LocalCache) -> None:
    from hamilton import ad_hoc_utils, driver
    from hamilton.function_modifiers import extract_columns

    runs = []

    def spend(factor: int) -> pd.DataFrame:
        runs.append(factor)
        return pd.DataFrame({"week": [1, 2], "amount": [factor, factor]})

    # Python 3.13 looks for the names of annotations in the module that is named here.
    spend.__annotations__ = {"factor": int, "return": pd.DataFrame}
    spend.__module__ = f"spend_{above}"
    cache, extract = function_cache(cacher), extract_columns("week", "amount")
    node = cache(extract(spend)) if above else extract(cache(spend))
    for _ in range(2):
        module = ad_hoc_utils.create_temporary_module(node, module_name=f"spend_{above}_{len(runs)}_{_}")
        dr = driver.Builder().with_modules(module).build()
        assert dr.execute(["amount"], inputs={"factor": 3})["amount"].tolist() == [3, 3]
    assert runs == [3]


def test_a_file_that_has_grown_old_is_no_longer_read_at_each_hit(
    tmp_path: Path, events: list[CacheEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    data.write_text("1")

    @function_cache
    def loader(path: Path) -> str:
        return path.read_text()

    loader(data), loader(data)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3)
    loader(data)  # reads it for the last time
    monkeypatch.setattr("caching.tracking.sources.content_of", lambda path: pytest.fail("read again"))
    loader(data), loader(data)
    assert outcomes(events) == ["miss"] + ["hit"] * 4


def test_a_repeated_call_still_notices_everything_that_may_have_changed(
    events: list[CacheEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    @function_cache
    def loader(x: int = 1, *, extra: int = 0) -> tuple[int, str | None]:
        return double(x) + extra + helper(), os.environ.get("SPEND_REGION")

    def helper(*, more: int = 0) -> int:
        return more

    def calls() -> list[str]:
        events.clear()
        loader(), loader(1), loader(x=1, extra=0), loader(True)
        return outcomes(events)

    assert calls() == ["miss", "hit", "hit", "miss"]
    assert calls() == ["hit"] * 4
    monkeypatch.setenv("SPEND_REGION", "north")
    assert calls() == ["miss", "hit", "hit", "miss"]
    monkeypatch.setattr(sys.modules[__name__], "FACTOR", 3)
    assert calls() == ["miss", "hit", "hit", "miss"]
    helper.__kwdefaults__ = {"more": 5}
    assert calls() == ["miss", "hit", "hit", "miss"]
    loader.__wrapped__.__defaults__ = (4,)
    assert calls() == ["miss", "hit", "hit", "hit"]
    assert loader()[0] == 17
    loader.__wrapped__.__kwdefaults__ = {"extra": 2}
    assert calls() == ["miss", "miss", "hit", "miss"]


def test_a_mutable_default_counts_with_what_it_holds_now(events: list[CacheEvent]) -> None:
    held = [1]

    @function_cache
    def loader(x: int, rest: list[int] = held) -> int:
        return x + sum(rest)

    assert (loader(1), loader(1)) == (2, 2)
    held.append(5)
    assert loader(1) == 7


def test_nothing_warns_on_an_ordinary_call(cacher: LocalCache) -> None:
    @function_cache(cacher)
    def loader(x: int) -> int:
        return double(x)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (loader(2), loader(2)) == (4, 4)


def test_annotations_that_are_text_are_looked_up_where_the_function_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Hamilton does from Python 3.13 on: in the globals of the function that it is given."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "annotated_by_text.py").write_text(
        "from __future__ import annotations\nfrom decimal import Decimal\nfrom caching import function_cache\n"
        "@function_cache\ndef price() -> Decimal:\n    return Decimal(1)\n"
    )
    price = __import__("annotated_by_text").price
    assert typing.get_type_hints(price, globalns=price.__globals__) == {"return": decimal.Decimal}


def test_a_call_in_a_folder_that_was_removed_is_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @function_cache
    def increased(x: int) -> int:
        return x + 1

    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    outcomes: list[str] = []
    with activate(LocalCache(tmp_path / "cache"), observer=lambda event: outcomes.append(event.outcome)):
        assert [increased(1), increased(1)] == [2, 2]
    assert outcomes == ["miss", "hit"]


@pytest.mark.parametrize("how", ["touched", "rewritten", "replaced"])
def test_a_file_with_the_same_bytes_is_a_hit_and_from_then_on_a_fast_one(
    how: str, tmp_path: Path, events: list[CacheEvent]
) -> None:
    data = tmp_path / "data"
    data.write_text("one")
    os.utime(data, (1, 1))

    @function_cache
    def loader(path: Path) -> str:
        return path.read_text()

    loader(data)
    if how == "touched":
        data.touch()
    elif how == "rewritten":
        data.write_text("one")
    else:
        (tmp_path / "new").write_text("one")
        (tmp_path / "new").replace(data)
    assert [loader(data), loader(data)] == ["one"] * 2
    data.write_text("two")
    assert loader(data) == "two"
    assert outcomes(events) == ["miss", "hit", "hit", "miss"]


def test_a_large_file_that_was_touched_is_read_again(tmp_path: Path, events: list[CacheEvent]) -> None:
    data = tmp_path / "data"
    with data.open("wb") as file:
        file.truncate((16 << 20) + 1)
    os.utime(data, (1, 1))

    @function_cache
    def loader(path: Path) -> int:
        return len(path.read_bytes())

    time.sleep(2.1)  # a young file is compared by its content, however large
    loader(data)
    os.utime(data, (2, 2))
    loader(data)
    assert outcomes(events) == ["miss", "miss"]


def test_shutil_works_as_before_where_questions_are_watched(tmp_path: Path, events: list[CacheEvent]) -> None:
    (tmp_path / "a").write_text("1")
    (tmp_path / "link").symlink_to("a")

    @function_cache
    def loader(x: int) -> bool:
        return True

    loader(1)
    shutil.copystat(tmp_path / "link", tmp_path / "link", follow_symlinks=False)
    shutil.copytree(tmp_path, tmp_path.with_name("copy"), symlinks=True)
    assert os.stat in os.supports_dir_fd
    shutil.rmtree(tmp_path.with_name("copy"))
    assert not tmp_path.with_name("copy").exists()
