"""Format numbers with their units."""

from __future__ import annotations


def size_text(size_bytes: int) -> str:
    """Return a number of bytes in the most readable unit.

    >>> size_text(65536)
    '64.0 KiB'
    """
    if size_bytes < 1024:
        return f"{size_bytes} B"
    for unit in ("KiB", "MiB", "GiB"):
        value = size_bytes / 1024 ** ("KiB", "MiB", "GiB").index(unit) / 1024
        if value < 1024 or unit == "GiB":
            break
    return f"{value:.1f} {unit}"
