"""What a run has found: as a dict for machines, and in a few lines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from foretell._console import duration
from foretell.metrics import welch
from foretell.runs.driver import Driver
from foretell.runs.events import Final, Rank, Rung, Session, Trial
from foretell.runs.throughput import noun_of, throughput
from foretell.training import scores
from foretell.training.data import Data
from foretell.typed import plain

_SAID = ("acc", "map", "exact", "r2", "rmse")  # kinds of metrics, beside the objective


def summary(driver: Driver, final: Final, data: Data) -> dict[str, Any]:
    """The result of a run, JSON-able.

    Args:
        driver: whose run has ended.
        final: the last event of its journal.
        data: what was learnt.
    """
    majority = scores.majority(data)
    winner = driver.trials[final.id]
    trials = driver.ended
    rank = driver.journal.of(Rank)
    random = final.random
    trained = [*driver.journal.of(Rung), *driver.journal.of(Trial)]
    fast = throughput(trained, driver.journal.of(Session))
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
        "metrics": final.metrics,
        "majority": majority and {"label": majority[0], **majority[1]},
        "random": random and {**plain(random), "arch": driver.trials[random.id].arch},
        "predictor": rank[-1].chosen if rank else None,
        "predictor_note": rank[-1].note if rank else "",
        "trials": len(trials),
        "failed": sum(trial.result is not None and not trial.result.ok for trial in trials),
        "pareto": [
            {"arch": t.arch, driver.evaluator.objective: t.value}
            | {name: t.cost(name) for name in driver.plan.minimize}
            for t in driver.pareto()
        ]
        if driver.plan.minimize
        else None,
        "verdict": _verdict(driver, final),
        "stopped_by": driver.stopped_by,
        "train_s": sum(trial.result.seconds for trial in trials if trial.result),
        "throughput": None
        if fast is None
        else fast.to_dict() | {"words": fast.words(noun_of(data.input_shape))},
    }


def _verdict(driver: Driver, final: Final) -> dict[str, Any] | None:
    """Test metrics of the winner and of the hand-made network, retrained."""
    said = final.verdict
    if not said:
        return None
    name = driver.evaluator.objective.replace("val_", "test_")

    def values(ids: Sequence[int]) -> list[float]:
        results = [driver.trials[i].result for i in ids]
        found = [r.metrics.get(name, math.nan) for r in results if r]
        return [value for value in found if math.isfinite(value)]  # failed ones are left out

    mine = values(said.winner)
    if not mine:
        return None
    out: dict[str, Any] = {"metric": name, "winner": mine, "baseline": None}
    if said.baseline:
        rival = values(said.baseline_trials)
    if said.baseline and rival:
        out |= {
            "baseline": {**plain(said.baseline), "values": rival},
            "gain": list(welch(mine, rival, metric=name)),
        }
    return out


def lines(summary: Mapping[str, Any]) -> list[str]:
    """A summary in words, the line of the best network among them."""
    failed = f", {summary['failed']} failed" if summary["failed"] else ""
    params = f", {summary['params']:,} parameters" if summary["params"] is not None else ""
    trained_s = duration(summary["train_s"])
    lines = [f"{summary['trials']} networks trained{failed}, {trained_s} of training"]
    if summary["throughput"]:
        lines += summary["throughput"]["words"]
    if summary["predictor"]:
        note = f": {summary['predictor_note']}" if summary["predictor_note"] else ""
        lines.append(f"predictor {summary['predictor']}{note}")
    lines.append(f"best: {summary['arch']}")
    lines.append(f"      {_words(summary['metrics'], summary['objective'])}{params}")
    if summary["majority"]:
        lines += _majority_lines(summary)
    if summary["stopped_by"]:
        lines.append(f"stopped: {summary['stopped_by']}")
    if summary["pareto"]:
        lines.append(f"{len(summary['pareto'])} networks on the front: see pareto.csv")
    if summary["verdict"]:
        lines += _verdict_lines(summary["verdict"])
    if summary["random"]:
        random = summary["random"]
        said = _words(random["metrics"], summary["objective"])
        lines.append(f"best of {random['n']} random networks: {said}")
    return lines


def _majority_lines(summary: Mapping[str, Any]) -> list[str]:
    """What always saying the most frequent class reaches, and a warning where that is as good."""
    always, found = summary["majority"], summary["metrics"]
    shares = {name: value for name, value in always.items() if name != "label"}
    lines = [f"always saying {always['label']!r}: {_words(shares, summary['objective'])}"]
    kind = summary["objective"].partition("_")[2]
    even = found.get("test_balanced_acc")
    if found.get(f"test_{kind}", 1.0) <= always.get(f"test_{kind}", 0.0):
        words, what = ("no more accurate", "--metric val_balanced_acc --set balance=true, or ")
        if kind != "acc":  # that is what was searched for
            words, what = "no better", ""
        lines.append(
            f"the best network is {words} than that"
            + ("" if even is None else f" (balanced accuracy {100 * even:.1f} %)")
            + f": try {what}more epochs"
            + ("" if what else ", or more examples of the other classes")
        )
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


def _words(metrics: Mapping[str, float], objective: str) -> str:
    kinds = (objective.partition("_")[2], *_SAID)
    chosen = [name for name in metrics if name.partition("_")[2] in kinds]
    return ", ".join(
        f"{name} {100 * metrics[name]:.2f} %"
        if name.endswith("acc")
        else f"{name} {metrics[name]:.4g}"
        for name in chosen
    )
