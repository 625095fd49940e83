"""The run: the one loop, written down; again and again, until the budget is used."""

from __future__ import annotations

import math
import shutil
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from foretell.errors import RunError
from foretell.evaluators.base import Evaluator, Job, Result
from foretell.evaluators.workers import Workers
from foretell.frame import Frame
from foretell.runs import ranks, tables
from foretell.runs.budget import Spent
from foretell.runs.folder import RunFolder
from foretell.runs.journal import Event, Journal
from foretell.runs.kept import Kept
from foretell.runs.plan import Plan
from foretell.runs.progress import Progress
from foretell.runs.trial import SEARCHED, Trial, result_of
from foretell.runs.trials import Trials
from foretell.search.asktell import Search
from foretell.search.loop import Asked, Loop
from foretell.search.strategy import Proposal
from foretell.spaces.base import Rows, Space
from foretell.strategies.parts.brackets import Fidelities
from foretell.trackers.base import Watcher

OnEvent = Callable[[Progress], None]
FURTHER = "further"  # phase of an ask for more epochs of known networks
_SEARCH_S = ("ask_s", "train_s")  # parts of a call that are the search


@dataclass
class Driver:
    """Carries a plan out in a folder; continues where the folder's journal ends.

    It is the book of a `Loop`: asks and results are on disk before anything follows from them,
    and what the journal has is replayed in its order, so what is computed depends neither on
    where it was interrupted nor, with a synchronous strategy, on the number of workers.

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
    workers: Workers
    parallel: int = 1
    on_event: OnEvent = lambda progress: None
    space: Space = None  # type: ignore[assignment]  # the evaluator's
    watchers: list[Watcher] = field(default_factory=list)
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
        self._finished = {event["id"] for event in self.journal.of("trial")}
        asks = self.journal.of("ask")
        kept = Kept(self.folder)
        self.all = Trials(self.space, self.plan, self.evaluator.objective, kept, asks)
        self._beside: dict[str, deque[Event]] = defaultdict(deque)  # asks beside the search
        for event in asks:
            self._beside[event["phase"]].append(event)
        self._n_asks = len(asks)
        self._of_row: dict[int, int] = {}  # key of a searched row -> number of its trial
        self._sizes: list[int] = []  # new rows of each ask of the search
        self._random: set[int] = set()  # keys of the networks of random search
        self._networks = min(self.plan.networks, self.plan.budget.trials or self.plan.networks)
        more = self.plan.networks - self.plan.n_train if self.plan.compare_random else 0
        self._total = self.plan.networks + max(more, 0)  # as far as one can tell

    @property
    def trials(self) -> dict[int, Trial]:
        """All networks by number."""
        return self.all.by_id

    @property
    def searched(self) -> list[Trial]:
        """Networks with a result that the search trained."""
        return self.all.searched

    @property
    def ended(self) -> list[Trial]:
        """Networks that have a result, failed ones too."""
        return self.all.ended

    # -- the search ---------------------------------------------------------------------------

    def search(self) -> None:
        """Train all networks of the plan that are not in the journal yet.

        Raises:
            RunError: the journal does not fit the plan, the disk is full, or nothing trains.
        """
        self._greet()
        self.all.kept.tidy(self._finished)
        loop = Loop(
            Search(
                self.space,
                self.plan.searching,
                seed=self.plan.seed,
                direction=self.evaluator.direction,
                max_epochs=self.evaluator.epochs,
            ),
            self.evaluator,
            self.workers,
            networks=self._networks,
            book=self,
            breaks=(self.plan.n_train,),
        )
        self._search = loop.search
        self._replay(loop)
        self.all.kept.prune()
        self.say("")
        with self.spent.phase("train_s"):
            for _ in loop.run():
                pass
        if self._networks < self.plan.networks and not self.stopped_by:
            self._stop(f"the budget of {self._networks:,} networks is used up")
        if not loop.incomplete:
            self._let_go()
        self._complete_one()
        if self.plan.compare_random:
            with self.spent.phase("train_s"):
                self._compare_random()
        self.all.require_one()

    def _greet(self) -> None:
        for line in (self.journal.note, *self.workers.places):
            if line:
                self.say(line, final=True)
        for line in self.workers.warnings:
            self.say(f"warning: {line}", final=True)
        if self._finished:
            self.say(f"continues: {len(self._finished)} networks are trained already", final=True)

    def _replay(self, loop: Loop) -> None:
        """Bring the loop to where the journal ends."""
        strategy = loop.search.strategy
        for event in list(self.journal.events):
            if event["event"] == "ask" and event["phase"] in (*SEARCHED, FURTHER):
                X = self.space.from_str(event["archs"])
                epochs = event.get("epochs")
                if epochs is None and isinstance(strategy, Fidelities):  # of older runs
                    epochs = [strategy.rungs(loop.search.history)[0]] * len(X)
                self._agree(event, X)
                loop.replay_ask(X, epochs)
                self._enter(X, event["phase"], event["ids"])
            elif event["event"] == "rung":
                self._replay_result(loop, event, half=True)
            elif event["event"] == "trial" and event["phase"] in SEARCHED:
                self._replay_result(loop, event, half=False)

    def _replay_result(self, loop: Loop, event: Event, half: bool) -> None:
        trial, result = self.trials[event["id"]], result_of(event)
        if half:
            self.all.reached(trial, result)
            self.spent.took(trial.id, result.epochs, result.seconds)
        else:
            self._end(trial, result, stopped=event.get("stopped", False))
        if not event.get("stopped", False):
            trial = trial.ended(result, self.evaluator.objective)
            assert trial.result is not None  # it has just ended
            ended_s = event.get("ended_s")
            (one,) = self._search.ids(trial.x[None])
            loop.replay_result(one, trial.result, math.nan if ended_s is None else ended_s)

    def _agree(self, event: Event, rows: Rows) -> None:
        """Raises: RunError where an ask of the journal does not hold together."""
        numbers: Sequence[int] = event.get("replicates") or event["ids"]
        if not len(event["ids"]) == len(rows) == len(numbers):
            raise RunError(
                f"{self.journal.path} has an ask with {len(event['ids'])} ids",
                expected=f"{len(rows)}, one for each network",
                hint="restore the file from a copy, or start anew with another --out",
            )

    def _enter(self, X: Rows, phase: str, ids: Sequence[int] | None = None) -> list[int]:
        """The numbers of rows that the search wants; trials are made of those that are new."""
        keys = [int(key) for key in self.space.row_key(X)]
        new = [i for i, key in enumerate(keys) if key not in self._of_row]
        made = self.all.enter(X[new], phase, None if ids is None else [ids[i] for i in new])
        self._of_row |= {keys[i]: trial.id for i, trial in zip(new, made, strict=True)}
        if new:
            self._sizes.append(len(new))
        return [self._of_row[key] for key in keys]

    def _let_go(self) -> None:
        """Networks that were not trained to the end will not be: write them down as stopped."""
        for trial in sorted(self.all.half, key=lambda trial: trial.id):
            self._record(self.trials[trial.id], None, stopped=True)

    # -- the book of the loop -----------------------------------------------------------------

    def job(self, asked: Asked) -> Job:
        """The training of a network, to where the search wants it."""
        trial = self.trials[self._of_row[asked.key]]
        self.spent.begins(trial.id, asked.epochs)
        return self._job(trial, asked.epochs)

    def asks(self) -> None:
        """Say that it may take a while."""
        if len(self._of_row) >= self.plan.n_train and not self._search.due:
            self.say("the strategy chooses the next networks")

    def asked(self, asked: Sequence[Asked], proposal: Proposal, seconds: float) -> None:
        """Write an ask down, and what it was chosen by."""
        self.spent.move("train_s", "ask_s", seconds)
        X = np.stack([one.x for one in asked])
        any_new = any(one.new for one in asked)
        if any_new and not self._search.strategy.asynchronous:
            self._let_go()  # the rounds before are over
        phase = FURTHER
        if any_new:
            phase = "sample" if proposal.ranking is None else "top"
            if proposal.ranking is not None:
                self._ranked(X, proposal)
        ids = self._enter(X, phase)
        whole = self.evaluator.epochs
        epochs = [one.epochs for one in asked]
        partly = {"epochs": epochs} if any(e < whole for e in epochs) or phase == FURTHER else {}
        self._asks(phase, ids, self.space.to_str(X), seconds, **partly)
        self.say("")

    def result(self, asked: Asked, result: Result, ended_s: float) -> None:
        """Write a result down: of a network that may go on, or of one that has ended."""
        trial = self.trials[self._of_row[asked.key]]
        value = result.metrics.get(self.evaluator.objective, math.nan)
        sound = result.ok and math.isfinite(value)
        if sound and result.epochs >= asked.epochs and asked.epochs < self.evaluator.epochs:
            self.append(trial.at_rung(result, value, ended_s))
            self.all.reached(trial, result)
            self.spent.took(trial.id, result.epochs, result.seconds)
            self.say(f"{trial.arch[:60]}: {result.epochs} epochs")
        else:
            self._record(trial, result, ended_s=ended_s)

    def over(self) -> bool:
        """Whether a budget is used up."""
        if not self.stopped_by and (reason := self.spent.over(self.plan.budget)):
            self._stop(reason)
        return bool(self.stopped_by)

    def now_s(self) -> float:
        """Seconds of the search, over all calls of the command."""
        return self.spent.wall_s

    def _ranked(self, X: Rows, proposal: Proposal) -> None:
        """Write down what a predictor foretold, before any of it is measured."""
        known = self._search.history.ok.latest
        event, oof = ranks.scores(proposal, self.space, known, self.plan.seed)
        assert proposal.ranking is not None  # the caller has looked
        tables.write_ranking(self.folder, self.space, proposal)
        ids = [self._of_row[key] for key in self.space.row_key(known.X).tolist()]
        tables.predicted(self.folder, self.space.to_str(known.X), oof, "sample", ids)
        mean = dict(zip(self.space.row_key(proposal.ranking.X), proposal.ranking.mean, strict=True))
        foretold = np.array([mean.get(key, math.nan) for key in self.space.row_key(X)])
        ids = list(range(self.all.next_id, self.all.next_id + len(X)))
        tables.predicted(self.folder, self.space.to_str(X), foretold, "top", ids)
        kinds = [e["event"] for e in self.journal.events if e["event"] not in ("session", "cost")]
        if not kinds or kinds[-1] != "rank":  # else this is where the run was broken off
            self.append({**event, "predictor": self._predictor_name()})
        note = f" ({event['note']})" if event["note"] else ""
        self.say(f"{event['chosen']} ranked {event['n_scored']:,} networks{note}", final=True)

    def _predictor_name(self) -> str:
        predictor = getattr(self.plan.strategy, "predictor", "")
        return predictor if isinstance(predictor, str) else type(predictor).__name__

    def _asks(
        self, phase: str, ids: Sequence[int], archs: Sequence[str], seconds: float, **more: object
    ) -> None:
        event: Event = {"event": "ask", "k": self._n_asks, "phase": phase, "ids": list(ids)}
        self.append({**event, "archs": list(archs), "seconds": seconds, **more})
        self._n_asks += 1

    # -- networks beside the search -----------------------------------------------------------

    def _more(self, phase: str, X: Rows, replicates: Sequence[int] | None = None) -> list[Trial]:
        """Trials of rows that are wanted beside the search; those of the journal are taken up."""
        while self._beside[phase]:
            recorded = self._beside[phase].popleft()
            rows = self.space.from_str(recorded["archs"])
            self._agree(recorded, rows)
            self.all.enter(rows, phase, recorded["ids"], recorded.get("replicates"))
        for event in self.journal.of("trial"):
            if event["phase"] == phase and self.trials[event["id"]].result is None:
                self._end(self.trials[event["id"]], result_of(event))
        have = {(self.all.key(t.x), t.replicate): t for t in self.all.of(phase)}
        wanted = [(self.all.key(x), r) for x, r in zip(X, replicates or [0] * len(X), strict=True)]
        new = [i for i, one in enumerate(wanted) if one not in have]
        numbers = [wanted[i][1] for i in new] if replicates else None
        made = self.all.enter(X[new], phase, replicates=numbers)
        if made:
            ids, archs = [t.id for t in made], [t.arch for t in made]
            self._asks(phase, ids, archs, 0.0, **({"replicates": numbers} if numbers else {}))
        have |= {(self.all.key(t.x), t.replicate): t for t in made}
        return [have[one] for one in wanted]

    def _compare_random(self) -> None:
        """Train what random search would have; the networks that are known are not new."""
        baseline = Search(self.space, "random", seed=self.plan.seed)
        rows = [X for n in self._sizes if n and len(X := baseline.ask(n))]
        X = np.concatenate(rows) if rows else np.zeros((0, self.space.d), dtype=np.int8)
        X = X[: len(self.searched)]
        keys = self.space.row_key(X)
        self._random = set(keys.tolist())
        known = [self.all.key(trial.x) for trial in self.searched]
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
        todo = [trial for trial in trials if trial.result is None]
        self._total = len(self.ended) + len(todo)
        self.all.kept.prune()
        self.say("")
        for job, result in self.workers.run(map(self._job, todo)):
            trial = self.trials[job.id]
            if phase == "verdict" and result.ok and job.weights is not None:
                tested = self.evaluator.test(trial.x, job.weights)
                result = replace(result, metrics={**result.metrics, **tested})
            self._record(trial, result)
        return [self.trials[trial.id] for trial in trials]

    def recall(self, phase: str) -> None:
        """Take up the networks beside the search that the journal has; train none."""
        self._more(phase, self.space.sample(0, rng=0))

    # -- trials -------------------------------------------------------------------------------

    def _job(self, trial: Trial, epochs: int | None = None) -> Job:
        self.folder.checkpoints.mkdir(exist_ok=True)
        return Job(
            trial.id,
            trial.x,
            trial.seed,
            weights=self.folder.checkpoint(trial.id).absolute(),
            state=self.folder.state(trial.id).absolute(),
            epochs=epochs if epochs is not None and epochs < self.evaluator.epochs else None,
        )

    def _end(self, trial: Trial, result: Result | None, stopped: bool = False) -> Trial:
        trial = self.all.end(trial, result, stopped)
        if trial.phase in SEARCHED and trial.result is not None:
            self.spent.took(trial.id, trial.epochs, trial.result.seconds)
        return trial

    def _record(
        self,
        trial: Trial,
        result: Result | None,
        stopped: bool = False,
        ended_s: float = math.nan,
    ) -> Trial:
        """Write down a network that has ended now; only then let go of what it was made from."""
        trial = self._end(trial, result, stopped)
        self.append(trial.event(ended_s))
        self.folder.state(trial.id).unlink(missing_ok=True)
        self.all.kept.written(trial.id)
        self.all.kept.prune()
        why = trial.result.error if trial.result else ""
        why = why or ("stopped early" if trial.stopped else "")
        self.say(f"{trial.arch[:60]}: {why[:60]}" if why else "")
        return trial

    def _complete_one(self) -> None:
        """Where a search has ended before any network had all its epochs, give them to the best
        one: a run ends with a trained network."""
        if self.all.kept.best() is not None:
            return
        stopped = [t for t in self.searched if t.stopped]
        for one in sorted([*self.all.half, *stopped], key=lambda t: -t.value):
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

    def best_random(self) -> Trial | None:
        """The best network of random search; None without that comparison, or if all failed."""

        def mine(trial: Trial) -> bool:
            return trial.phase != "verdict" and self.all.key(trial.x) in self._random

        known = [t for t in self.ended if mine(t) and not t.stopped]
        if all(math.isnan(trial.value) for trial in known):
            return None
        return self.all.best(mine)

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
        done, total = self.all.done, max(self._total, self.all.done)
        left = None
        if self.all.seconds:
            mean = self.all.seconds / (done - self.all.failed)
            left = mean * math.ceil((total - done) / max(self.parallel, 1))
        best = self.all.kept.best()
        return Progress(
            text="",
            done=done,
            failed=self.all.failed,
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
