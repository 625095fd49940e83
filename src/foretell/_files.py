"""Files that are whole or not there, also after a power cut."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from foretell.errors import RunError


def write_text(path: Path, text: str) -> None:
    """Write a file so that it is either the old one or the whole new one, and on disk.

    Raises: RunError when it cannot be written.
    """
    part = path.with_name(path.name + ".tmp")
    try:
        try:
            with open(part, "w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        sync(path.parent)
    except OSError as error:
        raise RunError(
            f"cannot write {path}: {error.strerror or error}",
            hint="make room or give write access, then run the same command again",
        ) from error


def sync(path: Path) -> None:
    """Have the content of a file, or the names in a folder, on disk."""
    if sys.platform != "win32":  # which has no such thing for folders
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
