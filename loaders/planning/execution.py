"""Hamilton adapters that set storage, cache and a thread pool for each execution."""

from __future__ import annotations

import contextvars
import functools
import typing
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any, Self

from hamilton import graph, htypes, lifecycle, node
from hamilton.driver import DefaultGraphExecutor
from hamilton.lifecycle import base as lifecycle_base
from hamilton.plugins.h_threadpool import FutureAdapter

from loaders.clients.cancellation import active_cancellation, cancellable, results_of
from loaders.errors import LoaderError
from loaders.planning.call_environment import executing

Active = Callable[[list[str]], AbstractContextManager[None]]
# The tasks that the execution in this context has submitted to its threads.
_submitted: ContextVar[list[Future[Any]] | None] = ContextVar("sourceswap_submitted", default=None)


def execution_adapters(active: Active, nodes: int, own: Sequence[Any]) -> list[Any]:
    """Return the adapters of a driver with this number of nodes: the user's, and ours if they do not conflict.

    `active` returns the context of an execution for its outputs.

    The thread pool is omitted if an adapter of the user executes nodes itself, as those of Dask and Ray do. A result
    builder of the user is used by the thread pool, because a driver accepts only one.
    """
    own = [ContextThreadPool.like(adapter) if type(adapter) is FutureAdapter else adapter for adapter in own]
    ours: list[Any] = [ExecutionContext(active)]
    if not any(isinstance(adapter, lifecycle_base.BaseDoValidateInput) for adapter in own):
        ours.append(AbstractInputs())
    if any(_executes(adapter) for adapter in own):
        return [*ours, *own]
    builders = [adapter for adapter in own if isinstance(adapter, lifecycle.ResultBuilder)]
    others = [adapter for adapter in own if adapter not in builders]
    pool = ContextThreadPool(max_workers=nodes + 1, result_builder=next(iter(builders), None))  # type: ignore[arg-type]  # accepts None, but is declared without it
    return [*ours, pool, *others, *builders[1:]]


class ContextThreadPool(FutureAdapter):
    """Hamilton's thread pool with workers that run in the context of the execution.

    Hamilton submits every node at once, and each node waits in its thread for its inputs. The pool therefore has a
    thread for each node: with fewer, waiting columns of the first datasets would delay loading the last ones.
    """

    @classmethod
    def like(cls, pool: FutureAdapter) -> Self:
        """Return a pool of this class with the executor of a plain Hamilton pool."""
        ours = cls(result_builder=pool.result_builder)
        ours.executor = pool.executor
        return ours

    def do_remote_execute(
        self, *, execute_lifecycle_for_node: Callable[..., Any], node: node.Node, **kwargs: Any
    ) -> Any:
        """Submit a node, bound to a copy of the current context."""

        cancellation = active_cancellation()

        def execute(**arguments: Any) -> Any:
            # Another node may have failed while this one waited for a thread or its inputs.
            cancellation.check()
            try:
                with executing(node.name):
                    return execute_lifecycle_for_node(**arguments)
            except SystemExit as error:
                # Otherwise the command would silently end with the node's exit code, which may be 0.
                raise LoaderError(
                    f"{_function_of(node)} called sys.exit({error.code!r}). Raise an exception there instead."
                ) from error

        bound = functools.partial(contextvars.copy_context().run, execute)
        future = super().do_remote_execute(execute_lifecycle_for_node=bound, node=node, **kwargs)
        submitted = _submitted.get()
        if submitted is not None:
            submitted.append(future)
        return future


class CompletedResults(DefaultGraphExecutor):
    """Waits for all nodes or for the first failure, which cancels the other reads.

    Hamilton waits for one output after the other and would report a failure only after the outputs before it. It waits
    when it builds the result of `execute`, but not in `materialize` and `raw_execute`, whose callers would get futures
    for files that are not yet written.
    """

    def execute(  # type: ignore[override]  # Hamilton's own executors declare it so, their base otherwise
        self,
        fg: graph.FunctionGraph,
        final_vars: list[str],
        overrides: dict[str, Any],
        inputs: dict[str, Any],
        run_id: str,
    ) -> dict[str, Any]:
        """Return the values of the variables."""
        submitted: list[Future[Any]] = []
        token = _submitted.set(submitted)
        try:
            with cancellable():
                results = super().execute(fg, final_vars, overrides, inputs, run_id)
                results_of(submitted)
        finally:
            _submitted.reset(token)
        return {name: value.result() if isinstance(value, Future) else value for name, value in results.items()}


class AbstractInputs(lifecycle_base.BaseDoValidateInput):
    """Accepts inputs declared with abstract collections such as `Mapping[str, DataFrame]`."""

    def do_validate_input(self, *, node_type: type, input_value: Any) -> bool:
        """Return whether a value is valid for an input of the declared type."""
        origin = typing.get_origin(node_type)
        if isinstance(origin, type) and origin.__module__ == "collections.abc":
            return isinstance(input_value, origin)
        return bool(htypes.check_input_type(node_type, input_value))


class ExecutionContext(lifecycle.GraphExecutionHook):
    """Activates the environment's storage and cache while the driver executes."""

    def __init__(self, active: Active) -> None:
        self._active = active
        self._running: dict[str, AbstractContextManager[None]] = {}

    def run_before_graph_execution(self, *, run_id: str, final_vars: list[str], **future_kwargs: Any) -> None:
        """Enter the contexts in the executing thread."""
        context = self._active(final_vars)
        context.__enter__()
        self._running[run_id] = context

    def run_after_graph_execution(self, *, run_id: str, **future_kwargs: Any) -> None:
        """Exit the contexts, also after a failure."""
        self._running.pop(run_id).__exit__(None, None, None)


def _function_of(node: node.Node) -> str:
    functions = node.originating_functions or ()
    return f"{functions[0].__module__}.{functions[0].__qualname__}()" if functions else f"Node '{node.name}'"


def _executes(adapter: Any) -> bool:
    return isinstance(
        adapter,
        (
            lifecycle_base.BaseDoNodeExecute,
            lifecycle_base.BaseDoNodeExecuteAsync,
            lifecycle_base.BaseDoRemoteExecute,
        ),
    )
