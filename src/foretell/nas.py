"""`NAS`: own data in, the best trained network out."""

from __future__ import annotations

import dataclasses
import json
import math
import platform
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator

from foretell import __version__, _catalog, predictors
from foretell._console import duration
from foretell.costs.latency import Latency
from foretell.errors import SettingError
from foretell.evaluators.executors import Workers
from foretell.evaluators.ray_executor import RayExecutor
from foretell.evaluators.trainer import Trainer
from foretell.frame import Frame
from foretell.metrics import welch
from foretell.nets.devices import pick_device
from foretell.runs import tables
from foretell.runs.budget import Budget
from foretell.runs.driver import Driver
from foretell.runs.finish import finish, trained
from foretell.runs.folder import RunFolder
from foretell.runs.halving import Halving
from foretell.runs.journal import Event, Journal
from foretell.runs.plan import Plan
from foretell.runs.progress import Progress
from foretell.search.history import History
from foretell.spaces.base import Costs, Space
from foretell.spaces.parts.limited import Limited, parse_limits
from foretell.spaces.parts.load import load as load_space
from foretell.strategies import Strategy
from foretell.trackers.base import watch
from foretell.training.data import Data, load
from foretell.training.recipe import Recipe
from foretell.winner import best


class NAS(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
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
        limits: what no network may exceed, as "params=1M,flops=50M,latency_ms=5" or by name; the
            search does not see the others.
        minimize: costs to keep small beside a high objective ("params", "flops", "latency_ms"):
            the strategy looks for the whole front, pareto.csv has it.
        latency: settings of `foretell.costs.latency.Latency`, e.g. {"command": ..., "fit": 50}.
        budget: when to stop before that, as "trials=50,epochs=300,train=2h,wall=30m" or by name.
        halving: "sync" or "asha" (or a `Halving`): networks that start badly are stopped early.
        replicates: how often the winner and the space's hand-made network are trained again with
            other seeds, for the verdict.
        backend: "local", or "ray".
        address: of the Ray cluster; None for one on this machine.
        resources: of one trial as Ray says them, e.g. {"num_gpus": 0.5}.
        timeout_s: seconds that one attempt at a network may take.
        memory_gb: memory that one network may take, in gigabytes (10^9 bytes).
        max_retries: how often a network is tried again whose worker died or took too long.
        log: trackers that hear of the run: "csv", "tensorboard", "mlflow", "wandb".
        optuna: URL of an Optuna storage that gets all networks as trials of a study.

    Attributes:
        best_model_: the trained `torch.nn.Module`, in eval mode on the CPU.
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
        limits: Mapping[str, float] | str | None = None,
        minimize: Sequence[str] = (),
        latency: Mapping[str, Any] | None = None,
        budget: Budget | Mapping[str, Any] | str | None = None,
        halving: Halving | Mapping[str, Any] | str | None = None,
        replicates: int = 0,
        backend: str = "local",
        address: str | None = None,
        resources: Mapping[str, float] | None = None,
        timeout_s: float | None = None,
        memory_gb: float | None = None,
        max_retries: int = 1,
        log: Sequence[str] = (),
        optuna: str | None = None,
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
        self.limits = limits
        self.minimize = minimize
        self.latency = latency
        self.budget = budget
        self.halving = halving
        self.replicates = replicates
        self.backend = backend
        self.address = address
        self.resources = resources
        self.timeout_s = timeout_s
        self.memory_gb = memory_gb
        self.max_retries = max_retries
        self.log = log
        self.optuna = optuna

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
        whole = self._space().with_io(data.input_shape, data.n_outputs)
        recipe = self._recipe()
        limits = self._limits()
        latency = self._latency(recipe, limits)
        space = Limited.of(whole, limits, latency) if limits or latency else whole
        plan = self._plan(space, recipe, limits)
        path = Path(self.out or self._default_folder(data, whole))
        watchers = watch(self.log, path, self.optuna)
        folder = RunFolder(path)
        with folder.lock():
            settings = self._settings(data, whole, plan, recipe, limits)
            settings = folder.settle(settings) or settings  # of run.json: who watches knows it by
            with Journal(folder.journal) as journal, self._cluster() as executor:
                if latency is not None:
                    _remember(latency, journal)
                far = isinstance(executor, RayExecutor)  # its nodes may have other disks
                evaluator = Trainer(whole, data if far else data.spill(folder.cache), recipe)
                with Workers(
                    evaluator,
                    workers=self.workers,
                    executor=executor,
                    max_retries=self.max_retries,
                    timeout_s=self.timeout_s,
                    memory_gb=self.memory_gb,
                ) as workers:
                    driver = Driver(
                        folder=folder,
                        journal=journal,
                        plan=plan,
                        evaluator=evaluator,
                        workers=workers,
                        parallel=getattr(executor, "_max_workers", None) or self.workers,
                        on_event=on_event,
                        space=space,
                        watchers=watchers,
                    )
                    self._run(driver, data, recipe, settings)
                    if latency is not None and latency.known:
                        self.summary_["latency"] = latency.note
                        self.summary_lines_.append(latency.note)
                        folder.note(latency.note)
        return self

    def _run(self, driver: Driver, data: Data, recipe: Recipe, settings: dict[str, Any]) -> None:
        from foretell.report import write

        folder, space = driver.folder, driver.evaluator.space
        for watcher in list(driver.watchers):
            driver.tell(
                watcher,
                lambda one: one.begin(
                    settings, space, driver.evaluator.objective, driver.journal.events
                ),
            )
        try:
            driver.search()
            final = finish(driver, data, {"recipe": recipe.to_dict(), "versions": _versions()})
            self.ranking_: Frame = driver.write_tables()
        finally:
            driver.close()
        self.folder_ = folder.path
        self.pareto_ = driver.pareto_frame() if driver.plan.minimize else None
        driver.clean_up()
        self.report_ = write(folder.path, space)
        winner = driver.trials[final["id"]]
        self.best_model_ = trained(space, winner.x, folder.best / "model.safetensors")
        self.best_arch_ = winner.arch
        self.best_metrics_: dict[str, float] = final["metrics"]
        trials = [trial for trial in driver.ended if trial.phase != "verdict"]
        self.history_ = History.empty(space).append(
            np.stack([trial.x for trial in trials]),
            [trial.value for trial in trials],
            [trial.result.seconds if trial.result else 0.0 for trial in trials],
        )
        self.summary_ = _summary(driver, final)
        self.summary_lines_ = _lines(self.summary_)
        for watcher in list(driver.watchers):
            driver.tell(watcher, lambda one: one.end(self.summary_))

    # -- from arguments to parts --------------------------------------------------------------

    def _check(self) -> None:
        whole = (("n_train", 1), ("top_k", 0), ("workers", 0), ("seed", 0))
        for name, low in (*whole, ("replicates", 0), ("max_retries", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
                raise SettingError(name, expected=f"a whole number from {low}", got=repr(value))
        if self.executor is not None and not isinstance(self.executor, Executor):
            raise SettingError(
                "executor",
                expected="a concurrent.futures.Executor",
                got=type(self.executor).__name__,
            )
        if self.backend not in ("local", "ray"):
            raise SettingError("backend", expected="'local' or 'ray'", got=repr(self.backend))
        if self.backend == "local" and (self.address or self.resources):
            raise SettingError(
                "address and resources are those of a Ray cluster", hint="set backend='ray'"
            )
        if self.backend == "ray" and self.executor is not None:
            raise SettingError("executor", expected="none with backend='ray'", got=self.executor)

    def _cluster(self) -> AbstractContextManager[Executor | None]:
        """Where trials run, if not in local processes; what was made for this run is closed."""
        if self.backend == "local":
            return nullcontext(self.executor)
        return RayExecutor(self.address, dict(self.resources or {}), self.max_retries)

    def _limits(self) -> dict[str, float]:
        given = self.limits or {}
        return parse_limits(given) if isinstance(given, str) else dict(given)

    def _latency(self, recipe: Recipe, limits: Mapping[str, float]) -> Latency | None:
        if "latency_ms" not in (*limits, *self.minimize):
            if self.latency:
                raise SettingError(
                    "latency is measured for limits or objectives alone",
                    hint="add latency_ms to limits or to minimize",
                )
            return None
        device = str(pick_device(recipe.device))
        try:
            return Latency(**{"device": device, "seed": self.seed, **(self.latency or {})})
        except TypeError as error:
            raise SettingError(f"latency: {error}") from error

    def _plan(self, space: Space, recipe: Recipe, limits: Mapping[str, float]) -> Plan:
        minimize = tuple(self.minimize)
        if len(set(minimize)) < len(minimize):
            raise SettingError("minimize", expected="different costs", got=minimize)
        budget = Budget.of(self.budget)
        costs = dict.fromkeys(name for name in (*limits, *minimize) if name not in Costs._fields)
        space.measure(space.sample(0, 0), tuple(dict.fromkeys((*limits, *minimize))))  # known?
        return Plan(
            strategy=self._strategy(space),
            seed=self.seed,
            n_train=self.n_train,
            budget=self.n_train + self.top_k,
            compare_random=self.compare_random,
            limits=budget,
            halving=Halving.of(self.halving),
            epochs=recipe.epochs,
            replicates=self.replicates,
            minimize=minimize,
            costs=tuple(costs),
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
        mine |= {"minimize": tuple(self.minimize)} if self.minimize else {}
        settings = {name: value for name, value in mine.items() if name in known}
        settings |= {**kind.scaled(self.n_train + self.top_k), **(self.strategy_settings or {})}
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
        self,
        data: Data,
        space: Space,
        plan: Plan,
        recipe: Recipe,
        limits: Mapping[str, float],
    ) -> dict[str, Any]:
        predictor, strategy = self.predictor, plan.strategy
        budget = dataclasses.asdict(plan.limits)
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
            "limits": dict(limits),
            "minimize": list(plan.minimize),
            "latency": dict(self.latency or {}),
            "budget": {name: value for name, value in budget.items() if value is not None},
            "halving": plan.halving and dataclasses.asdict(plan.halving),
            "replicates": int(self.replicates),
            "backend": self.backend,
            "address": self.address,
            "resources": dict(self.resources or {}),
            "timeout_s": self.timeout_s,
            "memory_gb": self.memory_gb,
            "max_retries": int(self.max_retries),
            "log": list(self.log),
            "optuna": self.optuna,
            "workers": int(self.workers),
            "device": str(pick_device(recipe.device)),
            "versions": _versions(),
        }


def _remember(latency: Latency, journal: Journal) -> None:
    """Measured latencies go to the journal, and what it has is not measured again."""
    for event in journal.of("cost"):
        if event["name"] == "latency_ms":
            for arch, *found in zip(event["archs"], event["values"], event["spreads"], strict=True):
                latency.known[arch] = tuple(found)

    def write(archs: Sequence[str], values: Sequence[float], spreads: Sequence[float]) -> None:
        journal.append(
            {
                "event": "cost",
                "name": "latency_ms",
                "archs": list(archs),
                "values": [float(v) for v in values],
                "spreads": [float(v) for v in spreads],
            }
        )

    latency.on_measured = write


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
    trials = driver.ended
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
        "pareto": [
            {"arch": t.arch, driver.evaluator.objective: t.value}
            | {name: tables.cost(t, name) for name in driver.plan.minimize}
            for t in driver.pareto()
        ]
        if driver.plan.minimize
        else None,
        "verdict": _verdict(driver, final),
        "stopped_by": driver.stopped_by,
        "train_s": sum(trial.result.seconds for trial in trials if trial.result),
    }


def _verdict(driver: Driver, final: Event) -> dict[str, Any] | None:
    """Test metrics of the winner and of the hand-made network, retrained."""
    said = final.get("verdict")
    if not said:
        return None
    name = driver.evaluator.objective.replace("val_", "test_")

    def values(ids: Sequence[int]) -> list[float]:
        results = [driver.trials[i].result for i in ids]
        found = [r.metrics.get(name, math.nan) for r in results if r]
        return [value for value in found if math.isfinite(value)]  # failed ones are left out

    mine = values(said["winner"])
    if not mine:
        return None
    out: dict[str, Any] = {"metric": name, "winner": mine, "baseline": None}
    if said["baseline"]:
        rival = values(said["baseline_trials"])
    if said["baseline"] and rival:
        out |= {"baseline": {**said["baseline"], "values": rival}, "gain": list(welch(mine, rival))}
    return out


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
    if summary["stopped_by"]:
        lines.append(f"stopped: {summary['stopped_by']}")
    if summary["pareto"]:
        lines.append(f"{len(summary['pareto'])} networks on the front: see pareto.csv")
    if summary["verdict"]:
        lines += _verdict_lines(summary["verdict"])
    if summary["random"]:
        random = summary["random"]
        lines.append(f"best of {random['n']} random networks: {_words(random['metrics'])}")
    return lines


def _verdict_lines(verdict: Mapping[str, Any]) -> list[str]:
    name, baseline = verdict["metric"], verdict["baseline"]
    unit, scale = ("%", 100) if name.endswith("_acc") else ("", 1)
    mean = scale * float(np.mean(verdict["winner"]))
    n = len(verdict["winner"])
    lines = [f"retrained {n} times: {name} {mean:.2f} {unit}".rstrip()]
    if baseline:
        gain, low, high = (scale * value for value in verdict["gain"])
        lines[0] += f", {baseline['name']} {scale * float(np.mean(baseline['values'])):.2f} {unit}"
        if math.isfinite(low):
            sure = "larger than noise" if low > 0 or high < 0 else "not larger than noise"
            lines.append(f"gain {gain:+.2f} (95 % interval {low:+.2f} to {high:+.2f}): {sure}")
    return lines


def _words(metrics: Mapping[str, float]) -> str:
    chosen = [name for name in metrics if not name.endswith("_loss")]
    return ", ".join(
        f"{name} {100 * metrics[name]:.2f} %"
        if name.endswith("_acc")
        else f"{name} {metrics[name]:.4g}"
        for name in chosen
    )
