"""All networks of a run: their numbers, what is known of them, and which weights stay."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from foretell._rng import derive
from foretell.errors import RunError
from foretell.evaluators.base import Result
from foretell.runs import ranks
from foretell.runs.events import Ask
from foretell.runs.kept import Kept
from foretell.runs.plan import Plan
from foretell.runs.trial import SEARCHED, Trial, rank
from foretell.spaces.base import Rows, Space


class Trials:
    """The networks of a run by their numbers, in the order of the asks.

    Args:
        space: of their rows.
        plan: of the run.
        objective: what they are compared by.
        kept: whose weights are there.
        asks: "ask" events of the journal, whose numbers are taken.
    """

    def __init__(
        self, space: Space, plan: Plan, objective: str, kept: Kept, asks: Sequence[Ask]
    ) -> None:
        self.space, self.plan, self.objective, self.kept = space, plan, objective, kept
        self.by_id: dict[int, Trial] = {}
        self.next_id = 1 + max((i for event in asks for i in event.ids), default=-1)
        self.done = self.failed = 0
        self.seconds = 0.0  # of those that did not fail
        self._half: dict[int, Result] = {}  # what those gave that are not trained to the end

    def key(self, x: Rows) -> int:
        """The key of a row (d,)."""
        return int(self.space.row_key(x[None])[0])

    def enter(
        self,
        X: Rows,
        phase: str,
        ids: Sequence[int] | None = None,
        replicates: Sequence[int] | None = None,
    ) -> list[Trial]:
        """Trials of rows (n, d) that were not there; they get the next numbers, or their own."""
        if not len(X):
            return []
        numbers = list(replicates or [0] * len(X))
        if ids is None:
            ids = range(self.next_id, self.next_id + len(X))
            self.next_id += len(X)
        archs = self.space.to_str(X)
        params, flops = ranks.costs(self.space, X)
        names = self.plan.costs
        costs = self.space.measure(X, names) if names else np.zeros((len(X), 0))
        new = [
            Trial(
                id=ids[i],
                phase=phase,
                x=x,
                arch=archs[i],
                seed=derive(self.plan.seed, "trial", self.key(x), numbers[i]),
                params=float(params[i]),
                flops=float(flops[i]),
                costs=dict(zip(names, costs[i].tolist(), strict=True)),
                replicate=numbers[i],
            )
            for i, x in enumerate(X)
        ]
        self.by_id |= {trial.id: trial for trial in new}
        return new

    def reached(self, trial: Trial, result: Result) -> None:
        """A network has been trained for a while, and may go on."""
        self._half[trial.id] = result

    def end(self, trial: Trial, result: Result | None = None, stopped: bool = False) -> Trial:
        """A network has a result, or is not trained on from what it gave last."""
        result = self._half[trial.id] if result is None else result
        before = self.by_id[trial.id]
        trial = replace(trial.ended(result, self.objective), stopped=stopped)
        self.by_id[trial.id] = trial
        if before.result is None:
            self.done += 1
            self.failed += trial.failed
            self.seconds += 0.0 if trial.failed else result.seconds
        self.kept.ended(trial)
        return trial

    @property
    def half(self) -> list[Trial]:
        """Those that may go on, with what they gave so far; best first."""
        open_ = [t for t in self.by_id.values() if t.result is None and t.id in self._half]
        some = [trial.ended(self._half[trial.id], self.objective) for trial in open_]
        return sorted(some, key=rank, reverse=True)

    @property
    def ended(self) -> list[Trial]:
        """Networks that have a result, failed ones too."""
        return [trial for trial in self.by_id.values() if trial.result is not None]

    @property
    def searched(self) -> list[Trial]:
        """Those of them that the search trained."""
        return [trial for trial in self.ended if trial.phase in SEARCHED]

    def of(self, *phases: str) -> Iterator[Trial]:
        """Networks of some phases, with or without a result."""
        return (trial for trial in self.by_id.values() if trial.phase in phases)

    def best(self, of: Callable[[Trial], bool] = lambda trial: trial.phase in SEARCHED) -> Trial:
        """The trial with the highest objective; on ties that with the lowest validation loss."""
        able = [t for t in self.ended if of(t) and not t.stopped and not math.isnan(t.value)]
        if not able:
            raise RunError("no network has been trained yet")
        return max(able, key=rank)

    def require_one(self) -> None:
        """Raises: RunError with the reason where no network could be trained."""
        if all(math.isnan(trial.value) for trial in self.ended):
            reasons = [t.result.error for t in self.ended if t.result]
            reason, _, todo = (reasons or [""])[0].partition(". Next: ")
            raise RunError(
                f"none of the {len(reasons)} networks could be trained"
                + (f": {reason}" if reason else ""),
                hint=f"{todo or 'mend the cause'}, and start anew with another --out",
            )
