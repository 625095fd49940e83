"""The folder of a run: where its files are, who may write them, which settings it has."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from foretell.errors import RunError

FORMAT = 1
# what may differ when a run goes on: where it runs and how it is called, not what it computes
FREE = (
    *("command", "created", "foretell", "versions", "name", "workers", "device"),
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
        self.report = self.path / "report.html"
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

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only driver of this folder; the lock dies with the process.

        Raises: RunError when another driver is at work here.
        """
        path = self.path / ".lock"
        try:
            file = open(path, "a+")  # noqa: SIM115  # must stay open for as long as it is locked
        except OSError as error:
            raise self._unusable(error) from error
        with file:
            if not _try_lock(file.fileno()):
                file.seek(0)
                raise RunError(
                    f"another run is at work in {self.path}",
                    got=file.read().strip() or None,
                    hint="wait for it, stop it, or choose another folder with --out",
                )
            file.seek(0)
            file.truncate()
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            yield

    def settle(self, settings: Mapping[str, Any]) -> dict[str, Any] | None:
        """Write the settings of a new run, or compare them with those of the run that is here.

        Returns: the settings of the run that is continued; None for a new one.

        Raises:
            RunError: a setting differs that changes what the run computes; the message has both
                values.
        """
        now = json.loads(json.dumps({"format": FORMAT, **settings}))
        if not self.run_json.exists():
            write_text(self.run_json, json.dumps(now, indent=2) + "\n")
            return None
        then = self.settings()
        old, new = _flat(then), _flat(now)
        changed = [
            key
            for key in [*old, *(key for key in new if key not in old)]
            if old.get(key) != new.get(key)
            and not any(key == free or key.startswith(free + ".") for free in FREE)
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
        return then

    def settings(self) -> dict[str, Any]:
        """What run.json says."""
        try:
            settings = json.loads(self.run_json.read_text())
        except (OSError, ValueError) as error:
            raise RunError(
                f"cannot read {self.run_json}: {error}",
                hint="choose another folder with --out, or restore the file",
            ) from error
        if not isinstance(settings, dict) or settings.get("format") != FORMAT:
            got = settings.get("format") if isinstance(settings, dict) else type(settings).__name__
            raise RunError(
                f"{self.run_json} has a format that this foretell does not know",
                expected=FORMAT,
                got=got,
                hint="use the foretell that wrote it, or choose another folder with --out",
            )
        return settings

    def _unusable(self, error: OSError) -> RunError:
        return RunError(
            f"cannot use {self.path} as the folder of a run: {error.strerror or error}",
            hint="choose another folder with --out, or give write access",
        )


def write_text(path: Path, text: str) -> None:
    """Write a file so that it is either the old one or the whole new one.

    Raises: RunError when it cannot be written.
    """
    part = path.with_name(path.name + ".tmp")
    try:
        with open(part, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise RunError(
            f"cannot write {path}: {error.strerror or error}",
            hint="make room or give write access, then run the same command again",
        ) from error


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} as {"a.b": 1}."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _try_lock(fd: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
