"""What a tracker is, and which of them a run has."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from foretell import _catalog
from foretell.errors import SettingError
from foretell.spaces.base import Space
from foretell.trackers.parts.events import Event

_OPTUNA = "optuna"  # the one that needs to be told where: its own option
_QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "WANDB_ERROR_REPORTING": "false"}


class Watcher(ABC):
    """Follows a run: is given the journal so far, then each new event, then the summary.

    What trackers tell their makers of their use is off, unless the environment says otherwise.

    What it keeps elsewhere follows from the journal alone. A run that continues gives all events
    again, so a watcher adds what is missing and nothing twice, wherever it was broken off.

    A tracker implements `_known` and `_add`, and overrides more only where it has more to show.

    Args:
        folder: of the run.
    """

    space: Space
    objective: str

    def __init__(self, folder: Path) -> None:
        for name, value in _QUIET.items():  # read when the tracker's package is imported
            os.environ.setdefault(name, value)
        self.folder = folder.absolute()
        self.name = folder.resolve().name

    def begin(
        self, settings: dict[str, Any], space: Space, objective: str, events: Sequence[Event]
    ) -> None:
        """Start to watch.

        Args:
            settings: of run.json.
            space: of the run.
            objective: the metric that the run maximises.
            events: the journal so far.
        """
        self.space, self.objective = space, objective
        # a folder that was removed and made anew is another run of the same name
        words = f"{self.name} {settings.get('created', '')}"
        self.key = hashlib.blake2b(words.encode(), digest_size=6).hexdigest()
        self._there = self._known(settings)
        for event in events:
            self.event(event)

    def event(self, event: Event) -> None:
        """A new event of the journal."""
        if event["event"] == "trial" and event["id"] not in self._there:
            self._add(event)
            self._there.add(event["id"])

    def end(self, summary: dict[str, Any]) -> None:  # noqa: B027  # most have nothing to close
        """The run is done."""

    @abstractmethod
    def _known(self, settings: dict[str, Any]) -> set[int]:
        """Open the tracker; ids of the trials that it holds whole."""

    @abstractmethod
    def _add(self, event: Event) -> None:
        """Log one trial that has ended."""


def logs() -> list[str]:
    """Names of the trackers that need nothing but the folder."""
    return [row.name for row in _catalog.KINDS["tracker"] if row.name != _OPTUNA]


def watch(names: Sequence[str], folder: Path, optuna_url: str | None = None) -> list[Watcher]:
    """The trackers of those names, ready to `begin`; each once.

    Args:
        names: some of csv, tensorboard, mlflow, wandb.
        folder: of the run; what is kept locally goes there, and its name is the run's.
        optuna_url: storage of an Optuna mirror (`sqlite:///x.db`, or the path of a journal file);
            None for none.

    Raises:
        SettingError: a name is unknown, or the storage cannot be opened.
        MissingExtraError: a package is not installed.

    >>> [type(watcher).__name__ for watcher in watch(["csv"], Path("runs/x"))]
    ['CSV']
    """
    for name in names:
        if name not in logs():
            raise SettingError(f"unknown log {name!r}", expected="some of " + ", ".join(logs()))
    found: list[Watcher] = [_catalog.get("tracker", name, folder) for name in dict.fromkeys(names)]
    if optuna_url is not None:
        found.append(_catalog.get("tracker", _OPTUNA, folder, optuna_url))
    return found
