"""`NAS`: own data in, the best trained network out."""

from __future__ import annotations

import dataclasses
import json
import platform
import re
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator

from foretell import __version__, _catalog, predictors
from foretell._console import duration
from foretell.errors import SettingError
from foretell.evaluators.executors import Workers
from foretell.evaluators.trainer import Trainer
from foretell.history import History
from foretell.runs import best
from foretell.runs.driver import Driver, Plan
from foretell.runs.finish import finish, trained
from foretell.runs.folder import RunFolder
from foretell.runs.frame import Frame
from foretell.runs.journal import Event, Journal
from foretell.runs.progress import Progress
from foretell.spaces.base import Space
from foretell.spaces.load import load as load_space
from foretell.strategies import Strategy
from foretell.training.batches import pick_device
from foretell.training.data import Data, load
from foretell.training.recipe import Recipe


class NAS(BaseEstimator):  # type: ignore[misc]
    """Searches a space for the network that does best on your data, and trains it.

    By default the Neural Predictor: `n_train` random networks are trained, a predictor is fitted
    on their validation results, it ranks the whole space (or a million of it), the `top_k` best
    predicted are trained. The best in validation wins; only it is looked at on the test data.

    A run lives in the folder `out`; the same call again continues it there, and trains nothing
    twice. What a run computes may not change in between (data, space, strategy, seed, numbers,
    recipe); `workers`, `executor`, `name`, the recipe's `device` and `threads` may.

    Args:
        space: a catalog name, "file.py:Name", or a `Space`.
        space_settings: arguments of a space given by name, e.g. {"preset": "base"}.
        n_train: N, networks trained before the first prediction.
        top_k: K, networks trained after it.
        epochs: of each training; None for the recipe's.
        workers: local processes that train at the same time; 0 trains in this process.
        strategy: a catalog name, or a `Strategy`.
        strategy_settings: arguments of a strategy given by name.
        predictor: a catalog name, or an unfitted regressor on rows, for strategies that use one.
        seed: of everything random.
        out: folder of the run; None for runs/<data>-<space>-seed<seed> below the current one.
        compare_random: also train what random search would have, with the same seed and number of
            networks, and choose and test its best in the same way: N are the same, K are new.
        recipe: a `Recipe`, or a dict of its settings, for all trainings.
        executor: any `concurrent.futures.Executor` to train on instead of local processes.
        name: how the data is called in reports.

    Attributes:
        best_model_: the trained `torch.nn.Module`, in eval mode on the CPU.
        best_arch_: its architecture as a string.
        best_metrics_: its validation and test metrics.
        ranking_: arch, predicted, std, measured, params, flops, rank; best predicted first.
        history_: all results as a `History`.
        folder_: of the run.
        report_: path of report.html.
        summary_: the result as a JSON-able dict; `summary_lines_` says it in words.

    References: Wen et al., Neural Predictor for Neural Architecture Search, ECCV 2020.

    >>> NAS(n_train=6).get_params()["n_train"]
    6
    """

    def __init__(
        self,
        space: str | Space = "mobile",
        n_train: int = 24,
        top_k: int = 5,
        epochs: int | None = None,
        workers: int = 2,
        strategy: str | Strategy = "neural-predictor",
        strategy_settings: Mapping[str, Any] | None = None,
        predictor: Any = "auto",
        seed: int = 0,
        out: str | Path | None = None,
        compare_random: bool = False,
        recipe: Recipe | Mapping[str, Any] | None = None,
        executor: Executor | None = None,
        name: str | None = None,
        space_settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.space = space
        self.space_settings = space_settings
        self.n_train = n_train
        self.top_k = top_k
        self.epochs = epochs
        self.workers = workers
        self.strategy = strategy
        self.strategy_settings = strategy_settings
        self.predictor = predictor
        self.seed = seed
        self.out = out
        self.compare_random = compare_random
        self.recipe = recipe
        self.executor = executor
        self.name = name

    def fit(
        self,
        source: object,
        target: str | None = None,
        on_event: Callable[[Progress], None] = lambda progress: None,
    ) -> Self:
        """Run the search on your data, or continue it.

        Args:
            source: whatever `foretell.training.data.load` takes: "digits", a folder of images,
                a .npz or .csv file, (X, y), a torch Dataset; or a `Data`.
            target: the .csv column to predict; None for the last one.
            on_event: is told of every step.

        Raises:
            SettingError: a setting is not valid.
            DataError: the data cannot be used.
            RunError: the folder holds another run, or one that is going on.
        """
        self._check()
        data = load(source, seed=self.seed, target=target, name=self.name)
        space = self._space().with_io(data.input_shape, data.n_outputs)
        recipe = self._recipe()
        strategy = self._strategy(space)
        folder = RunFolder(self.out or self._default_folder(data, space))
        with folder.lock():
            folder.settle(self._settings(data, space, strategy, recipe))
            with Journal(folder.journal) as journal:
                evaluator = Trainer(space, data.spill(folder.cache), recipe)
                workers = Workers(evaluator, workers=self.workers, executor=self.executor)
                with workers:
                    driver = Driver(
                        folder=folder,
                        journal=journal,
                        plan=Plan(
                            strategy,
                            self.seed,
                            self.n_train,
                            self.n_train + self.top_k,
                            self.compare_random,
                        ),
                        evaluator=evaluator,
                        workers=workers,
                        parallel=getattr(self.executor, "_max_workers", self.workers),
                        on_event=on_event,
                    )
                    self._run(driver, data, recipe)
        return self

    def _run(self, driver: Driver, data: Data, recipe: Recipe) -> None:
        from foretell.report import write

        folder, space = driver.folder, driver.space
        driver.search()
        final = finish(driver, data, {"recipe": recipe.to_dict(), "versions": _versions()})
        self.folder_ = folder.path
        self.ranking_: Frame = driver.write_tables()
        driver.clean_up()
        self.report_ = write(folder.path, space)
        winner = driver.trials[final["id"]]
        self.best_model_ = trained(space, winner.x, folder.best / "model.safetensors")
        self.best_arch_ = winner.arch
        self.best_metrics_: dict[str, float] = final["metrics"]
        trials = list(driver.trials.values())
        self.history_ = History.empty(space).append(
            np.stack([trial.x for trial in trials]),
            [trial.value for trial in trials],
            [trial.result.seconds if trial.result else 0.0 for trial in trials],
        )
        self.summary_ = _summary(driver, final)
        self.summary_lines_ = _lines(self.summary_)

    # -- from arguments to parts --------------------------------------------------------------

    def _check(self) -> None:
        for name, low in (("n_train", 1), ("top_k", 0), ("workers", 0), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
                raise SettingError(name, expected=f"a whole number from {low}", got=repr(value))
        if self.executor is not None and not isinstance(self.executor, Executor):
            raise SettingError(
                "executor",
                expected="a concurrent.futures.Executor",
                got=type(self.executor).__name__,
            )

    def _space(self) -> Space:
        given = dict(self.space_settings or {})
        if isinstance(self.space, str):
            space: Space = load_space(self.space, **given)
            return space
        if not isinstance(self.space, Space):
            raise SettingError(
                "space", expected="a name, 'file.py:Name' or a Space", got=type(self.space).__name__
            )
        if given:
            raise SettingError(
                "space_settings", expected="none with a Space that is made", got=given
            )
        return self.space

    def _recipe(self) -> Recipe:
        given = self.recipe
        recipe = given if isinstance(given, Recipe) else Recipe.from_dict(given or {})
        return recipe if self.epochs is None else dataclasses.replace(recipe, epochs=self.epochs)

    def _strategy(self, space: Space) -> Strategy:
        if isinstance(self.strategy, Strategy):
            return self.strategy
        kind = _catalog.row("strategy", self.strategy).load()
        known = {entry.name for entry in dataclasses.fields(kind)}
        mine = {"n_train": self.n_train, "predictor": self.predictor}
        settings = {name: value for name, value in mine.items() if name in known}
        settings |= self.strategy_settings or {}
        unknown = sorted(set(settings) - known)
        if unknown:
            raise SettingError(
                f"strategy {self.strategy!r} has no setting {unknown[0]!r}",
                expected="one of " + ", ".join(sorted(known)) if known else "no settings",
            )
        if isinstance(settings.get("predictor"), str):
            predictors.get(settings["predictor"], space=space)  # a wrong name is told at once
        strategy: Strategy = kind(**settings)
        return strategy

    def _default_folder(self, data: Data, space: Space) -> Path:
        words = f"{data.name}-{space.name}-seed{self.seed}"
        return Path("runs") / re.sub(r"[^\w.-]+", "-", words)

    def _settings(
        self, data: Data, space: Space, strategy: Strategy, recipe: Recipe
    ) -> dict[str, Any]:
        predictor = self.predictor
        return {
            "foretell": __version__,
            "command": sys.argv,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "seed": int(self.seed),
            "name": data.name,
            "space": {
                "name": space.name,
                "spec": self.space if isinstance(self.space, str) else space.name,
                "settings": best.settings_of(space),
                "size": space.size,
                "d": space.d,
                "closed_form_costs": space.closed_form_costs,
            },
            "strategy": {"name": _name(strategy), **_plain(strategy)},
            "predictor": predictor if isinstance(predictor, str) else repr(predictor),
            "n_train": int(self.n_train),
            "top_k": int(self.top_k),
            "compare_random": bool(self.compare_random),
            "data": data.describe(),
            "recipe": recipe.to_dict(),
            "workers": int(self.workers),
            "device": str(pick_device(recipe.device)),
            "versions": _versions(),
        }


def _name(strategy: Strategy) -> str:
    kind = type(strategy)
    target = f"{kind.__module__}:{kind.__name__}"
    names = [row.name for row in _catalog.KINDS["strategy"] if row.target == target]
    return names[0] if names else kind.__name__


def _plain(strategy: Strategy) -> dict[str, Any]:
    names = getattr(strategy, "__dataclass_fields__", ())
    settings = {name: getattr(strategy, name) for name in names}
    plain: dict[str, Any] = json.loads(json.dumps(settings, default=repr))
    return plain


def _versions() -> dict[str, str]:
    names = ("torch", "numpy", "scikit-learn")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def _summary(driver: Driver, final: Event) -> dict[str, Any]:
    winner = driver.trials[final["id"]]
    trials = driver.trials.values()
    rank = driver.journal.of("rank")
    random = final["random"]
    return {
        "folder": str(driver.folder.path),
        "report": str(driver.folder.report),
        "best": str(driver.folder.best),
        "space": driver.space.name,
        "arch": winner.arch,
        "phase": winner.phase,
        "params": None if np.isnan(winner.params) else int(winner.params),
        "flops": None if np.isnan(winner.flops) else int(winner.flops),
        "objective": driver.evaluator.objective,
        "metrics": final["metrics"],
        "random": random and {**random, "arch": driver.trials[random["id"]].arch},
        "predictor": rank[-1]["chosen"] if rank else None,
        "predictor_note": rank[-1]["note"] if rank else "",
        "trials": len(trials),
        "failed": sum(trial.result is not None and not trial.result.ok for trial in trials),
        "train_s": sum(trial.result.seconds for trial in trials if trial.result),
    }


def _lines(summary: Mapping[str, Any]) -> list[str]:
    failed = f", {summary['failed']} failed" if summary["failed"] else ""
    params = f", {summary['params']:,} parameters" if summary["params"] is not None else ""
    trained_s = duration(summary["train_s"])
    lines = [f"{summary['trials']} networks trained{failed}, {trained_s} of training"]
    if summary["predictor"]:
        note = f": {summary['predictor_note']}" if summary["predictor_note"] else ""
        lines.append(f"predictor {summary['predictor']}{note}")
    lines.append(f"best: {summary['arch']}")
    lines.append(f"      {_words(summary['metrics'])}{params}")
    if summary["random"]:
        random = summary["random"]
        lines.append(f"best of {random['n']} random networks: {_words(random['metrics'])}")
    return lines


def _words(metrics: Mapping[str, float]) -> str:
    chosen = [name for name in metrics if not name.endswith("_loss")]
    return ", ".join(
        f"{name} {100 * metrics[name]:.2f} %"
        if name.endswith("_acc")
        else f"{name} {metrics[name]:.4g}"
        for name in chosen
    )
