"""Remove secrets from locations and messages before they are shown."""

from __future__ import annotations

import re

_LOCATION = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.\-]*(?:::[A-Za-z][A-Za-z0-9+.\-]*)*://")
# A password may hold any character. The user information ends at the last @ before the path, or after a slash if the
# text between colon and slash is not a port.
_BEYOND = r"[^/@\s:]*:(?!:)(?!\d*(?:[/?#\s'\"]|$))"
_USERINFO = re.compile(rf"(?<=://)(?:[^/]*@|{_BEYOND}.*@)", re.DOTALL)
_USERINFO_IN_TEXT = re.compile(rf"(?<=://)(?:[^/\s]*@|{_BEYOND}\S*@)")
_BARE_USERINFO = re.compile(r"[^\s/\\@:]+:[^\s/\\]+@(?=[^\s/\\@]+(?:/\S*)?$)")
# A query that was redacted before stays as it is, and so does the rest of its sentence.
_NOT_YET = r"(?!\*\*\*(?:['\"\s,;).]|$))"
_QUERY = re.compile(rf"(https?://[^?#]*#|\?|#(?=[^/]*=)){_NOT_YET}.+", re.DOTALL | re.IGNORECASE)
_QUERY_IN_TEXT = re.compile(rf"(https?://[^\s?#]*#|\?(?=[^\s'\"])|#(?=[^\s'\"/]*=)){_NOT_YET}.+", re.IGNORECASE)


def redact(text: str) -> str:
    """Return text without user names, passwords and queries in its URLs.

    A text that begins with a scheme is one location to its end. In other texts the end of a query is unknown, so the
    rest of its line is removed too.

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
    """Return the first line of another program's text, redacted and shortened."""
    line = redact((text.strip().splitlines() or [""])[0])[:300]
    return "".join(character if character.isprintable() else "?" for character in line)
