"""Small files in the official layouts, written by the tests themselves."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path

CRC = [0] * 256
for _n in range(256):
    _c = _n
    for _ in range(8):
        _c = (_c >> 1) ^ (0x82F63B78 if _c & 1 else 0)
    CRC[_n] = _c


def masked_crc(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC[(crc ^ byte) & 255] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def framed(record: bytes) -> bytes:
    length = struct.pack("<Q", len(record))
    tail = struct.pack("<I", masked_crc(record))
    return length + struct.pack("<I", masked_crc(length)) + record + tail


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def metrics(rows: list[list[float]], params: int, *, zeros: bool = True) -> bytes:
    """`ModelMetrics`; each row is epoch, seconds, train, validation, test."""
    out = b""
    for row in rows:
        part = b"".join(
            bytes([9 + 8 * k]) + struct.pack("<d", value)
            for k, value in enumerate(row)
            if zeros or value
        )
        part += b"\x32" + varint(140) + b"c" * 140  # a long path, so that lengths take two bytes
        out += b"\x0a" + varint(len(part)) + part
    return out + b"\x10" + varint(params) + b"\x19" + struct.pack("<d", 12.5)


def nb101_record(key: str, epochs: int, matrix: str, ops: str, packed: bytes) -> bytes:
    return json.dumps([key, epochs, matrix, ops, base64.b64encode(packed).decode()]).encode()


def write_tfrecord(path: Path, records: list[bytes]) -> Path:
    path.write_bytes(b"".join(map(framed, records)))
    return path
