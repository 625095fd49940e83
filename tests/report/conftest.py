"""Run folders made by a seeded rule, through the schema that real runs write."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import foretell as ft
from foretell._rng import stream
from foretell.metrics import kendall


def rule(space: ft.Space, X: np.ndarray) -> np.ndarray:
    """A value in (0, 1) that rises with most options; fixed by the space's shape alone."""
    weight = stream(7, "rule").random((space.d, int(space.n_options.max())))
    total = weight[np.arange(space.d), X].sum(axis=1) / space.d
    return 0.55 + 0.42 * total


class RunMaker:
    """Writes a run folder; every attribute may be changed before `write`."""

    def __init__(self, **changes: Any) -> None:
        self.space = ft.spaces.get("nb201")
        self.spec = "nb201"
        self.n_sample, self.n_top, self.n_random = 24, 5, 5
        self.failed: dict[int, str] = {}  # trial id -> error
        self.stop = "final"  # the last event: "sample", "rank", "top", "final"
        self.task = "classification"
        self.seed = 0
        self.value: Callable[[ft.Space, np.ndarray], np.ndarray] = rule
        self.noise = 0.01
        self.epochs = 12
        self.ranked = 300
        self.settings: dict[str, Any] = {}
        self.data: dict[str, Any] = {}
        self.arch: Callable[[str], str] = str  # how an architecture is written down
        self.costs: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]] | None = None
        for name, value in changes.items():
            if name not in vars(self):
                raise TypeError(name)
            setattr(self, name, value)

    @property
    def metric(self) -> str:
        return "val_r2" if self.task == "regression" else "val_acc"

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        rng = stream(self.seed, "run")
        space = self.space
        sample, randoms = space.sample(self.n_sample, rng), space.sample(self.n_random, rng)
        pool = space.sample(self.ranked, rng)
        _, first = np.unique(space.row_key(pool), return_index=True)
        pool = pool[np.sort(first)]
        predicted = self.value(space, pool) + self.noise * rng.normal(size=len(pool))
        order = np.argsort(-predicted, kind="stable")
        pool, predicted = pool[order], predicted[order]
        top = pool[: self.n_top]

        events: list[dict[str, Any]] = []
        trials: list[dict[str, Any]] = []

        def train(phase: str, X: np.ndarray, k: int) -> None:
            start = len(trials)
            if not len(X):
                return
            params, flops = self._costs(X)
            truth = self.value(space, X) + self.noise * rng.normal(size=len(X))
            names = [self.arch(text) for text in space.to_str(X)]
            events.append(
                {"event": "ask", "k": k, "phase": phase, "archs": names, "seconds": 0.01}
                | {"ids": list(range(start, start + len(X)))}
            )
            for i in range(len(X)):
                trial = {
                    "event": "trial",
                    "id": start + i,
                    "phase": phase,
                    "arch": names[i],
                    "x": X[i].tolist(),
                    "seed": int(rng.integers(2**31)),
                    **self._result(start + i, float(truth[i]), rng),
                    "seconds": round(float(1 + 3 * rng.random()), 3),
                    "params": int(params[i]),
                    "flops": int(flops[i]),
                }
                trials.append(trial)
                events.append(trial)

        train("sample", sample, 0)
        if self.stop != "sample":
            self._rank(events, trials, rng)
            if self.stop != "rank":
                train("top", top, 1)
                if self.stop == "final":
                    train("random", randoms, 2)
            self._write_ranking(folder, pool, predicted, trials)
            self._write_predictions(folder, trials, predicted, rng)
        if self.stop == "final":
            events.append(self._final(trials))
            (folder / "best").mkdir(exist_ok=True)
            (folder / "best" / "config.json").write_text("{}")
        (folder / "run.json").write_text(json.dumps(self._run_json(), indent=2))
        with (folder / "trials.jsonl").open("w") as file:
            file.writelines(json.dumps(event) + "\n" for event in events)
        return folder

    def _costs(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.costs is not None:
            return self.costs(X)
        return tuple(self.space.costs(X))

    def _result(self, trial: int, value: float, rng: np.random.Generator) -> dict[str, Any]:
        if trial in self.failed:
            return {"status": "failed", "error": self.failed[trial], "metrics": {}, "curve": {}}
        epochs = np.arange(1, self.epochs + 1)
        curve = value * (1 - np.exp(-epochs / 2.5)) + 0.01 * rng.normal(size=len(epochs))
        curve[-1] = value
        other = "val_rmse" if self.task == "regression" else "val_loss"
        return {
            "status": "ok",
            "error": "",
            "metrics": {self.metric: value, other: 1 - value},
            "curve": {
                "train_loss": (1.9 * np.exp(-epochs / 3) + 0.1).round(4).tolist(),
                "val_loss": (1.7 * np.exp(-epochs / 3) + 0.3).round(4).tolist(),
                self.metric: curve.round(4).tolist(),
            },
        }

    def _rank(self, events: list, trials: list, rng: np.random.Generator) -> None:
        names = {"auto": 0.71, "gcn": 0.69, "rf": 0.6, "n-params": 0.52, "n-flops": 0.49, "mean": 0}
        cv = {
            name: {"mean": tau + 0.02 * rng.random() * (tau > 0), "std": 0.08 * (tau > 0)}
            for name, tau in names.items()
        }
        event = {"predictor": "auto", "chosen": "gcn + n-params", "note": "auto beats n-params."}
        cost = {"n_scored": self.space.size, "fit_s": 1.9, "predict_s": 0.8}
        events.append({"event": "rank", **event, "cv": cv, **cost})

    def _write_ranking(self, folder: Path, X: Any, predicted: Any, trials: list) -> None:
        measured = {t["arch"]: t["metrics"].get(self.metric, "") for t in trials}
        params, flops = self._costs(X)
        with (folder / "ranking.csv").open("w", newline="") as file:
            out = csv.writer(file)
            out.writerow(["arch", "predicted", "std", "measured", "params", "flops", "rank"])
            for i, text in enumerate(map(self.arch, self.space.to_str(X))):
                std = "" if self.seed % 2 else 0.01
                value = measured.get(text, "")
                out.writerow([text, predicted[i], std, value, params[i], flops[i], i + 1])

    def _write_predictions(self, folder: Path, trials: list, predicted: Any, rng: Any) -> None:
        with (folder / "predictions.csv").open("w", newline="") as file:
            out = csv.writer(file)
            out.writerow(["arch", "id", "phase", "predicted", "measured"])
            ranked = iter(predicted)
            for t in trials:
                if t["phase"] == "random":
                    continue
                value = t["metrics"].get(self.metric, "")
                x = np.array([t["x"]])
                guess = float(self.value(self.space, x)[0] + 2 * self.noise * rng.normal())
                guess = float(next(ranked)) if t["phase"] == "top" else guess
                out.writerow([t["arch"], t["id"], t["phase"], guess, value])

    def _final(self, trials: list) -> dict[str, Any]:
        test = self.metric.replace("val_", "test_")

        def best(phases: tuple[str, ...]) -> dict[str, Any] | None:
            mine = [t for t in trials if t["phase"] in phases and t["status"] == "ok"]
            if not mine:
                return None
            one = max(mine, key=lambda t: t["metrics"][self.metric])
            value = one["metrics"][self.metric]
            return {"id": one["id"], "metrics": {self.metric: value, test: value - 0.006}}

        rival = best(("sample", "random")) if self.n_random else None
        if rival is not None:
            rival["n"] = self.n_sample + self.n_random
        return {"event": "final", **(best(("sample", "top")) or {}), "random": rival}

    def _run_json(self) -> dict[str, Any]:
        classification = self.task == "classification"
        data = {
            "name": "digits" if classification else "diabetes",
            "task": self.task,
            "input_shape": list(self.space.input_shape),
            "n_outputs": 10 if classification else 1,
            "labels": [str(i) for i in range(10)] if classification else [],
            "sizes": {"train": 1258, "val": 269, "test": 270},
            "split_digest": "0f" * 8,
            "digest": "4b" * 32,
        }
        return {
            "format": 1,
            "foretell": "0.1.0",
            "command": ["foretell", "run", "--data", "digits", "--space", self.spec],
            "created": "2026-01-02T03:04:05+00:00",
            "seed": self.seed,
            "name": "",
            "space": {
                "name": self.space.name,
                "spec": self.spec,
                "settings": {},
                "size": self.space.size,
                "d": self.space.d,
                "closed_form_costs": self.space.closed_form_costs,
            },
            "strategy": {"name": "neural-predictor", "n_train": self.n_sample, "rounds": 1},
            "predictor": "auto",
            "n_train": self.n_sample,
            "top_k": self.n_top,
            "compare_random": bool(self.n_random),
            "data": data | self.data,
            "recipe": {"epochs": self.epochs, "batch_size": 64, "optimiser": "sgd", "lr": 0.05},
            "workers": 2,
            "device": "cpu",
            "versions": {"python": "3.11.9", "torch": "2.13.0", "numpy": "2.4.0"},
        } | self.settings


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """`make_run(name="a", **changes)` writes a run folder and returns it."""

    def make(name: str = "run", **changes: Any) -> Path:
        return RunMaker(**changes).write(tmp_path / name)

    return make


@pytest.fixture
def tau() -> Callable[[Any, Any], float]:
    return kendall
