"""What the cache raises and what it warns of.

CachingException   a call cannot be keyed, or a cache is set up wrongly
CachingWarning     a result was not cached, or an entry was not served; the caller has its result all the same
"""


class CachingException(Exception):  # noqa: N818 - the name is part of the public interface
    """Raised when a call cannot be cached as asked; names the function, the parameter and its type."""


class CachingWarning(UserWarning):
    """Given when a result is returned uncached, or when an entry on disk had to be passed over."""
