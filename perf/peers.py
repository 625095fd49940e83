"""Searches of other packages on a table: run by `bench_peers.py` in an environment of their own.

    python peers.py NAME TABLE.npz SEED,SEED,... BUDGET

TABLE.npz has `values`, one axis a decision: what a search may maximize. Prints a line of JSON for
each seed: the values of different rows in the order in which they were asked for, as many as the
budget or as came in five times as many asks, the number of asks, and processor seconds. A search
ends at the best of the table; a row that is asked for again costs nothing.
"""

from __future__ import annotations

import json
import random
import sys
import time

import numpy as np

ASKS = 5  # for each network of the budget: who only repeats itself has ended


def optuna_of(kind):
    def make(shape, seed):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        samplers = {
            "tpe": lambda: optuna.samplers.TPESampler(seed=seed, multivariate=True),
            "tpe-univariate": lambda: optuna.samplers.TPESampler(seed=seed, multivariate=False),
            "gp": lambda: optuna.samplers.GPSampler(seed=seed, deterministic_objective=True),
        }
        study = optuna.create_study(direction="maximize", sampler=samplers[kind]())

        def ask():
            trial = study.ask()
            row = tuple(
                trial.suggest_categorical(f"x{i}", list(range(k))) for i, k in enumerate(shape)
            )
            return trial, row

        return ask, study.tell

    return make


def syne_tune_of(kind, **settings):
    def make(shape, seed):
        import logging

        logging.disable(logging.WARNING)
        from syne_tune.config_space import choice
        from syne_tune.optimizer.schedulers.ask_tell_scheduler import AskTellScheduler
        from syne_tune.optimizer.schedulers.single_objective_scheduler import (
            SingleObjectiveScheduler,
        )

        space = {f"x{i}": choice([f"o{j}" for j in range(k)]) for i, k in enumerate(shape)}
        search = AskTellScheduler(
            SingleObjectiveScheduler(
                space,
                metric="value",
                do_minimize=False,
                searcher=kind,
                random_seed=seed,
                searcher_kwargs=settings or None,
            )
        )

        def ask():
            trial = search.ask()
            return trial, tuple(int(trial.config[f"x{i}"][1:]) for i in range(len(shape)))

        def tell(trial, value):
            search.tell(trial, {"value": value})

        return ask, tell

    return make


def neps_of(kind, **settings):
    def make(shape, seed):
        import logging

        logging.disable(logging.WARNING)
        import neps
        import torch

        torch.manual_seed(seed)
        torch.set_num_threads(1)

        class Cell(neps.PipelineSpace):
            pass

        for i, k in enumerate(shape):
            setattr(Cell, f"x{i}", neps.Categorical(choices=tuple(f"o{j}" for j in range(k))))
        search = neps.AskAndTell(getattr(neps.algorithms, kind)(Cell(), **settings))

        def ask():
            trial = search.ask()
            config = trial.config
            if any("::" in name for name in config):  # of NePS spaces, as they are written down
                from neps.space.neps_spaces import neps_space

                found = neps_space.NepsCompatConverter.from_neps_config(config)
                resolved, _ = neps_space.resolve(
                    Cell(),
                    domain_sampler=neps_space.OnlyPredefinedValuesSampler(
                        predefined_samplings=found.predefined_samplings
                    ),
                )
                config = resolved.get_attrs()
            return trial.metadata.id, tuple(int(config[f"x{i}"][1:]) for i in range(len(shape)))

        def tell(id, value):
            search.tell(id, -value)

        return ask, tell

    return make


MADE = {
    "optuna tpe": optuna_of("tpe"),
    "optuna tpe, univariate": optuna_of("tpe-univariate"),
    "optuna gp": optuna_of("gp"),
    "syne-tune evolution": syne_tune_of("regularized_evolution"),
    "syne-tune evolution, 20 and 10": syne_tune_of(
        "regularized_evolution", population_size=20, sample_size=10
    ),
    "syne-tune bore": syne_tune_of("bore"),
    "syne-tune cqr": syne_tune_of("cqr"),
    "neps evolution": neps_of("neps_regularized_evolution", use_priors=False),
    "neps bo": neps_of("bayesian_optimization"),
}


def search(name, table, seed, budget):
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # what they draw from
    ask, tell = MADE[name](table.shape, seed)
    start, asks, values, known = time.process_time(), 0, [], set()
    top = float(np.nanmax(table))
    while len(values) < budget and asks < ASKS * budget and top not in values[-1:]:
        token, row = ask()
        asks += 1
        value = float(table[row])
        tell(token, value)
        if row not in known:
            known.add(row)
            values.append(value)
    seconds = time.process_time() - start
    return {"seed": seed, "values": values, "asks": asks, "seconds": seconds}


def main() -> int:
    name, path, seeds, budget = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    with np.load(path) as file:
        table = file["values"]
    for seed in seeds.split(","):
        print(json.dumps(search(name, table, int(seed), budget)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
