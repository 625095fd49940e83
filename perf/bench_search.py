"""Sample efficiency on NAS-Bench-201: Neural Predictor against evolution and random search.

Fifty seeds; a search reads `cifar10_val_12ep`, each distinct row costs one network. Settings were
chosen on other seeds, those of evolution too. Bounds: better than random at 50 and at 100 networks
in one round, and than evolution in rounds; in rounds of 10 at least 84.88 (optimum 84.892) at 130;
all of it in under 20 minutes on one core. `bench_foresight.py` has the default of a run.

    python perf/bench_search.py [--evolution 20,20]

`--evolution 50,10` (population, tournament) is what older commits ran: the same work as theirs.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import foretell as ft
from foretell.metrics import mean_interval
from foretell.predictors.bayes_lin import BayesLinReg
from foretell.search.strategy import Strategy
from foretell.strategies.neural_predictor import NeuralPredictor
from foretell.strategies.regularized_evolution import RegularizedEvolution
from foretell.studies.searches import SearchStudy, run_searches

SEEDS = 50
LONG = 1_000
COLUMN, TEST = "cifar10_val_12ep", "cifar10_test_12ep"
SPACE = ft.spaces.get("nb201")
PREDICTOR = BayesLinReg(SPACE, degree=3, encoding=("graph-stats", "one-hot"))
OURS = {  # networks: N random ones, what predicts, results between two fits
    50: NeuralPredictor(30, PREDICTOR),
    100: NeuralPredictor(50, PREDICTOR),
    130: NeuralPredictor(50, PREDICTOR, batch=10),
}


def words(strategy: NeuralPredictor, networks: int) -> str:
    """The split of the budget, as a label."""
    rounds = f"rounds of {strategy.batch}" if strategy.batch else "one round"
    return f"neural-predictor, {strategy.n_train} + {networks - strategy.n_train}, {rounds}"


def show(name: str, networks: int, values: list[float], tests: list[float] | None) -> None:
    """One line of the first table."""
    mean, half = mean_interval(values)
    after = "" if tests is None else "   test {:.3f} ± {:.3f}".format(*mean_interval(tests))
    print(f"  {name:<46} {networks:>5}   {mean:.3f} ± {half:.3f}{after}", flush=True)


def main() -> int:
    """Run, print, and compare with the bounds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--evolution", default="20,20", metavar="POPULATION,TOURNAMENT")
    population, tournament = map(int, parser.parse_args().evolution.split(","))
    rivals = {"regularized-evolution": RegularizedEvolution(population, tournament), "random": None}
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    path = Path(os.environ.get("FORETELL_DATA", default)) / "nb201.csv.gz"
    if not path.exists():
        print(f"skipped: no {path}; set FORETELL_DATA to the folder of real tables")
        return 0
    optimum = ft.Table.open(path, space=SPACE).column(COLUMN).max()
    start = time.process_time()
    studies: dict[int, SearchStudy] = {}
    with tempfile.TemporaryDirectory() as folder:

        def study(strategies: dict[str, Strategy], budget: int) -> SearchStudy:
            out = Path(folder) / str(budget)
            return run_searches(
                path, SPACE, COLUMN, strategies, budget, SEEDS, out, test_column=TEST
            )

        print(f"{COLUMN}, best seen, mean ± half of the 95 % interval over {SEEDS} seeds")
        print(f"(optimum {optimum:.3f})          {'':<21} networks")
        for networks, strategy in OURS.items():
            studies[networks] = study({words(strategy, networks): strategy}, networks)
            (name,) = studies[networks].names
            tests = [r.test for r in studies[networks].records if r.test is not None]
            show(name, networks, studies[networks].best_at(name, networks), tests)
        made = {name: one or ft.strategies.get(name) for name, one in rivals.items()}
        peers = study(made, LONG)
    for name in rivals:
        for networks in (50, 100, 130, 150, 200, 300, 500, LONG):
            tests = [r.test for r in peers.records if r.strategy == name and r.test is not None]
            values = peers.best_at(name, networks)
            show(name, networks, values, tests if networks == LONG else None)
    seconds = time.process_time() - start

    print("\nnetworks that a peer needs to reach the mean of neural-predictor")
    print(f"  {'at':>8}  {'mean':>8}  " + "  ".join(f"{name:>22}" for name in rivals))
    bad = []
    for networks, ours in studies.items():
        (name,) = ours.names
        bests = np.array(ours.best_at(name, networks))
        need = [peers.needed(peer, bests.mean()) for peer in rivals]
        cells = [f"{n} ({n / networks:.1f} x)" if n else f"> {LONG}" for n in need]
        print(f"  {networks:>8}  {bests.mean():>8.3f}  " + "  ".join(f"{c:>22}" for c in cells))
        for peer in rivals:
            mean, half = mean_interval(bests - peers.best_at(peer, networks))
            print(f"            minus {peer} at {networks}: {mean:+.3f} ± {half:.3f}")
            if mean <= 0 and (peer == "random" or OURS[networks].batch):
                bad.append(f"not better than {peer} at {networks}")
        if networks == 130 and bests.mean() < 84.88:
            bad.append("below 84.88 at 130 networks")
    print(f"\n{seconds:.0f} s of one core (bound 1200 s)")
    if seconds > 1200:
        bad.append("slower than 20 minutes")
    for text in bad:
        print("FAILED:", text)
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
