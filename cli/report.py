"""The report of a run on standard error: location, cache hit or miss, rows and seconds of each dataset."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from hamilton import lifecycle

from cli.terminal import echo_table
from loaders.errors import LoaderError

if TYPE_CHECKING:
    from caching import CacheEvent
    from loaders.planning.plan import Plan


class RunReport(lifecycle.NodeExecutionHook):
    """Records location, cache outcome, rows and seconds of each dataset of a run, and the node that failed."""

    def __init__(self, planned: Plan) -> None:
        self._planned = planned
        self._datasets = {dataset.name: dataset for dataset in planned.datasets}
        self._lock = threading.Lock()
        self._started: dict[str, float] = {}
        self._rows: dict[str, tuple[int, float]] = {}
        self._outcomes: dict[str, str] = {}
        self._failed: list[tuple[str, Exception | None]] = []

    def run_before_node_execution(self, *, node_name: str, **future_kwargs: Any) -> None:
        """Record the start of a dataset's load."""
        if node_name in self._datasets:
            self._started[node_name] = time.perf_counter()

    def run_after_node_execution(
        self, *, node_name: str, result: Any, success: bool, error: Exception | None, **future_kwargs: Any
    ) -> None:
        """Record rows and seconds of a dataset, or the failure of a node."""
        with self._lock:
            if not success:
                self._failed.append((node_name, error))
            # Hamilton reports a cancelled node as a success with the result None.
            if success and result is not None and node_name in self._datasets:
                self._rows[node_name] = (len(result), time.perf_counter() - self._started[node_name])

    def cache_event(self, event: CacheEvent) -> None:
        """Record whether a dataset was a cache hit."""
        with self._lock:
            self._outcomes[event.namespace] = event.outcome

    def echo_datasets(self) -> None:
        """Print a line for each dataset that was loaded."""
        rows = []
        for name, (count, seconds) in self._rows.items():
            dataset = self._datasets[name]
            outcome = self._outcomes.get(dataset.definition.namespace, "not cached")
            location = self._planned.location(dataset)
            rows.append((f"  {name}", location, outcome, f"{count:,} rows", f"{seconds:.2f} s"))
        echo_table(("", "", "", "", ""), rows, err=True)

    def failure(self, error: Exception) -> LoaderError:
        """Return a short error for a failed run that names the failing function."""
        if isinstance(error, LoaderError):
            return error
        node = next((name for name, its_error in self._failed if its_error is error), None)
        place = self._planned.place(node) if node else "the dataflow"
        text = " ".join(str(error).split())[:500]
        return LoaderError(f"{place} failed with {type(error).__name__}: {text}\nRun with --debug for the traceback.")
