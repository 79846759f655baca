"""What a hit costs, against what people use instead, measured in one run.

    python benchmarks/cache.py            all frames, a few minutes, 4 GB of disk
    python benchmarks/cache.py --quick    small frames and few rounds: does it run at all?

Every hit happens in a fresh process that has imported what it needs; contenders take turns, so that a slow
minute of the machine hits all of them. Medians are compared. `floor` maps the same file, builds the same
frame and checks nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))

NAMESPACE, KEY = "benchmarks.cache.frame", "0123456789abcdef" * 2
CONTENDERS = ("sourceswap", "floor", "pickle", "joblib", "diskcache", "hamilton")


def make_frame(kind: str, rows: int) -> pd.DataFrame:
    """The frames of the table: `mixed` for 10 thousand and 1 million rows, `numbers`, `texts`."""
    random = np.random.default_rng(7)
    if kind == "numbers":
        return pd.DataFrame(random.random((8, rows)).T, columns=list("abcdefgh"), copy=False)
    if kind == "texts":
        words = np.array([f"{number:08d} " * 12 for number in random.integers(0, 10**8, 1000)])
        return pd.DataFrame({name: pd.Series(words[random.integers(0, 1000, rows)], dtype="str") for name in "abcd"})
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            "count": random.integers(0, 1000, rows),
            **{name: random.random(rows) for name in ("x", "y", "z")},
            "city": pd.Series(np.array(["Lyon", "Oslo", "Porto"])[random.integers(0, 3, rows)], dtype="str"),
            "code": pd.Series(random.integers(0, 10**6, rows).astype(str), dtype="str"),
            "time": pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 10**8, rows), unit="s"),
        }
    )


def touch(frame: pd.DataFrame) -> float:
    """Read every byte of every column."""
    total = 0.0
    for name in frame.columns:
        column = frame[name]
        if column.dtype == "str":
            for chunk in column.array.__arrow_array__().chunks:  # type: ignore[attr-defined]
                for buffer in chunk.buffers():
                    total += 0 if buffer is None else int(np.frombuffer(buffer, np.uint8).sum(dtype=np.uint64))
        else:
            total += column.max().timestamp() if column.dtype.kind == "M" else float(column.sum())
    return total


def _frame_of(path: str) -> pd.DataFrame:
    """The frame to cache; in its own function, as each contender's user would write it."""
    with Path(path).open("rb") as file:
        return pickle.load(file)  # type: ignore[no-any-return]


# Contenders: each gives a way to store a frame and one to get it back, and does its imports before the clock
# runs.


def sourceswap(folder: Path) -> tuple[Callable[[pd.DataFrame], Any], Callable[[], Any]]:
    from caching.store.local_cache import LocalCache

    cache = LocalCache(folder)
    return lambda frame: cache.save((NAMESPACE, KEY), frame), lambda: cache.load((NAMESPACE, KEY))


def floor(folder: Path) -> tuple[Callable[[pd.DataFrame], Any], Callable[[], Any]]:
    from caching.store import entry_file

    store, load = sourceswap(folder)

    def load_unchecked() -> Any:
        entry_file.check_chunks = lambda data, digests: None
        return load()

    return store, load_unchecked


def naive_pickle(folder: Path) -> tuple[Callable[[pd.DataFrame], Any], Callable[[], Any]]:
    path = folder / "frame.pickle"

    def store(frame: pd.DataFrame) -> None:
        with path.open("wb") as file:
            pickle.dump(frame, file, protocol=pickle.HIGHEST_PROTOCOL)

    return store, lambda: _frame_of(str(path))


def joblib_memory(folder: Path) -> tuple[Callable[[pd.DataFrame], Any], Callable[[], Any]]:
    from joblib import Memory

    held: list[pd.DataFrame] = []

    def frame(number: int) -> pd.DataFrame:
        return held[0]

    cached = Memory(folder, verbose=0).cache(frame)
    return lambda value: (held.append(value), cached(1)), lambda: cached(1)


def disk_cache(folder: Path) -> tuple[Callable[[pd.DataFrame], Any], Callable[[], Any]]:
    from diskcache import Cache

    cache = Cache(str(folder), size_limit=2**40)
    return lambda frame: cache.set(KEY, frame), lambda: cache[KEY]


def hamilton_cache(folder: Path) -> tuple[Callable[[pd.DataFrame], Any], Callable[[], Any]]:
    from hamilton import ad_hoc_utils, driver

    held: list[pd.DataFrame] = []

    def frame() -> pd.DataFrame:
        return held[0]

    module = ad_hoc_utils.create_temporary_module(frame, module_name="benchmarked")
    built = driver.Builder().with_modules(module).with_cache(path=str(folder)).build()
    return lambda value: (held.append(value), built.execute(["frame"])), lambda: built.execute(["frame"])["frame"]


MAKERS = {
    "sourceswap": sourceswap,
    "floor": floor,
    "pickle": naive_pickle,
    "joblib": joblib_memory,
    "diskcache": disk_cache,
    "hamilton": hamilton_cache,
}


# One measurement, in a process of its own.


def measure(action: str, contender: str, folder: Path, source: str) -> dict[str, float]:
    """Store, or hit and touch, once."""
    store, load = MAKERS[contender](folder)
    if action == "store":
        frame = _frame_of(source)
        start = time.perf_counter()
        store(frame)
        return {"store": time.perf_counter() - start}
    before = _reset_peak()
    start = time.perf_counter()
    frame = load()
    loaded = time.perf_counter()
    touch(frame)
    touched = time.perf_counter()
    peak = _memory("VmHWM") - before
    return {
        "load": loaded - start,
        "touched": touched - start,
        "peak": peak / frame.memory_usage(index=True).sum(),
    }


def _reset_peak() -> int:
    if not Path("/proc/self/clear_refs").exists():
        return 0
    touch(make_frame("mixed", 100))  # what the first use of each pandas function allocates is not the frame's
    Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def _memory(field: str) -> int:
    if not Path("/proc/self/status").exists():
        return 0
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def run_child(action: str, contender: str, folder: Path, source: Path) -> dict[str, float]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, __file__, "--one", action, contender, str(folder), str(source)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SystemExit(f"{contender} failed to {action}:\n{result.stderr[-2000:]}")
    return json.loads(result.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def benchmark(name: str, kind: str, rows: int, rounds: int, names: list[str]) -> dict[str, dict[str, float]]:
    """Medians by contender: store, load, touched, peak."""
    folder = Path(tempfile.mkdtemp(prefix="sourceswap-benchmark-"))
    try:
        source = folder / "source.pickle"
        with source.open("wb") as file:
            pickle.dump(make_frame(kind, rows), file, protocol=pickle.HIGHEST_PROTOCOL)
        samples: dict[str, dict[str, list[float]]] = {contender: {} for contender in names}
        for number in range(rounds):
            for contender in names:
                if contender != "floor" and number < max(3, rounds // 3):
                    target = folder / contender
                    shutil.rmtree(target, ignore_errors=True)
                    target.mkdir()
                    _add(samples[contender], run_child("store", contender, target, source))
        for _ in range(rounds):
            for contender in names:
                target = folder / ("sourceswap" if contender == "floor" else contender)
                _add(samples[contender], run_child("hit", contender, target, source))
        return {c: {k: statistics.median(v) for k, v in samples[c].items()} for c in names}
    finally:
        shutil.rmtree(folder)


def _add(samples: dict[str, list[float]], figures: dict[str, float]) -> None:
    for name, figure in figures.items():
        samples.setdefault(name, []).append(figure)


def tiny_hits(rounds: int) -> dict[str, float]:
    """Microseconds of a hit on a tiny value in one process: key and version of a file included for ours."""
    from diskcache import Cache

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = folder / "table.csv"
        table.write_text("a\n1\n")
        # As old as data files are: those that were written a moment ago are read again at each hit.
        time.sleep(3)
        memoized = Cache(str(folder / "diskcache")).memoize()(_tiny)
        calls = {"diskcache": lambda: memoized(str(table), 3), "sourceswap": _our_tiny(folder, table)}
        samples: dict[str, list[float]] = {contender: [] for contender in calls}
        for call in calls.values():
            call()
        for _ in range(rounds):
            for contender, call in calls.items():
                start = time.perf_counter()
                for _ in range(200):
                    call()
                samples[contender].append((time.perf_counter() - start) / 200 * 1e6)
        return {contender: statistics.median(figures) for contender, figures in samples.items()}


def _tiny(path: str, number: int) -> dict[str, int]:
    return {"rows": len(Path(path).read_text()), "number": number}


def _our_tiny(folder: Path, table: Path) -> Callable[[], Any]:
    from caching.store.local_cache import LocalCache

    cache = LocalCache(folder / "sourceswap")
    try:
        from caching import function_cache
    except ImportError:
        cache.save((NAMESPACE, KEY), _tiny(str(table), 3))
        return lambda: cache.load((NAMESPACE, KEY))
    cached = function_cache(cache)(_tiny)
    return lambda: cached(str(table), 3)


# The report.


def report(results: dict[str, dict[str, dict[str, float]]], goals: dict[str, float]) -> None:
    for frame, figures in results.items():
        print(f"\n{frame}: medians in ms, stores in s, peak memory over the frame's own bytes")
        print(f"  {'':12}{'load':>10}{'touched':>10}{'store':>10}{'peak':>8}")
        for contender, row in figures.items():
            store = f"{row['store']:10.3f}" if "store" in row else " " * 10
            print(f"  {contender:12}{row['load'] * 1e3:10.2f}{row['touched'] * 1e3:10.2f}{store}{row['peak']:8.2f}")
        ours = figures["sourceswap"]
        if "pickle" in figures:
            _judge(
                "times faster than pickle",
                figures["pickle"]["load"] / ours["load"],
                goals[frame],
                at_least=True,
            )
            _judge("store over pickle's", ours["store"] / figures["pickle"]["store"], 1.0)
        if "floor" in figures:
            _judge("touched, over the floor", ours["touched"] / figures["floor"]["touched"], 1.3)
        _judge("peak memory", ours["peak"], 1.1)


def _judge(what: str, measured: float, goal: float, *, at_least: bool = False) -> None:
    met = measured >= goal if at_least else measured <= goal
    print(f"  {what:28} {measured:6.2f}   goal {'>=' if at_least else '<='} {goal:<5} " + ("met" if met else "MISSED"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a hundredth of the rows, two rounds")
    parser.add_argument("--rounds", type=int, help="hits of each contender (default 9)")
    parser.add_argument("--frames", default="10k,1m,10m,texts", help="some of 10k,1m,10m,texts (default: all)")
    parser.add_argument("--contenders", default=",".join(CONTENDERS))
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        action, contender, folder, source = options.one
        print(json.dumps(measure(action, contender, Path(folder), source)))
        return
    share, rounds = (100, 2) if options.quick else (1, 9)
    frames = {
        "10k": ("mixed", 10**4),
        "1m": ("mixed", 10**6),
        "10m": ("numbers", 10**7),
        "texts": ("texts", 10**6),
    }
    results = {}
    for frame in options.frames.split(","):
        kind, rows = frames[frame]
        names = options.contenders.split(",")
        results[frame] = benchmark(frame, kind, rows // share, options.rounds or rounds, names)
    report(results, {"10k": 1.0, "1m": 6.0, "10m": 8.0, "texts": 8.0})
    tiny = tiny_hits(options.rounds or rounds)
    print(f"\ntiny hit: {tiny['sourceswap']:.0f} µs, diskcache {tiny['diskcache']:.0f} µs")
    _judge("over diskcache's", tiny["sourceswap"] / tiny["diskcache"], 1.3)


if __name__ == "__main__":
    main()
