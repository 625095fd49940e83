"""The weights of networks that may still win; those of all others are removed."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Sequence

from foretell.runs.folder import RunFolder
from foretell.runs.trial import SEARCHED, Trial, rank

_GROUPS = (SEARCHED, ("sample", "random"), ("random",))  # phases, of each the best is reported


_MINE = re.compile(
    r"(?P<id>\d{1,18})(?P<state>\.state)?\.safetensors(?P<part>\.[0-9a-f]+\.part)?"
).fullmatch


class Kept:
    """Which networks' weights are in `checkpoints/`, and which of them must stay.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._best: dict[str, Trial] = {}  # of each phase
        self._there: set[int] = set()

    def ended(self, trial: Trial) -> None:
        """A network has a result."""
        if not trial.failed and not trial.stopped:
            best = self._best.get(trial.phase)
            self._best[trial.phase] = trial if best is None else max(trial, best, key=rank)

    def best(self, phases: Sequence[str] = SEARCHED) -> Trial | None:
        """The best network of some phases."""
        able = [self._best[phase] for phase in phases if phase in self._best]
        return max(able, key=rank, default=None)

    def written(self, one: int) -> None:
        """The weights of a network may be there."""
        self._there.add(one)

    def prune(self) -> None:
        """Remove the weights of networks that can no longer win."""
        stay = {best.id for phases in _GROUPS if (best := self.best(phases)) is not None}
        for one in self._there - stay:
            self._folder.checkpoint(one).unlink(missing_ok=True)
        self._there &= stay

    def tidy(self, finished: Collection[int]) -> None:
        """Remove what a killed call has left half-written; learn whose weights are there."""
        for path in self._folder.checkpoints.glob("*"):
            found = _MINE(path.name)
            if not found:
                continue  # whatever it is, no run has made it
            number, state, part = int(found["id"]), found["state"], found["part"]
            if part or (state and number in finished):
                path.unlink(missing_ok=True)
            elif not state and number in finished:
                self._there.add(number)

    def remove(self, ids: Collection[int]) -> None:
        """Remove all that is left of the trainings of these networks, and the empty folder."""
        for path in self._folder.checkpoints.glob("*"):
            found = _MINE(path.name)
            if found and int(found["id"]) in ids:
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # files of somebody else are in it
            self._folder.checkpoints.rmdir()
