"""Remove secrets from locations and messages before they are shown."""

from __future__ import annotations

import re

_LOCATION = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.\-]*(?:::[A-Za-z][A-Za-z0-9+.\-]*)*://")
# A password may hold any character: up to the last @ before the path, or beyond where what would be a port is none.
_BEYOND = r"[^/@\s:]*:(?!:)(?!\d*(?:[/?#\s'\"]|$))"
_USERINFO = re.compile(rf"(?<=://)(?:[^/]*@|{_BEYOND}.*@)", re.DOTALL)
_USERINFO_IN_TEXT = re.compile(rf"(?<=://)(?:[^/\s]*@|{_BEYOND}\S*@)")
_BARE_USERINFO = re.compile(r"[^\s/\\@:]+:[^\s/\\]+@(?=[^\s/\\@]+(?:/\S*)?$)")
# What was taken out before is left alone, and so is what follows it in a sentence.
_NOT_YET = r"(?!\*\*\*(?:['\"\s,;).]|$))"
_QUERY = re.compile(rf"(https?://[^?#]*#|\?|#(?=[^/]*=)){_NOT_YET}.+", re.DOTALL | re.IGNORECASE)
_QUERY_IN_TEXT = re.compile(rf"(https?://[^\s?#]*#|\?(?=[^\s'\"])|#(?=[^\s'\"/]*=)){_NOT_YET}.+", re.IGNORECASE)


def redact(text: str) -> str:
    """Return text without user names, passwords and queries in its URLs.

    A text that begins as a location is one to its end. In any other, where a query ends cannot be told, and the rest
    of its line goes with it.

    >>> redact("https://user:password@host/data.csv?X-Amz-Signature=abc")
    'https://***@host/data.csv?***'
    >>> redact("user:password@host:9000")
    '***@host:9000'
    """
    if "://" not in text:
        return _BARE_USERINFO.sub("***@", text, count=1) if _BARE_USERINFO.match(text) else text
    if _LOCATION.match(text):
        return _QUERY.sub(r"\1***", _USERINFO.sub("***@", text), count=1)
    return _QUERY_IN_TEXT.sub(r"\1***", _USERINFO_IN_TEXT.sub("***@", text))


def first_line(text: str) -> str:
    """Return the redacted beginning of a foreign text's first line."""
    line = redact((text.strip().splitlines() or [""])[0])[:300]
    return "".join(character if character.isprintable() else "?" for character in line)
