"""Convert the exceptions of obstore: to one that asks for another attempt, or to the store's refusal."""

from __future__ import annotations

import re

from loaders.clients.retry import TryAgainError
from loaders.redaction import first_line

_RETRIED_STATUSES = {408, 425, 429, 500, 502, 503, 504, 509}
_RETRIED_CODES = {"RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable", "ServerBusy"}
_STATUS = re.compile(r"non-2xx status code: (\d{3})[^:]*:(.*?)(?:\n\nDebug source:|\Z)", re.DOTALL)
_CODE = re.compile(r"<Code>([A-Za-z0-9._\-]{1,80})</Code>")
_MESSAGE = re.compile(r"<Message>(.*?)</Message>", re.DOTALL)
_REGION = re.compile(r"<Region>([^<]{1,80})</Region>")
_SYSTEM_MESSAGE = re.compile(r'message: "([^"\n]{1,200})')
_CERTIFICATE = re.compile(r"InvalidCertificate\(\s*(\w{1,60})")
# What a status means if the store says no more.
STATUS_CODES = {
    301: "PermanentRedirect",
    307: "TemporaryRedirect",
    401: "AccessDenied",
    403: "AccessDenied",
    404: "NoSuchKey",
    405: "MethodNotAllowed",
}


class StoreRefusedError(Exception):
    """Raised when the store answered in a way that another attempt would not change.

    Attributes:
        status: the HTTP status.
        code: the store's own code, or "".
        region: the region that the store names, or "".
    """

    def __init__(self, status: int, code: str = "", message: str = "", region: str = "") -> None:
        answer = f"{status} {code}".strip()
        super().__init__(f"{answer}: {message}" if message else answer)
        self.status = status
        self.code = code
        self.region = region


def refusal_or_retry(status: int, code: str, message: str, region: str = "") -> Exception:
    """Return the exception for an answer that is not a success."""
    if status in _RETRIED_STATUSES or code in _RETRIED_CODES:
        return TryAgainError(f"the store answered {status} {code}".strip())
    return StoreRefusedError(status, code, first_line(message), region)


def converted(error: Exception, endpoint: str) -> Exception:
    """Return the exception for one of obstore, whose text has the status and the body of the answer."""
    text = str(error)
    answer = _STATUS.search(text)
    if answer is not None:
        body = answer[2]
        code, message, region = (
            found[1] if (found := part.search(body)) else "" for part in (_CODE, _MESSAGE, _REGION)
        )
        return refusal_or_retry(int(answer[1]), code, message, region)
    if isinstance(error, FileNotFoundError):
        return StoreRefusedError(404)
    if "redirect without LOCATION" in text:
        return StoreRefusedError(301)
    return TryAgainError(_broken(text, endpoint))


def _broken(text: str, endpoint: str) -> str:
    """Return what happened to a request that has no answer."""
    host = endpoint.rpartition("://")[2]
    if certificate := _CERTIFICATE.search(text):
        return f"no connection to {host}: its certificate is not trusted ({certificate[1]})"
    if "kind: Connect,\n" in text or "dns error" in text:
        reason = _SYSTEM_MESSAGE.search(text)
        return f"no connection to {host}: {reason[1] if reason else 'it cannot be reached'}"
    if "eader missing" in text:
        return "the answer lacks what the store says of an object; it may be a page of a proxy in between"
    if "non-partial response" in text:
        return "the store ignored the range that was asked for: it sent the whole object"
    if "IncompleteBody" in text or "UnexpectedEof" in text:
        return "the body ended before all bytes came"
    if "Interrupted" in text or "ConnectionReset" in text or "error sending request" in text or "BrokenPipe" in text:
        return "the connection broke"
    return first_line(text)
