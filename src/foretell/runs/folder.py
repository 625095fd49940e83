"""The folder of a run: where its files are, who may write them, which settings it has."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any

from foretell._files import write_text
from foretell.errors import RunError
from foretell.evaluators._places import sweep

FORMAT = 2
# what may differ when a run goes on: where it runs, for how long and how it is called, not what
# it computes
FREE = (
    *("command", "created", "foretell", "versions.*", "name", "device"),
    *("workers", "backend", "address", "resources", "resources.*"),
    *("timeout_s", "memory_gb", "max_retries", "budget.*"),
    *("replicates", "log", "optuna"),
    *("recipe.device", "recipe.threads"),
    *("data.name", "data.notes"),
)


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
        self.best = self.path / "best"
        self.ranking = self.path / "ranking.csv"
        self.predictions = self.path / "predictions.csv"
        self.pareto = self.path / "pareto.csv"
        self.report = self.path / "report.html"
        self.log = self.path / "run.log"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            known = {"run.json", ".lock", "run.json.tmp"}
            strangers = sorted(item.name for item in self.path.iterdir() if item.name not in known)
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

    def note(self, text: str) -> None:
        """Add a line to run.log; a log that cannot be written stops nothing."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with contextlib.suppress(OSError), open(self.log, "a", encoding="utf-8") as file:
            file.write(f"{now} {text}\n")

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
            file = open(path, "a+")  # noqa: SIM115  # must stay open for as long as it is locked
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
            _HELD.add(file)
            try:
                yield
            finally:
                _HELD.discard(file)

    def settle(self, settings: Mapping[str, Any]) -> dict[str, Any] | None:
        """Write the settings of a new run, or compare them with those of the run that is here.

        Settings that one of the two does not have count as empty (null, [], {}). A run of an
        older format is brought to this one.

        Returns: the settings of the run that is continued; None for a new one.

        Raises:
            RunError: a setting differs that changes what the run computes; the message has both
                values.
        """
        now = json.loads(json.dumps({"format": FORMAT, **settings}))
        if not self.run_json.exists():
            write_text(self.run_json, json.dumps(now, indent=2) + "\n")
            return None
        raw = self._read()
        then = upgrade(raw)
        old, new = _flat(then), _flat(now)
        changed = [
            key
            for key in [*old, *(key for key in new if key not in old)]
            if old.get(key) != new.get(key) and not any(fnmatchcase(key, free) for free in FREE)
        ]
        if changed:
            key = changed[0]
            others = f" (also: {', '.join(changed[1:6])})" if changed[1:] else ""
            raise RunError(
                f"the run in {self.path} has another {key}{others}",
                expected=_short(old.get(key)),
                got=_short(new.get(key)),
                hint="repeat the command with the old value, or choose another folder with --out",
            )
        if raw["format"] != FORMAT:
            write_text(self.run_json, json.dumps(then, indent=2) + "\n")
        return then

    def settings(self) -> dict[str, Any]:
        """What run.json says, in the words of this format."""
        return upgrade(self._read())

    def _read(self) -> dict[str, Any]:
        try:
            settings = json.loads(self.run_json.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(
                f"cannot read {self.run_json}: {error}",
                hint="choose another folder with --out, or restore the file",
            ) from error
        known = (*UPGRADES, FORMAT)
        if not isinstance(settings, dict) or settings.get("format") not in known:
            got = settings.get("format") if isinstance(settings, dict) else type(settings).__name__
            raise RunError(
                f"{self.run_json} has a format that this foretell does not know",
                expected=" or ".join(map(str, known)),
                got=got,
                hint="use the foretell that wrote it, or choose another folder with --out",
            )
        return settings

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


def upgrade(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of any known format in the words of this one; a step for each format between.

    >>> upgrade({"format": 1, "n_train": 8})["replicates"]
    0
    """
    now = dict(settings)
    while now["format"] in UPGRADES:
        now = UPGRADES[now["format"]](now)
    return now


def _from_1(settings: dict[str, Any]) -> dict[str, Any]:
    """Runs had no limits, costs, budgets, halving, verdict, clusters; studies are as they were."""
    if "study" in settings:
        return {**settings, "format": 2}
    return {
        **settings,
        "format": 2,
        "limits": {},
        "minimize": [],
        "budget": {},
        "halving": None,
        "replicates": 0,
        "backend": "local",
    }


UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1}


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1, "c": []}} as {"a.b": 1}: what is empty is as good as absent."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        elif value is not None and value != []:
            flat[prefix + key] = value
    return flat


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."


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
