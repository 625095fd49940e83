"""TFRecord files without TensorFlow: framing and checksums, in whole blocks.

A record is its length (8 bytes), the masked CRC-32C of the length (4), the data, and the masked
CRC-32C of the data (4), all little-endian; mask(c) = ((c >> 15) | (c << 17)) + 0xa282ead8.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from foretell.errors import DataError

BLOCK = 2**25  # bytes read at once
LONGEST = 2**24  # bytes of one record
_LENGTH = struct.Struct("<Q")


def _table() -> NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(0x82F63B78), table >> 1)
    return table


_TABLE = _table()


def checksums(data: NDArray[np.uint8], start: NDArray[np.int64], length: NDArray[np.int64]
              ) -> NDArray[np.uint32]:  # fmt: skip
    """Masked CRC-32C of the pieces `data[start : start + length]`, (n,).

    >>> text = np.frombuffer(b"123456789", np.uint8)
    >>> plain = 0xE3069283  # the check value of CRC-32C
    >>> masked = ((plain >> 15 | plain << 17) + 0xA282EAD8) % 2**32
    >>> int(checksums(text, np.array([0]), np.array([9]))[0]) == masked
    True
    """
    order = np.argsort(-length, kind="stable")
    start, left = start[order], length[order]
    crc = np.full(len(start), 0xFFFFFFFF, dtype=np.uint32)
    # pieces in order of their length: those that have a k-th byte come first
    having = np.searchsorted(-left, -np.arange(int(left.max(initial=0))), side="left")
    for k, n in enumerate(having.tolist()):
        byte = data[start[:n] + k]
        crc[:n] = _TABLE[(crc[:n] ^ byte) & 0xFF] ^ (crc[:n] >> np.uint32(8))
    crc = ~crc
    masked = ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(0xA282EAD8)
    out = np.empty_like(masked)
    out[order] = masked
    return out


def starts_like_one(head: bytes) -> bool:
    """Whether a file begins with the length of a record and its checksum."""
    if len(head) < 12:
        return False
    data = np.frombuffer(head, np.uint8)
    crc = checksums(data, np.array([0]), np.array([8]))
    return int(crc[0]) == int.from_bytes(head[8:12], "little")


def records(path: Path, block: int = BLOCK) -> Iterator[list[bytes]]:
    """The records of a file, in lists of about `block` bytes; every checksum is compared.

    Raises: DataError naming the first record that is torn or damaged.
    """
    done, rest = 0, b""
    with path.open("rb") as file:
        while True:
            more = file.read(block)
            data = rest + more
            starts, lengths, end = _frames(data, path, done)
            if starts:
                yield _checked(data, starts, lengths, path, done)
                done += len(starts)
            rest = data[end:]
            if not more:
                break
    if rest:
        raise _damaged(path, done, "the file ends inside of it", "the download is not complete")


def _frames(data: bytes, path: Path, done: int) -> tuple[list[int], list[int], int]:
    """Where the whole records of a block start, how long they are, and where the rest begins."""
    starts: list[int] = []
    lengths: list[int] = []
    at, size = 0, len(data)
    unpack = _LENGTH.unpack_from
    while at + 12 <= size:
        (length,) = unpack(data, at)
        if length > LONGEST:
            raise _damaged(path, done + len(starts), f"its length would be {length:,} bytes")
        if at + 16 + length > size:
            break
        starts.append(at + 12)
        lengths.append(length)
        at += 16 + length
    return starts, lengths, at


def _checked(
    data: bytes, starts: list[int], lengths: list[int], path: Path, done: int
) -> list[bytes]:
    array = np.frombuffer(data, np.uint8)
    start, length = np.array(starts), np.array(lengths)
    said = [array[at[:, None] + np.arange(4)].copy().view("<u4")[:, 0]
            for at in (start - 4, start + length)]  # fmt: skip
    for what, crc, told in (
        ("length", checksums(array, start - 12, np.full(len(start), 8)), said[0]),
        ("data", checksums(array, start, length), said[1]),
    ):
        bad = np.flatnonzero(crc != told)
        if len(bad):
            raise _damaged(path, done + int(bad[0]), f"the checksum of its {what} is wrong")
    return [data[s : s + n] for s, n in zip(starts, lengths, strict=True)]


def _damaged(path: Path, record: int, why: str, hint: str = "") -> DataError:
    return DataError(
        f"{path.name}, record {record}: {why}", hint=hint or "copy it again from its official place"
    )
