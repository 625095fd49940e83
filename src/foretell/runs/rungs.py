"""What networks gave at the rungs of successive halving, as the journal has it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from foretell.evaluators.base import Result
from foretell.runs.halving import Bracket, Halving, estimate
from foretell.runs.journal import Event
from foretell.runs.trial import Trial, rank, result_of


class Rungs:
    """Results of half-trained networks, oldest first, and the rounds that follow from them.

    Args:
        events: "rung" events of the journal.
        objective: what networks are compared by.
        epochs: of a whole training.
    """

    def __init__(self, events: Iterable[Event], objective: str, epochs: int) -> None:
        self.objective, self.epochs = objective, epochs
        self._events: dict[int, list[Event]] = defaultdict(list)  # of each network
        for event in events:
            self.add(event)

    def add(self, event: Event) -> None:
        """A network has been trained to a rung."""
        self._events[event["id"]].append(event)

    def last(self, one: int) -> Result:
        """What a network gave at its highest rung."""
        return result_of(self._events[one][-1])

    def event(self, trial: Trial, result: Result) -> Event:
        """What the journal says of a network at a rung."""
        return {
            "event": "rung",
            "id": trial.id,
            "seed": trial.seed,
            "epochs": result.epochs,
            "value": result.metrics[self.objective],
            "error": "",
            "seconds": result.seconds,
            "metrics": result.metrics,
            "curve": result.curve,
        }

    def bracket(self, halving: Halving | None, trials: Sequence[Trial]) -> Bracket:
        """A round of networks as far as it has come; one without halving has a single rung."""
        if halving is None:
            todo = [trial.id for trial in trials if trial.result is None]
            return Bracket(Halving(), (self.epochs,), todo)
        ids = [trial.id for trial in trials]
        earlier: dict[int, list[float]] = defaultdict(list)
        bracket = Bracket(halving, halving.rungs(self.epochs), ids, earlier)
        for i, events in self._events.items():
            for event in events:
                value = result_of(event).metrics.get(self.objective, math.nan)
                if i in ids:
                    bracket.reached(i, event["epochs"], value)
                elif i < ids[0]:
                    earlier[event["epochs"]].append(value)
        for trial in trials:
            if trial.result is not None and not trial.stopped:
                bracket.ended(trial)
        return bracket

    def told(self, trial: Trial, searched: Iterable[Trial]) -> float:
        """What the strategy is told of a network: of a stopped one, what it might have become."""
        if not trial.stopped:
            return trial.value
        whole = [t for t in searched if not t.failed and not t.stopped]
        curves = [t.result.curve.get(self.objective, []) for t in whole if t.result]
        return estimate(trial.value, trial.epochs, curves)

    def begun(self, trials: Iterable[Trial]) -> list[Trial]:
        """Those of the networks that were at a rung, with what they gave there; best first."""
        some = [trial for trial in trials if trial.id in self._events]
        ended = [trial.ended(self.last(trial.id), self.objective) for trial in some]
        return sorted(ended, key=rank, reverse=True)
