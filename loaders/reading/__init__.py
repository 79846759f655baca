"""Read a dataset from any location: `read_table(location, contract)` returns the frame of the contract, or raises.

Locations
    A local path (relative to the project's root), `s3://bucket/key`, `http(s)://` (also presigned), `memory://`, and
    any protocol for which an fsspec file system is installed. One file, a pattern (`parts/*.csv`, `**/*.parquet`),
    or a folder of parts, in the order of their paths; hidden files and markers such as `_SUCCESS` are left out, where a
    local pattern does not name them (`_tmp*.csv`). A part that is no file, or a link to none, is an error. Folders
    named `column=value` give columns that the contract has and the files lack; `__HIVE_DEFAULT_PARTITION__` is null.

Formats
    CSV (and `.tsv`), Parquet, Arrow/Feather (version 2, files and streams), JSON Lines; each plain or compressed by
    gzip, zstd, bz2 or xz. Format and compression are told from the name, else from the first bytes.
    `DatasetContract(format=FormatOptions(…))` says what the name does not: `format`, `compression`, `delimiter`,
    `quote_char`, `null_values`, `encoding`, `hive_partitions`; `formats:` of an environment overrides single ones.

What comes out
    Values are taken as they are or refused: text is no number, a time without zone is no instant, 1.5 is no integer,
    and what overflows is an error. Representations may differ where nothing is lost: an integer written `12.0`, a date
    written as a midnight. For a float, text is read as the double next to it, as all parsers read it; a number of
    Parquet or Arrow that no double equals is refused. What is nested is held to the same rules. A line of JSON Lines is
    one object, in which no wanted name stands twice; a name that it lacks is null. In CSV an unquoted text of
    `null_values` (by default the empty one) is null; quoted it is text, in a column of text or bytes. A report names
    dataset, column, rule, rows (counted from 1, without a header) and values.

Verification
    Local file: read from one descriptor; a file that is rewritten meanwhile is refused, one that is replaced by a
    rename is read as it was.
    S3: HEAD pins one version, each GET demands it (If-Match), length and ETag of each answer are compared. An object
    overwritten meanwhile is read again in its new version, never mixed. Of one uploaded in parts of several sizes, up
    to a thousand sizes are asked for.
    * Whole objects (`verify: object`, the default of `auto` over plain HTTP, and every format but Parquet): every byte
      is held against the stored checksum (CRC-32, CRC-32C, CRC-64/NVME, SHA-1, SHA-256, of the whole or of its parts),
      or the MD5 that the ETag is, before it is parsed. `auto` takes an object that has none of these at its length;
      `object` refuses it.
    * Ranges of Parquet (`verify: ranges`, the default of `auto` over HTTPS where few columns are needed): length, ETag,
      and the file's own page checksums where it has them. A page without one, and the footer, are guarded by TLS alone.
      At most 8 % more than the columns' chunks and the footer is fetched, and a file of up to 64 KiB whole.
    Web servers: length, and a digest where the server sends one (Repr-Digest, Digest, Content-MD5).
    fsspec: length, and the file system's version before against that after; waits are the file system's own.
    What breaks off, stalls, comes too slowly or is altered is tried again, with growing random waits, until `attempts`
    or the deadline end; the error lists what each try met. See `loaders.config.storage.StorageSettings`. Every wait has
    its bound, also for a header or the size of a chunk that trickles in. HTTP proxies of the environment are used.

Credentials come from the AWS chain: variables, profiles, instance roles. No message shows a secret: URLs appear without
user, password and query.
"""

import pandas as pd
import pyarrow as pa

from loaders.clients.progress import ReadProgress, watch_reads
from loaders.reading.table import read_table
from loaders.reading.versions import register

# Where a remote version is asked for must be known before the first read: the cache asks first.
register()
# Has pyarrow get to know pandas, which would be 3 ms of the first read's time.
pa.array(pd.Series(dtype=object))

__all__ = ["ReadProgress", "read_table", "watch_reads"]
