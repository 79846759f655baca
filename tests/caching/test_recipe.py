"""The cache used by hand, as the recipe that this package grew from writes it."""

import base64
import contextlib
import os
import shutil
import stat
import subprocess
import sys
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

import caching
from caching import CachingException, LocalCache, cache, function_cache, get_key, local_cache
from caching.commands import cache as commands

_CALLS: list[str] = []


def spend(country: str, scale: int = 1) -> pd.DataFrame:
    _CALLS.append(country)
    return pd.DataFrame({"country": [country], "spend": [100 * scale]})


def cached_by_hand(store: LocalCache, *args: Any, **kwargs: Any) -> Any:
    key = get_key(spend, args, kwargs)
    if store.has(key):
        return store.load(key)
    result = spend(*args, **kwargs)
    store.save(key, result)
    return result


@pytest.fixture
def store(tmp_path: Path) -> LocalCache:
    _CALLS.clear()
    return LocalCache(cache_directory=tmp_path / "cache")


def test_the_recipe_computes_once_and_loads_the_same(store: LocalCache) -> None:
    first = cached_by_hand(store, "de", scale=2)
    second = cached_by_hand(store, "de", scale=2)
    pd.testing.assert_frame_equal(first, second)
    assert _CALLS == ["de"]
    cached_by_hand(store, "fr")
    assert _CALLS == ["de", "fr"]


def test_a_key_is_a_tuple_of_namespace_and_digest(store: LocalCache) -> None:
    namespace, digest = key = get_key(spend, ("de",), {})
    assert type(key) is tuple
    assert namespace == f"{__name__}.spend"
    assert digest != get_key(spend, ("fr",), {})[1]
    store.save(key, None)
    assert store.has(key)
    assert store.load(key) is None
    assert [entry.key for entry in store.entries()] == [key]
    assert store.get_namespaces() == {namespace}


def test_load_of_an_absent_key_raises_keyerror_and_a_default_does_not(store: LocalCache) -> None:
    key = get_key(spend, ("de",), {})
    with pytest.raises(KeyError, match="Nothing is cached"):
        store.load(key)
    assert store.load(key, "nothing") == "nothing"
    assert store.load(key, None) is None
    store.save(key, 1)
    assert store.load(key, "nothing") == 1
    store.clear(key[0])
    assert not store.has(key)
    assert store.get_namespaces() == set()


def test_clear_all_leaves_no_namespace(store: LocalCache) -> None:
    for country in ("de", "fr"):
        store.save(get_key(spend, (country,), {}), country)
    assert store.clear_all() == 2
    assert store.get_namespaces() == set()


@pytest.mark.parametrize("key", ["text", ("a",), ("a", "b", "c"), ["a", "b"], (1, "b"), ("a", b"b"), None])
@pytest.mark.parametrize("method", ["has", "load", "find", "remove", "lock", "lock_async", "save", "update_record"])
def test_what_is_no_key_is_refused_by_every_method(store: LocalCache, method: str, key: Any) -> None:
    arguments = (key, {}) if method in ("save", "update_record") else (key,)
    with pytest.raises(CachingException, match=r"A key is the tuple \(namespace, digest\)"):
        getattr(store, method)(*arguments)


def test_local_cache_is_the_default_store_and_cache_a_decorator(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SOURCESWAP_CACHE_DIR", str(tmp_path / "default"))
    calls = []

    @cache
    def double(number: int) -> int:
        calls.append(number)
        return 2 * number

    assert isinstance(local_cache, LocalCache)
    assert caching.local_cache is local_cache
    assert local_cache.cache_directory == tmp_path / "default"
    with caching.activate(LocalCache(tmp_path / "other")):
        assert (double(2), double(2)) == (4, 4)
    assert calls == [2]
    assert local_cache.get_namespaces() == {get_key(double, (2,), {})[0]}
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("decorate", [lambda s: function_cache(s), lambda s: function_cache(cacher=s)])
def test_entries_of_the_decorator_are_found_by_get_key(store: LocalCache, decorate: Any) -> None:
    @decorate(store)
    def triple(number: int) -> int:
        return 3 * number

    assert triple(2) == 6
    assert store.load(get_key(triple, (2,), {})) == 6


def test_what_else_lies_in_the_folder_is_ignored(store: LocalCache) -> None:
    key = get_key(spend, ("de",), {})
    store.save(key, "kept")
    folder = store.cache_directory
    # Files of the first recipe, a newer layout, and noise.
    (folder / "loaders.local").mkdir()
    (folder / "loaders.local" / "1f.parquet").write_bytes(b"PAR1")
    (folder / "spend-1f.pkl").write_bytes(b"\x80\x04.")
    (folder / "v9" / "entries" / "n").mkdir(parents=True)
    (folder / "v9" / "entries" / "n" / "1f.entry").write_bytes(b"another layout")
    (entry,) = folder.glob("v1/entries/*/*.entry")
    shutil.copy(entry, entry.with_name("0123456789abcdef.entry.bak"))
    (entry.parent / "notes.txt").write_text("x", encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert store.load(key) == "kept"
        assert store.get_namespaces() == {key[0]}
        assert store.stats().entries == 1
        assert store.clear_all() == 1
    assert (folder / "loaders.local" / "1f.parquet").exists()


# As written by the version whose keys were not yet tuples: {"weeks": [1, 2, None], "unit": "EUR"}.
OLD_ENTRY = (
    b"c-oavJ5Izf6wDrjZuM#tC2^eC>A3(Bm1TjkUr@B!B(l9)&}t>_!5z2&9R&r~prfIL5@$t$kSKPV_nFa~(euvut)3RiB01pxr#|(c?;j_xk1wasUk"
    b"`6rP4W+RFz7Y<NgIR)98RMPKJ^n076`2HE^f2Dpe3tnF7&mr*#4cP&^Xiq?WGRT<h5Wm&oa)^f(crSip0ZabQYQ&_}C5BM_J1D1lrN9qXph-6XKnzk"
    b"3k|SWkwiPih%8I(1&>it)Zf(Ev+ic4K=*fmfM`^tg>Y;ECaP)9t#-_W@iao#FdW`HbWOc5h<bX{LJK}Aj78b=QL**=b+TD|9u11jA9!"
)


def test_entries_of_earlier_versions_stay_readable(store: LocalCache) -> None:
    namespace, digest = key = "reports.spend", "0123456789abcdef" * 2
    folder = store.cache_directory / "v1" / "entries" / "reports.spend~29a93d37d7674ee6818733186ba7054f"
    folder.mkdir(parents=True)
    (folder / f"{digest}.entry").write_bytes(zlib.decompress(base64.b85decode(OLD_ENTRY)))
    assert store.load(key) == {"weeks": [1, 2, None], "unit": "EUR"}
    assert [(entry.key, entry.record) for entry in store.entries()] == [(key, {"seconds": 1.5})]
    assert store.get_namespaces() == {namespace}
    assert store.verify().damaged == ()


def test_a_folder_that_was_there_keeps_its_mode_and_its_entries_are_private(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    store = LocalCache(folder)
    store.save(("n", "1"), 1)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert stat.S_IMODE((folder / "v1").stat().st_mode) == 0o700
    LocalCache(tmp_path / "made").save(("n", "1"), 1)
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o700


def caching_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "caching", *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def test_the_module_lists_and_clears_by_function_or_all(store: LocalCache) -> None:
    for namespace in ("loaders.local.orders", "loaders.local.spend", "loaders.prod.spend", "loaders.prod.users"):
        store.save((namespace, "1f"), 1)
    directory = str(store.cache_directory)
    listed = caching_command("--cache-dir", directory, "list-cache")
    assert listed.returncode == 0
    assert "loaders.prod.users" in listed.stdout
    cleared = caching_command("--cache-dir", directory, "clear", "--funcs", "spend", "--funcs", "loaders.local.orders")
    assert cleared.returncode == 0
    assert store.get_namespaces() == {"loaders.prod.users"}
    assert caching_command("--cache-dir", directory, "clear", "--all").returncode == 0
    assert store.get_namespaces() == set()
    assert caching_command("--cache-dir", directory, "clear").returncode == 2


def test_clearing_a_name_that_is_unknown_suggests_the_nearest_and_exits_2(store: LocalCache) -> None:
    store.save(("loaders.local.orders", "1f"), 1)
    result = caching_command("--cache-dir", str(store.cache_directory), "clear", "--funcs", "ordres")
    assert result.returncode == 2
    assert "Did you mean orders?" in result.stderr
    assert store.has(("loaders.local.orders", "1f"))


def test_a_folder_that_is_a_file_is_an_error_and_not_an_empty_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    result = caching_command("--cache-dir", str(tmp_path / "file"), "list-cache")
    assert result.returncode == 2
    assert "Nothing is cached" not in result.stdout


@contextlib.contextmanager
def unreadable(folder: Path) -> Iterator[None]:
    """Make a folder unreadable; permissions do not bind root, so act as another user where the tests run as root."""
    folder.chmod(0)
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o700)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no permission bits")
@pytest.mark.parametrize(
    "arguments", [["list-cache"], ["stats"], ["verify"], ["prune"], ["clear", "--all"], ["clear", "--funcs", "spend"]]
)
def test_a_folder_that_cannot_be_read_is_an_error_and_not_an_empty_cache(
    store: LocalCache, arguments: list[str]
) -> None:
    store.save(("loaders.local.spend", "1f"), 1)
    (namespace_folder,) = store.cache_directory.glob("v1/entries/*")
    for folder in (store.cache_directory, namespace_folder):
        with unreadable(folder):
            result = CliRunner().invoke(commands, ["--cache-dir", str(store.cache_directory), *arguments])
        assert (result.exit_code, result.stdout) == (2, "")
        assert "cannot be read" in result.stderr
    assert store.load(("loaders.local.spend", "1f")) == 1
