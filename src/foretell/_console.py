"""What the command line shows: results on stdout, progress and logs on stderr."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

err = Console(stderr=True, highlight=False, soft_wrap=True)
out = Console(highlight=False, soft_wrap=True)
# controls but tab and line feed, and marks that turn the direction of text
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def inert(text: str) -> str:
    """A text that moves, colours and renames nothing on a terminal: names in data may try to.

    >>> inert(chr(27) + "[31mred"), inert("naïve 日本")
    ('\\\\x1b[31mred', 'naïve 日本')
    """
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def say(text: str) -> None:
    """One line of log on stderr."""
    err.print(escape(inert(text)))


def fail(text: str) -> None:
    """The one line of an error on stderr."""
    line = inert(text).replace("\n", "\\n")
    err.print(f"[bold red]error:[/] {escape(line)}")


def show(text: str) -> None:
    """A line of a result for people, on stdout."""
    sys.stdout.write(inert(text) + "\n")


def show_json(value: Any) -> None:
    """A result for machines, on stdout."""
    sys.stdout.write(json.dumps(value, default=_plain) + "\n")


def _plain(value: Any) -> Any:
    for convert in ("tolist", "isoformat"):  # numpy scalars and arrays, dates
        if hasattr(value, convert):
            return getattr(value, convert)()
    return str(value)


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """A result for people, on stdout; whole words, no cut columns when piped."""
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(escape(inert(column)), overflow="fold", no_wrap=not sys.stdout.isatty())
    for row in rows:
        table.add_row(*(escape(inert(str(cell))) for cell in row))
    console = out if sys.stdout.isatty() else Console(width=400, highlight=False, soft_wrap=True)
    console.print(table)


def duration(seconds: float) -> str:
    """Seconds in words.

    >>> duration(3.21), duration(75), duration(4000)
    ('3.2 s', '1 min 15 s', '1 h 06 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def number(value: float) -> str:
    """A count in short form.

    >>> number(950), number(12_345), number(3_400_000), number(2.5e9)
    ('950', '12.3k', '3.40M', '2.50G')
    """
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            digits = 2 if unit != "k" else 1
            return f"{value / limit:.{digits}f}{unit}"
    return f"{value:g}"


class Live:
    """One line that is rewritten on a terminal, and one plain line a change when piped."""

    def __init__(self, every_s: float = 5.0) -> None:
        self._every, self._last, self._width = every_s, 0.0, 0

    def update(self, text: str, final: bool = False) -> None:
        """Show the state `text`; a piped log gets it at most every few seconds."""
        now, text = time.monotonic(), inert(text)
        if err.is_terminal:
            line = text[: max(err.width - 1, 20)]
            sys.stderr.write("\r" + line.ljust(self._width) + ("\n" if final else ""))
            sys.stderr.flush()
            self._width = 0 if final else len(line)
        elif final or now - self._last >= self._every:
            self._last = now
            say(text)

    def close(self) -> None:
        """Leave the line as it is and go to the next one."""
        if err.is_terminal and self._width:
            sys.stderr.write("\n")
            self._width = 0


@contextlib.contextmanager
def live() -> Iterator[Live]:
    """A line of progress; Ctrl-C ends the command (exit code 130), not what it has written down.

    What is in work is ended first; a second Ctrl-C ends the command at once.
    """
    line = Live()
    before = signal.getsignal(signal.SIGINT)
    mine = threading.current_thread() is threading.main_thread()
    if mine and before is signal.default_int_handler:  # else somebody has other plans
        signal.signal(signal.SIGINT, _first)
    try:
        yield line
    except KeyboardInterrupt:
        line.close()
        fail("stopped; nothing finished is lost. Next: the same command continues")
        raise SystemExit(130) from None
    finally:
        line.close()
        if mine and signal.getsignal(signal.SIGINT) is _first:
            signal.signal(signal.SIGINT, before)


def _first(*_: object) -> None:
    signal.signal(signal.SIGINT, _second)
    raise KeyboardInterrupt


def _second(*_: object) -> None:
    os.write(2, b"\nerror: stopped at once; nothing finished is lost\n")
    os._exit(130)  # as safe as a kill: workers end without their driver
