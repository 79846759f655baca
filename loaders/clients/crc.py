"""The cyclic redundancy checks that S3 stores, computed piece by piece and combined.

CRC-32 comes from zlib. The other two come from awscrt where it is installed, else from numpy, at some 800 MB/s.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

_WORD_BYTES = 8
# Few enough for their state to stay near the core, many enough for numpy's cost per step to vanish.
_LANES = (16384, 512, 16)
_Words = np.ndarray[Any, np.dtype[np.uint64]]


@dataclass(frozen=True)
class Crc:
    """A reflected CRC, all ones before and after: `polynomial` has its lowest power in its highest bit."""

    name: str
    bits: int
    polynomial: int

    @property
    def digest_bytes(self) -> int:
        """The length of the value as it is stored: big-endian."""
        return self.bits // 8

    def of(self, data: memoryview, value: int = 0) -> int:
        """Return the CRC of data that follows what has the CRC `value`."""
        native = _native(self.name)
        return self._by_numpy(data, value) if native is None else native(data, value)

    def combined(self, first: int, second: int, second_bytes: int) -> int:
        """Return the CRC of data from that of its first part and that of its second, whose length is given."""
        return self._product(first, self._power(8 * second_bytes)) ^ second

    def _by_numpy(self, data: memoryview, value: int) -> int:
        """Return what `of` does: many lanes at once, each a stretch of the data, joined at the end."""
        ones = (1 << self.bits) - 1
        register = value ^ ones
        position = 0
        for lanes in _LANES:
            stretch = (len(data) - position) // (lanes * _WORD_BYTES) * _WORD_BYTES
            if stretch < 8 * _WORD_BYTES:
                continue
            end = position + lanes * stretch
            words = np.frombuffer(data[position:end], np.uint64).reshape(lanes, -1)
            joined = self._joined(self._lane_registers(words), stretch)
            register = self._product(register, self._power(8 * lanes * stretch)) ^ joined
            position = end
        single = _byte_table(self.bits, self.polynomial)
        for byte in data[position:]:
            register = (register >> 8) ^ single[(register ^ byte) & 0xFF]
        return register ^ ones

    def _lane_registers(self, words: _Words) -> _Words:
        tables = _tables(self.bits, self.polynomial)
        registers = np.zeros(len(words), np.uint64)
        block = 64
        for start in range(0, words.shape[1], block):
            for column in np.ascontiguousarray(words[:, start : start + block].T):
                registers ^= column
                halves = registers.view(np.uint16).reshape(-1, 4)
                registers = tables[0][halves[:, 0]]
                for place in (1, 2, 3):
                    registers ^= tables[place][halves[:, place]]
        return registers

    def _joined(self, registers: _Words, stretch_bytes: int) -> int:
        """Return the register after all lanes, one behind the other."""
        while len(registers) > 1:
            factor = self._power(8 * stretch_bytes)
            registers = self._products(registers[0::2], factor) ^ registers[1::2]
            stretch_bytes *= 2
        return int(registers[0])

    def _product(self, a: int, b: int) -> int:
        """Return the product of two polynomials modulo that of the CRC."""
        product = 0
        for bit in range(self.bits - 1, -1, -1):
            if a >> bit & 1:
                product ^= b
            b = (b >> 1) ^ self.polynomial if b & 1 else b >> 1
        return product

    def _products(self, values: _Words, factor: int) -> _Words:
        product = np.zeros(len(values), np.uint64)
        for bit in range(self.bits - 1, -1, -1):
            taken = (values >> np.uint64(bit)) & np.uint64(1)
            product ^= taken * np.uint64(factor)
            factor = (factor >> 1) ^ self.polynomial if factor & 1 else factor >> 1
        return product

    def _power(self, exponent: int) -> int:
        """Return x to the exponent, modulo the CRC's polynomial."""
        result, square = 1 << (self.bits - 1), 1 << (self.bits - 2)
        while exponent:
            if exponent & 1:
                result = self._product(result, square)
            square = self._product(square, square)
            exponent >>= 1
        return result


CRC32 = Crc("crc32", 32, 0xEDB88320)
CRC32C = Crc("crc32c", 32, 0x82F63B78)
CRC64NVME = Crc("crc64nvme", 64, 0x9A6C9329AC4BC9B5)


@functools.cache
def _native(name: str) -> Callable[[memoryview, int], int] | None:
    if name == "crc32":
        return zlib.crc32
    try:
        from awscrt import checksums  # type: ignore[import-not-found,unused-ignore]  # installed by few
    except ImportError:
        return None
    found: Callable[[memoryview, int], int] | None = getattr(checksums, name, None)
    return found


def _byte_table(bits: int, polynomial: int) -> list[int]:
    return [int(value) for value in _advanced(np.arange(256, dtype=np.uint64), polynomial, 8)]


@functools.cache
def _tables(bits: int, polynomial: int) -> tuple[_Words, ...]:
    """Return, for each 16 bits of a word, their contribution to the register."""
    values = np.arange(1 << 16, dtype=np.uint64)
    tables = []
    for _ in range(4):
        values = _advanced(values, polynomial, 16)
        tables.append(values)
    return tuple(reversed(tables))


def _advanced(registers: _Words, polynomial: int, bits: int) -> _Words:
    for _ in range(bits):
        odd = registers & np.uint64(1)
        registers = (registers >> np.uint64(1)) ^ odd * np.uint64(polynomial)
    return registers
