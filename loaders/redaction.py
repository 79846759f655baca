"""Take secrets out of locations before they are shown."""

from __future__ import annotations

import re

_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")
_QUERY = re.compile(r"(?<=\?)[^\s'\"]+")


def redact(text: str) -> str:
    """Return the text without user names and passwords in URLs, and without their queries, which may be signatures.

    >>> redact("https://user:password@host/data.csv?X-Amz-Signature=abc")
    'https://***@host/data.csv?***'
    """
    if "://" not in text:
        return text
    return _QUERY.sub("***", _USERINFO.sub("***@", text))
