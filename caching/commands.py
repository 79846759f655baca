"""The commands `cache …`: list what is cached, explain a miss, verify, prune and clear.

The group is a plain click object: `python -m caching` runs it, and other command lines mount it. A
`LocalCache` in the context's `obj` is the one to use where `--cache-dir` is not given.
"""

from __future__ import annotations

import difflib
import functools
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Concatenate, ParamSpec

import click

from caching.store.local_cache import LocalCache

P = ParamSpec("P")


@click.group()
@click.option(
    "--cache-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="The cache's folder; else SOURCESWAP_CACHE_DIR, else the user's cache folder.",
)
@click.pass_context
def cache(context: click.Context, cache_dir: Path | None) -> None:
    """List what is cached, explain a miss, verify, prune and clear."""
    if cache_dir is not None or not isinstance(context.obj, LocalCache):
        context.obj = LocalCache(cache_dir)


def _pass_store(command: Callable[Concatenate[LocalCache, P], None]) -> Callable[P, None]:
    """Pass the cache to a command; exit 2 if its folder cannot be read, which is not the same as an empty one."""

    @functools.wraps(command)
    def with_store(*args: P.args, **kwargs: P.kwargs) -> None:
        context = click.get_current_context()
        try:
            context.obj.check_readable()
        except OSError as error:
            click.echo(f"Error: The cache folder {context.obj.cache_directory} cannot be read: {error}.", err=True)
            context.exit(2)
        command(context.obj, *args, **kwargs)

    return with_store


@cache.command()
@click.option("--all", "everything", is_flag=True, help="Clear every function.")
@click.option("--funcs", metavar="NAME…", multiple=True, help="A function in every module, or module.function.")
@click.argument("more", nargs=-1, metavar="")
@_pass_store
def clear(store: LocalCache, everything: bool, funcs: Sequence[str], more: Sequence[str]) -> None:
    """Remove entries: of all functions, or of those that are named; exit 2 where none of the names is cached."""
    names = [*funcs, *more] if funcs else []
    if everything == bool(names) or (more and not funcs):
        raise click.UsageError("Name what to clear: either --all or --funcs NAME….")
    if everything:
        click.echo(f"Cleared {_entries(store.clear_all())}.")
        return
    found, unknown = _matching(store, names)
    for namespace in found:
        click.echo(f"Cleared {_entries(store.clear(namespace))} of {namespace}.")
    if unknown and not found:
        click.get_current_context().exit(2)


@cache.command("list-cache")
@_pass_store
def list_cache(store: LocalCache) -> None:
    """List the cached functions: entries, size, last use."""
    stats = store.stats()
    if not stats.namespaces:
        click.echo(f"Nothing is cached in {store.cache_directory}.")
        return
    width = max(len(title) for title in ("function", *(found.namespace for found in stats.namespaces)))
    click.echo(f"{'function':<{width}}  entries  {'size':>9}  last used")
    for found in stats.namespaces:
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(found.used_at))
        click.echo(f"{found.namespace:<{width}}  {found.entries:>7}  {_size(found.size_bytes):>9}  {used}")


cache.add_command(list_cache, "ls")


@cache.command()
@_pass_store
def stats(store: LocalCache) -> None:
    """Show the folder, the number of entries and their size."""
    found = store.stats()
    click.echo(f"folder     {store.cache_directory}")
    click.echo(f"functions  {len(found.namespaces)}")
    click.echo(f"entries    {found.entries}")
    click.echo(f"size       {_size(found.size_bytes)}")


@cache.command()
@click.option(
    "--max-size", metavar="SIZE", help="Remove the least recently used until the rest fits: 500MB, 10GB; 0 for all."
)
@click.option("--ttl-seconds", type=click.FloatRange(min=0), help="Remove what is older.")
@_pass_store
def prune(store: LocalCache, max_size: str | None, ttl_seconds: float | None) -> None:
    """Remove damaged, expired and unfinished entries, and the least recently used ones beyond a size."""
    try:
        pruned = store.prune(max_size=max_size, ttl_seconds=ttl_seconds)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--max-size") from error
    click.echo(f"Removed {_entries(pruned.removed)}, {_size(pruned.freed_bytes)}.")


@cache.command()
@_pass_store
def verify(store: LocalCache) -> None:
    """Check every byte of every entry; exit 1 if any is damaged."""
    found = store.verify()
    for path, reason in found.damaged:
        click.echo(f"{path}: {reason}")
    click.echo(f"Checked {_entries(found.entries)}, {_size(found.size_bytes)}: {len(found.damaged)} damaged.")
    if found.damaged:
        click.echo("Damaged entries are never served: the next call computes the result again.", err=True)
        click.get_current_context().exit(1)


@cache.command()
@click.argument("funcs", nargs=-1, required=True, metavar="FUNC…")
@_pass_store
def why(store: LocalCache, funcs: Sequence[str]) -> None:
    """Explain the latest miss of functions: what differed from the nearest entry; exit 2 for an unknown one."""
    from caching.misses import explain_miss

    found, unknown = _matching(store, funcs)
    for namespace in found:
        for line in explain_miss(store, namespace) or [f"{namespace}: no miss is known"]:
            click.echo(line)
    if unknown:
        click.get_current_context().exit(2)


def _matching(store: LocalCache, names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the namespaces that the names mean, and the unknown names; a bare name means it in every module."""
    known = sorted(store.get_namespaces())
    found: list[str] = []
    unknown: list[str] = []
    for name in names:
        matching = [space for space in known if space == name or ("." not in name and space.endswith(f".{name}"))]
        if not matching:
            bare = {space.rpartition(".")[2] for space in known}
            close = difflib.get_close_matches(name, [*known, *sorted(bare)], n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            click.echo(f"Nothing is cached of {name}.{hint}", err=True)
            unknown.append(name)
        found += [space for space in matching if space not in found]
    return found, unknown


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"


def _size(size_bytes: int) -> str:
    """Return a size with its unit.

    >>> _size(999), _size(1_500_000)
    ('999 B', '1.5 MB')
    """
    size, units = float(size_bytes), ["B", "kB", "MB", "GB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.0f} B" if units[0] == "B" else f"{size:.1f} {units[0]}"
