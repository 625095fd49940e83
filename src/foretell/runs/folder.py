"""The folder of a run: where its files are, who may write them, which settings it has."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import socket
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from foretell._console import inert
from foretell._files import opened, regular, write_text
from foretell._files import sweep as sweep_parts
from foretell.errors import RunError
from foretell.evaluators.parts.places import sweep
from foretell.runs.record import FORMAT, RunRecord, changed, known_format, refused, upgrade
from foretell.typed import load

GROWS = ("n_train", "top_k")  # options that may be raised when a run goes on
_MINE = re.compile(r"run\.json(\.tmp|\.[0-9a-f]{8}\.part)?|\.lock|supernet").fullmatch


class RunFolder:
    """The files of one run.

    Args:
        path: the folder; made when absent.

    Raises:
        RunError: the path cannot be made, or holds something else.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.run_json = self.path / "run.json"
        self.journal = self.path / "trials.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.cache = self.path / "cache"
        self.evidence = self.path / "evidence"
        self.best = self.path / "best"
        self.ranking = self.path / "ranking.csv"
        self.predictions = self.path / "predictions.csv"
        self.pareto = self.path / "pareto.csv"
        self.confusion = self.path / "confusion.csv"
        self.tested = self.path / "tested.csv"
        self.examples = self.path / "examples.json"
        self.rival = self.path / "rival.json"
        self.report = self.path / "report.html"
        self.log = self.path / "run.log"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            strangers = sorted(one.name for one in self.path.iterdir() if not _MINE(one.name))
        except OSError as error:
            raise self._unusable(error) from error
        if strangers and not self.run_json.exists():
            raise RunError(
                f"{self.path} is not the folder of a run",
                expected="an empty or new folder, or one with run.json",
                got=", ".join(strangers[:3]) + (", ..." if len(strangers) > 3 else ""),
                hint="choose another folder with --out",
            )

    def checkpoint(self, trial: int) -> Path:
        """Where the weights of a trial are."""
        return self.checkpoints / f"{trial}.safetensors"

    def state(self, trial: int) -> Path:
        """Where a half-trained network waits to be continued."""
        return self.checkpoints / f"{trial}.state.safetensors"

    def make_checkpoints(self) -> None:
        """Make the folder of the weights.

        Raises: RunError where it cannot be made, or leads elsewhere.
        """
        try:
            with contextlib.suppress(FileNotFoundError):
                if stat.S_ISDIR(os.lstat(self.checkpoints).st_mode):
                    return
            self.checkpoints.mkdir(exist_ok=True)
        except OSError as error:
            raise self._unusable(error) from error
        self.own_checkpoints()

    def own_checkpoints(self) -> None:
        """Raises: RunError where the folder of the weights is a link: its files are removed."""
        if self.checkpoints.is_symlink():
            raise RunError(
                f"{self.checkpoints} is a link",
                expected="a folder of its own, because weights that cannot win are removed from it",
                hint="remove the link; to use another disk, put the whole run there with --out",
            )

    def note(self, text: str) -> None:
        """Add a line to run.log; a log that cannot be written stops nothing."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with contextlib.suppress(OSError):
            fd = opened(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            with open(fd, "a", encoding="utf-8") as file:
                file.write(f"{now} {inert(text)}\n")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only driver of this folder; the lock dies with the process.

        It is `flock` on `.lock`. On NFS Linux makes it a lock on the server, which other machines
        see (not on mounts with `nolock` or `local_lock`: there they do not); that of a machine
        which is gone ends with its lease, after a minute or so.

        Raises: RunError when another driver is at work here, or files cannot be locked here.
        """
        path = self.path / ".lock"
        try:
            fd = opened(path)
            file = open(fd, "r+", errors="replace")  # noqa: SIM115  # must stay open for as long as it is locked
        except OSError as error:
            raise self._unusable(error) from error
        with file:
            try:
                taken = not _try_lock(file.fileno())
                if not taken:
                    file.seek(0)
                    before = re.fullmatch(r"process (\d+) on (.+)", file.read())
                    if before and before[2] == socket.gethostname():
                        sweep(int(before[1]))
                    file.seek(0)
                    file.truncate()
                    file.write(f"process {os.getpid()} on {socket.gethostname()}")
                    file.flush()
            except OSError as error:
                raise self._unusable(error) from error
            if taken:
                file.seek(0)
                raise RunError(
                    f"another run is at work in {self.path}",
                    got=file.read().strip() or None,
                    hint="wait for it, stop it, or choose another folder with --out",
                )
            tables = self.ranking, self.predictions, self.pareto, self.confusion, self.tested
            for path in (self.run_json, *tables, self.examples, self.rival, self.report):
                sweep_parts(path)
            _HELD.add(file)
            try:
                yield
            finally:
                _HELD.discard(file)

    def settle(self, settings: Mapping[str, Any]) -> dict[str, Any] | None:
        """Write the settings of a new run, or compare them with those of the run that is here.

        A run of an older format is brought to this one.

        Args:
            settings: `RunRecord.to_dict`, or those of a study.

        Returns: the settings of the run that is continued; None for a new one.

        Raises:
            RunError: a setting differs that changes what the run computes (the message has both
                values), or run.json is damaged.
        """
        now = json.loads(json.dumps({"format": FORMAT, **settings}))
        if not self.run_json.exists():
            write_text(self.run_json, json.dumps(now, indent=2) + "\n")
            return None
        raw = self._read()
        then = upgrade(raw)
        if "study" not in then:
            RunRecord.read(then, self.run_json)
        differ = changed(then, now)
        if differ:
            raise refused(self.path, differ)
        if raw["format"] != FORMAT:
            write_text(self.run_json, json.dumps(then, indent=2) + "\n")
        return then

    def smaller(self, settings: Mapping[str, Any]) -> dict[str, int]:
        """Numbers of networks in run.json that `settings` raises, where it lowers none."""
        then = self.settings() if self.run_json.exists() else {}
        found: dict[str, int] = {}
        for name in GROWS:
            old, new = then.get(name), settings.get(name)
            if type(old) is not int or type(new) is not int or old > new:
                return {}
            if old < new:
                found[name] = old
        return found

    def grow(self, settings: Mapping[str, Any]) -> None:
        """Write the numbers of networks of a run that goes on with more of them."""
        now = json.loads(json.dumps(settings))
        more = {name: now[name] for name in (*GROWS, "strategy")}
        write_text(self.run_json, json.dumps({**self.settings(), **more}, indent=2) + "\n")

    def settings(self) -> dict[str, Any]:
        """What run.json says, in the words of this format."""
        return upgrade(self._read())

    def _read(self) -> dict[str, Any]:
        try:
            found = load(regular(self.run_json).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(
                f"cannot read {self.run_json}: {error}",
                hint="choose another folder with --out, or restore the file",
            ) from error
        return known_format(found, self.run_json)

    def _unusable(self, error: OSError) -> RunError:
        return RunError(
            f"cannot use {self.path} as the folder of a run: {error.strerror or error}",
            hint="choose another folder with --out, or give write access",
        )


def settings_of(folder: Path) -> dict[str, Any]:
    """What run.json says, of a run or a study; RunError where there is none."""
    if not (folder / "run.json").is_file():  # asked first, because RunFolder would make the folder
        raise RunError(
            f"{folder} is not the folder of a run",
            expected="a folder with run.json, as --out of `run` or `bench` makes it",
            got="no run.json" if folder.is_dir() else "no such folder",
        )
    return RunFolder(folder).settings()


_HELD: set[IO[str]] = set()  # lock files of this process


def _let_go() -> None:
    """A forked child, say of a user's executor, must not keep the lock when its parent is dead."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for file in _HELD:
        os.dup2(nothing, file.fileno(), inheritable=False)
    os.close(nothing)
    _HELD.clear()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_let_go)


def _try_lock(fd: int) -> bool:
    """Whether the lock is ours now; raises OSError where files cannot be locked at all."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
            return False
        raise
    return True
