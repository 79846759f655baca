"""Write files atomically."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loaders.errors import LoaderError


def write_file(path: Path, body: bytes) -> None:
    """Write a file atomically; create its folders."""
    with _write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(body)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` when the block ends without an error.

    Raises LoaderError if the system refuses to write, for example in a read-only folder or on a full disk.
    """
    with _write_errors(path):
        # In the target's folder, so that the last step is a rename within one file system.
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.absolute().parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LoaderError(
            f"'{path}' cannot be written: {error.strerror or error}. Choose another place, free some space or grant "
            "write permission; an existing file is unchanged."
        ) from error
