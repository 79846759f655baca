"""Parse Arrow IPC files and streams; Feather is Arrow IPC."""

from __future__ import annotations

import pyarrow as pa

from loaders.errors import ReadError
from loaders.formats.request import Request

MAGIC = b"ARROW1"
# The end of a stream; before Arrow 0.15 without the first four bytes.
_ENDS = (b"\xff\xff\xff\xff\0\0\0\0", b"\0\0\0\0")


def parse_feather(data: pa.Buffer, request: Request) -> pa.Table:
    """Return the wanted columns by their node names, in the types of the file."""
    view = memoryview(data)
    if not view.nbytes:
        raise ReadError(f"'{request.shown}' is empty. Write it again, or correct the location.")
    start = view[:6].tobytes()
    if start.startswith(b"FEA1"):
        raise ReadError(f"'{request.shown}' is Feather version 1; write it with version 2 (the default since 2020).")
    try:
        is_file = start == MAGIC
        if not is_file:
            _refuse_unended(data, request.shown)
        open_reader = pa.ipc.open_file if is_file else pa.ipc.open_stream
        schema = open_reader(data).schema
        fields = request.match(schema.names)
        included = [schema.names.index(name) for name in fields] or [0]
        table = open_reader(data, options=pa.ipc.IpcReadOptions(included_fields=sorted(included))).read_all()
        # The format has no checksums, and Arrow trusts offsets: a wrong one would read other memory.
        table.validate(full=True)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ReadError(
            f"'{request.shown}' is not a complete Arrow file: {str(error).splitlines()[0][:300]}. It may be cut short."
        ) from None
    return table.rename_columns([fields[name].name if name in fields else "" for name in table.column_names])


def _refuse_unended(data: pa.Buffer, shown: str) -> None:
    """Raise ReadError for a stream that does not end with the data, because Arrow ignores the rest."""
    stream = pa.BufferReader(data)
    messages = pa.ipc.MessageReader.open_stream(stream)
    end = 0
    while True:
        try:
            messages.read_next_message()
        except StopIteration:
            break
        end = stream.tell()
    rest = memoryview(data)[end : end + 16].tobytes()
    if rest not in _ENDS:
        what = "more bytes follow its end" if rest.startswith(_ENDS) else "its end is missing, so it may be cut short"
        raise ReadError(f"'{shown}' is not a complete Arrow stream: {what}. Write or copy it again.")
