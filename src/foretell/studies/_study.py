"""What studies share: cells computed in parallel, one journal, continued by the same call."""

from __future__ import annotations

import csv
import hashlib
import io
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from foretell._files import write_bytes, write_text
from foretell.errors import ForetellError, RunError, SettingError
from foretell.evaluators.parts import places
from foretell.evidence import ledger
from foretell.metrics import mean_interval
from foretell.runs import journal
from foretell.runs.folder import RunFolder, settings_of
from foretell.runs.journal import Journal
from foretell.runs.progress import Progress
from foretell.spaces.base import Space
from foretell.tables import finding
from foretell.tables.table import Table
from foretell.typed import Reader

_KILLED = "its process was killed twice; fewer workers need less memory"
Cell = dict[str, Any]  # what is computed (method, size, seed), then what came out
R = TypeVar("R")


OnProgress = Callable[[Progress], None] | None


@dataclass(frozen=True)
class Study(Generic[R]):
    """Records of a study, one a cell, in the order of the settings."""

    records: tuple[R, ...]
    out: Path

    def frame(self) -> dict[str, list[Any]]:
        """The records as columns: name -> values, ready for pandas or polars."""
        rows = [asdict(record) for record in self.records]  # type: ignore[call-overload]  # dataclasses all
        return {name: [row[name] for row in rows] for name in (rows[0] if rows else {})}


def open_whole(path: str | Path, space: Space | str | None) -> Table:
    """The table with all that it has; a benchmark's file knows its space."""
    if isinstance(space, str):
        from foretell.spaces.parts.load import load

        space = load(space)
    return Table.open(path, space=space)


def open_table(path: str | Path, space: Space | str | None, *columns: str | None) -> Table:
    """The table with just these numeric columns and curves; a benchmark's file knows its space."""
    table = open_whole(path, space)
    names = [name for name in dict.fromkeys(columns) if name is not None]
    curves = {name: table.curve(name) for name in names if name in table.curves}
    kept = {n: table.column(n) for n in names if n in table.columns or n not in curves}
    return Table(table.space, table.X, kept, curves, source=table.source)


def seeds_of(seeds: int | Sequence[int]) -> list[int]:
    """0 to seeds - 1, or the seeds themselves."""
    listed = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not listed or len(set(listed)) < len(listed) or min(listed) < 0:
        raise SettingError("seeds", expected="a number from 1, or different seeds", got=seeds)
    return listed


def describe(path: str | Path, table: Table) -> dict[str, Any]:
    """What identifies the table and the space in the settings of a study."""
    file = finding.path(path)
    if file.is_file():
        with open(file, "rb") as stream:
            digest = hashlib.file_digest(stream, "sha256")
    else:  # a folder of result files
        digest = hashlib.sha256(np.ascontiguousarray(table.X).tobytes())
        for name in table.columns:
            digest.update(np.ascontiguousarray(table.column(name)).tobytes())
    return {
        "table": Path(path).name,
        "sha256": digest.hexdigest(),
        "space": table.space.name,
        "space_size": table.space.size,
    }


def collect(
    out: str | Path,
    settings: Mapping[str, Any],
    cells: Sequence[Cell],
    work: Callable[[Cell], Cell],
    workers: int,
    on_progress: OnProgress,
) -> list[Cell]:
    """`{**cell, **work(cell)}` of each cell, in their order; those in `results.jsonl` are kept.

    A cell whose work raises is recorded with its error, and tried again by the next call.

    Raises: RunError when `out` holds a study with other settings.
    """
    if workers < 1:
        raise SettingError("workers", expected="at least 1", got=workers)
    folder = RunFolder(out)
    names = list(cells[0])
    results = folder.path / "results.jsonl"
    with folder.lock(), Journal(results) as log, ledger(folder.evidence):
        folder.settle(settings)
        known = {
            key_of(event, names, results): event for event in log.events if not event.get("error")
        }
        todo = [cell for cell in cells if _key(cell, names) not in known]
        clock = _Clock(todo, workers)
        for done, (cell, result, seconds) in enumerate(_each(work, todo, workers), start=1):
            record = {**cell, **result}
            log.append({"event": "cell", **record})
            known[_key(cell, names)] = log.events[-1]
            clock.tick(cell, seconds)
            if on_progress is not None:
                label = ", ".join(f"{k} {v}" for k, v in cell.items() if v != "")
                have = len(cells) - len(todo) + done
                failed = sum(bool(event["error"]) for event in known.values())
                on_progress(
                    Progress(
                        label, have, failed, len(cells), seconds_left=clock.left(), things="cells"
                    )
                )
    return [{k: v for k, v in known[_key(cell, names)].items() if k != "event"} for cell in cells]


def read_records(
    out: Path,
    study: str,
    kind: type[R],
    key: Sequence[str],
    command: str,
    about: type[Any] | None = None,
) -> tuple[dict[str, Any], list[R]]:
    """The settings of a study and the last record of each cell, in the order of its journal.

    Args:
        out: the folder.
        study: of which kind, as its settings say.
        kind: of the records.
        key: fields of a record that say which cell it is.
        command: that makes such a folder, for the message.
        about: of the settings, which are checked by it.

    Raises: RunError when `out` holds no such study with a finished cell, or is damaged.
    """
    settings = {name: value for name, value in settings_of(out).items() if name != "format"}
    if about is not None and settings.get("study") == study:
        Reader(out / "run.json").record(about, settings)
    path = out / "results.jsonl"
    cells = journal.read(path) if settings.get("study") == study and path.exists() else []
    records = [Reader(path).record(kind, cell) for cell in cells]
    latest = {tuple(getattr(record, name) for name in key): record for record in records}
    if not latest:
        raise RunError(
            f"{out} holds no results of a study of {study}",
            expected=f"a folder that `foretell {command}` made, with a finished cell",
            got="none",
        )
    return settings, list(latest.values())


def key_of(event: Mapping[str, Any], names: Sequence[str], path: Path) -> tuple[Any, ...]:
    """Which cell an event of a journal speaks of.

    Raises: RunError where that is damaged.
    """
    for name in names:
        if isinstance(event.get(name), (list, dict)):
            Reader(path).damaged(name, "a text or a number")
    return _key(event, names)


def _key(cell: Mapping[str, Any], names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(cell.get(name) for name in names)


class _Clock:
    """How long the rest takes: cells that differ by their seed alone take as long as each other."""

    def __init__(self, cells: Sequence[Cell], workers: int) -> None:
        self._workers = workers
        self._rest = Counter(self._kind(cell) for cell in cells)
        self._spent: dict[tuple[Any, ...], list[float]] = {}

    def tick(self, cell: Cell, seconds: float) -> None:
        """The cell is done, after so many seconds."""
        self._rest[self._kind(cell)] -= 1
        self._spent.setdefault(self._kind(cell), []).append(seconds)

    def left(self) -> float:
        """Seconds until all are done; kinds that were not seen count as the mean of the others."""
        known = {kind: float(np.mean(spent)) for kind, spent in self._spent.items()}
        usual = float(np.mean(list(known.values())))
        total = sum(n * known.get(kind, usual) for kind, n in self._rest.items())
        return total / min(self._workers, max(sum(self._rest.values()), 1))

    def _kind(self, cell: Cell) -> tuple[Any, ...]:
        return tuple(value for name, value in cell.items() if name != "seed")


def _each(
    work: Callable[[Cell], Cell], cells: Sequence[Cell], workers: int
) -> Iterator[tuple[Cell, Cell, float]]:
    """Cells with their results and seconds as they come.

    A cell whose process is killed is computed once more at the end, and fails if that ends so too.
    """
    if workers == 1 or len(cells) < 2:
        for cell in cells:
            yield cell, *_safe(work, cell)
        return
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    free = [places.Place(i, one_thread, f"worker {i}") for i in range(min(workers, len(cells)))]
    todo = deque((cell, False) for cell in cells)
    running: dict[Future[tuple[Cell, float]], tuple[places.Place, Cell, bool]] = {}
    try:
        while todo or running:
            while todo and free:
                place, (cell, again) = free.pop(), todo.popleft()
                running[place.submit(_safe, work, cell)] = place, cell, again
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                place, cell, again = running.pop(future)
                free.append(place)
                try:
                    yield cell, *future.result()
                except BrokenExecutor:  # its process is gone; those of the others are not
                    place.close(kill=True)
                    if again:
                        yield cell, {"error": _KILLED}, 0.0
                    else:
                        todo.append((cell, True))
    except ForetellError:
        raise
    except Exception as error:
        raise RunError(
            f"the study cannot be sent to its workers: {type(error).__name__}: {error}",
            hint="run the same again: what is finished is kept; workers=1 needs no processes",
        ) from error
    finally:
        for place in [*free, *(place for place, _, _ in running.values())]:
            place.close(kill=True)


def _safe(work: Callable[[Cell], Cell], cell: Cell) -> tuple[Cell, float]:
    """What came out, with the error if there was one, and the seconds that it took."""
    start = time.perf_counter()
    try:
        result = {**work(cell), "error": ""}
    except Exception as error:
        result = {"error": " ".join(f"{type(error).__name__}: {error}".split())[:500]}
    return result, time.perf_counter() - start


def write_summary(out: Path, rows: Sequence[Mapping[str, Any]], text: str) -> None:
    """summary.csv and summary.md of a study."""
    write_text(out / "summary.csv", _csv(rows))
    write_text(out / "summary.md", text + "\n")


def write_records(out: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """results.csv, one line a cell, and results.parquet where pyarrow is there."""
    names = list(columns)
    rows = [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    write_text(out / "results.csv", _csv(rows))
    if find_spec("pyarrow") is None:
        return
    import pyarrow
    import pyarrow.parquet

    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(dict(columns)), buffer)
    path = out / "results.parquet"
    try:
        write_bytes(path, buffer.getvalue())
    except OSError as error:
        raise RunError(
            f"cannot write {path}: {error.strerror or error}",
            hint="make room or give write access, then run the same command again",
        ) from error


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def plus_minus(values: Sequence[float], digits: int = 3) -> str:
    """Mean and half its 95 % interval in words, `n/a` for nothing.

    >>> plus_minus([1.0, 2.0, 3.0]), plus_minus([0.5]), plus_minus([])
    ('2.000 ± 2.484', '0.500', 'n/a')
    """
    known = [value for value in values if np.isfinite(value)]
    if not known:
        return "n/a"
    mean, half = mean_interval(known)
    return f"{mean:.{digits}f}" + (f" ± {half:.{digits}f}" if np.isfinite(half) else "")


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns.

    >>> print(markdown(["a", "b"], [["1", "22"]]))
    | a |  b |
    |:--|---:|
    | 1 | 22 |
    """
    width = [max(len(row[j]) for row in [header, *rows]) for j in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first, *rest = (
            cell.ljust(w) if j == 0 else cell.rjust(w)
            for j, (cell, w) in enumerate(zip(cells, width, strict=True))
        )
        return "| " + " | ".join([first, *rest]) + " |"

    first, *rest = width
    rule = "|" + "|".join([":" + "-" * (first + 1), *("-" * (w + 1) + ":" for w in rest)]) + "|"
    return "\n".join([line(header), rule, *map(line, rows)])
