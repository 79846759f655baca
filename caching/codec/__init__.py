"""Values to bytes and back, exactly or not at all.

A value becomes a small JSON document that describes it, and buffers that hold its bulk. The document names
types by tags of an allow-list, so reading one back can neither import nor run anything that it chooses. What
has no tag is refused.
"""

# Registers how plain values are written and read; what needs a library is registered when it is met.
from caching.codec import plain as _plain  # noqa: F401
from caching.codec.coder import Damaged, Encoded, NotExact, decode, encode, prepare

__all__ = ["Damaged", "Encoded", "NotExact", "decode", "encode", "prepare"]
