"""Bytes of a ledger's files: locks of single ones, let go by whoever dies; where lines end."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import sys
from typing import Any


def place_of(book: str, row: int) -> int:
    """The byte that stands for a question; two questions share one with a chance of 2^-61."""
    name = f"{book} {row}".encode()
    return 1 + int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little") % 2**61


def lock(file: int, place: int) -> bool:
    """Whether the byte is ours now; True as well where files cannot be locked at all."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(file, place, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)
    return True


def unlock(file: int, place: int) -> None:
    """Let go of the byte."""
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            import msvcrt

            os.lseek(file, place, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_UNLCK, 1)
        else:
            import fcntl

            fcntl.lockf(file, fcntl.LOCK_UN, 1, place)


def whole_lines(file: Any) -> int:
    """Bytes of a file up to the end of its last whole line."""
    size = file.seek(0, os.SEEK_END)
    end = size
    while end > 0:
        start = max(end - 65_536, 0)
        file.seek(start)
        at = file.read(end - start).rfind(b"\n")
        if at >= 0:
            return int(start + at + 1)
        end = start
    return 0
