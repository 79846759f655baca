"""Probe CSV and JSON Lines files, plain or compressed, by their head and tail."""

from __future__ import annotations

import bz2
import codecs
import csv
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import pyarrow as pa

from loaders.compression import decompressed, decompression_errors
from loaders.conforming.conformity import typed_table
from loaders.conforming.rules import broken_rules
from loaders.conforming.violation import Origin, contract_error
from loaders.errors import ContractError, LoaderError, ReadError
from loaders.formats.csv_format import parse_csv
from loaders.formats.csv_reader import delimiter_of
from loaders.formats.jsonl_format import parse_jsonl
from loaders.formats.request import Request
from loaders.formats.text_encoding import as_utf8, not_encoded
from loaders.probing.budget import PIECE_BYTES
from loaders.probing.probe import FileFacts
from loaders.probing.ranged_file import RangedFile, buffer
from loaders.schema import DatasetSchema
from loaders.schema.format_options import FormatOptions

_MOST_PLAIN_BYTES = 1 << 20
_LINE_ENDS = ("\n", "\r")
Problem = tuple[str, str]


class TextProbe:
    """The head and tail of one text file in UTF-8, each cut at line ends."""

    def __init__(self, file: RangedFile, options: FormatOptions, compression: str | None, name: str) -> None:
        self.format = name
        self.shown = file.location.shown
        self.options = replace(options, encoding="utf-8")
        head, self.is_whole = self._head(file, compression)
        self.no_text = _no_text(head, options.encoding, self.shown, whole=self.is_whole)
        text = "" if self.no_text else _decoded(head, options.encoding, whole=self.is_whole)
        self.ends_its_lines = text.endswith(_LINE_ENDS) if self.is_whole else None
        self.head = text if self.is_whole else _cut(text, options.quote_char if name == "csv" else "")
        self.tail = "" if self.is_whole or compression or self.no_text else self._tail(file, options)

    def _head(self, file: RangedFile, compression: str | None) -> tuple[bytes, bool]:
        if compression is None:
            return file.head(), file.is_small
        if file.is_small:
            return memoryview(decompressed(buffer(file.whole()), compression, self.shown)).tobytes(), True
        with decompression_errors(buffer(file.head()), compression, self.shown):
            return _inflated(file.head(), compression), False

    def _tail(self, file: RangedFile, options: FormatOptions) -> str:
        """Return the last whole lines, and whether the last one ends with a line end."""
        if codecs.lookup(options.encoding).name.startswith(("utf-16", "utf-32")):
            return ""
        text = file.tail().decode(options.encoding, errors="replace")
        self.ends_its_lines = text.endswith(_LINE_ENDS)
        lines = text.partition("\n")[2]
        quote = options.quote_char if self.format == "csv" else ""
        # It is unknown whether a tail begins within a quoted value.
        return "" if quote and lines.count(quote) % 2 else lines


def _facts(
    name: str,
    file: RangedFile,
    contract: DatasetSchema | None,
    options: FormatOptions,
    compression: str | None,
    given: dict[str, str | None],
) -> FileFacts:
    """Return the facts of a text file's head and tail: names, number of rows, and violations of the contract."""
    probe = TextProbe(file, options, compression, name)
    format_name = f"{name}, {compression}" if compression else name
    if probe.no_text:
        return FileFacts(format_name, problems=(("live-damaged", probe.no_text),))
    names, problem = _csv_names(probe) if name == "csv" else _jsonl_names(probe)
    if problem is not None:
        return FileFacts(format_name, problems=(problem,))
    rows, problems = (None, []) if contract is None else _checked(probe, contract, given)
    return FileFacts(format_name, names, {}, {}, rows, probe.ends_its_lines, tuple(problems))


csv_facts = partial(_facts, "csv")
jsonl_facts = partial(_facts, "jsonl")


def _csv_names(probe: TextProbe) -> tuple[tuple[str, ...], Problem | None]:
    delimiter = delimiter_of(probe.options, probe.shown)
    header = next(_records(probe.head, delimiter, probe.options.quote_char), None)
    if header is None:
        return (), ("live-empty", "it has no header")
    return (header[0].removeprefix("\ufeff"), *header[1:]), None


def _jsonl_names(probe: TextProbe) -> tuple[tuple[str, ...], Problem | None]:
    first = next((line for line in probe.head.splitlines() if line.strip()), None)
    if first is None:
        return (), ("live-empty", "it has no line")
    try:
        return tuple(json.loads(first)), None
    except (ValueError, TypeError):
        return (), ("live-damaged", "its first line is not a JSON object")


def _checked(
    probe: TextProbe, contract: DatasetSchema, given: dict[str, str | None]
) -> tuple[int | None, list[Problem]]:
    """Return the number of rows, if the head is the whole file, and the violations in head or tail."""
    is_csv = probe.format == "csv"
    parse = parse_csv if is_csv else parse_jsonl
    request = Request(contract, probe.options, contract.columns, Origin(probe.shown), given)
    rows, problems = _read(parse, probe.head, request)
    if probe.tail and not problems:
        header = probe.head.partition("\n")[0] + "\n" if is_csv else ""
        problems = [(_cut_short(rule), text) for rule, text in _read(parse, header + probe.tail, request)[1]]
    return rows if probe.is_whole else None, problems


def _read(
    parse: Callable[[pa.Buffer, Request], pa.Table], text: str, request: Request
) -> tuple[int | None, list[Problem]]:
    """Return the number of rows of a piece of text, and its violations of the contract."""
    try:
        table = parse(buffer(text.encode(errors="surrogateescape")), request)
        typed = typed_table(dict(zip(table.column_names, table.columns, strict=True)), request.contract, request.origin)
        columns = dict(zip(typed.column_names, typed.columns, strict=True))
        violations = [broken for broken in broken_rules(columns, request.contract) if not broken.is_warning]
        if violations:
            raise contract_error(request.contract.name, violations, request.origin)
    except ContractError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:] if not line.strip().startswith("Rows count")]
        return None, [(_rule(line), line) for line in lines]
    except LoaderError as error:
        return None, [("live-damaged", _about(error, request.shown))]
    return table.num_rows, [("live-empty", "it has no rows")] if not table.num_rows else []


def _rule(line: str) -> str:
    if line.startswith("columns:"):
        return "live-columns"
    if ": null in a column" in line:
        return "live-nulls"
    return "live-type" if "text that is not" in line else "live-values"


def _cut_short(rule: str) -> str:
    """Return the rule for a problem that only the tail has: wrong types or columns mean that the file was cut short."""
    return "live-damaged" if rule in ("live-type", "live-columns") else rule


def _records(text: str, delimiter: str, quote_char: str) -> Iterator[list[str]]:
    # NUL does not occur in text: it disables quotes.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=quote_char or "\0")
    try:
        yield from (record for record in reader if record)
    except csv.Error:
        return


def _no_text(data: bytes, encoding: str, shown: str, *, whole: bool) -> str | None:
    """Return why bytes are no text in an encoding: they are in another one, compressed, or no text at all."""
    try:
        if codecs.lookup(encoding).name.startswith("utf-8"):
            # Refuses the mark of another encoding.
            as_utf8(buffer(data[:4]), encoding, shown)
        text = _decoded(data, encoding, whole=whole)
    except UnicodeDecodeError:
        return _about(not_encoded(buffer(data), encoding, shown), shown)
    except ReadError as error:
        return _about(error, shown)
    if "\0" in text.partition("\n")[0]:
        return "its first line holds NUL bytes: it is no text, or text of another encoding, such as UTF-16"
    return None


def _about(error: LoaderError, shown: str) -> str:
    return str(error).replace(f"'{shown}' ", "it ", 1)


def _decoded(data: bytes, encoding: str, *, whole: bool) -> str:
    """Return decoded text; the last character of a piece may be incomplete."""
    return codecs.getincrementaldecoder(encoding)("strict").decode(data, final=whole)


def _cut(text: str, quote_char: str) -> str:
    """Return the text up to the last line end outside quotes."""
    end = text.rfind("\n") + 1
    while quote_char and end and text.count(quote_char, 0, end) % 2:
        end = text.rfind("\n", 0, end - 1) + 1
    return text[:end]


def _inflated(data: bytes, compression: str) -> bytes:
    """Return the beginning of a compressed file's content."""
    if compression == "gzip":
        return zlib.decompressobj(wbits=31).decompress(data, _MOST_PLAIN_BYTES)
    if compression == "bz2":
        return bz2.BZ2Decompressor().decompress(data, _MOST_PLAIN_BYTES)
    if compression == "xz":
        return lzma.LZMADecompressor().decompress(data, _MOST_PLAIN_BYTES)
    stream = pa.CompressedInputStream(pa.BufferReader(data), compression)
    plain = b""
    try:
        while len(plain) < _MOST_PLAIN_BYTES:
            piece = stream.read(PIECE_BYTES)
            if not piece:
                break
            plain += piece
    except (OSError, pa.ArrowException):
        # The fetched bytes end in the middle of a frame.
        return plain
    return plain
