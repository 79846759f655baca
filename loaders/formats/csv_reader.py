"""Read one CSV file: its header, its slices, and a clear error for text that does not parse."""

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

from loaders.errors import ReadError
from loaders.formats.csv_slices import Quoting, safe_block_bytes, slices
from loaders.formats.text_encoding import is_utf8, not_encoded
from loaders.formats.workers import decoded_by_all
from loaders.schema.format_options import FormatOptions

# Small enough to stay in a core's cache, large enough to make the start of a parser cheap in comparison. Arrow reserves
# this size for each column of text; allocators would round a little more than a power of two up to the next one.
_SLICE_BYTES = 15 << 17
_LARGEST_BLOCK_BYTES = (1 << 31) - 1
_HEADER_BYTES = 1 << 20


class UnfitTextError(Exception):
    """Raised when a text is not a value of the requested type and the file is otherwise valid."""


class CsvReader:
    """A CSV file in UTF-8 that can be parsed repeatedly with different types; `header` has its names."""

    def __init__(self, data: pa.Buffer, options: FormatOptions, shown: str) -> None:
        self._data = data
        self._options = options
        self._shown = shown
        self._delimiter = delimiter_of(options, shown)
        self._quoting = Quoting(self._delimiter, options.quote_char)
        self.header, start = self._read_header()
        self._rows = (start, data.size)
        self._slices = slices(memoryview(data), start, self._quoting, _SLICE_BYTES)

    @property
    def header_bytes(self) -> int:
        """The number of bytes before the first row."""
        return self._rows[0]

    def read(self, types: Mapping[str, pa.DataType]) -> pa.Table:
        """Return the named columns in these types; a file with only a header has no rows.

        Raises:
            UnfitTextError: a text is not a value of its column's type.
            ReadError: the bytes are not CSV in the contract's format.
        """
        by_position = {self.header.index(name): arrow_type for name, arrow_type in types.items()}
        try:
            table = self._read(by_position)
        except pa.ArrowInvalid as error:
            if _is_about_a_value(str(error)):
                raise UnfitTextError from None
            raise self._unreadable(error) from None
        self._refuse_open_quote(table.num_rows)
        return table.rename_columns(list(types))

    def holds_hexadecimal(self) -> bool:
        """Return whether the file may hold a number such as `0x1F`, which Arrow accepts and contracts refuse."""
        return self._holds(b"0X", 0xDFFF, None)

    def holds_negative_exponent(self) -> bool:
        """Return whether the file may hold a decimal such as `1e-40`, which Arrow reads as zero or crashes on."""
        return self._holds(b"E-", 0xFFDF, b"0123456789.")

    def _holds(self, pair: bytes, mask: int, after: bytes | None) -> bool:
        """Return whether two bytes (case-insensitive by the mask) follow each other after one of other bytes."""
        wanted = int.from_bytes(pair, "little") & mask

        def found(stretch: tuple[int, int]) -> bool:
            start, end = stretch
            array = np.frombuffer(self._data, np.uint8)[start : end + 1]
            # At even positions, and at odd ones.
            for place in (0, 1):
                hits = (array[place : place + (len(array) - place) // 2 * 2].view("<u2") & mask) == wanted
                if after is None:
                    if hits.any():
                        return True
                elif hits.any():
                    before = 2 * np.flatnonzero(hits) + place - 1
                    if np.isin(array[before[before >= 0]], np.frombuffer(after, np.uint8)).any():
                        return True
            return False

        return any(decoded_by_all(found, self._slices or [self._rows]))

    def _read_header(self) -> tuple[list[str], int]:
        """Return the column names and the position of the first row."""
        head = memoryview(self._data)[:_HEADER_BYTES].tobytes()
        if not head.strip():
            raise ReadError(f"'{self._shown}' is empty: not even a header. Write it again, or correct the location.")
        consumed = 0

        def lines(text: str) -> Iterator[str]:
            nonlocal consumed
            for line in io.StringIO(text, newline=""):
                consumed += len(line.encode())
                yield line

        try:
            # The head may end in the middle of a character.
            text, available = codecs.utf_8_decode(head, "strict", len(head) == self._data.size)
            # NUL does not occur in text: it disables quotes.
            records = csv.reader(lines(text), delimiter=self._delimiter, quotechar=self._options.quote_char or "\0")
            names = next(record for record in records if record)
            if consumed == available < self._data.size:
                raise ReadError(
                    f"'{self._shown}' has a header of more than {_HEADER_BYTES:,} bytes. It may not be CSV, or "
                    "its line ends or quotes may differ from the contract's format."
                )
            return names, consumed
        except (csv.Error, StopIteration) as error:
            raise ReadError(f"'{self._shown}' has no readable header: {error or 'only empty lines'}.") from None
        except UnicodeDecodeError:
            raise not_encoded(self._data, self._options.encoding, self._shown) from None

    def _read(self, types: Mapping[int, pa.DataType]) -> pa.Table:
        if self._slices is not None:
            if len(self._slices) == 1:
                return self._parsed(self._slices[0], types)
            return pa.concat_tables(decoded_by_all(lambda stretch: self._parsed(stretch, types), self._slices))
        try:
            return self._parsed(self._rows, types, whole=False)
        except pa.ArrowInvalid as error:
            # One row is larger than a block.
            if "straddling" not in str(error):
                raise
            return self._parsed(self._rows, types)

    def _parsed(
        self, stretch: tuple[int, int], types: Mapping[int, pa.DataType], *, whole: bool = True, on_ragged: Any = None
    ) -> pa.Table:
        """Return the rows of a slice, parsed by this thread, or in blocks by Arrow's threads."""
        # Imported here, because most reads are of Parquet or cache hits.
        import pyarrow.csv as arrow_csv

        data = self._complete(*stretch)
        whole = whole and data.size < _LARGEST_BLOCK_BYTES
        # By position, because unwanted columns may have the same name.
        by_name = {str(position): arrow_type for position, arrow_type in types.items()}
        try:
            table = arrow_csv.read_csv(
                pa.BufferReader(data),
                read_options=arrow_csv.ReadOptions(
                    # Arrow counts rows only if a single thread reads them.
                    use_threads=not whole and on_ragged is None,
                    block_size=data.size + 1 if whole else safe_block_bytes(memoryview(data), _SLICE_BYTES),
                    column_names=[str(position) for position in range(len(self.header))],
                ),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=self._delimiter,
                    quote_char=self._options.quote_char or False,
                    double_quote=bool(self._options.quote_char),
                    newlines_in_values=bool(self._options.quote_char),
                    # In a file of one column an empty line is a row: the only way to write a null.
                    ignore_empty_lines=len(self.header) > 1,
                    invalid_row_handler=on_ragged,
                ),
                convert_options=arrow_csv.ConvertOptions(
                    include_columns=list(by_name),
                    column_types=by_name,
                    null_values=list(self._options.null_values),
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid as error:
            if "Empty CSV file" not in str(error):
                raise
            return pa.table({name: pa.array([], arrow_type) for name, arrow_type in by_name.items()})
        for column in table.columns:
            if pa.types.is_decimal(column.type):
                # The parser counts the digits of the text, not those added by the scale.
                column.validate(full=True)
        return table

    def _complete(self, start: int, end: int) -> pa.Buffer:
        """Return a slice with a line end added if the parser needs one."""
        data = self._data.slice(start, end - start)
        ending = memoryview(data)[-1:].tobytes()
        if memoryview(data)[:3].tobytes() == codecs.BOM_UTF8:
            # It belongs to the first value; the parser would drop it as a byte-order mark.
            data = pa.py_buffer(codecs.BOM_UTF8 + data.to_pybytes())
        if ending == self._delimiter.encode():
            # At the end of a file, the parser treats an empty field as quoted if the previous one was.
            data = pa.py_buffer(data.to_pybytes() + b"\n")
        return data

    def _refuse_open_quote(self, rows: int) -> None:
        """Raise ReadError for a file that ends within quotes: the parser would read the rest as one field."""
        stretch = self._slices[-1] if self._slices else self._rows
        if self._quoting.ends_open(memoryview(self._data), *stretch):
            raise ReadError(
                f"'{self._shown}' ends within quotes, which open in its last row ({rows:,}). The file may be cut "
                "short, or its quotes may differ from the contract's format (FormatOptions(quote_char=…))."
            )

    def _unreadable(self, error: pa.ArrowInvalid) -> ReadError:
        """Return the error for a file that does not parse; a slower pass finds the row."""
        if not is_utf8(self._data):
            return not_encoded(self._data, "utf-8", self._shown)
        ragged: list[Any] = []

        def note(row: Any) -> str:
            ragged.append(row)
            return "skip" if len(ragged) < 3 else "error"

        with contextlib.suppress(pa.ArrowInvalid):
            self._parsed(self._rows, {0: pa.large_binary()}, on_ragged=note)
        if ragged:
            rows = ", ".join(f"row {row.number + 1} has {row.actual_columns}" for row in ragged[:3])
            return ReadError(
                f"'{self._shown}' has rows of unequal length: its header has {len(self.header)} fields, {rows} "
                "(counting from the header, which is row 1; empty lines do not count). "
                "The file may be cut short, or its delimiter or quotes may differ from the contract's format."
            )
        return ReadError(f"'{self._shown}' is not readable as CSV: {str(error).splitlines()[0][:300]}")


def _is_about_a_value(message: str) -> bool:
    """Return whether the parser refused a value, not the structure of the file."""
    conversion = "conversion error" in message or "ecimal" in message
    return conversion and not message.startswith("CSV parse error") and not message.endswith("invalid UTF8 data")


def delimiter_of(options: FormatOptions, shown: str) -> str:
    """Return the delimiter of the contract, or the one indicated by the file's name."""
    if options.delimiter is not None:
        return options.delimiter
    name = re.split("[?#]", shown)[0].rpartition("/")[2].lower()
    return "\t" if re.search(r"\.(tsv|tab)(\.|$)", name) else ","
