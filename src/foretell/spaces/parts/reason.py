"""An exception of a user's code in one line: what it says, and where."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

_HERE = Path(__file__).parents[2]
_OTHERS = tuple(
    str(Path(folder).resolve())
    for folder in (_HERE, sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"))
)


def reason(error: BaseException) -> str:
    """`ZeroDivisionError: division by zero (my_space.py, line 12)`."""
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
    if isinstance(error, SyntaxError):
        return f"{text.partition(' (')[0]} ({Path(error.filename or '').name}, line {error.lineno})"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        own = not frame.filename.startswith(("<frozen", *_OTHERS))
        if own and not str(Path(frame.filename).resolve()).startswith(_OTHERS):
            return f"{text} ({Path(frame.filename).name}, line {frame.lineno})"
    return text
