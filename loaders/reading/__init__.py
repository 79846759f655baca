"""Read a dataset from any location: `read_table(location, contract)` returns the frame of the contract, or raises.

Locations
    A local path (relative to the project's root), `s3://bucket/key`, `gs://bucket/key`, `az://container/key`,
    `abfs://container@account.dfs.core.windows.net/key`, `http(s)://` (also presigned), `memory://`, and any protocol
    for which an fsspec file system is installed. A location is one file, a pattern (`parts/*.csv`,
    `**/*.parquet`), or a folder of parts, which are read in the order of their paths. Hidden files and markers such as
    `_SUCCESS` are skipped unless a local pattern names them (`_tmp*.csv`). A part that is not a file, or a broken link,
    is an error. Folders named `column=value` supply columns that the contract has and the files lack;
    `__HIVE_DEFAULT_PARTITION__` is null.

Formats
    CSV (and `.tsv`), Parquet, Arrow/Feather (version 2, files and streams) and JSON Lines; each plain or compressed by
    gzip, zstd, bz2 or xz. Format and compression are detected from the name, else from the first bytes.
    `DatasetContract(format=FormatOptions(…))` sets what a name does not tell: `format`, `compression`, `delimiter`,
    `quote_char`, `null_values`, `encoding`, `hive_partitions`; `formats:` of an environment overrides single options.

Values
    A value is converted only if nothing is lost. An integer may be written `12.0`, and a date as a midnight. Text is
    not accepted as a number, a time without zone not as an instant, 1.5 not as an integer; overflow is an error. Text
    in a float column becomes the nearest double; a Parquet or Arrow number that no double equals is an error. The same
    rules hold for values in lists and structs. A line of JSON Lines is one object, in which no wanted name appears
    twice; a missing name is null. In CSV an unquoted text in `null_values` (by default the empty text) is null; quoted,
    it is text, in a column of text or bytes. An error names dataset, column, rule, rows (counted from 1, without the
    header) and values.

Verification
    Local files are read through one descriptor. A file that is rewritten during the read is an error; a file that is
    replaced by a rename is read in its old version.
    For object stores, HEAD gets the version, each GET requires it (If-Match), and length and ETag of each response are
    compared. An object that is overwritten during the read is read again in its new version; versions are never mixed.
    Of a multipart upload with parts of different sizes, up to a thousand part sizes are requested.
    * Whole objects (`verify: object`; the default, `auto`, over plain HTTP; every format but Parquet): the bytes are
      compared with the MD5 in the ETag, or in S3 with the stored checksum (CRC-32, CRC-32C, CRC-64/NVME, SHA-1,
      SHA-256, of the object or of its parts), before they are parsed. For an object that has none, as in Azure, `auto`
      checks only the length; `object` raises.
    * Ranges of Parquet (`verify: ranges`; `auto` over HTTPS where few columns are needed): length, ETag, and the file's
      own page checksums where it has them. The footer, and pages without a checksum, are protected by TLS alone.
      Beyond the columns' chunks and the footer, at most 8 % more is fetched; a file of up to 64 KiB is fetched whole.
    For web servers, the length is checked, and a digest if the server sends one (Repr-Digest, Digest, Content-MD5).
    For fsspec, the length and the file's version before and after the read are checked; timeouts are the file system's.
    A request that breaks off, stalls, is slow or returns altered bytes is repeated after growing random waits, until
    `attempts` or the deadline is reached; the error lists what happened in each try. Every wait is bounded, also for a
    header that arrives byte by byte. See `loaders.config.storage.StorageSettings`. The HTTP proxies of the environment
    are used.
    What obstore does not tell: whether a redirect was followed (to another host the signature does not go along, a
    session token does), and whether the list of a folder in Google Cloud Storage or Azure is complete; S3's lists come
    from boto3, which does.

Credentials come from the environment: for S3 the AWS chain (variables, profiles, SSO, roles), for Google and Azure the
variables and identities that obstore knows. Messages contain no secrets: URLs are shown without user, password and
query.
"""

import pandas as pd
import pyarrow as pa

from loaders.clients.progress import ReadProgress, watch_reads
from loaders.reading.batches import read_batches, scan_polars
from loaders.reading.table import READERS, read_arrow, read_polars, read_table
from loaders.reading.versions import register

# The cache looks up the version of a remote file before the first read.
register()
# Makes pyarrow import pandas now; it would add 3 ms to the first read.
pa.array(pd.Series(dtype=object))

__all__ = [
    "READERS",
    "ReadProgress",
    "read_arrow",
    "read_batches",
    "read_polars",
    "read_table",
    "scan_polars",
    "watch_reads",
]
