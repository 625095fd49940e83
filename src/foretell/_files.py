"""Files that are whole or not there, also after a power cut."""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import os
import secrets
import stat
import sys
from glob import escape
from pathlib import Path
from typing import IO

from foretell.errors import RunError

_LARGEST = 64 << 20  # bytes that any packed file may hold, and above so many times its size
_TIMES = 200


def write_text(path: Path, text: str) -> None:
    """Write a file so that it is either the old one or the whole new one, and on disk.

    Raises: RunError when it cannot be written.
    """
    try:
        _put(path, _part(path), text.encode())
        sync(path.parent)
    except OSError as error:
        raise RunError(
            f"cannot write {path}: {error.strerror or error}",
            hint="make room or give write access, then run the same command again",
        ) from error


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file that is whole or not there, whoever else writes it; folders are made.

    Raises:
        OSError: it cannot be written; nothing is left of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _put(path, _part(path), data)


def expanded(file: IO[bytes] | gzip.GzipFile, packed: int) -> bytes:
    """The whole content of a packed file.

    Args:
        file: open, out of the packing.
        packed: its size on disk.

    Raises:
        OSError: it is much larger than what one could have packed: a bomb.
    """
    parts, size = [], 0
    while part := file.read(1 << 20):
        size += len(part)
        if size > max(_LARGEST, _TIMES * packed):
            raise OSError(
                errno.EFBIG, f"{packed:,} bytes hold more than {size:,}: a bomb, not data"
            )
        parts.append(part)
    return b"".join(parts)


def regular(path: Path) -> Path:
    """The path, if it is a file or not there at all.

    Raises:
        OSError: it is something else: to open a pipe would never end.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, f"{path.name} is no file")
    return path


def digest(path: Path) -> str:
    """SHA-256 of a file in hexadecimal; "" where it cannot be read."""
    try:
        if not path.is_file():  # a pipe would never end
            return ""
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def sweep(path: Path) -> None:
    """Remove what killed writers have left of a file."""
    for part in path.parent.glob(f"{escape(path.name)}.*.part"):
        _unlink(part)


def sync(path: Path) -> None:
    """Have the content of a file, or the names in a folder, on disk."""
    if sys.platform != "win32":  # which has no such thing for folders
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        except OSError:
            if not stat.S_ISDIR(os.fstat(fd).st_mode):  # some file systems refuse it for folders
                raise
        finally:
            os.close(fd)


def opened(path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> int:
    """A file of ours, opened for writing; its descriptor.

    Raises:
        OSError: it cannot be opened, or is a link, which could lead to a file that is not ours, or
            something else than a file.
    """
    extra = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        fd = os.open(path, flags | extra | getattr(os, "O_CLOEXEC", 0), 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(error.errno, f"{path.name} is a link, which is not followed") from error
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, f"{path.name} is no file")
    return fd


def _part(path: Path) -> Path:
    """Where a file is written before it is put in its place."""
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")


def _put(path: Path, part: Path, data: bytes) -> None:
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        _unlink(part)
        raise


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
