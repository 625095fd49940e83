"""The journal of a run: one event a line, only ever added to, on disk before the next step."""

from __future__ import annotations

import contextlib
import json
import math
import os
from pathlib import Path
from sys import intern
from typing import Any, Self, TypeVar

from foretell._files import opened, regular, sync
from foretell.errors import RunError
from foretell.runs.events import KINDS, Record, record_of
from foretell.typed import Reader, load

Event = dict[str, Any]
E = TypeVar("E", bound=Record)


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
    ...     from foretell.runs.events import Stop
    ...     journal.append(Stop("enough"))
    ...     journal.of(Stop)
    [Stop(reason='enough')]
    >>> read(Path(folder.name) / "trials.jsonl")
    [{'event': 'stop', 'reason': 'enough'}]
    >>> folder.cleanup()
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.note = ""
        self.events: list[Event] = []  # as the file has them
        self.records: list[Record] = []
        try:
            fd = opened(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
            self._file = open(fd, "a+b", buffering=0)  # noqa: SIM115  # closed by `close`
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
        self.events, self.records, sound, torn = _parse(data, self.path, strict=True)
        if not data:
            sync(self.path.parent)
        if torn:
            self.note = f"cut off a torn last line of {self.path.name} ({len(torn)} bytes)"
            self._file.truncate(sound)
        elif data and not data.endswith(b"\n"):
            self._write(b"\n")

    def append(self, record: Record | Event) -> None:
        """Add one event, a record or as JSON has it; it is on disk when this returns.

        Numbers that JSON does not have (NaN, infinity) become null.

        Raises: RunError when it cannot be written; the file is then as it was before, or where
            even that cannot be, has a torn last line.
        """
        self._still_there()
        event = record.written() if isinstance(record, Record) else record
        try:
            text = json.dumps(event, allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError):  # numbers that JSON does not have, names that are no text
            text = json.dumps(_plain(event), allow_nan=False, separators=(",", ":"))
        line = text.encode() + b"\n"
        before = os.fstat(self._file.fileno()).st_size
        try:
            self._write(line)
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(before)
            raise _cannot("write", self.path, error) from error
        self.events.append(json.loads(line, object_pairs_hook=_named))
        self.records.append(record_of(self.events[-1], Reader(self.path)))

    def _still_there(self) -> None:
        """Raises: RunError when the path is no longer this file: what is written is lost then."""
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(self.path), os.fstat(self._file.fileno())):
                return
        raise RunError(
            f"{self.path} was removed, moved or replaced while the run was going on",
            hint="put the folder back where it was and run the same command again, or go on from "
            "where it is now with --out",
        )

    def _write(self, data: bytes) -> None:
        while data:  # a raw write may take less than all of it
            data = data[self._file.write(data) :]
        os.fsync(self._file.fileno())

    def of(self, kind: type[E]) -> list[E]:
        """The events of one kind, oldest first."""
        return [record for record in self.records if type(record) is kind]

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
        return _parse(regular(path).read_bytes(), path)[0]
    except OSError as error:
        raise _cannot("read", path, error) from error


def _parse(
    data: bytes, path: Path, strict: bool = False
) -> tuple[list[Event], list[Record], int, bytes]:
    """Events, their records where all must be sound, how many bytes are, and the torn rest."""
    *lines, last = data.split(b"\n")
    events, records = [], []
    for number, line in enumerate(lines, start=1):
        event, record, why = _event(line, strict)
        if event is None:
            raise RunError(
                f"{path}, line {number} is not an event of a run{why}",
                expected=f'a JSON object with "event" one of {", ".join(KINDS)}',
                got=repr(line[:60].decode(errors="replace")),
                hint="restore the file from a copy; without one, take the line out if it was a "
                "trial (that network is trained again), or start anew with another --out",
            )
        events.append(event)
        records += [record] if record is not None else []
    event, record, _ = _event(last, strict) if last else (None, None, "")
    if event is not None:  # complete but for its newline
        return [*events, event], [*records, *([record] if record else [])], len(data), b""
    return events, records, len(data) - len(last), last


def _event(line: bytes, strict: bool) -> tuple[Event | None, Record | None, str]:
    """The event of a line, its record where it must be sound, and what is wrong with it."""
    try:
        event = load(line.decode())
    except ValueError:
        return None, None, ""
    kind = event.get("event") if isinstance(event, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        return None, None, ""
    if not strict:
        return event, None, ""
    lacking = [name for name in KINDS[kind].required() if name not in event]
    if lacking:
        return None, None, f": {kind} without {lacking[0]}"
    try:
        return event, record_of(event, Reader(kind)), ""
    except RunError as error:
        return None, None, f": {str(error).partition('. Next')[0]}"


def _named(pairs: list[tuple[str, Any]]) -> Event:
    """An object whose names are shared with all others: a run keeps thousands."""
    return {intern(name): value for name, value in pairs}


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
