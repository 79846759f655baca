"""Parse one file in pieces of bounded size: Parquet by row groups, text in blocks of whole rows."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pyarrow as pa

from loaders.clients.source import Source
from loaders.compression import decompressed
from loaders.conforming.violation import Violation, contract_error
from loaders.formats.csv_format import parse_csv
from loaders.formats.csv_reader import CsvReader, delimiter_of
from loaders.formats.csv_slices import Quoting
from loaders.formats.formats import PARSERS, compression_of, format_by_name, format_of, parse
from loaders.formats.jsonl_format import parse_jsonl
from loaders.formats.parquet_format import parquet_pieces
from loaders.formats.request import Request

BLOCK_BYTES = 8 << 20
_MOST_LINE_ENDS = 64
# The beginning of a text that is fetched for its first rows, and by what it grows if they are more.
_HEAD_BYTES = 256 << 10
_HEAD_GROWTH = 8


def pieces(source: Source, request: Request) -> Iterator[pa.Table]:
    """Yield the wanted columns of one object by node name, in pieces that follow each other.

    What can be verified only as a whole is read into a temporary file, verified, and then parsed from there. Formats
    other than Parquet, CSV and JSON Lines, and text in encodings whose line ends are not single bytes, are one piece.
    """
    plain_name, compression = compression_of(source.location.name, request.options)
    named = format_by_name(plain_name, request.options)
    if named == "parquet" and compression is None:
        yield from parquet_pieces(source, request)
        return
    if named not in ("csv", "jsonl", None) or not _ends_lines_in_bytes(request.options.encoding):
        yield parse(source, request)
        return
    data = source.read(to_disk=True)
    if compression is not None:
        data = decompressed(data, compression, request.shown)
    found = format_of(plain_name, request.options, data, request.shown)
    if found == "csv":
        yield from _csv_pieces(data, request)
    elif found == "jsonl":
        yield from _jsonl_pieces(data, request)
    else:
        yield PARSERS[found](data, request)


def first_pieces(source: Source, request: Request) -> Iterator[pa.Table]:
    """Yield the columns as `pieces` does, but of text only the beginning is fetched, if ranges can be verified.

    Each further piece fetches the text from its beginning again, in a larger range: the consumer should stop soon.
    """
    plain_name, compression = compression_of(source.location.name, request.options)
    named = format_by_name(plain_name, request.options)
    if named == "parquet" and compression is None:
        yield from parquet_pieces(source, request, piece_bytes=0)
        return
    is_text = named in ("csv", "jsonl") and compression is None and _ends_lines_in_bytes(request.options.encoding)
    if not is_text or source.prefers_whole or source.size_bytes <= _HEAD_BYTES:
        yield from pieces(source, request)
        return
    quoting = Quoting(delimiter_of(request.options, request.shown), request.options.quote_char)
    parse_head = parse_csv if named == "csv" else _parse_some_jsonl
    size, given = _HEAD_BYTES, 0
    while size < source.size_bytes:
        head = source.read_ranges([(0, size)])[0]
        end = _last_row_end(memoryview(head), quoting if named == "csv" else None)
        if end:
            table = parse_head(head.slice(0, end), request)
            yield table.slice(given)
            given = table.num_rows
        size *= _HEAD_GROWTH
    for table in pieces(source, request):
        kept = table.slice(min(given, table.num_rows))
        given -= table.num_rows - kept.num_rows
        yield kept


def _last_row_end(view: memoryview, quoting: Quoting | None) -> int:
    """Return the end of the last whole row; 0 if there is none."""
    head, end = view.tobytes(), len(view)
    while (end := head.rfind(b"\n", 0, end)) >= 0:
        if quoting is None or not quoting.ends_open(view, 0, end + 1):
            return end + 1
    return 0


def _ends_lines_in_bytes(encoding: str) -> bool:
    return not codecs.lookup(encoding).name.startswith(("utf-16", "utf-32"))


def _csv_pieces(data: pa.Buffer, request: Request) -> Iterator[pa.Table]:
    """Yield the rows of a CSV file; each piece is parsed behind a copy of the header."""
    if data.size <= BLOCK_BYTES:
        yield parse_csv(data, request)
        return
    view = memoryview(data)
    header_bytes = CsvReader(data.slice(0, _block_end(view, 0, None)), request.options, request.shown).header_bytes
    header = view[:header_bytes].tobytes()
    quoting = Quoting(delimiter_of(request.options, request.shown), request.options.quote_char)
    rows = 0
    for start, end in _blocks(view, header_bytes, quoting):
        block = pa.py_buffer(header + view[start:end].tobytes())
        table = parse_csv(block, replace(request, origin=replace(request.origin, first_row=rows)))
        rows += table.num_rows
        yield table


def _jsonl_pieces(data: pa.Buffer, request: Request) -> Iterator[pa.Table]:
    """Yield the rows of JSON Lines; a name that no line has is found at the end."""
    view = memoryview(data)
    contract = request.contract
    unseen, rows = set(request.wanted), 0
    for start, end in _blocks(view, 0, None):
        block = data.slice(start, end - start)
        if not view[start:end].tobytes().strip():
            continue
        table = _parse_some_jsonl(block, replace(request, origin=replace(request.origin, first_row=rows)))
        unseen -= {name for name in table.column_names if table[name].null_count < table.num_rows}
        rows += table.num_rows
        yield table
    if not rows:
        parse_jsonl(data, request)  # says what is wrong with a file without a line
    # A column of nulls may have its name in the file, or not: only a look at all of it tells.
    if unseen - set(request.given) - set(contract.optional):
        _refuse_absent(view, sorted(unseen - set(request.given) - set(contract.optional)), request)


def _parse_some_jsonl(data: pa.Buffer, request: Request) -> pa.Table:
    """Return the rows of some lines; a name that they lack may be in others, and is null here."""
    contract = request.contract
    lenient = {name: None for column in contract.columns for name in (column, contract.source_name(column))}
    table = parse_jsonl(data, replace(request, given={**lenient, **request.given}))
    for name in request.wanted:
        if name not in table.column_names and name not in request.given:
            table = table.append_column(name, pa.nulls(table.num_rows, contract.schema.field(name).type))
    return table


def _refuse_absent(view: memoryview, names: Sequence[str], request: Request) -> None:
    """Raise ContractError for columns whose name is nowhere in the text; one with escapes in names is not judged."""
    contract = request.contract
    missing = [
        name
        for name in names
        if not any(
            re.search(re.escape(json.dumps(each, ensure_ascii=False).encode()), view)
            for each in (name, contract.source_name(name))
        )
    ]
    if missing and not re.search(rb"\\[u/]", view):
        rule = f"lacks {', '.join(repr(contract.source_name(name)) for name in missing)}"
        raise contract_error(contract.name, [Violation("columns", rule)], request.origin)


def _blocks(view: memoryview, start: int, quoting: Quoting | None) -> Iterator[tuple[int, int]]:
    """Yield the start and end of blocks of whole rows."""
    while start < len(view):
        end = _block_end(view, start, quoting)
        yield start, end
        start = end


def _block_end(view: memoryview, start: int, quoting: Quoting | None) -> int:
    size = BLOCK_BYTES
    while start + size < len(view):
        block, end = view[start : start + size].tobytes(), size
        for _ in range(_MOST_LINE_ENDS):
            end = block.rfind(b"\n", 0, end)
            if end < 0:
                break
            if quoting is None or not quoting.ends_open(view, start, start + end + 1):
                return start + end + 1
        # No row ends here: it is longer, or its line ends are carriage returns.
        size *= 2
    return len(view)
