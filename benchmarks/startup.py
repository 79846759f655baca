"""What the command line costs: `--help` against `import pandas`, `run --env local` against the same by hand.

    python benchmarks/startup.py [--rounds 9]

Fresh processes, interleaved, CPU seconds of each child as the operating system counts them; medians and their ratios.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMAND = str(Path(sys.executable).with_name("sourceswap"))

BY_HAND = """
import click, packaging, pydantic, yaml
import numpy as np, pandas as pd, pyarrow as pa, pyarrow.csv
from hamilton import registry
registry.disable_autoload()
registry.load_extension("pandas")
from hamilton import driver
from hamilton.plugins import h_threadpool

frame = pd.read_csv("examples/marketing_spend/marketing_spend.csv", parse_dates=["week"], dtype={"signups": "Int64"})
spend, signups = frame["spend"], frame["signups"]
print(pd.DataFrame({
    "week": frame["week"], "spend": spend, "signups": signups, "spend_per_signup": spend / signups,
    "spend_mean_3_weeks": spend.rolling(3).mean(),
    "signups_mean_3_weeks": signups.astype("float64").rolling(3).mean(),
    "spend_zero_mean_unit_variance": (spend - spend.mean()) / spend.std(),
}))
"""


def cpu_seconds(command: list[str], environment: dict[str, str]) -> float:
    child = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert child.stderr is not None
    errors = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{command[:3]} failed:\n{errors.decode()}")
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as cache:
        environment["SOURCESWAP_CACHE_DIR"] = cache
        commands = {
            "import pandas": [sys.executable, "-c", "import pandas"],
            "sourceswap --help": [COMMAND, "--help"],
            "by hand": [sys.executable, "-c", BY_HAND],
            "sourceswap run --env local": [COMMAND, "run", "--env", "local"],
            "the same, --no-cache": [COMMAND, "run", "--env", "local", "--no-cache"],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for round_number in range(rounds + 1):
            for name, command in commands.items():
                seconds = cpu_seconds(command, environment)
                if round_number:  # the first compiles bytecode and fills the cache
                    times[name].append(seconds)
    median = {name: statistics.median(values) for name, values in times.items()}
    for name, seconds in median.items():
        print(f"{name:30} {seconds:.3f} s CPU")
    for name, base, goal in (
        ("sourceswap --help", "import pandas", 0.35),
        ("sourceswap run --env local", "by hand", 1.4),
        ("the same, --no-cache", "by hand", 1.4),
    ):
        print(f"{name} / {base}: {median[name] / median[base]:.2f}  (goal: at most {goal})")


if __name__ == "__main__":
    main()
