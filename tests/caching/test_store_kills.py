"""Processes that die, full disks, folders nobody can write: the cache stays whole, the caller unharmed."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from caching.errors import CachingWarning
from caching.store.local_cache import MISSING, LocalCache

# Each value tells its own number in every item, so that a mixture of two would show.
WRITER = """
import sys, time
import numpy as np
from caching.store.local_cache import LocalCache, MISSING
cache = LocalCache(sys.argv[1], max_size=sys.argv[2] if sys.argv[2] != "-" else None)
number = int(sys.argv[3])
print("ready", flush=True)
while True:
    number += 1
    key = f"{number % 4:032x}"
    with cache.lock(("n", key)):
        assert cache.save(("n", key), np.full(40_000 + number % 7 * 100_000, number))
    found = cache.load(("n", f"{(number + 1) % 4:032x}"), MISSING)
    assert found is MISSING or (found == found[0]).all()
"""


def _spawn(folder: Path, max_size: str, number: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", WRITER, str(folder), max_size, str(number)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _kill_writers(folder: Path, times: int, max_size: str) -> int:
    """Kill writers at random points; how many. After each the cache is whole and its locks are free."""
    cache, dice = LocalCache(folder), random.Random()
    for turn in range(times):
        processes = [_spawn(folder, max_size, turn * 1_000_000 + number * 1000) for number in range(2)]
        time.sleep(dice.uniform(0, 0.05))
        for process in processes:
            process.kill()
        for process in processes:
            _, errors = process.communicate()
            assert process.returncode == -signal.SIGKILL, errors
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # not even a damaged entry may be left
            for number in range(4):
                found = cache.load(("n", f"{number:032x}"), MISSING)
                assert found is MISSING or (found == found[0]).all()
                with cache.lock(("n", f"{number:032x}"), timeout_seconds=5) as held:
                    assert held
        assert not cache.verify().damaged
    cache.prune()
    assert not [path for path in folder.rglob("*") if path.name.startswith(".new-")]
    assert cache.stats().size_bytes < 30_000_000
    return 2 * times


@pytest.mark.parametrize("max_size", ["-", "8MB"])
def test_a_cache_survives_writers_killed_at_random_points(tmp_path: Path, max_size: str) -> None:
    assert _kill_writers(tmp_path / "cache", 9, max_size) == 18


@pytest.mark.long
def test_a_cache_survives_hundreds_of_killed_writers(tmp_path: Path) -> None:
    killed = _kill_writers(tmp_path / "plain", 150, "-") + _kill_writers(tmp_path / "bounded", 150, "8MB")
    print(f"{killed} writers killed, no entry lost or damaged")


def test_debris_is_swept_and_what_is_being_written_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Without nameless files, as on most network file systems, a killed writer leaves its file behind.
    monkeypatch.delattr(os, "O_TMPFILE")
    cache = LocalCache(tmp_path / "cache")
    cache.save(("n", "a"), 1)
    body = f"""
    import os, sys
    del os.O_TMPFILE
    from caching.store.folder import NewFile
    new = NewFile({str(next((tmp_path / "cache").rglob("*.entry")).parent)!r})
    os.write(new.fd, b"half")
    print("writing", flush=True)
    sys.stdin.read()
    """
    command = [sys.executable, "-c", textwrap.dedent(body)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        cache.prune()
        assert len(list((tmp_path / "cache").rglob(".new-*"))) == 1
        process.kill()
        process.wait()
    cache.prune()
    assert not list((tmp_path / "cache").rglob(".new-*"))
    assert cache.load(("n", "a")) == 1


def _unharmed(cache: LocalCache, key: str, value: object) -> None:
    """A save that cannot work says so once, and raises nothing."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert not cache.save(("n", key), value)
        assert cache.load(("n", key), MISSING) is MISSING
        with cache.lock(("n", key), timeout_seconds=1):
            pass
        assert [warning.category for warning in caught] == [CachingWarning]
        cache.update_record(("n", key), {})
        cache.stats(), cache.verify(), cache.prune(), cache.get_namespaces()


def _mount_small_disk(folder: Path) -> bool:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    return (
        shutil.which("mount") is not None and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )


def test_a_full_disk_costs_the_entry_and_nothing_else(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    if not _mount_small_disk(disk):
        pytest.skip("mounting a small disk takes more rights than this process has")
    try:
        cache = LocalCache(disk / "cache")
        assert cache.save(("n", "small"), 1)
        _unharmed(cache, "large", np.arange(10**6))
        assert cache.load(("n", "small")) == 1
        (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free))
        _unharmed(cache, "another", list(range(10**5)))
        assert cache.load(("n", "small")) == 1
        assert not cache.verify().damaged
        (disk / "filler").unlink()
        assert cache.save(("n", "another"), 2)
        assert not list(disk.rglob(".new-*"))
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_read_only_disk_serves_what_it_has(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    if not _mount_small_disk(disk):
        pytest.skip("mounting a small disk takes more rights than this process has")
    try:
        cache = LocalCache(disk / "cache", max_size="1MB")
        assert cache.save(("n", "a"), [1])
        assert cache.save(("n", "b"), np.arange(50_000))
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert cache.load(("n", "a")) == [1]
        assert cache.load(("n", "b"))[-1] == 49_999
        _unharmed(cache, "c", 1)
        assert cache.clear("n") == 0
        _unharmed(LocalCache(disk / "nowhere"), "c", 1)
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_limit_on_file_sizes_costs_the_entry_and_nothing_else(tmp_path: Path) -> None:
    cache = LocalCache(tmp_path / "cache")
    cache.save(("n", "small"), 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        _unharmed(cache, "large", np.arange(10**6))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert cache.load(("n", "small")) == 1


def test_a_folder_of_somebody_else_costs_the_entry_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    _unharmed(LocalCache(tmp_path / "file" / "cache"), "k", 1)
    _unharmed(LocalCache("/proc/cache"), "k", 1)
    _unharmed(LocalCache("/dev/null/cache"), "k", 1)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become somebody else")
def test_a_user_without_rights_is_not_harmed(tmp_path: Path) -> None:
    folder = Path("/tmp") / f"sourceswap-test-{os.getpid()}"
    LocalCache(folder).save(("n", "k"), 1)
    child = os.fork()
    if not child:
        try:
            os.setuid(65534)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                cache = LocalCache(folder)
                fine = cache.load(("n", "k"), MISSING) is MISSING and not cache.save(("n", "k"), 2) and len(caught) == 2
                with cache.lock(("n", "k"), timeout_seconds=1):
                    os._exit(0 if fine else 1)
        finally:
            os._exit(2)
    try:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        shutil.rmtree(folder)


def test_a_stampede_on_a_cold_key_computes_once(tmp_path: Path) -> None:
    body = f"""
    import os, sys, time
    from caching.store.local_cache import LocalCache, MISSING
    cache = LocalCache({str(tmp_path / "cache")!r})
    print("ready", flush=True)
    sys.stdin.readline()
    value = cache.load(("n", "k"), MISSING)
    if value is MISSING:
        with cache.lock(("n", "k")) as held:
            value = cache.load(("n", "k"), MISSING)
            if value is MISSING:
                open({str(tmp_path / "computed")!r}, "a").write(f"{{os.getpid()}}\\n")
                os.close(os.open({str(tmp_path / "once")!r}, os.O_CREAT | os.O_EXCL))
                time.sleep(0.2)
                value = cache.save(("n", "k"), os.getpid()) and os.getpid()
    print(value)
    """
    command = [sys.executable, "-c", textwrap.dedent(body)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    values = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0] * 8
    assert [(tmp_path / "computed").read_text().strip()] == list(values)
