"""How fast verified reads are, beside what people use instead, on TPC-H lineitem in a real S3 server on this machine.

    python benchmarks/reading.py [--quick] [--scale 0.2] [--rounds 5]

Needs the extras `bench` and `s3-server`. Every measurement is a process of its own, the kinds take turns, and figures
are medians. Times are of the call alone, with pandas and the toolkit imported; what a call imports itself counts, and
what it takes `again`, when all is imported, is told beside.
Ratios of one run can be compared with each other; seconds of different machines cannot.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reads import DATASETS, KINDS, WITH_LATENCY, column_chunks

_LATENCY_SECONDS = 0.05
_MEBIBYTE = 1 << 20
_STORED_AS_IT_IS = "application/vnd.sourceswap"
# More than any kind takes.
_WARMED_BYTES = 1600 * _MEBIBYTE
# S3 reads what a request asks for, and on its own machines. SeaweedFS reads each part that the request touches whole,
# on the cores that the readers need: parts as small as it makes them, and kept in memory, come closest.
_LIKE_S3 = ("-filer.maxMB=1", "-s3.cacheCapacityMB=600")


def measure(kind: str) -> None:
    """Time one call in this process, and print seconds, CPU seconds, peak, frame bytes, and the seconds of another."""
    import pandas as pd  # noqa: F401 — imported, as in any program that reads frames

    read = KINDS[kind]()
    _warm_memory()
    _reset_peak()
    before = _peak_bytes()
    cpu = _cpu_seconds()
    started = time.perf_counter()
    value = read()
    seconds = time.perf_counter() - started
    frame_bytes = int(value.memory_usage(index=False).sum()) if hasattr(value, "memory_usage") else 0
    figures = [seconds, _cpu_seconds() - cpu, _peak_bytes() - before, frame_bytes]
    del value
    started = time.perf_counter()
    read()
    print(json.dumps([*figures, time.perf_counter() - started]), flush=True)
    # At once: Arrow's threads may still let go of Python's memory, which aborts a process that is about to end (its
    # issue 34314).
    os._exit(0)


def _warm_memory() -> None:
    """Have the machine at hand the memory that a call will take.

    A virtual machine returns to its host what processes leave, and getting it back took 2 ms a MiB here: as long as
    everything else, and decided by what ran before, not by the call that is measured.
    """
    import numpy as np

    # In large pages, which is how readers take it, and how it is returned.
    np.empty(_WARMED_BYTES, np.uint8)[:: mmap.PAGESIZE] = 1


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _peak_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def generate(folder: Path, scale: float) -> None:
    """Write lineitem as CSV and Parquet, and its first ten megabytes."""
    for kind in ("csv", "parquet"):
        options = ["-s", str(scale), "--tables", "lineitem", "--output-dir", str(folder)]
        subprocess.run([str(Path(sys.executable).with_name("tpchgen-cli")), kind, *options], check=True)
    with (folder / "lineitem.csv").open("rb") as file:
        head = file.read(10 * _MEBIBYTE)
    (folder / "small.csv").write_bytes(head[: head.rindex(b"\n") + 1])


def upload(client: Any, folder: Path) -> None:
    """Store the files, in a type that the server keeps as it is.

    SeaweedFS packs what it takes for text, and unpacks it for each GET: 0.45 s for the CSV, on the cores that the
    readers need. S3 does not.
    """
    client.create_bucket(Bucket="bench")
    copies = {f"small-{number:02}.csv": "small.csv" for number in range(DATASETS)}
    for key, name in {"lineitem.csv": "lineitem.csv", "lineitem.parquet": "lineitem.parquet", **copies}.items():
        with (folder / name).open("rb") as file:
            client.put_object(Bucket="bench", Key=key, Body=file, ContentType=_STORED_AS_IT_IS)


def run(environments: Mapping[str, Mapping[str, str]], kinds: list[str], rounds: int) -> dict[str, list[float]]:
    """Return the median of each figure by kind; the kinds take turns."""
    figures: dict[str, list[list[float]]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            environment = environments["latency" if kind in WITH_LATENCY else "plain"]
            command = [sys.executable, __file__, "--measure", kind]
            found = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
            figures[kind].append(json.loads(found.stdout))
    return {
        kind: [statistics.median(column) for column in zip(*measured, strict=True)]
        for kind, measured in figures.items()
    }


def report(medians: dict[str, list[float]], fetched: tuple[int, int]) -> None:
    for kind, (seconds, cpu, peak, frame, again) in medians.items():
        share = f"{peak / frame:.2f} x" if frame else ""
        times = f"{seconds:7.3f} s   again {again:6.3f} s   cpu {cpu:6.3f} s"
        print(f"{kind:24} {times}   peak +{peak / _MEBIBYTE:5.0f} MiB {share}")
    seconds = {kind: figures[0] for kind, figures in medians.items()}
    peaks = {kind: figures[2] / figures[3] for kind, figures in medians.items() if figures[3]}
    rows = [
        ("CSV, against polars.read_csv", seconds["ours_csv"] / seconds["polars_csv"], "<=", 1.1),
        ("Parquet, against polars.read_parquet", seconds["ours_parquet"] / seconds["polars_parquet"], "<=", 1.0),
        (
            "3 columns, against polars.scan_parquet",
            seconds["ours_parquet_columns"] / seconds["polars_parquet_columns"],
            "<=",
            1.0,
        ),
        ("CSV, against pandas.read_csv", seconds["pandas_csv"] / seconds["ours_csv"], ">=", 2.2),
        ("CSV, against the floor", seconds["ours_csv"] / seconds["floor_csv"], "<=", 1.1),
        ("Parquet, against pandas.read_parquet", seconds["pandas_parquet"] / seconds["ours_parquet"], ">=", 7),
        ("3 columns, against the whole file", seconds["pandas_parquet"] / seconds["ours_parquet_columns"], ">=", 20),
        ("3 columns, against columns=", seconds["pandas_parquet_columns"] / seconds["ours_parquet_columns"], ">=", 6),
        ("3 columns, bytes over their chunks", fetched[0] / fetched[1], "<=", 1.1),
        (f"{DATASETS} datasets, against GETs", seconds["many_small"] / seconds["floor_many_small"], "<=", 1.1),
        (f"{DATASETS} datasets, against one", seconds["many_small"] / seconds["one_small"], "<=", 2.5),
        ("peak over the frame, CSV", peaks["ours_csv"], "<=", 2),
        ("peak over the frame, Parquet", peaks["ours_parquet"], "<=", 2),
    ]
    for name, measured, relation, goal in rows:
        met = measured >= goal if relation == ">=" else measured <= goal
        print(f"{name:40} {measured:6.2f}   goal {relation} {goal:<4}  {'met' if met else 'MISSED'}")
    report_floors(medians)


def report_floors(medians: Mapping[str, list[float]]) -> None:
    """Print what plain GETs and decoding from memory leave of the goals that are hardest on this machine."""
    print("\nBy plain GETs and decoding from memory, with nothing verified or held against a contract:")
    for name, place in (("3 columns", 0), ("3 columns, read again", 4)):
        seconds = {kind: figures[place] for kind, figures in medians.items()}
        bare, floor, ours = (seconds[f"{kind}_parquet_columns"] for kind in ("bare", "floor", "ours"))
        whole, columns = seconds["pandas_parquet"], seconds["pandas_parquet_columns"]
        print(f"{name}: {bare:.3f} s for the GETs, {floor:.3f} s in all; ours is {ours / floor:.2f} times that")
        for who, taken in (("these", floor), ("ours", ours)):
            print(
                f"    pandas takes {whole / taken:.1f} times what {who} take, {columns / taken:.1f} times with columns="
            )
    seconds = {kind: figures[0] for kind, figures in medians.items()}
    floor, one = seconds["floor_many_small"], seconds["floor_one_small"]
    print(f"{DATASETS} datasets, on {os.cpu_count()} cores that server and proxy share: {floor:.3f} s")
    print(f"    {floor / one:.1f} times one of these, {floor / seconds['one_small']:.1f} times one of ours")
    print(f"    ours is {seconds['many_small'] / floor:.2f} times that")


def fetched_bytes(proxy: Any, folder: Path) -> tuple[int, int]:
    """Return the bytes that a read of three columns fetched, and those of their chunks and the footer."""
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(folder / "lineitem.parquet")
    needed = sum(chunk.total_compressed_size for chunk in column_chunks(metadata))
    # Each measurement reads twice.
    return proxy.bytes_sent() // 2, needed + metadata.serialized_size + 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=0.2, help="of TPC-H; 0.2 is 1.2 million rows, 151 MB of CSV")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round on a fifth of the rows")
    parser.add_argument("--only", nargs="*", choices=KINDS, help="measure these alone, and print no ratios")
    parser.add_argument("--measure", choices=KINDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
        return
    from loaders.sandbox.s3_server import S3Server
    from tests.fault_proxy import FaultProxy

    scale, rounds = (0.04, 1) if options.quick else (options.scale, options.rounds)
    with tempfile.TemporaryDirectory() as temporary, S3Server(options=_LIKE_S3) as server, FaultProxy(server) as proxy:
        folder = Path(temporary)
        generate(folder, scale)
        upload(server.client(), folder)
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        inherited["PYTHONPATH"] = str(Path(__file__).parents[1])
        environments = {"plain": {**inherited, **server.environment()}, "latency": {**inherited, **proxy.environment()}}
        run(environments, ["ours_csv"], 1)  # compiles what is imported, and warms the server
        proxy.clear()
        run({"plain": environments["latency"]}, ["ours_parquet_columns"], 1)
        fetched = fetched_bytes(proxy, folder)
        proxy.latency_seconds = _LATENCY_SECONDS
        medians = run(environments, options.only or list(KINDS), rounds)
        if options.only:
            print(json.dumps(medians, indent=1))
        else:
            report(medians, fetched)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main()
