"""Single flight: one holder of a name at a time, whoever dies, forks, nests or waits."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextvars import Context, copy_context
from pathlib import Path

import pytest

from caching.store.locks import LockFile


@pytest.fixture
def locks(tmp_path: Path) -> LockFile:
    return LockFile(tmp_path)


def _in_thread(call: object) -> list[object]:
    """Run in a thread that works for nobody here, and give what it returned."""
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(Context().run(call)))  # type: ignore[arg-type]
    thread.start()
    thread.join(30)
    assert not thread.is_alive(), "deadlock"
    return results


def _try(locks: LockFile, name: str, timeout_seconds: float = 0) -> bool:
    with locks.hold(name, timeout_seconds) as held:
        return held


def _process(folder: Path, body: str) -> subprocess.Popen[str]:
    script = "import os, sys, time\nfrom pathlib import Path\nfrom caching.store.locks import LockFile\n"
    script += f"locks = LockFile(Path({str(folder)!r}))\n" + textwrap.dedent(body)
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


HOLDER = """
with locks.hold("a") as held:
    print(held, flush=True)
    sys.stdin.read()
"""


def test_a_thread_waits_for_another_and_other_names_are_free(locks: LockFile) -> None:
    with locks.hold("a") as held:
        assert held
        assert _in_thread(lambda: _try(locks, "a")) == [False]
        assert _in_thread(lambda: _try(locks, "b")) == [True]
    assert _in_thread(lambda: _try(locks, "a")) == [True]


def test_a_process_excludes_others_until_it_dies_however_it_dies(locks: LockFile, tmp_path: Path) -> None:
    for end in (signal.SIGKILL, signal.SIGTERM):
        process = _process(tmp_path, HOLDER)
        assert _line(process) == "True"
        assert not _try(locks, "a")
        process.send_signal(end)
        start = time.monotonic()
        assert _try(locks, "a", 10)
        assert time.monotonic() - start < 1
        process.wait()


def test_a_holder_gets_its_own_lock_again_at_once(locks: LockFile) -> None:
    with locks.hold("a"), locks.hold("b"), locks.hold("a") as again:
        assert again
    assert _in_thread(lambda: _try(locks, "a")) == [True]


def test_a_worker_thread_with_the_holders_context_does_not_wait_for_it(locks: LockFile) -> None:
    with locks.hold("a"):
        context = copy_context()
        assert _in_thread(lambda: context.run(_try, locks, "a")) == [True]
        assert _in_thread(lambda: _try(locks, "a")) == [False]
    assert _in_thread(lambda: context.run(_try, locks, "a")) == [True]


def test_a_thread_that_the_holder_starts_does_not_wait_for_it(locks: LockFile) -> None:
    outcomes: list[bool] = []
    with locks.hold("a"):
        thread = threading.Thread(target=lambda: outcomes.append(_try(locks, "a")))
        thread.start()
        thread.join(30)
    assert outcomes == [True]


def test_a_context_that_outlives_the_holder_excludes_others_again(locks: LockFile) -> None:
    with locks.hold("a"):
        context = copy_context()
    with locks.hold("a"):
        assert _in_thread(lambda: context.run(_try, locks, "a")) == [False]


def test_the_waiting_limit_ends_a_wait(locks: LockFile) -> None:
    with locks.hold("a"):
        start = time.monotonic()
        assert _in_thread(lambda: _try(locks, "a", 0.2)) == [False]
        assert 0.15 < time.monotonic() - start < 5


def test_an_exception_releases_the_lock(locks: LockFile) -> None:
    with pytest.raises(ZeroDivisionError), locks.hold("a"):
        raise ZeroDivisionError
    assert _in_thread(lambda: _try(locks, "a")) == [True]


def test_opposite_orders_do_not_deadlock_and_only_one_gives_up(locks: LockFile) -> None:
    barrier, outcomes = threading.Barrier(2), []

    def work(first: str, second: str) -> None:
        with locks.hold(first):
            barrier.wait()
            with locks.hold(second) as held:
                outcomes.append(held)

    threads = [threading.Thread(target=work, args=names) for names in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(outcomes) == [False, True]


def test_processes_in_a_circle_of_three_do_not_deadlock(tmp_path: Path) -> None:
    body = """
    with locks.hold(FIRST):
        print("ready", flush=True)
        sys.stdin.readline()
        with locks.hold(SECOND) as held:
            print(held, flush=True)
    """
    names = ["a", "b", "c"]
    processes = [
        _process(tmp_path, body.replace("FIRST", repr(names[n])).replace("SECOND", repr(names[(n + 1) % 3])))
        for n in range(3)
    ]
    assert [_line(process) for process in processes] == ["ready"] * 3
    start = time.monotonic()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outcomes = [process.communicate(timeout=30)[0].strip() for process in processes]
    assert sorted(outcomes) == ["False", "True", "True"]
    assert time.monotonic() - start < 10


def test_who_waits_for_a_long_holder_is_not_mistaken_for_a_circle(locks: LockFile) -> None:
    waiting, outcomes = threading.Event(), []

    def wait() -> None:
        with locks.hold("outer"):
            waiting.set()
            with locks.hold("inner") as held:
                outcomes.append(held)

    with locks.hold("inner"):
        thread = threading.Thread(target=lambda: Context().run(wait))
        thread.start()
        waiting.wait()
        thread.join(0.5)
        assert thread.is_alive()
    thread.join(10)
    assert outcomes == [True]


def test_what_a_killed_waiter_announced_misleads_nobody_and_is_swept(locks: LockFile, tmp_path: Path) -> None:
    body = """
    with locks.hold("a"), locks.hold("b"):
        pass
    """
    with locks.hold("b"):
        process = _process(tmp_path, body)
        while not list((tmp_path / "waits").glob("*")):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
        process.wait()
        (left,) = (tmp_path / "waits").iterdir()
        # The dead waiter held a; nobody does now, so that there is no circle.
        with locks.hold("a", 5) as held:
            assert held
        os.utime(left, (0, 0))
        with locks.hold("c"):
            assert _in_thread(lambda: _nested(locks, "d", "c")) == [False]
        assert not left.exists()


def _nested(locks: LockFile, first: str, second: str) -> bool:
    with locks.hold(first):
        return _try(locks, second, 0.4)


def test_a_forked_child_neither_keeps_nor_releases_its_parents_lock(locks: LockFile, tmp_path: Path) -> None:
    body = """
    with locks.hold("a"):
        child = os.fork()
        if not child:
            with locks.hold("a") as again:  # waiting for the parent here could wait for ever
                os.write(1, b"child %d\\n" % again)
    if child:
        os.write(1, b"released\\n")
        time.sleep(60)
    time.sleep(60)
    """
    process = _process(tmp_path, body)
    lines = {_line(process), _line(process)}
    assert lines == {"child 1", "released"}
    assert _try(locks, "a")
    process.kill()
    process.wait()


def test_a_parents_death_frees_its_lock_while_its_child_lives_on(locks: LockFile, tmp_path: Path) -> None:
    body = """
    with locks.hold("a"):
        child = os.fork()
        if not child:
            time.sleep(20)
            os._exit(0)
        print(child, flush=True)
        time.sleep(60)
    """
    process = _process(tmp_path, body)
    child = int(_line(process))
    assert not _try(locks, "a")
    process.kill()
    process.wait()
    try:
        assert _try(locks, "a", 5)
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_child_that_leaves_the_block_does_not_unlock_its_parent(locks: LockFile, tmp_path: Path) -> None:
    body = """
    with locks.hold("a"):
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            print("child is gone", flush=True)
            sys.stdin.read()
    """
    process = _process(tmp_path, body)
    assert _line(process) == "child is gone"
    assert not _try(locks, "a")
    process.communicate("")


def test_tasks_wait_without_blocking_the_event_loop(locks: LockFile) -> None:
    running = most = 0

    async def work() -> None:
        nonlocal running, most
        async with locks.hold_async("a") as held:
            assert held
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.01)
            running -= 1

    async def main() -> None:
        await asyncio.gather(*(work() for _ in range(8)))
        async with locks.hold_async("a"), locks.hold_async("a") as again:
            assert again

    asyncio.run(main())
    assert most == 1


def test_a_stampede_of_processes_never_overlaps(tmp_path: Path) -> None:
    # Two detectors that know nothing of the lock: a file that only one process can create at a time, and the
    # order of lines in a log that each process appends to.
    body = f"""
    folder = Path({str(tmp_path)!r})
    sys.stdin.readline()
    for turn in range(15):
        with locks.hold("one name") as held:
            assert held
            log = os.open(folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(log, b"enter %d\\n" % os.getpid())
            os.close(os.open(folder / "inside", os.O_CREAT | os.O_EXCL))
            time.sleep(0.001)
            os.unlink(folder / "inside")
            os.write(log, b"leave %d\\n" % os.getpid())
            os.close(log)
    """
    processes = [_process(tmp_path, body) for _ in range(6)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    lines = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    assert len(lines) == 6 * 15 * 2
    for (entering, who), (leaving, same) in zip(lines[::2], lines[1::2], strict=True):
        assert (entering, leaving, who) == ("enter", "leave", same)


def test_the_fallback_without_byte_ranges_excludes_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caching.store.locks._HAS_RANGES", False)
    locks = LockFile(tmp_path)
    with locks.hold("a") as held:
        assert held
        assert _in_thread(lambda: _try(locks, "a")) == [False]
        assert _in_thread(lambda: _try(locks, "b")) == [True]
    assert _in_thread(lambda: _try(locks, "a")) == [True]
