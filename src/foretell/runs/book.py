"""The book of a run's search: what the loop asks is on disk before anything follows from it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from foretell.errors import RunError
from foretell.evaluators.base import Job, Result
from foretell.runs import events, ranks, tables
from foretell.runs.desk import Desk
from foretell.runs.trial import SEARCHED, Trial
from foretell.search.asktell import Search
from foretell.search.loop import Asked, Loop
from foretell.search.strategy import Proposal
from foretell.spaces.base import Rows
from foretell.strategies.parts.brackets import Fidelities

FURTHER = "further"  # phase of an ask for more epochs of known networks
_ANEW = 10  # a ranking is written down again when one of so many more results is known


class RunBook:
    """Writes a search into a run's folder, and brings a loop to where its journal ends.

    Args:
        desk: of the run.
        search: what is written down.

    Attributes:
        sizes: new networks of each ask.
    """

    def __init__(self, desk: Desk, search: Search) -> None:
        self.desk, self.search, self.space = desk, search, search.space
        self.sizes: list[int] = []
        self._of_row: dict[int, int] = {}  # key of a row -> number of its trial

    # -- from the journal ---------------------------------------------------------------------

    def replay(self, loop: Loop) -> None:
        """Take up all that the journal has, in its order."""
        for event in list(self.desk.journal.records):
            if isinstance(event, events.Ask) and event.phase in (*SEARCHED, FURTHER):
                X = rows_of(event, self.search, self.desk)
                loop.replay_ask(X, event.epochs or self._first_epochs(X))
                self._enter(X, event.phase, event.ids)
            elif isinstance(event, events.Rung):
                trial = self._trial(event.id)
                self.desk.all.reached(trial, event.result)
                self.desk.spent.took(trial.id, event.epochs, event.seconds)
                self._replay_result(loop, trial, event)
            elif isinstance(event, events.Trial) and event.phase in SEARCHED:
                trial = self.desk.end(self._trial(event.id), event.result, event.stopped)
                if not event.stopped:
                    self._replay_result(loop, trial, event)

    def _first_epochs(self, X: Rows) -> list[int] | None:
        """How far older runs trained new networks: they did not write it down."""
        strategy = self.search.strategy
        if not isinstance(strategy, Fidelities):
            return None
        return [strategy.rungs(self.search.history)[0]] * len(X)

    def _replay_result(self, loop: Loop, trial: Trial, event: events.Trained) -> None:
        trial = trial.ended(event.result, self.desk.evaluator.objective)
        assert trial.result is not None  # it has just ended
        (one,) = self.search.ids(self.search.space.row_key(trial.x[None]))
        loop.replay_result(one, trial.result, math.nan if event.ended_s is None else event.ended_s)

    def _trial(self, number: int) -> Trial:
        if number not in self.desk.all.by_id:
            raise RunError(
                f"{self.desk.journal.path} has a result of network {number}",
                expected="an ask for it before",
                hint="restore the file from a copy, or start anew with another --out",
            )
        return self.desk.all.by_id[number]

    def _enter(self, X: Rows, phase: str, ids: Sequence[int] | None = None) -> list[int]:
        """The numbers of rows that the search wants; trials are made of those that are new."""
        keys = [int(key) for key in self.space.row_key(X)]
        new = [i for i, key in enumerate(keys) if key not in self._of_row]
        made = self.desk.all.enter(X[new], phase, None if ids is None else [ids[i] for i in new])
        self._of_row |= {keys[i]: trial.id for i, trial in zip(new, made, strict=True)}
        if new:
            self.sizes.append(len(new))
        return [self._of_row[key] for key in keys]

    # -- the book of the loop -----------------------------------------------------------------

    def job(self, asked: Asked) -> Job:
        """The training of a network, to where the search wants it."""
        trial = self.desk.all.by_id[self._of_row[asked.key]]
        self.desk.spent.begins(trial.id, asked.epochs)
        return self.desk.job(trial, asked.epochs)

    def asks(self) -> None:
        """Say that it may take a while."""
        if self.search.n_rows >= self.desk.plan.n_train and not self.search.due:
            self.desk.say("the strategy chooses the next networks")

    def asked(self, asked: Sequence[Asked], proposal: Proposal, seconds: float) -> None:
        """Write an ask down, and what it was chosen by."""
        self.desk.spent.move("train_s", "ask_s", seconds)
        X = np.stack([one.x for one in asked])
        phase = FURTHER
        if any(one.new for one in asked):
            if not self.search.strategy.asynchronous:
                self.let_go()  # the rounds before are over
            phase = "sample" if proposal.ranking is None else "top"
            if proposal.ranking is not None:
                self._ranked(X, proposal)
        ids, epochs = self._enter(X, phase), [one.epochs for one in asked]
        whole = phase != FURTHER and all(n >= self.desk.evaluator.epochs for n in epochs)
        self.desk.ask(phase, ids, self.space.to_str(X), seconds, None if whole else epochs)
        self.desk.say("")

    def result(self, asked: Asked, result: Result, ended_s: float) -> None:
        """Write a result down: of a network that may go on, or of one that has ended."""
        trial = self.desk.all.by_id[self._of_row[asked.key]]
        value = result.metrics.get(self.desk.evaluator.objective, math.nan)
        sound = result.ok and math.isfinite(value)
        if sound and asked.epochs <= result.epochs < self.desk.evaluator.epochs:
            self.desk.append(trial.at_rung(result, value, ended_s))
            self.desk.all.reached(trial, result)
            self.desk.spent.took(trial.id, result.epochs, result.seconds)
            whole = self.desk.evaluator.epochs
            self.desk.say(f"{trial.arch[:60]}: {result.epochs} of {whole} epochs")
        else:
            self.desk.record(trial, result, ended_s=ended_s)

    def over(self) -> bool:
        """Whether a budget is used up."""
        desk = self.desk
        if not desk.stopped_by and (reason := desk.spent.over(desk.plan.budget)):
            desk.stop(reason)
        return bool(desk.stopped_by)

    def now_s(self) -> float:
        """Seconds of the search, over all calls of the command."""
        return self.desk.spent.wall_s

    def let_go(self) -> None:
        """Networks that were not trained to the end will not be: write them down as stopped."""
        for trial in sorted(self.desk.all.half, key=lambda trial: trial.id):
            self.desk.record(self.desk.all.by_id[trial.id], None, stopped=True)

    def _ranked(self, X: Rows, proposal: Proposal) -> None:
        """Write down what a predictor foretold, before any of it is measured."""
        desk, known, ranking = self.desk, self.search.history.ok.latest, proposal.ranking
        assert ranking is not None  # the caller has looked
        if self._due(len(known)):
            event, oof = ranks.scores(
                proposal, self.space, known, desk.plan.seed, desk.plan.strategy
            )
            ranking, oof = ranks.foretold(proposal, known, oof, desk.evaluator.objective)
            tables.write_ranking(desk.folder, self.space, ranking)
            ids = [self._of_row[key] for key in self.space.row_key(known.X).tolist()]
            tables.predicted(desk.folder, self.space.to_str(known.X), oof, "sample", ids)
            if not self._broken_off():
                desk.append(event)
            note = f" ({event.note})" if event.note else ""
            once = not self.search.strategy.asynchronous or len(desk.journal.of(events.Rank)) == 1
            desk.say(f"{event.chosen} ranked {event.n_scored:,} networks{note}", final=once)
        else:
            ranking, _ = ranks.foretold(proposal, known, np.zeros(0), desk.evaluator.objective)
        mean = dict(zip(self.space.row_key(ranking.X), ranking.mean, strict=True))
        foretold = np.array([mean.get(key, math.nan) for key in self.space.row_key(X)])
        ids = list(range(desk.all.next_id, desk.all.next_id + len(X)))
        tables.predicted(desk.folder, self.space.to_str(X), foretold, "top", ids)

    def _due(self, n: int) -> bool:
        """Whether a ranking is to be written down and cross-validated, `n` results being known.

        That of each round is; of a search that asks after each result, when a tenth more are known.
        """
        written = self.desk.journal.of(events.Rank)
        if not self.search.strategy.asynchronous or not written:
            return True
        before = written[-1].n_known or 0
        return n - before >= max(before // _ANEW, 1) or n < before

    def _broken_off(self) -> bool:
        """Whether the run was, between the ranking and the ask that follows from it."""
        said = [one for one in self.desk.journal.records if one.kind not in ("session", "cost")]
        return bool(said) and isinstance(said[-1], events.Rank)


def rows_of(event: events.Ask, search: Search, desk: Desk) -> Rows:
    """The rows of an ask of the journal.

    Raises: RunError where the ask does not hold together.
    """
    X = search.space.from_str(event.archs)
    for numbers in (event.ids, event.epochs, event.replicates):
        if numbers is not None and len(numbers) != len(X):
            raise RunError(
                f"{desk.journal.path} has an ask with {len(event.ids)} ids",
                expected=f"{len(X)}, one for each network",
                hint="restore the file from a copy, or start anew with another --out",
            )
    return X
