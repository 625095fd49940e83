"""Searches by shared weights on real images on a CPU, against the table of NAS-Bench-201.

    python perf/bench_supernets.py --methods all --seeds 1 --side 8 --tau 300
    python perf/bench_supernets.py [--methods darts,gdas,drnas,rsws,darts-pt] [--epochs 3]
        [--seeds 3] [--side 16] [--channels 4] [--tau 300]

Images are `cifar10_small.npz` of FORETELL_DATA, pooled to --side pixels a side. The chosen row is
looked up in `nb201.csv.gz` (200 epochs on all of CIFAR-10, test) beside random rows of that table,
chosen by their validation after 12 epochs. Bound: two minutes of one core a recipe. --tau asks
`one-shot`, `rsws` and `few-shot` for the accuracies that so many random rows inherit, and compares
their order with the table's, beside the published supernets (`nb201_supernets.csv.gz`) on the same
rows.

What differs from published searches: 5,085 small images instead of 50,000, a
few channels, one cell a stage, few epochs (--epochs where all operations run, five times as many
where one does, which costs about as much); 200 rows are scored at the end instead of 1,000, on one
batch, 60 where a strategy searches; a removal is followed by one epoch instead of five, and an
adversary takes two steps instead of seven. All else is as in the recipes. Results are kept in
--out, and what is there is not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import foretell as ft
from foretell import metrics
from foretell.supernets.method import Method
from foretell.supernets.perturbation import Adversarial
from foretell.supernets.selection import Evolve, ProgressiveRemoval, SampleAndScore
from foretell.training.data import Data, load

DATA = Path(os.environ.get("FORETELL_DATA", Path(__file__).resolve().parents[2] / "shared/data"))
PUBLISHED = {  # test accuracy on CIFAR-10: Chen et al., for PT Wang et al., ICLR 2021
    "rsws": 87.66, "enas": 54.30, "darts": 54.30, "darts-2nd": 54.30, "gdas": 93.23, "snas": 92.77,
    "dsnas": 93.08, "pc-darts": 93.41, "drnas": 94.36, "te-nas": 93.90, "darts-pt": 88.11,
    "darts-pt-fixed-alpha": 93.80,
}  # fmt: skip
ASKED = ("one-shot", "rsws", "few-shot")  # whose inherited accuracies are asked for
TEST = "cifar10_test_200ep"
BOUND_S = 120.0


def images(side: int = 16) -> Data:
    """CIFAR-10, 5,085 images, pooled to side x side pixels."""
    found = np.load(DATA / "cifar10_small.npz")
    x, y = found["x_train"], found["y_train"]
    q = x.shape[2] // side
    small = x.reshape(*x.shape[:2], side, q, side, q).mean(axis=(3, 5)).round().astype(np.uint8)
    return load((small, y), seed=0, fractions=(0.8, 0.1, 0.1), name=f"cifar10-{side}")


def shorter(method: Method) -> Method:
    """The same with a choice at the end that takes seconds, and a faster adversary."""
    how, shaken = method.selection, method.perturbation
    if isinstance(how, SampleAndScore):
        how = replace(how, n=200, batches=1)
    elif isinstance(how, Evolve):
        how = replace(how, n=60, batches=1)
    elif isinstance(how, ProgressiveRemoval):
        how = replace(how, tune=1)
    if isinstance(shaken, Adversarial):
        shaken = replace(shaken, steps=2)
    return method.but(selection=how, perturbation=shaken)


def one(name: str, seed: int, args: argparse.Namespace, data: Data, table: ft.Table) -> Any:
    """A search, and what it has found."""
    search = ft.supernets.get(name, space=table.space, random_state=seed, device="cpu", look=1)
    search.method = shorter(search.method)
    search.epochs = args.epochs * (5 if search.method.execution.needs_hard else 1)
    start = time.process_time()
    search.fit(data)
    cpu = time.process_time() - start
    found = {"row": table.space.to_str(search.best_[None])[0], "cpu": cpu,
             "test": float(table.query(search.best_[None], TEST)[0])}  # fmt: skip
    if args.tau and name in ASKED:
        X = asked(table, args.tau)
        found["tau"] = metrics.kendall(table.query(X, TEST), search.score(X, 2))
    return found


def asked(table: ft.Table, n: int) -> np.ndarray:
    """Random rows of the table."""
    return table.X[np.random.default_rng(0).permutation(len(table.X))[:n]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--methods", default="darts,gdas,drnas,rsws,darts-pt")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--side", type=int, default=16)
    parser.add_argument("--channels", type=int, default=4)
    parser.add_argument("--tau", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("supernets.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    known: dict[str, Any] = json.loads(args.out.read_text()) if args.out.exists() else {}
    space = ft.spaces.get("nb201", channels=args.channels, n_cells=1)
    data, table = images(args.side), ft.Table.open(DATA / "nb201.csv.gz", space=space)
    names = args.methods.split(",")
    if args.methods == "all":  # ofa needs decisions that are numbers
        names = [name for name in ft.supernets.names() if name != "ofa"]
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for seed in range(args.seeds):
        for name in names:
            key = "|".join(map(str, (name, seed, args.epochs, args.side, args.channels, args.tau)))
            if key not in known:
                known[key] = one(name, seed, args, data, table)
                args.out.write_text(json.dumps(known))
                print(key, known[key], file=sys.stderr)
            runs[name].append(known[key])
    report(runs, table, args.tau)


def report(runs: dict[str, list[dict[str, Any]]], table: ft.Table, tau: int) -> None:
    """A line a method, then what to compare it with."""
    tests = table.query(table.X, TEST)
    seeds = len(next(iter(runs.values())))
    print(f"{'method, seeds: ' + str(seeds):<22}{'test of the chosen row':>24}"
          f"{'cells below it':>16}{'published':>11}{'tau':>7}{'CPU s':>7}")  # fmt: skip
    for name, found in runs.items():
        got = np.array([run["test"] for run in found])
        below = np.mean(tests < got[:, None])
        taus = [run["tau"] for run in found if "tau" in run]
        published = f"{PUBLISHED[name]:.2f}" if name in PUBLISHED else ""
        said = f"{np.mean(taus):.2f}" if taus else ""
        spread = f" ± {got.std():5.2f}" if seeds > 1 else ""
        print(f"{name:<22}{got.mean():16.2f}{spread:<8}{below:>16.0%}{published:>11}{said:>7}"
              f"{np.mean([run['cpu'] for run in found]):7.0f}")  # fmt: skip
    every = [run for found in runs.values() for run in found]
    late = [name for name, found in runs.items() if max(r["cpu"] for r in found) > BOUND_S]
    print(f"all: {np.mean([run['test'] for run in every]):.2f} in the mean, "
          f"{sum(run['cpu'] for run in every):.0f} CPU s; "
          f"above {BOUND_S:.0f} s: {', '.join(late) or 'none'}")  # fmt: skip
    valid = table.query(table.X, "cifar10_val_12ep")
    rng = np.random.default_rng(0)
    for n in (1, 10, 100):
        at = np.array([rng.choice(len(tests), n, replace=False) for _ in range(2000)])
        best = tests[at[np.arange(len(at)), valid[at].argmax(axis=1)]]
        print(f"random, best of {n:<6}{best.mean():16.2f} ± {best.std():5.2f}")
    if tau:
        shared = ft.Table.open(DATA / "nb201_supernets.csv.gz", space=table.space)
        X = asked(table, tau)
        others: dict[str, Any] = {
            name: shared.query(X, f"{name}_acc") for name in ("one_shot", "few_shot")
        }
        others["number of parameters"] = table.space.costs(X).params
        taus = [f"{name} {metrics.kendall(table.query(X, TEST), one):.2f}"
                for name, one in others.items()]  # fmt: skip
        print(f"tau on the same {len(X)} rows, of published supernets: {', '.join(taus)}")


if __name__ == "__main__":
    main()
