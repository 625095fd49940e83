"""A run mirrored into an Optuna study, live, so that optuna-dashboard shows it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from foretell.errors import SettingError, without_password
from foretell.spaces.base import Choice, Space
from foretell.trackers.base import Watcher
from foretell.trackers.parts.events import Event, decisions, facts, plain

_ID = "foretell_id"
_RUN = "foretell_run"


class OptunaMirror(Watcher):
    """Every trial of a run in an Optuna study of the run's name.

    Parameters are the decisions that apply, intermediate values the curve of the objective, the
    value is the objective, to maximise. A trial is RUNNING from when it is asked for, then
    COMPLETE, FAIL, or PRUNED when successive halving has stopped it; what the run leaves untrained
    is FAIL at its end. The study is written, never read back into the run.

    Args:
        folder: of the run; its name is the study's (with a suffix if another run has the name).
        url: `sqlite:///x.db` or another database URL, or the path of a journal file.

    Raises: SettingError when the storage cannot be opened.
    """

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder)
        self._storage = _open(url)

    def begin(
        self, settings: dict[str, Any], space: Space, objective: str, events: Sequence[Event]
    ) -> None:
        """Bring the study up to the journal."""
        self._ended = {event["id"] for event in events if event["event"] == "trial"}
        super().begin(settings, space, objective, events)

    def _known(self, settings: dict[str, Any]) -> set[int]:
        self._study = self._find()
        self._study.set_user_attr("space", self.space.name)
        with _quiet():  # experimental before Optuna 5
            self._study.set_metric_names([self.objective])
        self._distributions = distributions(self.space)
        self._index()
        return {number for number, trial in self._trials.items() if trial.state.is_finished()}

    def _find(self) -> optuna.Study:
        """The run's own study; one of that name may be of a folder that is gone."""
        with _quiet():
            for name in (self.name, f"{self.name}-{self.key}"):
                study = optuna.create_study(
                    storage=self._storage, study_name=name, direction="maximize",
                    load_if_exists=True, sampler=optuna.samplers.RandomSampler(),
                )  # fmt: skip
                taken = study.user_attrs or study.get_trials(deepcopy=False)
                if study.user_attrs.get(_RUN) == self.key or not taken:
                    break
        study.set_user_attr(_RUN, self.key)
        return study

    def _index(self) -> None:
        """The study's trials by our number; those that were given up do not count."""
        self._trials: dict[int, FrozenTrial] = {
            trial.user_attrs[_ID]: trial
            for trial in self._study.get_trials(deepcopy=False)
            if _ID in trial.user_attrs and "left" not in trial.user_attrs
        }

    def event(self, event: Event) -> None:
        """Trials appear when they are asked for, grow by rungs, and end."""
        super().event(event)
        if event["event"] == "ask":
            pairs = zip(event["ids"], event["archs"], strict=True)
            todo = [p for p in pairs if p[0] not in self._trials and p[0] not in self._ended]
            rows = self.space.from_str([arch for _, arch in todo]).tolist()
            for (number, arch), x in zip(todo, rows, strict=True):
                known = {_ID: number, "arch": arch, "phase": event["phase"]}
                self._study.add_trial(
                    create_trial(state=TrialState.RUNNING, user_attrs=known, **self._params(x))
                )
            self._index()
        elif event["event"] == "rung" and event["id"] in self._trials:
            self._report(self._trials[event["id"]], {event["epochs"]: event["value"]})

    def _add(self, event: Event) -> None:
        curve = event["curve"].get(self.objective, [])
        steps = {i: value for i, value in enumerate(curve, start=1) if value is not None}
        attrs = {_ID: event["id"]} | {k: v for k, v in facts(event).items() if k != "id"}
        value = event["metrics"].get(self.objective)
        state = TrialState.COMPLETE
        if event["error"] or value is None or not math.isfinite(value):
            state, value = TrialState.FAIL, None
        elif event.get("stopped"):
            state = TrialState.PRUNED
        held = self._trials.get(event["id"])
        if held is None:
            trial = create_trial(
                state=state, value=value, user_attrs=attrs, intermediate_values=steps,
                **self._params(event["x"]),
            )  # fmt: skip
            if trial.datetime_complete is not None:
                trial.datetime_start = trial.datetime_complete - timedelta(seconds=event["seconds"])
            self._study.add_trial(trial)
            return
        live = self._report(held, steps)
        for name, attr in attrs.items():
            if held.user_attrs.get(name) != attr:
                live.set_user_attr(name, attr)
        self._study.tell(held.number, value if state is TrialState.COMPLETE else None, state)

    def _report(self, held: FrozenTrial, steps: dict[int, float]) -> Trial:
        live = Trial(self._study, held._trial_id)
        there = live._cached_frozen_trial.intermediate_values
        for step, value in steps.items():
            if step not in there:
                live.report(value, step)
        return live

    def _params(self, x: list[int]) -> dict[str, Any]:
        params = decisions(self.space, x)
        kinds: dict[str, BaseDistribution] = {name: self._distributions[name] for name in params}
        return {"params": params, "distributions": kinds}

    def end(self, summary: dict[str, Any]) -> None:
        """What is still out was never trained."""
        for held in self._trials.values():
            now = Trial(self._study, held._trial_id)
            if not now._cached_frozen_trial.state.is_finished():
                now.set_user_attr("left", "the run ended before this network was trained")
                self._study.tell(held.number, state=TrialState.FAIL)


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """A categorical for each column of a space, named like the column."""
    return {one.name: CategoricalDistribution(options(one)) for one in space.choices}


def options(choice: Choice) -> list[Any]:
    """The options of a column as Optuna stores them."""
    return [plain(option) for option in choice.options]


def _open(url: str) -> BaseStorage:
    with _quiet():
        try:
            if "://" in url:
                return RDBStorage(url)
            return JournalStorage(JournalFileBackend(url))
        except Exception as error:  # SQLAlchemy's own, of whichever database it is
            raise SettingError(
                without_password(
                    f"cannot open the Optuna storage {url!r}: {str(error).splitlines()[0]}"
                ),
                expected="sqlite:///FILE.db, another database URL, or the path of a journal file",
            ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna's log of our own study is noise in that of the run."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            optuna.logging.set_verbosity(level)
