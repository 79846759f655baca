"""Encode values to bytes and decode them exactly, or refuse.

A value becomes a small JSON document that describes it, and buffers that hold its bulk. The document names
types by tags of an allow-list, so reading one back can neither import nor run anything that it chooses. What
has no tag is refused.
"""

from caching.codec.coder import Damaged, Encoded, NotExact
from caching.codec.families import decode, encode, prepare

__all__ = ["Damaged", "Encoded", "NotExact", "decode", "encode", "prepare"]
