"""What a run writes on: events to the journal and the trackers, words to whoever watches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from foretell._files import digest
from foretell.evaluators.base import Evaluator, Job, Result
from foretell.runs.budget import Spent
from foretell.runs.events import Ask, Record, Session, Stop
from foretell.runs.events import Trial as TrialEvent
from foretell.runs.folder import RunFolder
from foretell.runs.journal import Journal
from foretell.runs.kept import Kept
from foretell.runs.plan import Plan
from foretell.runs.progress import Progress
from foretell.runs.trial import SEARCHED, Trial
from foretell.runs.trials import Trials
from foretell.spaces.base import Space
from foretell.trackers.base import Watcher

OnEvent = Callable[[Progress], None]
SEARCH_S = ("ask_s", "train_s")  # parts of a call that are the search


class Desk:
    """Where all of a run comes together that is written down.

    Args:
        folder: of the run.
        journal: of the folder, open.
        plan: what is computed.
        evaluator: trains one network.
        space: what is searched.
        parallel: how many networks at once, for the time estimate.
        on_event: is told of every step.
        watchers: are told of every event of the journal.

    Attributes:
        all: the networks.
        spent: what the search has used up.
        total: networks that there will be, as far as one can tell.
        stopped_by: which budget ended the search, in words.
    """

    def __init__(
        self,
        folder: RunFolder,
        journal: Journal,
        plan: Plan,
        evaluator: Evaluator,
        space: Space,
        parallel: int,
        on_event: OnEvent,
        watchers: list[Watcher],
    ) -> None:
        self.folder, self.journal, self.plan, self.evaluator = folder, journal, plan, evaluator
        self.parallel, self.on_event, self.watchers = parallel, on_event, watchers
        asks = journal.of(Ask)
        self.all = Trials(space, plan, evaluator.objective, Kept(folder), asks)
        seconds = [one.phases.get(part, 0.0) for one in journal.of(Session) for part in SEARCH_S]
        self.spent = Spent(sum(seconds), SEARCH_S)
        self.total = 0
        self.stopped_by = ""
        self._digests = {one.id: one.weights for one in journal.of(TrialEvent) if one.weights}
        self._n_asks = len(asks)
        self._started = time.monotonic()

    # -- events -------------------------------------------------------------------------------

    def append(self, record: Record) -> None:
        """Write an event down, and tell the trackers."""
        self.journal.append(record)
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

    def ask(
        self,
        phase: str,
        ids: Sequence[int],
        archs: Sequence[str],
        seconds: float = 0.0,
        epochs: Sequence[int] | None = None,
        replicates: Sequence[int] | None = None,
    ) -> None:
        """Write down which networks are wanted."""
        far, again = (None if one is None else tuple(one) for one in (epochs, replicates))
        self.append(Ask(phase, tuple(ids), tuple(archs), self._n_asks, seconds, far, again))
        self._n_asks += 1

    def stop(self, reason: str) -> None:
        """A budget is used up."""
        self.stopped_by = reason
        stops = self.journal.of(Stop)
        if not stops or stops[-1].reason != reason:
            self.append(Stop(reason))
        self.say(f"{reason}: the search ends here", final=True)

    def session(self, began: str) -> None:
        """Write down what this call of the command took."""
        if self.spent.clock:
            wall_s = time.monotonic() - self._started
            phases = {name: round(seconds, 3) for name, seconds in self.spent.clock.items()}
            self.append(Session(wall_s, phases, began, max(self.parallel, 1)))
            self.spent.clock.clear()

    # -- networks -----------------------------------------------------------------------------

    def job(self, trial: Trial, epochs: int | None = None) -> Job:
        """The training of a network, all the way unless said."""
        self.folder.make_checkpoints()
        return Job(
            trial.id,
            trial.x,
            trial.seed,
            weights=self.folder.checkpoint(trial.id).absolute(),
            state=self.folder.state(trial.id).absolute(),
            epochs=epochs if epochs is not None and epochs < self.evaluator.epochs else None,
        )

    def end(self, trial: Trial, result: Result | None, stopped: bool = False) -> Trial:
        """A network has a result, or none is to come after what it gave last."""
        trial = self.all.end(trial, result, stopped)
        if trial.phase in SEARCHED and trial.result is not None:
            self.spent.took(trial.id, trial.epochs, trial.result.seconds)
        return trial

    def record(
        self,
        trial: Trial,
        result: Result | None,
        stopped: bool = False,
        ended_s: float = math.nan,
    ) -> Trial:
        """Write down a network that has ended now; only then let go of what it was made from."""
        trial = self.end(trial, result, stopped)
        weights = "" if trial.failed or trial.stopped else digest(self.folder.checkpoint(trial.id))
        if weights:
            self._digests[trial.id] = weights
        self.append(replace(trial.event(ended_s), weights=weights or None))
        self.folder.state(trial.id).unlink(missing_ok=True)
        self.all.kept.written(trial.id)
        self.all.kept.prune()
        why = trial.result.error if trial.result else ""
        why = why or ("stopped early" if trial.stopped else "")
        self.say(f"{trial.arch[:60]}: {why[:60]}" if why else "")
        return trial

    def weights_of(self, trial: Trial) -> Path | None:
        """The file with the weights that a network had when it ended; None if it is lost."""
        path = self.folder.checkpoint(trial.id)
        found = digest(path)
        if not found:
            return None
        if found != self._digests.get(trial.id, found):  # older journals do not say it
            self.say(f"{path} is damaged: it is not what was written", final=True)
            return None
        return path

    # -- telling ------------------------------------------------------------------------------

    @property
    def progress(self) -> Progress:
        """Where the run stands."""
        done, total = self.all.done, max(self.total, self.all.done)
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
