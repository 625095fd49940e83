"""The run: the one loop, written down; then what is trained beside the search."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from foretell.errors import RunError
from foretell.evaluators.base import Evaluator, Result
from foretell.evaluators.together import Together
from foretell.evaluators.workers import Workers
from foretell.frame import Frame
from foretell.runs import events, tables
from foretell.runs.book import RunBook, rows_of
from foretell.runs.desk import Desk, OnEvent
from foretell.runs.folder import RunFolder
from foretell.runs.journal import Journal
from foretell.runs.plan import Plan
from foretell.runs.trial import Trial
from foretell.search.asktell import Search
from foretell.search.loop import Loop
from foretell.spaces.base import Rows, Space
from foretell.trackers.base import Watcher

_EQUAL = 1e-6  # two figures of one training


@dataclass
class Driver:
    """Carries a plan out in a folder; continues where the folder's journal ends.

    Asks and results are on disk before anything follows from them, and what the journal has is
    replayed in its order, so what is computed depends neither on where it was interrupted nor,
    with a synchronous strategy, on the number of workers.

    Args:
        folder: of the run; the caller holds its lock.
        journal: of the folder, open.
        plan: what to compute.
        evaluator: trains one network.
        workers: where trials run.
        parallel: how many at once, for the time estimate.
        on_event: is told of every step.
        space: what is searched, if not all of the evaluator's space.
        watchers: are told of every event of the journal.
    """

    folder: RunFolder
    journal: Journal
    plan: Plan
    evaluator: Evaluator
    workers: Workers | Together
    parallel: int = 1
    on_event: OnEvent = lambda progress: None
    space: Space = None  # type: ignore[assignment]  # the evaluator's
    watchers: list[Watcher] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.space = self.evaluator.space if self.space is None else self.space
        self._began = datetime.now(UTC).isoformat(timespec="seconds")
        self.desk = Desk(
            self.folder,
            self.journal,
            self.plan,
            self.evaluator,
            self.space,
            self.parallel,
            self.on_event,
            self.watchers,
        )
        self._finished = {event.id for event in self.journal.of(events.Trial)}
        self._taken_up: set[str] = set()  # phases beside the search whose asks are no news
        self._random: set[int] = set()  # keys of the networks of random search
        more = self.plan.networks - self.plan.n_train if self.plan.compare_random else 0
        self.desk.total = self.plan.networks + max(more, 0)
        self._search = Search(
            self.space,
            self.plan.searching,
            seed=self.plan.seed,
            direction=self.evaluator.direction,
            max_epochs=self.evaluator.epochs,
        )

    @property
    def trials(self) -> dict[int, Trial]:
        """All networks by number."""
        return self.desk.all.by_id

    @property
    def searched(self) -> list[Trial]:
        """Networks with a result that the search trained."""
        return self.desk.all.searched

    @property
    def ended(self) -> list[Trial]:
        """Networks that have a result, failed ones too."""
        return self.desk.all.ended

    @property
    def stopped_by(self) -> str:
        """Which budget ended the search, in words."""
        return self.desk.stopped_by

    def say(self, text: str, final: bool = False) -> None:
        """Tell whoever watches; lines to keep also go to run.log."""
        self.desk.say(text, final)

    # -- the search ---------------------------------------------------------------------------

    def search(self) -> None:
        """Train all networks of the plan that are not in the journal yet.

        Raises:
            RunError: the journal does not fit the plan, the disk is full, or nothing trains.
        """
        self._greet()
        self.folder.own_checkpoints()
        self.desk.all.kept.tidy(self._finished)
        networks = min(self.plan.networks, self.plan.budget.trials or self.plan.networks)
        book = RunBook(self.desk, self._search)
        loop = Loop(
            self._search,
            self.evaluator,
            self.workers,
            networks=networks,
            book=book,
            breaks=(self.plan.n_train,),
        )
        book.replay(loop)
        if self.plan.compare_random:
            self.recall("random")  # all that may win is known before any weights are removed
        self.desk.all.kept.prune()
        self.say("")
        with self.desk.spent.phase("train_s"):
            for _ in loop.run():
                pass
        if networks < self.plan.networks and not self.stopped_by:
            self.desk.stop(f"the budget of {networks:,} networks is used up")
        if not loop.incomplete:
            book.let_go()
        self._complete_one()
        if self.plan.compare_random:
            with self.desk.spent.phase("train_s"):
                self._compare_random(book.sizes)
        self.desk.all.require_one()

    def _greet(self) -> None:
        for line in (self.journal.note, *self.workers.places):
            if line:
                self.say(line, final=True)
        for line in self.workers.warnings:
            self.say(f"warning: {line}", final=True)
        if self._finished:
            self.say(f"continues: {len(self._finished)} networks are trained already", final=True)

    def _complete_one(self) -> None:
        """Where a search has ended before any network had all its epochs, give them to the best
        one: a run ends with a trained network."""
        if self.desk.all.kept.best() is not None:
            return
        stopped = [t for t in self.searched if t.stopped]
        for one in sorted([*self.desk.all.half, *stopped], key=lambda t: -t.value):
            self.say(f"trains {one.arch[:60]} to its last epoch", final=True)
            ((_, result),) = self.workers.run([self.desk.job(one)])
            if not self.desk.record(self.trials[one.id], result).failed:
                return

    # -- networks beside the search -----------------------------------------------------------

    def beside(self, phase: str, X: Rows, replicates: Sequence[int] | None = None) -> list[Trial]:
        """Train networks that are wanted beside the search, but for those that have been.

        Args:
            phase: of these trials.
            X: their rows, (n, d).
            replicates: which training of its row each is, (n,); part of its seed.

        Returns: their trials.
        """
        trials = self._wanted(phase, X, replicates)
        todo = [trial for trial in trials if trial.result is None]
        self.desk.total = len(self.ended) + len(todo)
        self.desk.all.kept.prune()
        self.say("")
        for job, result in self.workers.run(map(self.desk.job, todo)):
            trial = self.trials[job.id]
            if phase == "verdict" and result.ok and job.weights is not None:
                tested = self.evaluator.test(trial.x, job.weights)
                result = replace(result, metrics={**result.metrics, **tested})
            self.desk.record(trial, result)
        return [self.trials[trial.id] for trial in trials]

    def recall(self, phase: str) -> None:
        """Take up the networks beside the search that the journal has; train none."""
        if phase in self._taken_up:
            return
        self._taken_up.add(phase)
        for ask in self.journal.of(events.Ask):
            if ask.phase == phase:
                X = rows_of(ask, self._search, self.desk)
                self.desk.all.enter(X, phase, ask.ids, ask.replicates)
        for event in self.journal.of(events.Trial):
            if event.phase == phase and event.id in self.trials:
                self.desk.end(self.trials[event.id], event.result)

    def _wanted(self, phase: str, X: Rows, replicates: Sequence[int] | None) -> list[Trial]:
        """Trials of rows that are wanted beside the search; those of the journal are taken up."""
        self.recall(phase)
        everything = self.desk.all
        have = {(everything.key(t.x), t.replicate): t for t in everything.of(phase)}
        wanted = [
            (everything.key(x), r) for x, r in zip(X, replicates or [0] * len(X), strict=True)
        ]
        new = [i for i, one in enumerate(wanted) if one not in have]
        numbers = [wanted[i][1] for i in new] if replicates else None
        made = everything.enter(X[new], phase, replicates=numbers)
        if made:
            ids, archs = [t.id for t in made], [t.arch for t in made]
            self.desk.ask(phase, ids, archs, replicates=numbers)
        have |= {(everything.key(t.x), t.replicate): t for t in made}
        return [have[one] for one in wanted]

    def _compare_random(self, sizes: Sequence[int]) -> None:
        """Train what random search would have; the networks that are known are not new."""
        baseline = Search(self.space, "random", seed=self.plan.seed)
        rows = [X for n in sizes if n and len(X := baseline.ask(n))]
        X = np.concatenate(rows) if rows else np.zeros((0, self.space.d), dtype=np.int8)
        X = X[: len(self.searched)]
        keys = self.space.row_key(X)
        self._random = set(keys.tolist())
        known = [self.desk.all.key(trial.x) for trial in self.searched]
        self.beside("random", X[~np.isin(keys, known)])

    # -- what may still win -------------------------------------------------------------------

    def best_random(self) -> Trial | None:
        """The best network of random search; None without that comparison, or if all failed."""

        def mine(trial: Trial) -> bool:
            return trial.phase != "verdict" and self.desk.all.key(trial.x) in self._random

        known = [t for t in self.ended if mine(t) and not t.stopped]
        if all(math.isnan(trial.value) for trial in known):
            return None
        return self.desk.all.best(mine)

    @property
    def n_random(self) -> int:
        """How many networks the comparison with random search has."""
        return len(self._random)

    def pareto(self) -> list[Trial]:
        """Networks that none has both beaten in the objective and in all costs; best first."""
        trained = [t for t in self.searched if not t.failed and not t.stopped]
        return tables.pareto(trained, self.plan.minimize)

    def weights(self, trial: Trial) -> tuple[Path, Result]:
        """The file with a trial's weights, and their metrics; trained again if lost or damaged."""
        path = self.folder.checkpoint(trial.id)
        if trial.result and self.desk.weights_of(trial) is not None:
            return path, trial.result
        self.say(f"trains {trial.arch[:60]} again: its weights are lost", final=True)
        ((_, result),) = self.workers.run([self.desk.job(trial)])
        self.folder.state(trial.id).unlink(missing_ok=True)
        if not result.ok:
            raise RunError(
                f"the best network cannot be trained again: {result.error}",
                hint="run the same command again",
            )
        for name, was in (trial.result.metrics if trial.result else {}).items():
            now = result.metrics.get(name, math.nan)
            if math.isfinite(was) and not math.isclose(now, was, rel_tol=_EQUAL, abs_tol=_EQUAL):
                self.say(
                    f"{name} of it is {now:.4g} now and {was:.4g} in the journal, by which it was "
                    "chosen: that was changed, or it is trained otherwise here (code, threads)",
                    final=True,
                )
        return path, result

    # -- the files beside the journal ---------------------------------------------------------

    def tell(self, watcher: Watcher, what: Callable[[Watcher], None]) -> None:
        """Tell a watcher something; one that fails is told of and left out from then on."""
        self.desk.tell(watcher, what)

    def pareto_frame(self) -> Frame:
        """pareto.csv as a frame."""
        objective, minimize = self.evaluator.objective, self.plan.minimize
        return tables.pareto_frame(self.pareto(), objective, minimize)

    def write_tables(self) -> Frame:
        """Bring ranking.csv, predictions.csv and pareto.csv up to date; returns the ranking."""
        if self.plan.minimize:
            self.pareto_frame().write(self.folder.pareto)
        searched = [trial for trial in self.ended if trial.phase != "verdict"]
        ranked = bool(self.journal.of(events.Rank))
        if ranked and not self.folder.ranking.exists():
            name = self.folder.ranking.name
            self.say(f"{name} is gone: it has the measured networks alone from now on", final=True)
        return tables.write_measured(self.folder, searched, ranked=ranked)

    def close(self) -> None:
        """Write down what this call of the command took."""
        self.desk.session(self._began)

    def clean_up(self) -> None:
        """Remove what only an unfinished run needs."""
        if not self.stopped_by:  # else somebody may go on with a larger budget
            self.desk.all.kept.remove(self.trials)
        shutil.rmtree(self.folder.cache, ignore_errors=True)
