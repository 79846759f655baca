"""Whatever happens to the bytes of an entry, what is served is what was saved, or nothing."""

from __future__ import annotations

import gc
import os
import pickle
import random
import shutil
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from xxhash import xxh3_128_digest

from caching.errors import CachingWarning
from caching.store.local_cache import MISSING, LocalCache
from tests.caching.exactness import assert_same

KEY = "0123456789abcdef" * 2


def _values() -> dict[str, Any]:
    random_numbers = np.random.default_rng(3)
    return {
        "plain": {"a": [1, 2.5, None], "b": "text" * 50},
        "small frame": pd.DataFrame({"a": [1, 2], "s": ["x", None], "c": pd.Categorical(["u", "v"])}),
        "large frame": pd.DataFrame(
            {"a": random_numbers.random(60_000), "s": pd.Series(["long text"] * 60_000, dtype="str")}
        ),
    }


@pytest.fixture
def cache(tmp_path: Path) -> LocalCache:
    return LocalCache(tmp_path / "cache")


def _entry_file(cache: LocalCache) -> Path:
    (path,) = cache.cache_directory.rglob("*.entry")
    return path


def _replace(path: Path, content: bytes) -> None:
    new = path.with_suffix(".other")
    new.write_bytes(content)
    new.replace(path)


def _load_quietly(cache: LocalCache) -> tuple[Any, list[Any]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # Whatever else is collected or deprecated meanwhile may warn as well.
        return cache.load(("n", KEY), MISSING), [
            each.category for each in caught if issubclass(each.category, CachingWarning)
        ]


def _flip(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def _assert_flips_are_noticed(cache: LocalCache, bits: list[int]) -> None:
    path = _entry_file(cache)
    content = path.read_bytes()
    for bit in bits:
        _replace(path, _flip(content, bit))
        value, warned = _load_quietly(cache)
        assert value is MISSING, f"bit {bit} of {len(content) * 8}"
        assert warned == [CachingWarning]
    _replace(path, content)


@pytest.mark.parametrize("name", _values())
def test_a_flipped_bit_is_noticed_wherever_it_is(cache: LocalCache, name: str) -> None:
    value = _values()[name]
    cache.save(("n", KEY), value, record={"a": "b"})
    size = _entry_file(cache).stat().st_size * 8
    dice = random.Random(name)
    places = sorted(
        {
            *range(0, 512, 7),
            *dice.sample(range(min(size, 20_000)), 80),
            *dice.sample(range(size), 60),
            size - 1,
        }
    )
    _assert_flips_are_noticed(cache, places)
    assert_same(value, cache.load(("n", KEY)))


@pytest.mark.long
@pytest.mark.parametrize("name", _values())
def test_thousands_of_flipped_bits_are_noticed(cache: LocalCache, name: str) -> None:
    cache.save(("n", KEY), _values()[name])
    size = _entry_file(cache).stat().st_size * 8
    places = [random.SystemRandom().randrange(size) for _ in range(2000)]
    _assert_flips_are_noticed(cache, places)
    print(f"{len(places)} flips of {name}, all noticed")


@pytest.mark.parametrize("name", _values())
def test_truncation_zeroed_pages_and_additions_are_noticed(cache: LocalCache, name: str) -> None:
    cache.save(("n", KEY), _values()[name])
    path = _entry_file(cache)
    content = path.read_bytes()
    cuts = [content[:size] for size in (0, 1, 39, 64, len(content) // 2, len(content) - 64, len(content) - 1)]
    zeroed = [
        content[:start] + bytes(64) + content[start + 64 :]
        for start in range(0, len(content) - 64, max(64, len(content) // 20))
    ]
    for damaged in [
        *cuts,
        *(z for z in zeroed if z != content),
        content + b"\0",
        content + content,
        bytes(len(content)),
    ]:
        _replace(path, damaged)
        value, warned = _load_quietly(cache)
        assert value is MISSING
        assert warned == [CachingWarning]
    assert len(cache.verify().damaged) == 1
    assert cache.save(("n", KEY), 5)
    assert cache.load(("n", KEY)) == 5
    assert not cache.verify().damaged


def test_an_entry_in_anothers_place_is_not_served(cache: LocalCache) -> None:
    cache.save(("n", KEY), "mine")
    path = _entry_file(cache)
    cache.save(("n", "f" * 32), "another key's")
    cache.save(("m", KEY), "another namespace's")
    for other in sorted(set(cache.cache_directory.rglob("*.entry")) - {path}):
        _replace(path, other.read_bytes())
        value, warned = _load_quietly(cache)
        assert value is MISSING
        assert warned == [CachingWarning]
        assert [reason for _, reason in cache.verify().damaged] == ["it was saved under another name"]


class Trap:
    """Tells when it is unpickled."""

    def __reduce__(self) -> Any:
        return (os.mkdir, ("trapped",))


def test_a_planted_pickle_is_never_executed(cache: LocalCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cache.save(("n", KEY), 1)
    path = _entry_file(cache)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        _replace(path, pickle.dumps(Trap(), protocol))
        assert _load_quietly(cache) == (MISSING, [CachingWarning])
    trusting = LocalCache(cache.cache_directory, allow_pickle=True)
    trusting.save(("n", KEY), Trap())
    assert not cache.has(("n", KEY)) or cache.load(("n", KEY), MISSING) is MISSING
    assert [entry.key for entry in cache.entries()] == [("n", KEY)]
    cache.verify()
    cache.prune()
    assert not (tmp_path / "trapped").exists()


def test_foreign_files_and_folders_do_no_harm(cache: LocalCache, tmp_path: Path) -> None:
    cache.save(("n", KEY), 1)
    path = _entry_file(cache)
    (path.parent / "notes.txt").write_text("hello")
    (path.parent / "deadbeef.entry").mkdir()
    (path.parent.parent / "stray").write_text("x")
    (path.parent.parent / "folder").mkdir()
    (path.parent / "cafecafe.entry").symlink_to("/etc/hostname")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert cache.load(("n", KEY)) == 1
        assert cache.get_namespaces() == {"n"}
        assert len(list(cache.entries())) == 1
        cache.stats(), cache.verify(), cache.prune(), cache.clear_all()
    assert Path("/etc/hostname").exists()
    assert (path.parent / "notes.txt").exists()
    assert cache.save(("n", KEY), 2)
    path.unlink()
    path.mkdir()
    assert _load_quietly(cache) == (MISSING, [CachingWarning])


def _forge(cache: LocalCache, header: bytes, data: bytes = bytes(64), size: int | None = None) -> None:
    """An entry with a checksum that is right, of whatever content."""
    header += b" " * (-(64 + len(header)) % 64)
    whole = 64 + len(header) + len(data) if size is None else size
    bare = struct.pack("<8sQQ16s24x", b"srcswap\x01", len(header), whole, bytes(16))
    digest = xxh3_128_digest(bare + header)
    prefix = struct.pack("<8sQQ16s24x", b"srcswap\x01", len(header), whole, digest)
    _replace(_entry_file(cache), prefix + header + data)


NAMED = b'{"namespace":"n","key":"0123456789abcdef0123456789abcdef","created_at":0,"record":{},"form":"exact",'
DATA_DIGEST = b'"digests":["' + xxh3_128_digest(bytes(64)).hex().encode() + b'"]}'


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"\xff",
        b"[" * 5000,
        NAMED + b'"places":[],"digests":[]}',
        NAMED + b'"places":[],' + DATA_DIGEST,
        NAMED + b'"places":[[0,65]],' + DATA_DIGEST,
        NAMED + b'"places":[[-64,64]],' + DATA_DIGEST,
        NAMED + b'"places":[[0,-1]],' + DATA_DIGEST,
        NAMED + b'"places":[[1,2]],' + DATA_DIGEST,
        NAMED + b'"places":[[0,1e300]],' + DATA_DIGEST,
        NAMED + b'"places":[["0",2]],' + DATA_DIGEST,
        NAMED + b'"places":5,' + DATA_DIGEST,
        NAMED + b'"places":[[0,2]],"digests":5}',
        NAMED + b'"places":[[0,2]],"digests":["x"]}',
        NAMED + b'"places":[[0,64]],' + DATA_DIGEST,
        NAMED.replace(b'"exact"', b"[]") + b'"places":[[0,64]],' + DATA_DIGEST,
        NAMED.replace(b":0,", b':"now",') + b'"places":[[0,64]],' + DATA_DIGEST,
    ],
    ids=lambda header: str(header[-60:]),
)
def test_a_forged_entry_with_right_checksums_does_no_harm(cache: LocalCache, header: bytes) -> None:
    cache.save(("n", KEY), 1)
    _forge(cache, header)
    gc.collect()  # what another test left would be finalized at the bottom of a recursion, and fail
    value, warned = _load_quietly(cache)
    assert value is MISSING
    assert warned == [CachingWarning]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        list(cache.entries()), cache.stats(), cache.verify(), cache.prune(ttl_seconds=5)


def test_damaged_side_files_do_no_harm(cache: LocalCache) -> None:
    cache.save(("n", KEY), 1, record={"old": 1})
    cache.update_record(("n", KEY), {"new": 1})
    cache.write_note("n", "note", {"a": 1})
    for path in (*cache.cache_directory.rglob("*.record"), *cache.cache_directory.rglob("*.note")):
        content = path.read_bytes()
        for bit in range(0, len(content) * 8, 97):
            _replace(path, _flip(content, bit))
            entry = cache.find(("n", KEY))
            assert entry is not None
            assert entry.record in ({"old": 1}, {"new": 1})
            assert entry.load() == 1
            assert cache.read_note("n", "note") in ({"a": 1}, None)
        _replace(path, b"")
        assert cache.load(("n", KEY)) == 1


def test_a_damaged_or_missing_usage_file_is_made_anew(tmp_path: Path) -> None:
    cache = LocalCache(tmp_path / "cache", max_size=20_000)
    for number in range(40):
        cache.save(("n", f"{number:032x}"), bytes(3000))
        usage = cache.cache_directory / "v1" / "usage"
        if number % 4 == 0:
            usage.write_bytes(random.Random(number).randbytes(24))
        elif number % 4 == 1:
            usage.unlink()
        assert cache.stats().size_bytes <= 20_000


def test_the_folder_may_vanish_at_any_time(cache: LocalCache) -> None:
    for _ in range(3):
        assert cache.save(("n", KEY), np.arange(10))
        with cache.lock(("n", KEY)) as held:
            assert held
            shutil.rmtree(cache.cache_directory)
        assert cache.load(("n", KEY), MISSING) is MISSING
        with cache.lock(("n", KEY)) as held:
            assert held
        cache.stats(), cache.prune(), cache.clear_all()
