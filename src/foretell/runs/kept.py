"""The weights of networks that may still win; those of all others are removed."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from foretell.runs.folder import RunFolder
from foretell.runs.trial import SEARCHED, Trial, rank

_GROUPS = (SEARCHED, ("sample", "random"), ("random",))  # phases, of each the best is reported


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
            name = path.name.removesuffix(".safetensors")
            number = name.removesuffix(".state")
            whole = path.suffix == ".safetensors" and number.isdigit()
            if whole and name == number:
                self._there.add(int(number))
            elif not whole or int(number) in finished:
                path.unlink(missing_ok=True)
