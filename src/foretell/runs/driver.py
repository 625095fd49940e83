"""The run: ask, train in parallel, tell, write down; again and again, until the budget is used."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from torch import nn

from foretell._rng import derive
from foretell.errors import RunError
from foretell.evaluators.executors import Job, Workers
from foretell.history import Result
from foretell.runs import ranks
from foretell.runs.folder import RunFolder
from foretell.runs.frame import Frame
from foretell.runs.journal import Event, Journal
from foretell.runs.progress import Progress
from foretell.runs.trial import Trial, rank, result_of
from foretell.search import Search
from foretell.spaces.base import Rows, Space
from foretell.strategies import Strategy

OnEvent = Callable[[Progress], None]


class Trains(Protocol):
    """What a run needs of its evaluator; `Trainer` has it."""

    space: Space
    objective: str  # larger is better

    def evaluate(self, x: Rows, seed: int = 0, weights: Path | None = None) -> Result:
        """Train the row `x`; the weights go to the file `weights`."""

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Validation metrics of a trained network."""

    def test(self, x: Rows, weights: Path) -> dict[str, float]:
        """Test metrics of trained weights; asked once for each network that is reported."""


@dataclass(frozen=True)
class Plan:
    """What a run computes: everything that its results depend on, beside the evaluator.

    Args:
        strategy: proposes the networks.
        seed: of the run; that of trial x is derived from (seed, "trial", row_key(x), replicate).
        budget: networks to train.
        n_train: an ask never crosses this number, so that all networks before it are sampled.
        compare_random: also train what random search would have with the same seed and budget.
    """

    strategy: Strategy
    seed: int
    n_train: int
    budget: int
    compare_random: bool = False


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
    """

    folder: RunFolder
    journal: Journal
    plan: Plan
    evaluator: Trains
    workers: Workers
    parallel: int = 1
    on_event: OnEvent = lambda progress: None
    trials: dict[int, Trial] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.space = self.evaluator.space
        self._started = time.monotonic()
        self._finished = {event["id"]: event for event in self.journal.of("trial")}
        self._asked = self.journal.of("ask")
        self._n_asks = 0
        self._random: set[int] = set()  # keys of the networks of random search
        self._best: dict[str, Trial] = {}  # of each phase
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
        if self._finished:
            self.say(f"continues: {len(self._finished)} networks are trained already", final=True)
        search = Search(self.space, self.plan.strategy, seed=self.plan.seed)
        sizes = []
        while (done := len(self.trials)) < self.plan.budget:
            n = min(search.round_size or self.plan.budget, self.plan.budget - done)
            n = min(n, self.plan.n_train - done) if done < self.plan.n_train else n
            trials = self._ask(search, n)
            sizes.append(n)
            if not trials:
                break  # the space is used up
            self._train(trials)
            ended = [self.trials[trial.id] for trial in trials]
            seconds = [t.result.seconds for t in ended if t.result]
            search.tell(np.stack([t.x for t in ended]), [t.value for t in ended], seconds)
        if self.plan.compare_random:
            trials = self._ask_random(sizes)
            self._total = len(self.trials)
            self._train(trials)
        if all(math.isnan(trial.value) for trial in self.trials.values()):
            reasons = [t.result.error for t in self.trials.values() if t.result]
            raise RunError(
                f"none of the {len(self.trials)} networks could be trained",
                got=reasons[0] if reasons else None,
                hint="mend the cause and start anew with another --out",
            )

    def _ask(self, search: Search, n: int) -> list[Trial]:
        """The next trials, from the journal if they are there; written there if not."""
        started = time.monotonic()
        recorded = self._recorded()
        if recorded is not None and recorded["phase"] == "top":
            # chosen by a predictor: what was proposed is in the journal, no need to fit it again
            X = self.space.from_str(recorded["archs"])
            search.replay(X)
            return self._enter(X, recorded["phase"], recorded)
        if len(self.trials) >= self.plan.n_train:
            self.say("the strategy chooses the next networks")
        X = search.ask(n)
        proposal = search.proposal
        if proposal is None or proposal.ranking is None:
            return self._enter(X, "sample", recorded, started)
        known = search.history.ok
        event, oof = ranks.scores(proposal, self.space, known, self.plan.seed)
        ids = range(len(self.trials), len(self.trials) + len(X))
        ranks.ranking_frame(self.space, proposal).write(self.folder.ranking)
        self._predicted(known.X, oof, "sample")
        mean = dict(zip(self.space.row_key(proposal.ranking.X), proposal.ranking.mean, strict=True))
        foretold = np.array([mean.get(key, math.nan) for key in self.space.row_key(X)])
        self._predicted(X, foretold, "top", ids)
        if self.journal.events[-1]["event"] != "rank":  # else this is where the run was broken off
            self.journal.append({**event, "predictor": self._predictor_name()})
        note = f" ({event['note']})" if event["note"] else ""
        self.say(f"{event['chosen']} ranked {event['n_scored']:,} networks{note}", final=True)
        return self._enter(X, "top", recorded, started)

    def _predictor_name(self) -> str:
        predictor = getattr(self.plan.strategy, "predictor", "")
        return predictor if isinstance(predictor, str) else type(predictor).__name__

    def _ask_random(self, sizes: Sequence[int]) -> list[Trial]:
        """What random search would have trained; the networks that are known are not new."""
        baseline = Search(self.space, "random", seed=self.plan.seed)
        rows = [X for n in sizes if len(X := baseline.ask(n))]
        X = np.concatenate(rows) if rows else np.zeros((0, self.space.d), dtype=np.int8)
        keys = self.space.row_key(X)
        self._random = set(keys.tolist())
        known = [self._key(trial.x) for trial in self.trials.values()]
        return self._enter(X[~np.isin(keys, known)], "random", self._recorded())

    def _recorded(self) -> Event | None:
        return self._asked[self._n_asks] if self._n_asks < len(self._asked) else None

    def _enter(
        self, X: Rows, phase: str, recorded: Event | None, started: float | None = None
    ) -> list[Trial]:
        """Make trials of rows, and write the ask down if it is new."""
        if not len(X):
            return []
        archs = self.space.to_str(X)
        ids = list(range(len(self.trials), len(self.trials) + len(X)))
        if recorded is not None and (recorded["archs"], recorded["ids"]) != (archs, ids):
            raise RunError(
                f"ask {self._n_asks} of {self.journal.path} cannot be repeated: the strategy "
                "proposes other networks now",
                hint="use the versions in run.json, or start anew with another --out",
            )
        if recorded is None:
            self.journal.append(
                {
                    "event": "ask",
                    "k": self._n_asks,
                    "phase": phase,
                    "ids": ids,
                    "archs": archs,
                    "seconds": time.monotonic() - started if started else 0.0,
                }
            )
        self._n_asks += 1
        params, flops = ranks.costs(self.space, X)
        seeds = [derive(self.plan.seed, "trial", self._key(x), 0) for x in X]
        new = [
            Trial(*entry)
            for entry in zip(
                ids, [phase] * len(ids), X, archs, seeds,
                params.tolist(), flops.tolist(), strict=True,
            )
        ]  # fmt: skip
        self.trials |= {trial.id: trial for trial in new}
        return new

    def _key(self, x: Rows) -> int:
        return int(self.space.row_key(x[None])[0])

    # -- trials -------------------------------------------------------------------------------

    def _train(self, trials: Sequence[Trial]) -> None:
        """Train what the journal has no result of."""
        jobs = []
        for trial in trials:
            event = self._finished.get(trial.id)
            if event is None:
                jobs.append(self._job(trial))
            else:
                self._end(trial, result_of(event))
        if trials:
            self._prune()
            self.say("")
        for job, result in self.workers.run(jobs):
            trial = self._end(self.trials[job.id], result)
            self.journal.append(trial.event())
            self._prune()
            why = trial.result.error if trial.result else ""
            self.say(f"{trial.arch[:60]}: {why[:60]}" if why else "")

    def _job(self, trial: Trial) -> Job:
        self.folder.checkpoints.mkdir(exist_ok=True)
        return Job(trial.id, trial.x, trial.seed, self.folder.checkpoint(trial.id).absolute())

    def _end(self, trial: Trial, result: Result) -> Trial:
        trial = trial.ended(result, self.evaluator.objective)
        self.trials[trial.id] = trial
        self._done += 1
        self._failed += trial.failed
        if not trial.failed:
            self._seconds += result.seconds
            held = self._best.get(trial.phase)
            self._best[trial.phase] = trial if held is None else max(trial, held, key=rank)
        return trial

    # -- what may still win -------------------------------------------------------------------

    def best(self, of: Callable[[Trial], bool] = lambda trial: trial.phase != "random") -> Trial:
        """The trial with the highest objective; on ties that with the lowest validation loss."""
        able = [t for t in self.trials.values() if of(t) and not math.isnan(t.value)]
        if not able:
            raise RunError("no network has been trained yet")
        return max(able, key=rank)

    def best_random(self) -> Trial | None:
        """The best network of random search; None without that comparison, or if all failed."""
        known = [t for t in self.trials.values() if self._key(t.x) in self._random]
        if all(math.isnan(trial.value) for trial in known):
            return None
        return self.best(lambda trial: self._key(trial.x) in self._random)

    @property
    def n_random(self) -> int:
        """How many networks the comparison with random search has."""
        return len(self._random)

    def weights(self, trial: Trial) -> tuple[Path, Result]:
        """The file with a trial's weights, and their metrics; trained again if it is lost."""
        path = self.folder.checkpoint(trial.id)
        if path.exists() and trial.result:
            return path, trial.result
        self.say(f"trains {trial.arch[:60]} again: its weights are not there", final=True)
        ((_, result),) = self.workers.run([self._job(trial)])
        if not result.ok:
            raise RunError(
                f"the best network cannot be trained again: {result.error}",
                hint="run the same command again",
            )
        return path, result

    def _prune(self) -> None:
        """Remove the weights of networks that can no longer win."""
        groups = (("sample", "top"), ("sample", "random"), ("random",))
        held = [[self._best[phase] for phase in group if phase in self._best] for group in groups]
        keep = {max(trials, key=rank).id for trials in held if trials}
        for path in self.folder.checkpoints.glob("*.safetensors"):
            trial = self.trials.get(int(path.stem)) if path.stem.isdigit() else None
            if trial is None or (trial.result and trial.id not in keep):
                path.unlink(missing_ok=True)

    # -- the files beside the journal ---------------------------------------------------------

    def _predicted(
        self, X: Rows, predicted: ranks.Floats, phase: str, ids: Sequence[int] | None = None
    ) -> None:
        """Add predictions to predictions.csv, of networks that it does not have yet."""
        old = ranks.read_predictions(self.folder)
        number = {trial.arch: trial.id for trial in self.trials.values()}
        have = set(old["arch"].tolist())
        rows = old.rows() + [
            (arch, number[arch] if ids is None else ids[i], phase, float(predicted[i]), math.nan)
            for i, arch in enumerate(self.space.to_str(X) if len(predicted) else [])
            if arch not in have
        ]
        Frame(dict(zip(old.columns, zip(*rows, strict=True), strict=True))).write(
            self.folder.predictions
        )

    def write_tables(self) -> Frame:
        """Bring ranking.csv and predictions.csv up to date; returns the ranking."""
        measured = {t.arch: t.value for t in self.trials.values()}
        if self.folder.predictions.exists():
            frame = ranks.read_predictions(self.folder)
            ranks.with_measured(frame, measured).write(self.folder.predictions)
        if self.folder.ranking.exists() and self.journal.of("rank"):
            frame = ranks.with_measured(ranks.read_ranking(self.folder), measured)
        else:
            trials = list(self.trials.values())
            columns = [[getattr(t, name) for t in trials] for name in ("value", "params", "flops")]
            frame = ranks.measured_frame([t.arch for t in trials], *map(np.array, columns))
        frame.write(self.folder.ranking)
        return frame

    def clean_up(self) -> None:
        """Remove what only an unfinished run needs."""
        shutil.rmtree(self.folder.checkpoints, ignore_errors=True)
        shutil.rmtree(self.folder.cache, ignore_errors=True)

    # -- telling ------------------------------------------------------------------------------

    @property
    def progress(self) -> Progress:
        """Where the run stands."""
        total = max(self._total, len(self.trials))
        left = None
        if self._seconds:
            mean = self._seconds / (self._done - self._failed)
            left = mean * math.ceil((total - self._done) / max(self.parallel, 1))
        mine = [trial.value for phase, trial in self._best.items() if phase != "random"]
        return Progress(
            text="",
            done=self._done,
            failed=self._failed,
            total=total,
            best=max(mine, default=None),
            objective=self.evaluator.objective,
            seconds=time.monotonic() - self._started,
            seconds_left=left,
        )

    def say(self, text: str, final: bool = False) -> None:
        """Tell whoever watches."""
        self.on_event(replace(self.progress, text=text, final=final))
