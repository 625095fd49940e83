"""`NAS`: own data in, the best trained network out."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted

from foretell.errors import SettingError
from foretell.evaluators.executors.ray import RayExecutor
from foretell.evaluators.parts.places import cuda_devices
from foretell.evaluators.together import Together, fits
from foretell.evaluators.trainer import Trainer
from foretell.evaluators.workers import Workers
from foretell.evidence import ledger
from foretell.frame import Frame
from foretell.runs.assemble import Parts, remember, versions
from foretell.runs.driver import Driver
from foretell.runs.events import Final
from foretell.runs.finish import finish, trained
from foretell.runs.folder import RunFolder
from foretell.runs.journal import Journal
from foretell.runs.progress import Progress
from foretell.runs.rival import RivalRecord, Side, measure
from foretell.runs.rival import lines as rival_lines
from foretell.runs.settings import Settings, check
from foretell.runs.summary import lines, summary
from foretell.runs.tested import write_tested
from foretell.search.history import History
from foretell.trackers.base import Watcher, watch
from foretell.training.data import Data, Reading, load, read_inputs
from foretell.training.data.inputs import raw_inputs
from foretell.typed import plain
from foretell.winner import best
from foretell.winner.parts.whole import Whole
from foretell.winner.predict import labels_of, outputs

OnEvent = Callable[[Progress], None]


class NAS(Settings, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Searches a space for the network that does best on your data, and trains it.

    By default `foresight`: `n_train` random networks are trained, a predictor is fitted on their
    validation results, and `top_k` more are trained, each chosen from the whole space (or the part
    of a large one that matters) by what all results so far say, as workers become free. The best in
    validation wins; only it is looked at on the test data. With `strategy="neural-predictor"` the
    `top_k` best predicted are trained in one round, all in parallel.

    A run lives in the folder `out`; the same call again continues it there, and trains nothing
    twice. What a run computes may not change in between (data, space, strategy, seed, numbers,
    recipe); `workers`, `executor`, `name`, the recipe's `device` and `threads` may, and `n_train`
    and `top_k` may grow: the search then goes on from all that it knows. A strategy, and settings
    of it, of the recipe and of halving that are not said are those of the folder.

    Args:
        {options}

    Attributes:
        best_model_: the trained `torch.nn.Module`, in eval mode on the CPU; takes inputs as the
            data had them (images with channels first, too), and gives class scores or values in
            the target's own unit.
        classes_: the classes in the order of the scores; empty for a regression.
        best_arch_: its architecture as a string.
        best_metrics_: its validation and test metrics.
        pareto_: the networks that none beats in everything, where there are costs to minimize.
        ranking_: arch, predicted, std, measured, params, flops, rank; best predicted first.
        history_: all results as a `History`.
        folder_: of the run.
        report_: path of report.html.
        summary_: the result as a JSON-able dict; `summary_lines_` says it in words.

    References: Wen et al., Neural Predictor for Neural Architecture Search, ECCV 2020.

    >>> NAS(n_train=6).get_params()["n_train"]
    6
    """

    def fit(
        self,
        source: object,
        y: object = None,
        on_event: OnEvent = lambda progress: None,
        **reading: Unpack[Reading],
    ) -> Self:
        """Run the search on your data, or continue it.

        Args:
            source: whatever `foretell.training.data.load` takes: "digits", a folder of images,
                a .npz or .csv file, (X, y), arrays by name, a torch Dataset; or a `Data`.
            y: targets, where `source` is X alone; or the name of the target column.
            on_event: is told of every step.
            reading: `target`, the .csv column to predict; `task`, "classification",
                "regression" or "multilabel", where the guess is not what is meant; `image_size`;
                see `foretell.training.data.load`.

        Raises:
            SettingError: a setting is not valid.
            DataError: the data cannot be used.
            RunError: the folder holds another run, or one that is going on.
        """
        check(self)
        if isinstance(y, str):
            reading["target"] = y
        elif y is not None:
            source = source, y
        data = load(source, seed=self.seed, name=self.name, **reading)
        parts = Parts.of(self, data)
        watchers = watch(self.log, parts.folder, self.optuna)
        folder = RunFolder(parts.folder)
        with folder.lock(), ledger(folder.evidence):
            settings = parts.record().to_dict()
            if before := folder.smaller(settings):
                once = type(self)(**{**self.get_params(deep=False), **before})
                folder.settle(Parts.of(once, data).record().to_dict())  # the same but for that
                folder.grow(settings)
            settings = folder.settle(settings) or settings  # of run.json: who watches knows it by
            with Journal(folder.journal) as journal, parts.cluster() as executor:
                if parts.latency is not None:
                    remember(parts.latency, journal)
                self._search(parts, folder, journal, executor, watchers, settings, on_event)
        return self

    def predict(self, X: object) -> NDArray[Any]:
        """Classes or values of new inputs.

        Args:
            X: arrays as `fit` takes them, or the path of a file that `foretell predict` reads.

        Shapes: returns (n,) classes or values, or (n, targets); of several labels (n, labels), 1
            where the chance is at least one half.

        Raises:
            DataError: the inputs do not fit the network.
        """
        out = self._outputs(X)
        if self._spec["task"] == "multilabel":
            return (out >= 0).astype(np.int64)  # a chance of one half or more
        if len(self.classes_):
            return np.asarray(self.classes_[out.argmax(axis=1)])
        return out[:, 0] if out.shape[1] == 1 else out

    def predict_proba(self, X: object) -> NDArray[np.float64]:
        """Probabilities in the order of `classes_`: softmax of the scores; of labels, sigmoid.

        Shapes: returns (n, classes).

        Raises:
            SettingError: it is a regression.
            DataError: as `predict`.
        """
        out = self._outputs(X)
        if not len(self.classes_):
            raise SettingError("predict_proba", expected="a classification", got="a regression")
        many = self._spec["task"] == "multilabel"
        return np.asarray(expit(out) if many else softmax(out, axis=1))

    def score(self, X: object, y: ArrayLike) -> float:
        """Accuracy (of several labels: all of an example right), or R^2, the mean over the targets.

        Raises:
            DataError: as `predict`.
        """
        found = self.predict(X)
        if self._spec["task"] == "multilabel":
            return float((found == (np.asarray(y) >= 0.5)).all(axis=1).mean())
        if len(self.classes_):
            return float(np.mean(found.astype(str) == np.asarray(y).astype(str)))
        return float(r2_score(np.asarray(y, dtype=np.float64).reshape(found.shape), found))

    def _outputs(self, X: object) -> NDArray[np.float64]:
        check_is_fitted(self, "best_model_")
        if isinstance(X, (str, Path)):
            _, x = read_inputs(X, self._spec)
            whole = self.best_model_
            out = outputs(whole.network, x) * whole.s.numpy() + whole.m.numpy()
        else:
            out = outputs(self.best_model_, raw_inputs(X, self._spec))
        return np.asarray(out, dtype=np.float64)

    def _search(
        self,
        parts: Parts,
        folder: RunFolder,
        journal: Journal,
        executor: Executor | None,
        watchers: list[Watcher],
        settings: dict[str, Any],
        on_event: OnEvent,
    ) -> None:
        far = isinstance(executor, RayExecutor)  # its nodes may have other disks
        data = parts.data if far else parts.data.spill(folder.cache)
        evaluator = Trainer(parts.whole, data, parts.recipe, objective=parts.settings.metric)
        with self._workers(evaluator, executor) as workers:
            driver = Driver(
                folder=folder,
                journal=journal,
                plan=parts.plan,
                evaluator=evaluator,
                workers=workers,
                parallel=int(workers.room) if workers.room < math.inf else self.workers or 2,
                on_event=on_event,
                space=parts.space,
                watchers=watchers,
            )
            self._run(driver, parts, settings)

    def _workers(self, trainer: Trainer, executor: Executor | None) -> Workers | Together:
        """Where networks are trained: on one card together, else in processes of their own."""
        here = executor is None and self.workers != 0
        if here and fits(trainer, len(cuda_devices()), self.memory_gb):
            return Together(trainer, self.workers, self.timeout_s)
        return Workers(
            trainer,
            workers=2 if self.workers is None else self.workers,
            executor=executor,
            max_retries=self.max_retries,
            timeout_s=self.timeout_s,
            memory_gb=self.memory_gb,
        )

    def _run(self, driver: Driver, parts: Parts, settings: dict[str, Any]) -> None:
        from foretell.report import write

        folder, space = driver.folder, driver.evaluator.space
        for watcher in list(driver.watchers):
            driver.tell(
                watcher,
                lambda one: one.begin(
                    settings, space, driver.evaluator.objective, driver.journal.events
                ),
            )
        facts = {"recipe": parts.recipe.to_dict(), "versions": versions()}
        if line := parts.former.line:
            driver.say(line, final=True)
        for line in parts.data.lines():
            driver.on_event(Progress(f"data: {line}", 0, 0, 0, final=True))
        if not driver.journal.of(Final) and (why := best.lacking(space)):
            driver.say(
                "warning: best/ will lack what its network needs, so predict and export will not "
                f"work with it: {why}",
                final=True,
            )
        try:
            driver.search()
            final = finish(driver, parts.data, facts)
            self._tested(driver, final)
            rival = self._rival(driver, final)
            self.ranking_: Frame = driver.write_tables()
        finally:
            driver.close()
        self.pareto_ = driver.pareto_frame() if driver.plan.minimize else None
        driver.clean_up()
        self.folder_ = folder.path
        self.report_ = write(folder.path, space)
        self._found(driver, final, parts.data)
        for watcher in list(driver.watchers):
            driver.tell(watcher, lambda one: one.end(self.summary_))
        if rival is not None:
            self.summary_["rival"] = plain(rival)
            metric = driver.evaluator.objective.replace("val_", "test_")
            self.summary_lines_ += rival_lines(rival, metric)
        if parts.latency is not None and parts.latency.known:
            self.summary_["latency"] = parts.latency.note
            self.summary_lines_.append(parts.latency.note)
            folder.note(parts.latency.note)

    def _tested(self, driver: Driver, final: Final) -> None:
        """Write what the winner says of the test rows, for the report."""
        trainer = driver.evaluator
        if isinstance(trainer, Trainer):
            winner = driver.trials[final.id]
            model = trained(trainer.space, winner.x, driver.folder.best / "model.safetensors")
            write_tested(driver.folder, trainer.data, trainer.tested(model))

    def _rival(self, driver: Driver, final: Final) -> RivalRecord | None:
        """The pretrained network that stands beside the winner, if one was asked for."""
        trainer = driver.evaluator
        if self.pretrained is None or not isinstance(trainer, Trainer):
            return None
        winner = driver.trials[final.id]
        model = trained(trainer.space, winner.x, driver.folder.best / "model.safetensors")
        results = [one.result for one in driver.ended if one.result]
        metrics = {k: v for k, v in final.metrics.items() if v is not None}
        side = Side(winner.arch, metrics, epochs=winner.epochs)
        seconds = sum(one.seconds for one in results)
        return measure(
            self.pretrained, driver.folder.rival, trainer, model, replace(side, seconds=seconds),
            winner.id, self.seed, seconds, lambda text: driver.say(text, final=True),
        )  # fmt: skip

    def _found(self, driver: Driver, final: Final, data: Data) -> None:
        """What the run has found, as fitted attributes."""
        space, winner = driver.evaluator.space, driver.trials[final.id]
        network = trained(space, winner.x, driver.folder.best / "model.safetensors")
        self._spec = data.input_spec()
        self.best_model_ = Whole.of(network, self._spec, self._spec["shape"]).eval()
        self.classes_ = labels_of(self._spec)
        self.best_arch_ = winner.arch
        self.best_metrics_ = final.metrics
        trials = [trial for trial in driver.ended if trial.phase != "verdict"]
        self.history_ = History.of(
            space,
            np.stack([trial.x for trial in trials]),
            [trial.value for trial in trials],
            seconds=[trial.result.seconds if trial.result else 0.0 for trial in trials],
            epochs=[trial.epochs for trial in trials],
            max_epochs=driver.evaluator.epochs,
        )
        self.summary_ = summary(driver, final, data)
        self.summary_lines_ = lines(self.summary_)
