"""The journal of a run: one event a line, only ever added to, on disk before the next step."""

from __future__ import annotations

import contextlib
import json
import math
import os
from pathlib import Path
from typing import Any, Self

from foretell._files import sync
from foretell.errors import RunError

Event = dict[str, Any]
EVENTS: dict[str, dict[str, type | tuple[type, ...]]] = {  # and the fields that a run relies on
    "ask": {"phase": str, "ids": list, "archs": list},
    "trial": {
        "id": int,
        "seed": int,
        "error": str,
        "seconds": (int, float),
        "metrics": dict,
        "curve": dict,
    },
    "rank": {"chosen": str, "note": str},
    "final": {"id": int, "metrics": dict, "random": (dict, type(None))},
    "rung": {  # of successive halving: a network that may go on from here
        "id": int,
        "seed": int,
        "epochs": int,
        "error": str,
        "seconds": (int, float),
        "metrics": dict,
        "curve": dict,
    },
    "cost": {"name": str, "archs": list, "values": list, "spreads": list},  # measured
    "stop": {"reason": str},  # a budget is used up
    "session": {"wall_s": (int, float), "phases": dict},  # one call of the command has ended
    "cell": {"error": str},  # of a study
}


class Journal:
    """`trials.jsonl`: all events of a run, oldest first, and the one way to add to them.

    `append` returns when the line is on disk. A last line that was torn by a crash is cut off
    when the journal is opened (`note` then says so); any other line that is not an event is an
    error, because results would be lost silently. One process writes, it holds the folder's lock;
    anybody may `read` at the same time.

    Args:
        path: the file; made when absent.

    Raises:
        RunError: a line is no event, or the file cannot be read or written.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> with Journal(Path(folder.name) / "trials.jsonl") as journal:
    ...     journal.append({"event": "rank", "chosen": "rf", "note": ""})
    >>> read(Path(folder.name) / "trials.jsonl")
    [{'event': 'rank', 'chosen': 'rf', 'note': ''}]
    >>> folder.cleanup()
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.note = ""
        self.events: list[Event] = []
        try:
            self._file = open(path, "a+b", buffering=0)  # noqa: SIM115  # closed by `close`
        except OSError as error:
            raise _cannot("open", path, error) from error
        try:
            self._read()
        except BaseException as error:
            self._file.close()
            if isinstance(error, OSError):
                raise _cannot("open", path, error) from error
            raise

    def _read(self) -> None:
        self._file.seek(0)
        data = self._file.read()
        self.events, sound, torn = _parse(data, self.path, strict=True)
        if not data:
            sync(self.path.parent)
        if torn:
            self.note = f"cut off a torn last line of {self.path.name} ({len(torn)} bytes)"
            self._file.truncate(sound)
        elif data and not data.endswith(b"\n"):
            self._write(b"\n")

    def append(self, event: Event) -> None:
        """Add one event; it is on disk when this returns.

        Numbers that JSON does not have (NaN, infinity) become null.

        Raises: RunError when it cannot be written; the file is then as it was before, or where
            even that cannot be, has a torn last line.
        """
        line = json.dumps(_plain(event), allow_nan=False, separators=(",", ":")).encode() + b"\n"
        before = os.fstat(self._file.fileno()).st_size
        try:
            self._write(line)
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(before)
            raise _cannot("write", self.path, error) from error
        self.events.append(json.loads(line))

    def _write(self, data: bytes) -> None:
        while data:  # a raw write may take less than all of it
            data = data[self._file.write(data) :]
        os.fsync(self._file.fileno())

    def of(self, kind: str) -> list[Event]:
        """The events of one kind, oldest first."""
        return [event for event in self.events if event["event"] == kind]

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read(path: Path) -> list[Event]:
    """The events of a journal that somebody else may be writing; changes nothing.

    A report can do with less than a run, so events that lack fields are given as they are.

    Raises: RunError naming the line that is no event.
    """
    try:
        return _parse(path.read_bytes(), path)[0]
    except OSError as error:
        raise _cannot("read", path, error) from error


def _parse(data: bytes, path: Path, strict: bool = False) -> tuple[list[Event], int, bytes]:
    """Events, how many bytes of the file are sound, and the torn rest."""
    *lines, last = data.split(b"\n")
    events = []
    for number, line in enumerate(lines, start=1):
        event = _event(line, strict)
        if event is None:
            raise RunError(
                f"{path}, line {number} is not an event of a run",
                expected=f'a JSON object with "event" one of {", ".join(EVENTS)}',
                got=repr(line[:60].decode(errors="replace")),
                hint="restore the file from a copy; without one, take the line out if it was a "
                "trial (that network is trained again), or start anew with another --out",
            )
        events.append(event)
    whole = _event(last, strict) if last else None
    if whole is not None:  # complete but for its newline
        return [*events, whole], len(data), b""
    return events, len(data) - len(last), last


def _event(line: bytes, strict: bool) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    kind = event.get("event") if isinstance(event, dict) else None
    if not isinstance(kind, str) or kind not in EVENTS:
        return None
    sound = all(
        field in event and isinstance(event[field], types) for field, types in EVENTS[kind].items()
    )
    return event if sound or not strict else None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def _cannot(verb: str, path: Path, error: OSError) -> RunError:
    return RunError(
        f"cannot {verb} {path}: {error.strerror or error}",
        hint="make room or give write access, then run the same command again; finished trials "
        "are kept",
    )
