"""The store: what is saved comes back; it is bounded, private, relocatable and never in the way."""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from caching.decorator import function_cache
from caching.errors import CachingWarning
from caching.store.local_cache import MISSING, LocalCache
from tests.caching.exactness import assert_same

KEY = "0123456789abcdef" * 2


@pytest.fixture
def cache(tmp_path: Path) -> LocalCache:
    return LocalCache(tmp_path / "cache")


def _frame(rows: int = 50_000) -> pd.DataFrame:
    random = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "a": random.random(rows),
            "b": np.arange(rows),
            "s": pd.Series(["x", "yy"] * (rows // 2), dtype="str"),
        }
    )


def _entry_files(cache: LocalCache) -> list[Path]:
    return sorted(cache.cache_directory.rglob("*.entry"))


def test_nothing_touches_the_disk_before_the_first_save(tmp_path: Path) -> None:
    cache = LocalCache(tmp_path / "cache")
    assert cache.load(("n", KEY), MISSING) is MISSING
    assert not cache.has(("n", KEY))
    assert cache.get_namespaces() == set()
    assert list(cache.entries()) == []
    assert cache.clear("n") == cache.clear_all() == cache.stats().entries == cache.verify().entries == 0
    assert cache.prune().removed == 0
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "value", [None, 0, "", [1, {"a": (2.5, None)}], _frame(10), _frame()], ids=lambda v: type(v).__name__
)
def test_a_saved_value_is_loaded_and_none_is_a_value(cache: LocalCache, value: object) -> None:
    assert cache.save(("module.function", KEY), value)
    assert cache.has(("module.function", KEY))
    assert_same(value, cache.load(("module.function", KEY)))
    assert cache.load(("module.function", "f" * 32), MISSING) is MISSING
    assert cache.load(("module.other", KEY), MISSING) is MISSING


def test_the_last_value_saved_under_a_key_is_served(cache: LocalCache) -> None:
    for value in (1, _frame(), "three"):
        cache.save(("n", KEY), value)
    assert cache.load(("n", KEY)) == "three"
    assert len(_entry_files(cache)) == 1


def test_writing_into_a_frame_reaches_neither_the_cache_nor_another_caller(cache: LocalCache) -> None:
    frame = _frame()
    cache.save(("n", KEY), frame)
    content = _entry_files(cache)[0].read_bytes()
    first, second = cache.load(("n", KEY)), cache.load(("n", KEY))
    first.iloc[:, 0] = -1.0
    first.loc[3, "s"] = "changed"
    first["b"].array[:] = 0
    assert_same(frame, second)
    assert_same(frame, cache.load(("n", KEY)))
    assert _entry_files(cache)[0].read_bytes() == content


def test_an_array_is_mapped_and_can_be_written(cache: LocalCache) -> None:
    cache.save(("n", KEY), np.arange(10**6))
    first = cache.load(("n", KEY))
    first[:] = 0
    assert cache.load(("n", KEY))[5] == 5


def test_a_value_in_use_survives_clearing_replacing_and_removing_the_folder(cache: LocalCache) -> None:
    frame = _frame()
    cache.save(("n", KEY), frame)
    entry, loaded = cache.find(("n", KEY)), cache.load(("n", KEY))
    cache.save(("n", KEY), "another")
    cache.clear("n")
    shutil.rmtree(cache.cache_directory)
    assert_same(frame, loaded)
    assert entry is not None
    assert_same(frame, entry.load())


def test_records_come_with_entries_and_can_be_replaced(cache: LocalCache) -> None:
    record = {"sources": [{"location": "a.csv", "version": "1"}], "parts": {"code": "abc"}}
    before = time.time()
    cache.save(("n", KEY), _frame(), record=record)
    entry = cache.find(("n", KEY))
    assert entry is not None
    assert (entry.namespace, entry.key, entry.record) == ("n", ("n", KEY), record)
    assert before - 1 <= entry.created_at <= time.time() + 1
    assert entry.size_bytes == _entry_files(cache)[0].stat().st_size
    assert cache.update_record(("n", KEY), {"checked_at": 5})
    newer = cache.find(("n", KEY))
    assert newer is not None
    assert newer.record == {"checked_at": 5}
    assert_same(_frame(), newer.load())
    cache.save(("n", KEY), 1, record={"of": "the new value"})
    latest = cache.find(("n", KEY))
    assert latest is not None
    assert latest.record == {"of": "the new value"}
    assert not cache.update_record(("n", "absent"), {})


def test_notes_are_kept_beside_entries(cache: LocalCache) -> None:
    assert cache.read_note("n", "latest miss") is None
    assert cache.write_note("n", "latest miss", {"reason": "code"})
    assert cache.write_note("n", "latest miss", {"reason": "file"})
    assert cache.read_note("n", "latest miss") == {"reason": "file"}
    assert cache.read_note("other", "latest miss") is None
    assert cache.get_namespaces() == set()
    cache.clear("n")
    assert cache.read_note("n", "latest miss") is None


NAMESPACES = [
    "a.b",
    "../x",
    "/etc",
    "..",
    ".",
    "",
    "a/b",
    "A.b",
    "a.B",
    "con",
    "x" * 500,
    "żółw",
    "a\0b",
    "<lambda>",
    "\ud800",
    "~",
]


def test_namespaces_stay_apart_inside_the_folder_and_keep_their_names(cache: LocalCache) -> None:
    for number, namespace in enumerate(NAMESPACES):
        assert cache.save((namespace, KEY), number)
    assert [cache.load((namespace, KEY)) for namespace in NAMESPACES] == list(range(len(NAMESPACES)))
    assert cache.get_namespaces() == set(NAMESPACES)
    folders = {path.name for path in (cache.cache_directory / "v1" / "entries").iterdir()}
    assert len({name.lower() for name in folders}) == len(NAMESPACES)
    assert all(name.isascii() and len(name) < 100 for name in folders)
    assert set(cache.cache_directory.parent.iterdir()) == {cache.cache_directory}
    assert cache.clear("../x") == 1
    assert cache.get_namespaces() == set(NAMESPACES) - {"../x"}


def test_any_text_is_a_key(cache: LocalCache) -> None:
    keys = ["k", "../k", "", "K", "k" * 999, "a\0", KEY, KEY.upper(), "\udcff"]
    for key in keys:
        assert cache.save(("n", key), key)
    assert [cache.load(("n", key)) for key in keys] == keys
    assert {entry.key[1] for entry in cache.entries("n")} == set(keys)


def test_folders_and_files_are_their_owners_alone(cache: LocalCache) -> None:
    old = os.umask(0)
    try:
        cache.save(("n", KEY), _frame(10))
        cache.update_record(("n", KEY), {"a": 1})
        cache.write_note("n", "note", {})
        with cache.lock(("n", KEY)):
            pass
    finally:
        os.umask(old)
    for path in (cache.cache_directory, *cache.cache_directory.rglob("*")):
        allowed = 0o700 if path.is_dir() else 0o600
        if path.name != "CACHEDIR.TAG":
            assert stat.S_IMODE(path.stat().st_mode) == allowed, path


def test_the_folder_can_be_copied_moved_and_read_only(cache: LocalCache, tmp_path: Path) -> None:
    cache.save(("n", KEY), _frame())
    shutil.copytree(cache.cache_directory, tmp_path / "copy")
    shutil.move(cache.cache_directory, tmp_path / "moved")
    for name in ("copy", "moved"):
        assert_same(_frame(), LocalCache(tmp_path / name).load(("n", KEY)))


def test_the_folder_is_the_one_given_or_the_environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = LocalCache()
    monkeypatch.setenv("SOURCESWAP_CACHE_DIR", str(tmp_path / "here"))
    assert cache.cache_directory == tmp_path / "here"
    monkeypatch.delenv("SOURCESWAP_CACHE_DIR")
    assert cache.cache_directory.name == "sourceswap"
    monkeypatch.chdir(tmp_path)
    relative = LocalCache("there")
    monkeypatch.chdir("/")
    assert relative.cache_directory == tmp_path / "there"


def test_an_entry_older_than_the_ttl_is_not_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = LocalCache(tmp_path / "cache", ttl_seconds=60)
    cache.save(("n", KEY), 1)
    assert cache.load(("n", KEY)) == 1
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 61)
    assert cache.load(("n", KEY), MISSING) is MISSING
    assert not cache.has(("n", KEY))
    assert LocalCache(tmp_path / "cache").load(("n", KEY)) == 1
    assert cache.prune().removed == 1
    assert LocalCache(tmp_path / "cache").load(("n", KEY), MISSING) is MISSING


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    cache = LocalCache(tmp_path / "cache", max_size=35_000)
    for key in ("aa" * 8, "bb" * 8, "cc" * 8):
        cache.save(("n", key), b"x" * 10_000)
        time.sleep(0.01)  # the clock of files is coarse: within one tick none was used before another
    cache.load(("n", "aa" * 8))
    cache.save(("n", "dd" * 8), b"x" * 10_000)
    assert [cache.has(("n", letter * 16)) for letter in "abcd"] == [True, False, True, True]
    assert cache.stats().size_bytes <= 35_000


def test_a_use_that_was_served_from_memory_counts_when_the_cache_is_full(tmp_path: Path) -> None:
    cache = LocalCache(tmp_path / "cache", max_size=24_000)
    cache.save(("n", "aa" * 8), b"x" * 7_000)
    cache.load(("n", "aa" * 8))
    cache.save(("n", "bb" * 8), b"x" * 7_000)
    cache.load(("n", "bb" * 8))
    cache.load(("n", "aa" * 8))
    time.sleep(0.02)  # the clock that files are written by is a coarse one
    cache.save(("n", "cc" * 8), b"x" * 7_000)
    cache.save(("n", "dd" * 8), b"x" * 7_000)
    assert [cache.has(("n", letter * 16)) for letter in "abcd"] == [True, False, True, True]


def test_a_small_value_kept_in_memory_is_let_go_when_its_file_is_another(cache: LocalCache) -> None:
    for number in range(200):
        cache.save(("n", KEY), number, record={"number": number})
        other = LocalCache(cache.cache_directory)
        assert (cache.load(("n", KEY)), other.load(("n", KEY)), cache.load(("n", KEY))) == (number,) * 3
        cache.update_record(("n", KEY), {"checked": number})
        entry = cache.find(("n", KEY))
        assert entry is not None
        assert (entry.record, entry.load()) == ({"checked": number}, number)
    cache.clear("n")
    assert cache.load(("n", KEY), MISSING) is MISSING


def test_writing_into_a_small_value_reaches_nobody_else(cache: LocalCache) -> None:
    cache.save(("n", KEY), {"list": [1], "array": np.arange(3), "bytes": bytearray(b"abc")})
    for _ in range(3):
        value = cache.load(("n", KEY))
        assert (value["list"], list(value["array"]), value["bytes"]) == ([1], [0, 1, 2], b"abc")
        value["list"].append(2)
        value["array"][0] = 9
        value["bytes"][:] = b"xyz"


def test_a_cache_never_outgrows_its_size_even_when_others_write(tmp_path: Path) -> None:
    caches = [LocalCache(tmp_path / "cache", max_size="100 kB") for _ in range(3)]
    for number in range(60):
        caches[number % 3].save((f"n{number % 4}", f"{number:032x}"), b"x" * (number * 200))
        assert caches[0].stats().size_bytes <= 100_000
    assert caches[0].load(("n3", f"{59:032x}")) == b"x" * 11_800


def test_what_exceeds_the_whole_cache_is_not_stored(tmp_path: Path) -> None:
    cache = LocalCache(tmp_path / "cache", max_size="1kB")
    cache.save(("n", "a"), 1)
    with pytest.warns(CachingWarning, match="max_size"):
        assert not cache.save(("n", "b"), b"x" * 2000)
    assert cache.load(("n", "a")) == 1


@pytest.mark.parametrize("size", ["lots", "10 XB", -1, 0, "GB"])
def test_a_size_that_is_none_is_an_error(size: Any) -> None:
    with pytest.raises(ValueError, match="10GB"):
        LocalCache(max_size=size)


def test_a_value_without_exact_form_is_not_stored_and_one_warning_says_why(cache: LocalCache) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert not cache.save(("module.function", KEY), [object()])
    assert [warning.category for warning in caught] == [CachingWarning]
    assert "module.function" in str(caught[0].message)
    assert "builtins.object" in str(caught[0].message)
    assert cache.load(("module.function", KEY), MISSING) is MISSING


def test_a_record_that_is_no_json_is_not_stored(cache: LocalCache) -> None:
    with pytest.warns(CachingWarning):
        assert not cache.save(("n", KEY), 1, record={"a": object()})


class Picklable:
    """Something that only pickle can store."""

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.array = array


sys.modules.setdefault(Picklable.__module__, sys.modules[__name__])


def test_pickles_are_stored_and_loaded_only_where_they_are_allowed(cache: LocalCache) -> None:
    trusting = LocalCache(cache.cache_directory, allow_pickle=True)
    assert trusting.save(("n", KEY), Picklable(np.arange(10**5)))
    back = trusting.load(("n", KEY))
    back.array[0] = 7
    assert trusting.load(("n", KEY)).array[0] == 0
    with pytest.warns(CachingWarning, match="allow_pickle"):
        assert cache.load(("n", KEY), MISSING) is MISSING
    with pytest.warns(CachingWarning):
        assert not trusting.save(("n", KEY), lambda: 1)


def test_stats_and_entries_describe_the_cache(cache: LocalCache) -> None:
    cache.save(("a", "1"), 1)
    cache.save(("a", "2"), _frame(100))
    cache.save(("b", "1"), 1)
    stats = cache.stats()
    assert stats.entries == 3
    assert [(part.namespace, part.entries) for part in stats.namespaces] == [("a", 2), ("b", 1)]
    assert stats.size_bytes == sum(path.stat().st_size for path in _entry_files(cache))
    assert {entry.key for entry in cache.entries()} == {("a", "1"), ("a", "2"), ("b", "1")}
    assert {entry.load() for entry in cache.entries("b")} == {1}
    assert cache.verify().entries == 3
    assert cache.clear("a") == 2
    assert cache.clear_all() == 1
    assert cache.stats().entries == 0


def test_many_entries_held_at_once_do_not_use_up_file_descriptors(cache: LocalCache) -> None:
    import resource

    cache.save(("n", KEY), np.zeros(50_000))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
    try:
        held = [cache.load(("n", KEY)) for _ in range(300)]
        assert all(isinstance(array, np.ndarray) for array in held)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_threads_save_load_and_clear_at_once(cache: LocalCache) -> None:
    frame = _frame(20_000)
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(30):
                cache.save(("n", f"k{turn % 3}"), frame)
                loaded = cache.load(("n", f"k{turn % 3}"), MISSING)
                assert loaded is MISSING or loaded.equals(frame)
                if turn % 10 == number:
                    cache.clear("n")
                    cache.prune()
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def test_ten_thousand_entries_are_no_burden(tmp_path: Path) -> None:
    cache = LocalCache(tmp_path / "cache", max_size="1GB")
    cache.save(("n", "template"), 1)
    template = _entry_files(cache)[0]
    for number in range(10_000):
        os.link(template, template.with_name(f"{number:032x}.entry"))
    start = time.perf_counter()
    cache.save(("n", KEY), 2)
    assert cache.load(("n", KEY)) == 2
    assert time.perf_counter() - start < 0.1
    start = time.perf_counter()
    assert cache.stats().entries == 10_002
    assert time.perf_counter() - start < 3


def test_a_folder_that_cannot_be_written_names_the_users_line_and_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("SOURCESWAP_CACHE_DIR", str(tmp_path / "file"))

    @function_cache(LocalCache())
    def one() -> int:
        return 1

    for cache, way_out in ((LocalCache(), "SOURCESWAP_CACHE_DIR"), (LocalCache(tmp_path / "file"), "cache another")):
        with pytest.warns(CachingWarning, match=f"folder is {re.escape(str(tmp_path))}.*{way_out}") as caught:
            assert not cache.save(("n", KEY), 1)
        assert {warning.filename for warning in caught} == {__file__}
    with pytest.warns(CachingWarning, match="SOURCESWAP_CACHE_DIR") as caught:
        assert one() == 1
    assert {warning.filename for warning in caught} == {__file__}


def test_a_result_that_is_not_cached_is_told_at_the_users_line(cache: LocalCache, tmp_path: Path) -> None:
    @function_cache(cache)
    def rewrite() -> int:
        (tmp_path / "data").read_text()
        (tmp_path / "data").write_text(str(time.time_ns()))
        return 1

    (tmp_path / "data").write_text("")
    with pytest.warns(CachingWarning, match="is not cached, because") as caught:
        rewrite()
    assert {warning.filename for warning in caught} == {__file__}
