"""The end of a run: the winner is tested once, written to `best/`, read back, and reported."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from foretell.errors import RunError
from foretell.nets.devices import pick_device
from foretell.runs.driver import Driver
from foretell.runs.events import Final, Rival
from foretell.runs.trial import Trial
from foretell.runs.verdict import verdict
from foretell.spaces.base import Space
from foretell.training.checkpoint import read_model
from foretell.training.data import Data
from foretell.winner import best
from foretell.winner.base import Winner

DRIFT = 0.02  # what another device may make of a metric


def finish(driver: Driver, data: Data, facts: dict[str, Any]) -> Final:
    """Choose by validation, test the choice once, write `best/`; does only what is not done yet.

    Args:
        driver: whose search has ended.
        data: what the networks were trained on.
        facts: what config.json shall also have.

    Returns: the `final` event.

    Raises:
        RunError: `best/` does not give back the network that was trained.
    """
    done = [event for event in driver.journal.of(Final) if _still_holds(event, driver)]
    if done:
        driver.recall("verdict")
    if done and best.whole(driver.folder.best):
        driver.say("this run has ended before: nothing is trained", final=True)
        return done[-1]
    retrained = verdict(driver) if not done else None
    known = {k: math.nan if v is None else v for k, v in done[-1].metrics.items()} if done else {}
    winner = driver.desk.all.best()
    path, result = driver.weights(winner)
    module = trained(driver.evaluator.space, winner.x, path)
    measured = _comes_back(driver, data, module, result.metrics)
    metrics = known if done else {**measured, **driver.evaluator.test(winner.x, path)}

    driver.say("writes the best network and reads it back")
    best.write(
        driver.folder.best,
        Winner(
            space=driver.evaluator.space,
            x=winner.x,
            module=module,
            task=data.task,
            labels=data.labels,
            inputs=data.input_spec(),
            objective=driver.evaluator.objective,
            metrics=metrics,
            facts={
                "data": data.name,
                "trial": {"id": winner.id, "seed": winner.seed, "phase": winner.phase},
                **facts,
            },
        ),
        functools.partial(_as_good, driver, module, metrics),
    )
    if done:
        return done[-1]
    driver.desk.append(
        Final(
            id=winner.id,
            metrics=dict(metrics),
            random=_baseline(driver, winner, metrics),
            verdict=retrained,
            pareto=tuple(t.id for t in driver.pareto()) if driver.plan.minimize else None,
            searched=len(driver.searched),
            stopped_by=driver.stopped_by,
        )
    )
    return driver.journal.of(Final)[-1]


def _as_good(
    driver: Driver, module: nn.Module, metrics: Mapping[str, float], network: nn.Module
) -> None:
    """Raises: RunError where a network that was read back is another one than `module`."""
    for split in ("val", "test"):
        again = driver.evaluator.validate(network, split)
        again = {name: now for name, now in again.items() if name in metrics}  # older: fewer
        differ = {name: now for name, now in again.items() if not _same(now, metrics[name])}
        if not differ:
            continue
        # another device than that of the training may round differently, for both alike
        same = driver.evaluator.validate(copy.deepcopy(module), split)
        # a card rounds by the order of its operations, which a traced file may have another of
        near = DRIFT if pick_device(driver.evaluator.device).type == "cuda" else best.TOLERANCE
        for name, now in differ.items():
            if not math.isclose(now, same[name], abs_tol=near, rel_tol=near):
                raise RunError(
                    f"the best network read back has another {name}",
                    expected=same[name],
                    got=now,
                )
            was = f"{now:.6f} here, was {metrics[name]:.6f}"
            driver.say(f"{name} of the best network is {was}", final=True)


def _still_holds(final: Final, driver: Driver) -> bool:
    """Whether nothing has been asked for since that changes what was found at the end."""
    replicates = final.verdict.replicates if final.verdict else 0
    same = final.searched in (None, len(driver.searched))
    return same and replicates >= driver.plan.replicates


def _comes_back(
    driver: Driver, data: Data, module: nn.Module, measured: Mapping[str, float]
) -> dict[str, float]:
    """Compare the weights read back with what was measured when they were trained.

    Returns: that, and what an older foretell did not measure.
    """
    examples = max(1, data.sizes[1])
    found = driver.evaluator.validate(copy.deepcopy(module))
    for name, now in found.items():
        was = measured.get(name, now)
        if not math.isclose(now, was, rel_tol=DRIFT, abs_tol=max(DRIFT, 2 / examples)):
            raise RunError(
                f"the best network does not come back from its weights: {name}",
                expected=f"{was:.4f}, as it was measured, within {DRIFT:.0%} or two examples",
                got=f"{now:.4f}",
                hint="foretell space check names what its forward pass uses and does not save; or "
                "the journal was changed: restore it from a copy",
            )
    return {**found, **measured}


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, abs_tol=best.TOLERANCE, rel_tol=best.TOLERANCE)


def _baseline(driver: Driver, winner: Trial, metrics: dict[str, float]) -> Rival | None:
    """The best of as many random networks, chosen and tested in the same way."""
    trial = driver.best_random()
    if trial is None:
        return None
    if trial.id != winner.id:
        path, result = driver.weights(trial)
        metrics = {**result.metrics, **driver.evaluator.test(trial.x, path)}
    return Rival(trial.id, driver.n_random, dict(metrics))


def trained(space: Space, x: Any, weights: Path) -> nn.Module:
    """The network of a row with its trained weights, in eval mode on the CPU."""
    with torch.random.fork_rng(devices=[]):  # initial weights, at once overwritten
        module: nn.Module = space.build(np.asarray(x), space.input_shape, space.n_outputs)
    read_model(module, weights)
    module.eval()
    with torch.no_grad():  # what it computes of its weights, as weight_norm does, has no gradient
        module(torch.zeros((2, *space.input_shape)))  # then, without which it cannot be copied
    return module
