"""The run: ask, train in parallel, tell, write down; again and again, until the budget is used."""

from __future__ import annotations

import math
import shutil
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from foretell._rng import derive
from foretell.errors import RunError
from foretell.evaluators.base import Result
from foretell.evaluators.parts.guard import Job
from foretell.evaluators.workers import Workers
from foretell.frame import Frame
from foretell.runs import ranks, tables
from foretell.runs.budget import Spent
from foretell.runs.folder import RunFolder
from foretell.runs.halving import Bracket
from foretell.runs.journal import Event, Journal
from foretell.runs.kept import Kept
from foretell.runs.plan import Plan, Trains
from foretell.runs.progress import Progress
from foretell.runs.rungs import Rungs
from foretell.runs.trial import SEARCHED, Trial, rank, result_of
from foretell.search.asktell import Search
from foretell.spaces.base import Rows, Space
from foretell.trackers.base import Watcher

OnEvent = Callable[[Progress], None]
_SEARCH_S = ("ask_s", "train_s")  # parts of a call that are the search


@dataclass
class Driver:
    """Carries a plan out in a folder; continues where the folder's journal ends.

    Rounds are synchronous (ask, train all, tell in the order of the ids), so what is computed
    does not depend on the number of workers nor on where it was interrupted.

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
    evaluator: Trains
    workers: Workers
    parallel: int = 1
    on_event: OnEvent = lambda progress: None
    space: Space = None  # type: ignore[assignment]  # the evaluator's
    watchers: list[Watcher] = field(default_factory=list)
    trials: dict[int, Trial] = field(default_factory=dict, init=False)
    stopped_by: str = field(default="", init=False)  # which budget ended the search, in words

    def __post_init__(self) -> None:
        self.space = self.evaluator.space if self.space is None else self.space
        self._started = time.monotonic()
        self._began = datetime.now(UTC).isoformat(timespec="seconds")
        self.spent = Spent(
            sum(
                event["phases"].get(phase, 0.0)
                for event in self.journal.of("session")
                for phase in _SEARCH_S
            ),
            _SEARCH_S,
        )
        self._finished = {event["id"]: event for event in self.journal.of("trial")}
        objective = self.evaluator.objective
        self.rungs = Rungs(self.journal.of("rung"), objective, self.plan.epochs)
        self._kept = Kept(self.folder)
        self._asked: dict[str, deque[Event]] = defaultdict(deque)
        for event in self.journal.of("ask"):
            self._asked["search" if event["phase"] in SEARCHED else event["phase"]].append(event)
        self._n_asks = len(self.journal.of("ask"))
        self._next_id = 1 + max((i for e in self.journal.of("ask") for i in e["ids"]), default=-1)
        self._random: set[int] = set()  # keys of the networks of random search
        self._done = self._failed = 0
        more = self.plan.budget - self.plan.n_train if self.plan.compare_random else 0
        self._total = self.plan.budget + max(more, 0)  # as far as one can tell
        self._seconds = 0.0  # of the trials that did not fail

    # -- the loop -----------------------------------------------------------------------------

    def search(self) -> None:
        """Train all networks of the plan that are not in the journal yet.

        Raises:
            RunError: the journal does not fit the plan, the disk is full, or nothing trains.
        """
        if self.journal.note:
            self.say(self.journal.note, final=True)
        for line in self.workers.places:
            self.say(line, final=True)
        for line in self.workers.warnings:
            self.say(f"warning: {line}", final=True)
        if self._finished:
            self.say(f"continues: {len(self._finished)} networks are trained already", final=True)
        self._kept.tidy(self._finished)
        search = Search(self.space, self.plan.strategy, seed=self.plan.seed)
        sizes: list[int] = []
        budget = min(self.plan.budget, self.plan.limits.trials or self.plan.budget)
        while (done := sum(sizes)) < budget:
            n = min(search.round_size or budget, budget - done)
            n = min(n, self.plan.n_train - done) if done < self.plan.n_train else n
            if not self._asked["search"] and (reason := self.spent.over(self.plan.limits)):
                self._stop(reason)
                break
            with self.spent.phase("ask_s"):
                trials = self._ask(search, n)
            sizes.append(len(trials))
            if not trials:
                break  # the space is used up
            with self.spent.phase("train_s"):
                self._train(trials)
            ended = [self.trials[trial.id] for trial in trials]
            if any(trial.result is None for trial in ended):
                break  # a budget is used up
            seconds = [t.result.seconds for t in ended if t.result]
            searched = self.searched
            told = [self.rungs.told(trial, searched) for trial in ended]
            search.tell(np.stack([trial.x for trial in ended]), told, seconds)
        else:
            if budget < self.plan.budget:
                self._stop(self.spent.over(self.plan.limits))
        self._complete_one()
        if self.plan.compare_random:
            with self.spent.phase("train_s"):
                self._compare_random(sizes)
        if all(math.isnan(trial.value) for trial in self.ended):
            reasons = [t.result.error for t in self.ended if t.result]
            raise RunError(
                f"none of the {len(reasons)} networks could be trained",
                got=reasons[0] if reasons else None,
                hint="mend the cause and start anew with another --out",
            )

    @property
    def ended(self) -> list[Trial]:
        """Networks that have a result, failed ones too."""
        return [trial for trial in self.trials.values() if trial.result is not None]

    @property
    def searched(self) -> list[Trial]:
        """Those of them that the search trained."""
        return [trial for trial in self.ended if trial.phase in SEARCHED]

    def _ask(self, search: Search, n: int) -> list[Trial]:
        """The next trials, from the journal if they are there; written there if not."""
        if self._asked["search"]:  # what was proposed is in the journal: no need to ask again
            recorded = self._asked["search"].popleft()
            X = self.space.from_str(recorded["archs"])
            search.replay(X)
            return self._enter(X, recorded["phase"], recorded)
        started = time.monotonic()
        if sum(trial.phase in SEARCHED for trial in self.trials.values()) >= self.plan.n_train:
            self.say("the strategy chooses the next networks")
        X = search.ask(n)
        proposal = search.proposal
        if proposal is None or proposal.ranking is None:
            return self._enter(X, "sample", started=started)
        known = search.history.ok
        event, oof = ranks.scores(proposal, self.space, known, self.plan.seed)
        tables.write_ranking(self.folder, self.space, proposal)
        number = {trial.arch: trial.id for trial in self.trials.values()}
        archs = self.space.to_str(known.X)
        tables.predicted(self.folder, archs, oof, "sample", [number[arch] for arch in archs])
        mean = dict(zip(self.space.row_key(proposal.ranking.X), proposal.ranking.mean, strict=True))
        foretold = np.array([mean.get(key, math.nan) for key in self.space.row_key(X)])
        ids = list(range(self._next_id, self._next_id + len(X)))
        tables.predicted(self.folder, self.space.to_str(X), foretold, "top", ids)
        kinds = [e["event"] for e in self.journal.events if e["event"] not in ("session", "cost")]
        if not kinds or kinds[-1] != "rank":  # else this is where the run was broken off
            self.append({**event, "predictor": self._predictor_name()})
        note = f" ({event['note']})" if event["note"] else ""
        self.say(f"{event['chosen']} ranked {event['n_scored']:,} networks{note}", final=True)
        return self._enter(X, "top", started=started)

    def _predictor_name(self) -> str:
        predictor = getattr(self.plan.strategy, "predictor", "")
        return predictor if isinstance(predictor, str) else type(predictor).__name__

    def _enter(
        self,
        X: Rows,
        phase: str,
        recorded: Event | None = None,
        started: float | None = None,
        replicates: Sequence[int] | None = None,
    ) -> list[Trial]:
        """Make trials of rows, and write the ask down if it is new."""
        if not len(X):
            return []
        archs = self.space.to_str(X)
        numbers = list(replicates or [0] * len(X))
        if recorded is None:
            ids = list(range(self._next_id, self._next_id + len(X)))
            self.append(
                {
                    "event": "ask",
                    "k": self._n_asks,
                    "phase": phase,
                    "ids": ids,
                    "archs": archs,
                    "seconds": time.monotonic() - started if started else 0.0,
                    **({"replicates": numbers} if replicates else {}),
                }
            )
            self._n_asks += 1
            self._next_id += len(X)
        else:
            ids = recorded["ids"]
            numbers = recorded.get("replicates", numbers)
            if not len(ids) == len(archs) == len(numbers):
                raise RunError(
                    f"{self.journal.path} has an ask with {len(ids)} ids",
                    expected=f"{len(archs)}, one for each network",
                    hint="restore the file from a copy, or start anew with another --out",
                )
        params, flops = ranks.costs(self.space, X)
        costs = self.space.measure(X, self.plan.costs) if self.plan.costs else np.zeros((len(X), 0))
        seed = self.plan.seed
        new = [
            Trial(
                id=ids[i],
                phase=phase,
                x=x,
                arch=archs[i],
                seed=derive(seed, "trial", self._key(x), numbers[i]),
                params=float(params[i]),
                flops=float(flops[i]),
                costs=dict(zip(self.plan.costs, costs[i].tolist(), strict=True)),
                replicate=numbers[i],
            )
            for i, x in enumerate(X)
        ]
        self.trials |= {trial.id: trial for trial in new}
        return new

    def _key(self, x: Rows) -> int:
        return int(self.space.row_key(x[None])[0])

    # -- networks beside the search -----------------------------------------------------------

    def _more(self, phase: str, X: Rows, replicates: Sequence[int] | None = None) -> list[Trial]:
        """Trials of rows that are wanted beside the search; those of the journal are taken up."""
        while self._asked[phase]:
            recorded = self._asked[phase].popleft()
            self._enter(self.space.from_str(recorded["archs"]), phase, recorded)
        have = {(self._key(t.x), t.replicate): t for t in self.trials.values() if t.phase == phase}
        wanted = [(self._key(x), r) for x, r in zip(X, replicates or [0] * len(X), strict=True)]
        new = [i for i, one in enumerate(wanted) if one not in have]
        numbers = [wanted[i][1] for i in new] if replicates else None
        made = self._enter(X[new], phase, replicates=numbers)
        have |= {(self._key(t.x), t.replicate): t for t in made}
        return [have[one] for one in wanted]

    def _compare_random(self, sizes: Sequence[int]) -> None:
        """Train what random search would have; the networks that are known are not new."""
        baseline = Search(self.space, "random", seed=self.plan.seed)
        rows = [X for n in sizes if n and len(X := baseline.ask(n))]
        X = np.concatenate(rows) if rows else np.zeros((0, self.space.d), dtype=np.int8)
        X = X[: len(self.searched)]
        keys = self.space.row_key(X)
        self._random = set(keys.tolist())
        known = [self._key(trial.x) for trial in self.searched]
        self.beside("random", X[~np.isin(keys, known)])

    def beside(self, phase: str, X: Rows, replicates: Sequence[int] | None = None) -> list[Trial]:
        """Train networks that are wanted beside the search, but for those that have been.

        Args:
            phase: of these trials.
            X: their rows, (n, d).
            replicates: which training of its row each is, (n,); part of its seed.

        Returns: their trials.
        """
        trials = self._more(phase, X, replicates)
        self._total = len(self.ended) + sum(trial.result is None for trial in trials)
        self._train(trials)
        return [self.trials[trial.id] for trial in trials]

    def recall(self, phase: str) -> None:
        """Take up the networks beside the search that the journal has; train none."""
        self._more(phase, self.space.sample(0, rng=0))
        self._recall([trial for trial in self.trials.values() if trial.phase == phase])

    # -- trials -------------------------------------------------------------------------------

    def _recall(self, trials: Sequence[Trial]) -> None:
        for trial in trials:
            event = self._finished.get(trial.id)
            if event is not None and self.trials[trial.id].result is None:
                self._end(trial, result_of(event), stopped=event.get("stopped", False))

    def _train(self, trials: Sequence[Trial]) -> None:
        """Train what the journal has no result of, as far as the budget goes."""
        self._recall(trials)
        if not trials:
            return
        self._kept.prune()
        self.say("")
        now = [self.trials[trial.id] for trial in trials]
        if all(trial.result is not None for trial in now):
            return
        searched = now[0].phase in SEARCHED
        bracket = self.rungs.bracket(self.plan.halving if searched else None, now)
        for job, result in self.workers.run(self._jobs(bracket, searched)):
            trial = self.trials[job.id]
            if trial.phase == "verdict" and result.ok and job.weights is not None:
                tested = self.evaluator.test(trial.x, job.weights)
                result = replace(result, metrics={**result.metrics, **tested})
            value = result.metrics.get(self.evaluator.objective, math.nan)
            sound = result.ok and math.isfinite(value)
            if sound and job.until is not None and result.epochs >= job.until:
                self._at_rung(trial, result)
                bracket.reached(job.id, job.until, value)
            else:
                bracket.ended(self._record(trial, result))
        if bracket.done:
            for i in bracket.stopped:
                if self.trials[i].result is None:  # else written down before this call
                    self._record(self.trials[i], self.rungs.last(i), stopped=True)

    def _jobs(self, bracket: Bracket, searched: bool) -> Iterator[Job | None]:
        """What to train next, as the workers ask for it."""
        while not bracket.done:
            step = bracket.next()
            if step is None:
                yield None
            elif searched and (reason := self.spent.over(self.plan.limits)):
                self._stop(reason)
                return
            else:
                yield self._job(self.trials[step[0]], until=step[1])

    def _job(self, trial: Trial, until: int | None = None) -> Job:
        self.folder.checkpoints.mkdir(exist_ok=True)
        if trial.phase in SEARCHED:
            self.spent.begins(trial.id, until or self.plan.epochs)
        return Job(
            trial.id,
            trial.x,
            trial.seed,
            weights=self.folder.checkpoint(trial.id).absolute(),
            state=self.folder.state(trial.id).absolute(),
            until=until if until is not None and until < self.plan.epochs else None,
        )

    def _end(self, trial: Trial, result: Result, stopped: bool = False) -> Trial:
        trial = replace(trial.ended(result, self.evaluator.objective), stopped=stopped)
        self.trials[trial.id] = trial
        self._done += 1
        self._failed += trial.failed
        if trial.phase in SEARCHED:
            self.spent.took(trial.id, trial.epochs, result.seconds)
        if not trial.failed:
            self._seconds += result.seconds
        self._kept.ended(trial)
        return trial

    def _record(self, trial: Trial, result: Result, stopped: bool = False) -> Trial:
        """Write down a network that has ended now; only then let go of what it was made from."""
        trial = self._end(trial, result, stopped)
        self.append(trial.event())
        self.folder.state(trial.id).unlink(missing_ok=True)
        self._kept.written(trial.id)
        self._kept.prune()
        why = trial.result.error if trial.result else ""
        why = why or ("stopped early" if trial.stopped else "")
        self.say(f"{trial.arch[:60]}: {why[:60]}" if why else "")
        return trial

    def _at_rung(self, trial: Trial, result: Result) -> None:
        self.append(self.rungs.event(trial, result))
        self.rungs.add(self.journal.events[-1])
        self.spent.took(trial.id, result.epochs, result.seconds)
        self.say(f"{trial.arch[:60]}: {result.epochs} epochs")

    def _complete_one(self) -> None:
        """Where a budget has ended the search before any network had all its epochs, give them
        to the best one: a run ends with a trained network."""
        if self._kept.best() is not None:
            return
        for one in self.rungs.begun(self.trials.values()):
            self.say(f"trains {one.arch[:60]} to its last epoch", final=True)
            ((_, result),) = self.workers.run([self._job(one)])
            if not self._record(self.trials[one.id], result).failed:
                return

    def _stop(self, reason: str) -> None:
        self.stopped_by = reason
        stops = self.journal.of("stop")
        if not stops or stops[-1]["reason"] != reason:
            self.append({"event": "stop", "reason": reason})
        self.say(f"{reason}: the search ends here", final=True)

    # -- what may still win -------------------------------------------------------------------

    def best(self, of: Callable[[Trial], bool] = lambda trial: trial.phase in SEARCHED) -> Trial:
        """The trial with the highest objective; on ties that with the lowest validation loss."""
        able = [
            t for t in self.trials.values() if of(t) and not t.stopped and not math.isnan(t.value)
        ]
        if not able:
            raise RunError("no network has been trained yet")
        return max(able, key=rank)

    def best_random(self) -> Trial | None:
        """The best network of random search; None without that comparison, or if all failed."""

        def mine(trial: Trial) -> bool:
            return trial.phase != "verdict" and self._key(trial.x) in self._random

        known = [t for t in self.ended if mine(t) and not t.stopped]
        if all(math.isnan(trial.value) for trial in known):
            return None
        return self.best(mine)

    @property
    def n_random(self) -> int:
        """How many networks the comparison with random search has."""
        return len(self._random)

    def pareto(self) -> list[Trial]:
        """Networks that none has both beaten in the objective and in all costs; best first."""
        trained = [t for t in self.searched if not t.failed and not t.stopped]
        return tables.pareto(trained, self.plan.minimize)

    def weights(self, trial: Trial) -> tuple[Path, Result]:
        """The file with a trial's weights, and their metrics; trained again if it is lost."""
        path = self.folder.checkpoint(trial.id)
        if path.exists() and trial.result:
            return path, trial.result
        self.say(f"trains {trial.arch[:60]} again: its weights are not there", final=True)
        ((_, result),) = self.workers.run([self._job(trial)])
        self.folder.state(trial.id).unlink(missing_ok=True)
        if not result.ok:
            raise RunError(
                f"the best network cannot be trained again: {result.error}",
                hint="run the same command again",
            )
        return path, result

    # -- the files beside the journal ---------------------------------------------------------

    def append(self, event: Event) -> None:
        """Write an event down, and tell the trackers."""
        self.journal.append(event)
        for watcher in list(self.watchers):
            self.tell(watcher, lambda one: one.event(self.journal.events[-1]))

    def tell(self, watcher: Watcher, what: Callable[[Watcher], None]) -> None:
        """Tell a watcher something; one that fails is told of and left out from then on."""
        try:
            what(watcher)
        except Exception as error:  # whatever a tracker does, the run goes on
            self.watchers.remove(watcher)
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            name = type(watcher).__name__
            self.say(f"warning: {name} no longer hears of this run: {reason}", final=True)

    def pareto_frame(self) -> Frame:
        """pareto.csv as a frame."""
        objective, minimize = self.evaluator.objective, self.plan.minimize
        return tables.pareto_frame(self.pareto(), objective, minimize)

    def write_tables(self) -> Frame:
        """Bring ranking.csv, predictions.csv and pareto.csv up to date; returns the ranking."""
        if self.plan.minimize:
            self.pareto_frame().write(self.folder.pareto)
        searched = [trial for trial in self.ended if trial.phase != "verdict"]
        return tables.write_measured(self.folder, searched, ranked=bool(self.journal.of("rank")))

    def close(self) -> None:
        """Write down what this call of the command took."""
        if not self.spent.clock:
            return
        self.append(
            {
                "event": "session",
                "started": self._began,
                "wall_s": time.monotonic() - self._started,
                "workers": max(self.parallel, 1),
                "phases": dict(self.spent.clock),
            }
        )
        self.spent.clock.clear()

    def clean_up(self) -> None:
        """Remove what only an unfinished run needs."""
        if not self.stopped_by:  # else somebody may go on with a larger budget
            shutil.rmtree(self.folder.checkpoints, ignore_errors=True)
        shutil.rmtree(self.folder.cache, ignore_errors=True)

    # -- telling ------------------------------------------------------------------------------

    @property
    def progress(self) -> Progress:
        """Where the run stands."""
        total = max(self._total, self._done)
        left = None
        if self._seconds:
            mean = self._seconds / (self._done - self._failed)
            left = mean * math.ceil((total - self._done) / max(self.parallel, 1))
        best = self._kept.best()
        return Progress(
            text="",
            done=self._done,
            failed=self._failed,
            total=total,
            best=None if best is None else best.value,
            objective=self.evaluator.objective,
            seconds=time.monotonic() - self._started,
            seconds_left=left,
        )

    def say(self, text: str, final: bool = False) -> None:
        """Tell whoever watches; lines to keep also go to run.log."""
        if final:
            self.folder.note(text)
        self.on_event(replace(self.progress, text=text, final=final))
