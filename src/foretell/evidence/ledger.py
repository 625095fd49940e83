"""The ledger: what was asked once is known, to all clones, processes and later runs."""

from __future__ import annotations

import atexit
import contextlib
import json
import math
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from foretell import _files, typed
from foretell.errors import DataError, RunError
from foretell.evidence.parts.bytes import lock, place_of, unlock, whole_lines

_LOCKS = ".lock"  # a file of no content: its bytes are locked, one for each question
_WRITING = 0  # the byte that who writes has
_POLL_S = (0.005, 0.2)  # how often a question that another process has is looked at, first and last


class Answer(NamedTuple):
    """What was found for one row: numbers, the seconds it took, or why there is none."""

    values: tuple[float, ...]
    seconds: float
    reason: str = ""  # of a failure; some of the values are NaN then

    @property
    def failed(self) -> bool:
        """Whether there is no value at all."""
        return bool(self.reason) and all(map(math.isnan, self.values))


@dataclass(frozen=True)
class Spent:
    """What one kind of evidence has cost so far, over all processes and runs of the folder."""

    about: Mapping[str, Any]
    answers: int
    failed: int
    seconds: float


@dataclass
class _Book:
    """Answers of one file, as far as it was read."""

    path: Path
    known: dict[int, Answer] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    read: int = 0  # bytes
    identity: tuple[int, int] = (0, 0)


@dataclass
class _Locks:
    """What the threads of one process share of one folder."""

    lock: Any = field(default_factory=threading.RLock)
    claimed: set[tuple[str, int]] = field(default_factory=set)
    file: int = -1  # stays open: to close it would let go of all its locks


Compute = Callable[[Sequence[int]], Sequence[Answer]]


class Ledger:
    """Answers in a folder: a file for each kind of evidence, one line of JSON an answer.

    Any number of processes and threads may use one folder at the same time. A question (a row of a
    book) is claimed before it is computed, by a lock that ends with its process however that
    ends; who finds it claimed turns to the next one, and waits when none is left. So at most one
    computes, and what a killed process was about to answer is computed again. Lines are written
    under a lock, by one write; a torn last line, of a process killed while it wrote, is cut off.

    On network file systems locks are those of the server (`fcntl`); where there are none, an
    answer may be computed twice, and is right all the same.

    Args:
        folder: made when it is first written to.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> ledger, asked = Ledger(folder.name), []
    >>> def compute(rows):
    ...     asked.extend(rows)
    ...     return [Answer((float(row * row),), seconds=2.0) for row in rows]
    >>> [ledger.ask("squares", {}, [2, 3, 2], compute)[row].values for row in (2, 3)]
    [(4.0,), (9.0,)]
    >>> Ledger(folder.name).ask("squares", {}, [3, 4], compute)[4].values, asked
    ((16.0,), [2, 3, 4])
    >>> ledger.seconds
    6.0
    >>> folder.cleanup()
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).absolute()
        self._books: dict[str, _Book] = {}

    def ask(
        self,
        book: str,
        about: Mapping[str, Any],
        rows: Sequence[int],
        compute: Compute,
        block: int = 1,
        again: bool = False,
    ) -> dict[int, Answer]:
        """The answers to rows, by row; `compute` is asked for what is not known.

        Args:
            book: name of the kind of evidence, good for a file.
            about: what the book is about, for people; written on its first line.
            rows: 64-bit keys, in the order in which they are computed.
            compute: answers to a list of rows, in its order.
            block: rows computed at once; a kill loses as many.
            again: whether recorded failures are computed anew.
        """
        before = self.known(book, rows)
        todo = [r for r in dict.fromkeys(rows) if r not in before or (again and before[r].reason)]
        wait_s = _POLL_S[0]
        while todo:
            with self._claims(book, todo, block) as mine:
                # another may have answered between our look and our claim
                now = self.known(book, mine)
                open_ = [r for r in mine if r not in now or now[r] is before.get(r)]
                if open_:
                    self._write(book, about, dict(zip(open_, compute(open_), strict=True)))
            if mine:
                todo, wait_s = [row for row in todo if row not in mine], _POLL_S[0]
                continue
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, _POLL_S[1])
            now = self.known(book, todo)
            todo = [r for r in todo if r not in now or now[r] is before.get(r)]
        return self.known(book, rows)

    def known(self, book: str, rows: Sequence[int]) -> dict[int, Answer]:
        """The answers that are there, to some of the rows."""
        with self._locks.lock:
            known = self._read(book).known
            return {row: known[row] for row in rows if row in known}

    def made(self) -> Ledger:
        """Itself, its folder made: other processes know by it that they see the same files."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unusable(error) from error
        return self

    @property
    def spent(self) -> list[Spent]:
        """What each kind of evidence has cost so far, the dearest first."""
        found = [self.spent_on(path.stem) for path in sorted(self.folder.glob("*.jsonl"))]
        return sorted(found, key=lambda one: -one.seconds)

    def spent_on(self, book: str) -> Spent:
        """What one kind of evidence has cost so far."""
        with self._locks.lock:
            one = self._read(book)
            answers = list(one.known.values())
            seconds = math.fsum(answer.seconds for answer in answers)
            failed = sum(answer.failed for answer in answers)
            return Spent(one.about, len(answers), failed, seconds)

    @property
    def seconds(self) -> float:
        """Seconds of all answers."""
        return math.fsum(one.seconds for one in self.spent)

    @property
    def _locks(self) -> _Locks:
        """Those of this process: a forked one has none of the locks of its parent."""
        return _LOCKS_OF.setdefault((os.getpid(), self.folder), _Locks())

    # -- the file ---------------------------------------------------------------------------------

    def _read(self, name: str) -> _Book:
        """The book, with what others have written meanwhile."""
        book = self._books.setdefault(name, _Book(self.folder / f"{name}.jsonl"))
        try:
            stat = os.stat(book.path)
        except FileNotFoundError:
            self._books[name] = _Book(book.path)
            return self._books[name]
        except OSError as error:
            raise self._unusable(error) from error
        if (stat.st_dev, stat.st_ino) != book.identity or stat.st_size < book.read:
            book = self._books[name] = _Book(book.path, identity=(stat.st_dev, stat.st_ino))
        if stat.st_size > book.read:
            try:
                with open(_files.regular(book.path), "rb") as file:
                    file.seek(book.read)
                    data = file.read()
            except OSError as error:
                raise self._unusable(error) from error
            whole = data[: data.rfind(b"\n") + 1]
            for line in whole.splitlines():
                _take(book, line)
            book.read += len(whole)
        return book

    def _write(self, name: str, about: Mapping[str, Any], answers: Mapping[int, Answer]) -> None:
        """Add lines; they are on disk when this returns."""
        lines = [
            {"row": f"{row:016x}", "values": [_plain(v) for v in one.values], "s": one.seconds}
            | ({"failed": one.reason} if one.reason else {})
            for row, one in answers.items()
        ]
        path = self.folder / f"{name}.jsonl"
        with self._locks.lock, self._byte(_WRITING, wait=True):
            try:
                flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
                with open(_files.opened(path, flags), "a+b", buffering=0) as file:
                    sound = whole_lines(file)
                    file.truncate(sound)
                    if sound == 0:
                        lines.insert(0, {"about": dict(about)})
                    data = b"".join(_line(one) for one in lines)
                    try:
                        while data:  # a raw write may take less than all of it
                            data = data[file.write(data) :]
                        os.fsync(file.fileno())
                    except OSError:
                        with contextlib.suppress(OSError):
                            file.truncate(sound)
                        raise
            except OSError as error:
                raise self._unusable(error) from error

    # -- claims -----------------------------------------------------------------------------------

    @contextmanager
    def _claims(self, book: str, rows: Sequence[int], most: int) -> Iterator[list[int]]:
        """As many of the rows as are free, at most so many, ours until the end of the block."""
        mine: list[int] = []
        with contextlib.ExitStack() as stack:
            for row in rows:
                if len(mine) == most:
                    break
                if stack.enter_context(self._claim(book, row)):
                    mine.append(row)
            yield mine

    @contextmanager
    def _claim(self, book: str, row: int) -> Iterator[bool]:
        with self._locks.lock:  # locks of a file do not hold between threads
            free = (book, row) not in self._locks.claimed
            if free:
                self._locks.claimed.add((book, row))
        if not free:
            yield False
            return
        try:
            with self._byte(place_of(book, row), wait=False) as taken:
                yield taken
        finally:
            with self._locks.lock:
                self._locks.claimed.discard((book, row))

    @contextmanager
    def _byte(self, place: int, wait: bool) -> Iterator[bool]:
        """Whether one byte of the lock file is ours; it is let go at the end of the block."""
        file = self._lock_file()
        while not (taken := lock(file, place)) and wait:
            time.sleep(_POLL_S[0])
        try:
            yield taken
        finally:
            if taken:
                unlock(file, place)

    def _lock_file(self) -> int:
        locks = self._locks
        with locks.lock:
            try:
                if locks.file < 0 or not os.fstat(locks.file).st_nlink:  # the folder was removed
                    place = self.made().folder / _LOCKS
                    locks.file = _files.opened(place)
            except OSError as error:
                raise self._unusable(error) from error
            return locks.file

    def _unusable(self, error: OSError) -> RunError:
        return RunError(
            f"the ledger of evidence in {self.folder} cannot be used: {error.strerror or error}",
            hint="make room or give write access, then run the same again; what is known is kept",
        )


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else value


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _take(book: _Book, line: bytes) -> None:
    """Add the answer of one line."""
    try:
        record = typed.load(line.decode())
        if "about" in record:
            book.about = record["about"]
            return
        values = tuple(math.nan if v is None else float(v) for v in record["values"])
        answer = Answer(values, float(record["s"]), str(record.get("failed", "")))
        book.known[int(record["row"], 16)] = answer
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{book.path} has a line that is no answer",
            expected='a line like {"row":"00ff","values":[0.5],"s":1.2}',
            got=repr(line[:60].decode(errors="replace")),
            hint="take the line out: what it said is then asked again",
        ) from error


# -- which ledger ---------------------------------------------------------------------------------

_LOCKS_OF: dict[tuple[int, Path], _Locks] = {}  # by process and folder
_HERE: ContextVar[Path | None] = ContextVar("evidence", default=None)
_OPEN: list[Path] = []  # in this process, for threads that have not been told
_LEDGERS: dict[Path, Ledger] = {}
_SESSION: list[tuple[int, Path]] = []


@contextmanager
def ledger(folder: str | Path) -> Iterator[Ledger]:
    """Keep the answers of all evidence in `folder` while the block lasts.

    Evidence that is sent to other processes there takes the folder along, and so do clones of it;
    threads know it as well.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, ledger(folder) as mine:
    ...     current() is mine
    True
    """
    path = Path(folder).absolute()
    token = _HERE.set(path)
    _OPEN.append(path)
    try:
        yield at(path)
    finally:
        _OPEN.remove(path)
        _HERE.reset(token)


def at(folder: Path) -> Ledger:
    """The ledger of a folder: one object a process."""
    return _LEDGERS.setdefault(folder, Ledger(folder))


def opened() -> Path | None:
    """The folder of the ledger that is open, by this context or else anywhere in this process."""
    here = _HERE.get()
    return here if here is not None else next(reversed(_OPEN), None)


def current(otherwise: Path | None = None) -> Ledger:
    """The ledger that is open, else that of a folder if it is there, else that of the session.

    The session's is a folder that goes when this process ends; its workers share it.
    """
    found = opened()
    if found is None and otherwise is not None and otherwise.is_dir():
        found = otherwise
    return at(found or _session())


def _session() -> Path:
    if not _SESSION or _SESSION[0][0] != os.getpid():
        path = Path(tempfile.mkdtemp(prefix="foretell-evidence-"))
        _SESSION[:] = [(os.getpid(), path)]
        atexit.register(_forget, os.getpid(), path)
    return _SESSION[0][1]


def _forget(process: int, path: Path) -> None:
    if os.getpid() == process:
        shutil.rmtree(path, ignore_errors=True)
