"""Accuracy against parameters on NAS-Bench-201: the front that 100 networks give.

Twenty seeds; a search reads `cifar10_val_12ep` and counts parameters. Figures are the hypervolume
of the networks seen, above 10 % accuracy (a guess) and below the largest network, as a share of
that of all 15,625 networks. Settings were chosen on other seeds. Bounds: evolution and
neural-predictor better than random search, the interval of the difference above 0; the rows of a
two-objective front out of 10^6 in under 1 s; above 10^6 rows a second ranked by a trivial
predictor; all of it in under 10 minutes on one core.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import foretell as ft
from foretell._rng import stream
from foretell.metrics import mean_interval
from foretell.pareto import fronts, hypervolume, nondominated
from foretell.search.ranking import rank
from foretell.search.strategy import Strategy
from foretell.spaces.base import Rows
from foretell.strategies.neural_predictor import NeuralPredictor
from foretell.strategies.regularized_evolution import RegularizedEvolution

SEEDS, NETWORKS, COLUMN, COSTS = 20, 100, "cifar10_val_12ep", ("params",)
SPACE = ft.spaces.get("nb201")
RANDOM = "random"
STRATEGIES: dict[str, Any] = {
    RANDOM: ft.strategies.get("random"),
    "regularized-evolution (NSGA-II), 25 of 100": RegularizedEvolution(25, 5, minimize=COSTS),
    "neural-predictor, 50 + 50, one round": NeuralPredictor(50, "bayes-lin", minimize=COSTS),
    "neural-predictor, 30 + 70, rounds of 10": NeuralPredictor(
        30, "bayes-lin", batch=10, minimize=COSTS
    ),
    "neural-predictor, 50 + 50, accuracy alone": NeuralPredictor(50, "bayes-lin"),
}


class Sum:
    """A predictor that costs next to nothing."""

    def predict(self, X: Rows) -> NDArray[np.float64]:
        return np.asarray(X @ np.arange(1.0, X.shape[1] + 1))


def speed() -> list[str]:
    """Time the two hot loops."""
    bad = []
    F = stream(0, "pareto").random((10**6, 2))
    for f in (nondominated, fronts):
        start = time.process_time()
        f(F)
        seconds = time.process_time() - start
        print(f"  {f.__name__} of 10^6 rows, two objectives: {seconds:.2f} s (bound 1 s)")
        if seconds > 1:
            bad.append(f"{f.__name__} is slow")
    space = ft.Space.from_choices({f"c{i}": list(range(8)) for i in range(8)}, build=print)
    start = time.process_time()
    scored = rank(space, Sum(), 1000, limit=None).n_scored
    rate = scored / (time.process_time() - start)
    print(f"  rank, all of {scored:,} rows: {rate / 1e6:.1f} million rows a second (bound 1)")
    return bad if rate > 1e6 else [*bad, "rank is slow"]


def main() -> int:
    """Run, print, and compare with the bounds."""
    start = time.process_time()
    print("speed on one core")
    bad = speed()
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    path = Path(os.environ.get("FORETELL_DATA", default)) / "nb201.csv.gz"
    if not path.exists():
        print(f"skipped: no {path}; set FORETELL_DATA to the folder of real tables")
        return int(bool(bad))
    table = ft.Table.open(path, space=SPACE)
    everything = np.concatenate(list(SPACE.enumerate()))
    reference = [10.0, -1.0001 * SPACE.measure(everything, COSTS).max()]

    def volume(X: Rows) -> float:
        F = np.column_stack([table.query(X, COLUMN), -SPACE.measure(X, COSTS)])
        return float(hypervolume(F, reference))

    def share(strategy: Strategy, seed: int) -> float:
        search = ft.Search(SPACE, strategy, seed=seed)
        while (left := NETWORKS - len(search.values)) > 0:
            X = search.ask(min(search.round_size or left, left))
            search.tell(X, table.query(X, COLUMN))
        return volume(search.history.X) / whole

    whole = volume(everything)
    print(f"\n{COLUMN} against parameters, {NETWORKS} networks, share of the hypervolume of all, %")
    print(f"  mean ± half of the 95 % interval over {SEEDS} seeds{'':<10} minus random")
    got = {}
    for name, strategy in STRATEGIES.items():
        got[name] = 100 * np.array([share(strategy, seed) for seed in range(SEEDS)])
        mean, half = mean_interval(got[name])
        more, error = mean_interval(got[name] - got[RANDOM])
        print(f"  {name:<44} {mean:.2f} ± {half:.2f}   {more:+.2f} ± {error:.2f}", flush=True)
        if strategy is not STRATEGIES[RANDOM] and strategy.minimize and more <= error:
            bad.append(f"{name} is not better than random")
    seconds = time.process_time() - start
    print(f"\n{seconds:.0f} s of one core (bound 600 s)")
    if seconds > 600:
        bad.append("slower than 10 minutes")
    for text in bad:
        print("FAILED:", text)
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
