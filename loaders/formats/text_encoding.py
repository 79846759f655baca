"""Convert text files of any encoding to UTF-8."""

from __future__ import annotations

import codecs

import pyarrow as pa

from loaders.compression import compression_by_content
from loaders.errors import ReadError

_MARK = "\ufeff"
_MARKS = {
    # UTF-32 first, because its marks begin like those of UTF-16.
    "UTF-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
    "UTF-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
}


def as_utf8(data: pa.Buffer, encoding: str, shown: str) -> pa.Buffer:
    """Return text of an encoding as UTF-8 without byte-order mark; raise ReadError for invalid bytes.

    Bytes declared as UTF-8 are returned unchanged; the parsers validate them.
    """
    start = memoryview(data)[:4].tobytes()
    if codecs.lookup(encoding).name in ("utf-8", "utf-8-sig"):
        for name, marks in _MARKS.items():
            if start.startswith(marks):
                raise ReadError(
                    f"'{shown}' is {name}, not UTF-8. Set FormatOptions(encoding='{name.lower()}') in its contract."
                )
        return data.slice(len(codecs.BOM_UTF8)) if start.startswith(codecs.BOM_UTF8) else data
    try:
        return pa.py_buffer(codecs.decode(memoryview(data), encoding).removeprefix(_MARK).encode())
    except UnicodeError:
        raise not_encoded(data, encoding, shown) from None


def not_encoded(data: pa.Buffer, encoding: str, shown: str) -> ReadError:
    """Return the error for bytes that are invalid in an encoding, with the first of them."""
    packed = compression_by_content(data)
    if packed:
        return ReadError(
            f"'{shown}' is not text but {packed} data. Set FormatOptions(compression='{packed}') in its contract, or "
            "end its name accordingly."
        )
    where = ""
    try:
        codecs.decode(memoryview(data), encoding)
    except UnicodeDecodeError as error:
        line = memoryview(data)[: error.start].tobytes().count(b"\n") + 1
        where = f": byte {error.start:,}, in line {line:,}, is 0x{error.object[error.start]:02x}"
    except UnicodeError as error:
        where = f": {error}"
    return ReadError(
        f"'{shown}' is not {encoding.upper()}{where}. "
        "Set FormatOptions(encoding=…) in its contract, for instance 'latin-1' or 'cp1252', or write it as UTF-8."
    )


def is_utf8(data: pa.Buffer) -> bool:
    """Return whether bytes are UTF-8."""
    try:
        codecs.utf_8_decode(memoryview(data), "strict", True)
    except UnicodeDecodeError:
        return False
    return True
