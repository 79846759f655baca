"""Print the results of a run, or write them to a file."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import click

from cli.terminal import line_width
from loaders.errors import LoaderError

_FORMATS = (".parquet", ".csv", ".feather", ".arrow", ".json", ".jsonl")
_TEXT_FORMATS = (".csv", ".json", ".jsonl")
_PRINTED_ROWS = 20
_UNLIMITED = 1_000_000


def refuse_unwritable(file: Path) -> None:
    """Raise a usage error for a file that cannot be written, before anything is computed."""
    suffix, compression = _format_of(file)
    if suffix not in _FORMATS:
        raise click.UsageError(f"--output: '{file.name}' must end in one of {', '.join(_FORMATS)}.")
    if compression and suffix not in _TEXT_FORMATS:
        raise click.UsageError(
            f"--output: '{file.name}' would be compressed twice: {suffix} files are compressed. Omit {file.suffix}."
        )
    if file.is_dir():
        raise click.UsageError(f"--output: '{file}' is a folder; name a file in it.")
    if not file.absolute().parent.is_dir():
        raise click.UsageError(f"--output: folder '{file.parent}' does not exist; create it first.")


def _format_of(file: Path) -> tuple[str, str | None]:
    from loaders.compression import split_compression

    plain, compression = split_compression(file.name)
    return Path(plain).suffix.lower(), compression


def echo_results(results: Mapping[str, Any]) -> None:
    """Print the results: single values one per line, columns with equal indexes as one table, each frame separately."""
    import pandas as pd

    from loaders.conforming.frame_kinds import as_pandas

    results = {name: as_pandas(value) for name, value in results.items()}
    singles = {name: value for name, value in results.items() if not isinstance(value, (pd.Series, pd.DataFrame))}
    for name, value in singles.items():
        click.echo(f"{name}: {value}")
    columns = {name: value for name, value in results.items() if isinstance(value, pd.Series)}
    while columns:
        index = next(iter(columns.values())).index
        group = {name: column for name, column in columns.items() if column.index.equals(index)}
        _echo_frame(pd.DataFrame(group, index=index))
        columns = {name: column for name, column in columns.items() if name not in group}
    for name, value in results.items():
        if isinstance(value, pd.DataFrame):
            click.echo(f"{name}:")
            _echo_frame(value)


def write_results(results: Mapping[str, Any], file: Path) -> int:
    """Write the results as one table, atomically; return the number of rows.

    A labelled index, such as the groups of a `groupby`, becomes the first columns. Raises a usage error if the results
    do not form one table (a frame with other outputs, columns with different indexes), and LoaderError if the file
    cannot be written or its format cannot hold the values.
    """
    from loaders.compression import compressing
    from loaders.files import replacing

    frame = _with_labels(_one_table(results))
    writers: dict[str, Callable[[BinaryIO], object]] = {
        ".parquet": lambda stream: frame.to_parquet(stream, index=False),
        ".csv": lambda stream: frame.to_csv(stream, index=False, mode="wb"),
        ".feather": lambda stream: frame.to_feather(stream),
        ".arrow": lambda stream: frame.to_feather(stream),
        ".json": lambda stream: stream.write((json.dumps(_records(frame), indent=2) + "\n").encode()),
        ".jsonl": lambda stream: stream.write("".join(f"{json.dumps(row)}\n" for row in _records(frame)).encode()),
    }
    suffix, compression = _format_of(file)
    with replacing(file) as temporary:
        try:
            with compressing(temporary, compression) as stream:
                writers[suffix](stream)
        except (ValueError, TypeError, NotImplementedError, OverflowError) as error:
            # The format cannot hold the values, for example numbers and texts in one column of a Parquet file.
            raise LoaderError(
                f"'{file}' cannot hold these outputs: {' '.join(str(error).split())[:300]}\n"
                "Choose others with --select, or another format."
            ) from error
    return len(frame)


def _one_table(results: Mapping[str, Any]) -> Any:
    import pandas as pd

    from loaders.conforming.frame_kinds import as_pandas

    results = {name: as_pandas(value) for name, value in results.items()}
    frames = [name for name, value in results.items() if isinstance(value, pd.DataFrame)]
    if frames and len(results) > 1:
        raise click.UsageError(
            f"--output writes one table, but the results are the table {frames[0]!r} and {len(results) - 1} other "
            f"outputs. Choose the table with --select {frames[0]}."
        )
    if frames:
        return results[frames[0]]
    series = {name: value for name, value in results.items() if isinstance(value, pd.Series)}
    if not series:
        return pd.DataFrame([results])
    first_name, first = next(iter(series.items()))
    for name, value in series.items():
        if not value.index.equals(first.index):
            raise click.UsageError(
                f"--output writes one table, but '{name}' ({len(value):,} rows) and '{first_name}' ({len(first):,} "
                "rows) have different indexes. Choose outputs with the same index by --select."
            )
    return pd.DataFrame(dict(results), index=first.index)


def _with_labels(frame: Any) -> Any:
    """Return a frame with a plain index; an index with labels becomes columns."""
    from pandas.api.types import is_integer_dtype

    index = frame.index
    if index.nlevels == 1 and index.name is None and is_integer_dtype(index.dtype):
        return frame.reset_index(drop=True)
    kept = [name for name in index.names if name is not None and name in frame.columns]
    return (
        frame.reset_index(kept, drop=True).reset_index() if len(kept) < index.nlevels else frame.reset_index(drop=True)
    )


def _records(frame: Any) -> list[dict[str, Any]]:
    """Return the rows as JSON values: floats with all digits, missing and infinite numbers as null."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): _json_value(value) for name, value in row.items()} for row in rows]


def _json_value(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (int, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _json_value(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return _json_value(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_json_value(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _echo_frame(frame: Any) -> None:
    import pandas as pd

    width = line_width() or _UNLIMITED
    with pd.option_context("display.max_rows", _PRINTED_ROWS, "display.width", width, "display.max_columns", 20):
        click.echo(str(frame))
