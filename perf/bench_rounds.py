"""What a round of a search costs as results come in: 300 networks in rounds of ten.

    python perf/bench_rounds.py [--spaces nb201,mobile] [--strategies foresight,gp,rf,auto]
        [--networks 300] [--rounds 5,15,30]

A strategy, or `neural-predictor` with a predictor, asks for ten rows at a time; values are those of
a made-up function that takes no time. Printed are seconds of a processor: of the whole search, and
of single rounds. With `--networks 0` these rounds alone are asked, after as many random results.
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import foretell as ft
from foretell.strategies import Strategy

BATCH, FIRST = 10, 30


def value(X: np.ndarray) -> np.ndarray:
    """A function with interactions, of rows (n, d)."""
    weights = np.sin(1.0 + np.arange(X.shape[1]))
    return np.asarray(np.sin(X @ weights) + 0.3 * (X * np.abs(weights)).sum(axis=1))


def made(name: str) -> Strategy:
    """A strategy of the catalog, in rounds, or `neural-predictor` with a predictor."""
    if name in ft.strategies.names():
        return ft.strategies.get(name, n_train=FIRST, batch=BATCH)
    return ft.strategies.get("neural-predictor", n_train=FIRST, batch=BATCH, predictor=name)


def ask(search: ft.Search) -> float:
    """Seconds of one ask, and its results told."""
    start = time.process_time()
    X = search.ask(BATCH)
    seconds = time.process_time() - start
    search.tell(X, value(X))
    return seconds


def main() -> None:
    """A line for each space and strategy."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--spaces", default="nb201,mobile")
    parser.add_argument("--strategies", default="foresight,gp,rf")
    parser.add_argument("--networks", type=int, default=300)
    parser.add_argument("--rounds", default="5,15,30")
    args = parser.parse_args()
    rounds = [int(one) for one in args.rounds.split(",")]
    print(
        f"{'space':<10}{'strategy':<12}{'total s':>9}"
        + "".join(f"{f'round {r}':>11}" for r in rounds)
    )
    for place in args.spaces.split(","):
        space = ft.spaces.get(place)
        for name in args.strategies.split(","):
            seconds: dict[int, float] = {}
            search = ft.Search(space, made(name), seed=0)
            for r in range(1, args.networks // BATCH + 1):
                seconds[r] = ask(search)
            for r in [r for r in rounds if r not in seconds]:
                X = space.sample(BATCH * (r - 1), np.random.default_rng(r))
                search = ft.Search(space, made(name), seed=0)
                search.tell(X, value(X))
                seconds[r] = ask(search)
            total = f"{sum(seconds.values()):.1f}" if args.networks else "-"
            print(
                f"{place:<10}{name:<12}{total:>9}"
                + "".join(f"{seconds[r]:>11.2f}" for r in rounds),
                flush=True,
            )


if __name__ == "__main__":
    main()
