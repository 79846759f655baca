"""CSV: Arrow's parser, told the contract's types; nothing is inferred, so nothing is coerced."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loaders.conforming.violation import Violation, contract_error
from loaders.contract.dtypes import is_text, storage_type
from loaders.contract.format_options import FormatOptions
from loaders.errors import ReadError
from loaders.reading.csv_slices import Quoting, safe_block_bytes, slices
from loaders.reading.request import Request
from loaders.reading.text_values import typed_text
from loaders.reading.workers import decoded_by_all

# Small enough that what a thread parses stays near its core, large enough that starting a parser does not count. Arrow
# reserves as much for each column of text: a little more than a power of two, and allocators would round it up.
_SLICE_BYTES = 15 << 17
_LARGEST_BLOCK_BYTES = (1 << 31) - 1
_HEADER_BYTES = 1 << 20
_TEXT = pa.large_string()
_HEXADECIMAL = int.from_bytes(b"0X", "little") & 0xDFFF


def parse_csv(data: pa.Buffer, request: Request) -> pa.Table:
    """Return the wanted columns by their node names, typed.

    Raises:
        ReadError: the bytes are no CSV of the contract's format.
        ContractError: a column is missing, or a text means no value of its type.
    """
    options = request.options
    data = as_utf8(data, options.encoding, request.shown)
    header = _header(data, options, request.shown)
    fields = request.match(header)
    reader = _Reader(data, options, header, request.shown)
    if not fields:
        # Only the number of rows is asked of it.
        table = reader.read({header[0]: _TEXT})
        reader.refuse_open_quote(table.num_rows)
        return table
    types = {name: _parsed_type(field.type) for name, field in fields.items()}
    integers = [name for name in types if pa.types.is_integer(types[name])]
    if integers and reader.holds_hexadecimal():
        types |= dict.fromkeys(integers, _TEXT)
    try:
        table = reader.read(types)
    except pa.ArrowInvalid as error:
        if "conversion error" not in str(error) and "ecimal" not in str(error):
            raise reader.unreadable(error) from None
        table = None
    if table is None or _doubtful(table, data):
        # Bytes stay bytes: they need not be text, and none is refused.
        types = {name: arrow_type if _is_binary(arrow_type) else _TEXT for name, arrow_type in types.items()}
        try:
            table = reader.read(types)
        except pa.ArrowInvalid as error:
            raise reader.unreadable(error) from None
    reader.refuse_open_quote(table.num_rows)
    return _typed(table, fields, request)


def _parsed_type(arrow_type: pa.DataType) -> pa.DataType:
    """Return the type that Arrow's CSV parser is to read: of the contract where it knows its texts, else text."""
    return storage_type(arrow_type) if _parser_knows(arrow_type) else _TEXT


def _is_binary(arrow_type: pa.DataType) -> bool:
    return bool(pa.types.is_binary(arrow_type) or pa.types.is_large_binary(arrow_type))


def _parser_knows(arrow_type: pa.DataType) -> bool:
    """Tell whether Arrow's CSV parser reads texts of the type, and reads them as we mean them."""
    return bool(
        (pa.types.is_integer(arrow_type) or pa.types.is_boolean(arrow_type) or is_text(arrow_type))
        or (pa.types.is_floating(arrow_type) and not pa.types.is_float16(arrow_type))
        or pa.types.is_decimal128(arrow_type)
        or (pa.types.is_date(arrow_type) or pa.types.is_time(arrow_type) or pa.types.is_timestamp(arrow_type))
        or _is_binary(arrow_type)
    )


def _doubtful(table: pa.Table, data: pa.Buffer) -> bool:
    """Tell whether a float may be another than is written: the parser gives infinity for `1e999`, NaN for `nan(1)`."""
    floats = [column for column in table.columns if pa.types.is_floating(column.type)]
    return any(pc.any(pc.is_inf(column), min_count=0).as_py() for column in floats) or (
        any(pc.any(pc.is_nan(column), min_count=0).as_py() for column in floats)
        and re.search(rb"nan\(", memoryview(data), re.IGNORECASE) is not None
    )


def _typed(table: pa.Table, fields: Mapping[str, pa.Field], request: Request) -> pa.Table:
    """Return the table with each column that still is text in the type of its field."""
    violations = []
    columns: dict[str, Any] = {}
    for name, field in fields.items():
        values = table[name]
        if pa.types.is_large_string(values.type) and not is_text(field.type):
            # Parsed as text, a quoted null is not null yet; outside of text columns it means nothing else.
            null = pc.is_in(values, value_set=pa.array(request.options.null_values, pa.large_string()))
            values = typed_text(field.name, pc.if_else(null, None, values), field.type)
        if isinstance(values, Violation):
            violations.append(values)
        columns[field.name] = values
    if violations:
        raise contract_error(request.contract.name, violations, request.origin)
    return pa.table(columns)


class _Reader:
    """The bytes of one CSV, to be parsed with one set of types or another."""

    def __init__(self, data: pa.Buffer, options: FormatOptions, header: list[str], shown: str) -> None:
        self._data = data
        self._options = options
        self._header = header
        self._shown = shown
        self._quoting = Quoting(delimiter_of(options, shown), options.quote_char)
        self._slices = slices(memoryview(data), self._quoting, _SLICE_BYTES)

    def read(self, types: Mapping[str, pa.DataType]) -> pa.Table:
        """Return the named columns in these types; a file that is only a header gives no rows."""
        if self._slices is None:
            return self._parsed((0, self._data.size), types, whole=False)
        if len(self._slices) == 1:
            return self._parsed(self._slices[0], types)
        return pa.concat_tables(decoded_by_all(lambda stretch: self._parsed(stretch, types), self._slices))

    def _parsed(
        self, stretch: tuple[int, int], types: Mapping[str, pa.DataType], *, whole: bool = True, on_ragged: Any = None
    ) -> pa.Table:
        """Return the rows of a stretch, parsed as a whole and by this thread, or in blocks by Arrow's."""
        # Imported here: most reads are of Parquet, or answered by the cache.
        import pyarrow.csv as arrow_csv

        start, end = stretch
        data = self._data.slice(start, end - start)
        whole = whole and data.size < _LARGEST_BLOCK_BYTES
        try:
            return arrow_csv.read_csv(
                pa.BufferReader(data),
                read_options=arrow_csv.ReadOptions(
                    # Arrow numbers rows only where one thread reads them all.
                    use_threads=not whole and on_ragged is None,
                    block_size=data.size + 1 if whole else safe_block_bytes(memoryview(data), _SLICE_BYTES),
                    column_names=self._header if start else None,
                ),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=delimiter_of(self._options, self._shown),
                    quote_char=self._options.quote_char or False,
                    double_quote=bool(self._options.quote_char),
                    newlines_in_values=bool(self._options.quote_char),
                    # In a file of one column an empty line is a row: the only way to write a null.
                    ignore_empty_lines=len(self._header) > 1,
                    invalid_row_handler=on_ragged,
                ),
                convert_options=arrow_csv.ConvertOptions(
                    include_columns=list(types),
                    column_types=dict(types),
                    null_values=list(self._options.null_values),
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid as error:
            if "Empty CSV file" not in str(error):
                raise
            return pa.table({name: pa.array([], arrow_type) for name, arrow_type in types.items()})

    def holds_hexadecimal(self) -> bool:
        """Tell whether the file may hold a number such as `0x1F`: the parser takes it, no contract means it."""

        def found(stretch: tuple[int, int]) -> bool:
            start, end = stretch
            array = np.frombuffer(self._data, np.uint8)[start : end + 1]
            # Pairs of bytes, from an even place and from an odd one; the mask makes `x` and `X` one.
            pairs = (array[place : place + (len(array) - place) // 2 * 2].view("<u2") for place in (0, 1))
            return any(bool(((each & 0xDFFF) == _HEXADECIMAL).any()) for each in pairs)

        return any(decoded_by_all(found, self._slices or [(0, self._data.size)]))

    def refuse_open_quote(self, rows: int) -> None:
        """Raise ReadError for a file that ends within quotes: the parser takes all that follows them as one field."""
        quote = self._quoting.quote
        end_of_rows = self._slices[-1] if self._slices else (0, self._data.size)
        if self._quoting.surely_outside(memoryview(self._data), *end_of_rows):
            return
        last = self._parsed(end_of_rows, {self._header[-1]: pa.large_string()})[self._header[-1]]
        text = (last[-1].as_py() or "") if len(last) else ""
        swallowed = quote + text.encode().replace(quote, 2 * quote)
        end = memoryview(self._data)[-len(swallowed) - 1 :].tobytes()
        if end.endswith(swallowed) and (text or end != 2 * quote):
            raise ReadError(
                f"'{self._shown}' ends within quotes, which open in its last row ({rows:,}). The file may be cut "
                "short, or its quotes may differ from the contract's format (FormatOptions(quote_char=…))."
            )

    def unreadable(self, error: pa.ArrowInvalid) -> ReadError:
        """Return why the file cannot be read, with the row; finding it takes another, slower pass."""
        text = str(error)
        if "UTF8" in text or "UTF-8" in text or "utf8" in text:
            return _not_encoded(self._data, self._options.encoding, self._shown)
        ragged: list[Any] = []

        def note(row: Any) -> str:
            ragged.append(row)
            return "skip" if len(ragged) < 3 else "error"

        with contextlib.suppress(pa.ArrowInvalid):
            everything = (0, self._data.size)
            self._parsed(everything, dict.fromkeys(self._header[:1], pa.large_string()), on_ragged=note)
        if ragged:
            rows = ", ".join(f"row {row.number} has {row.actual_columns}" for row in ragged[:3])
            return ReadError(
                f"'{self._shown}' has rows of unequal length: its header has {len(self._header)} fields, {rows} "
                "(counting lines from the header, which is row 1). "
                "The file may be cut short, or its delimiter or quotes may differ from the contract's format."
            )
        return ReadError(f"'{self._shown}' is no readable CSV: {text.splitlines()[0][:300]}")


def delimiter_of(options: FormatOptions, name: str) -> str:
    """Return the delimiter that the contract says, or else the file's name."""
    if options.delimiter is not None:
        return options.delimiter
    return "\t" if ".tsv" in name.lower() or name.lower().endswith(".tab") else ","


def _header(data: pa.Buffer, options: FormatOptions, shown: str) -> list[str]:
    head = memoryview(data)[:_HEADER_BYTES].tobytes()
    if not head.strip():
        raise ReadError(f"'{shown}' is empty: not even a header. Write it again, or correct the location.")
    try:
        # The head may end within a character.
        text, _ = codecs.utf_8_decode(head, "strict", len(head) == data.size)
        first = next(_records(text, delimiter_of(options, shown), options.quote_char))
    except (csv.Error, StopIteration) as error:
        raise ReadError(f"'{shown}' has no readable header: {error or 'only empty lines'}.") from None
    except UnicodeDecodeError:
        raise _not_encoded(data, options.encoding, shown) from None
    return first


def _records(text: str, delimiter: str, quote_char: str) -> Iterator[list[str]]:
    # A quote character that cannot stand in text is the csv module's way to have none.
    for record in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=quote_char or "\0"):
        if record:
            yield record


def as_utf8(data: pa.Buffer, encoding: str, shown: str) -> pa.Buffer:
    """Return text in some encoding as UTF-8 without a byte-order mark; refuse bytes that are none of it."""
    start = memoryview(data)[:4].tobytes()
    if codecs.lookup(encoding).name in ("utf-8", "utf-8-sig"):
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise ReadError(f"'{shown}' is UTF-16, not UTF-8. Set FormatOptions(encoding='utf-16') in its contract.")
        return data.slice(len(codecs.BOM_UTF8)) if start.startswith(codecs.BOM_UTF8) else data
    try:
        text = codecs.decode(memoryview(data), encoding)
    except UnicodeDecodeError:
        raise _not_encoded(data, encoding, shown) from None
    return pa.py_buffer(text.encode())


def _not_encoded(data: pa.Buffer, encoding: str, shown: str) -> ReadError:
    where = ""
    try:
        codecs.decode(memoryview(data), encoding)
    except UnicodeDecodeError as error:
        line = memoryview(data)[: error.start].tobytes().count(b"\n") + 1
        where = f": byte {error.start:,}, in line {line:,}, is 0x{error.object[error.start]:02x}"
    return ReadError(
        f"'{shown}' is not {encoding.upper()}{where}. "
        "Set FormatOptions(encoding=…) in its contract, for instance 'latin-1' or 'cp1252', or write it as UTF-8."
    )
