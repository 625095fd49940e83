"""Accuracy against epochs: RANK-NOSH beside BRP-NAS, ASHA, Hyperband and BOHB, on NAS-Bench-101.

The table has trainings of 4, 12, 36 and 108 epochs of 30,001 graphs, each with a schedule of its
own. Searches with several fidelities pay for all epochs that they train; the others train 108
epochs a network. Bound: RANK-NOSH has the mean best validation of BRP-NAS, within the interval of
the paired difference, with at most a third of its epochs.

Arguments: seeds (5), names of methods, the first rows of the table that are the space (all). Both
rankers are `brp` with two members and 40 epochs, a Gaussian process, and a linear model.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np

import foretell as ft
from foretell.evaluators.lookup import Lookup
from foretell.evaluators.simulated import Simulated
from foretell.metrics import mean_interval
from foretell.search.loop import Loop
from foretell.search.strategy import Strategy
from foretell.spaces.parts.listed import listed
from foretell.strategies.brp_nas import BRPNAS
from foretell.strategies.hyperband import Hyperband
from foretell.strategies.rank_nosh import RankNOSH

DATA = Path(os.environ.get("FORETELL_DATA", Path(__file__).resolve().parents[2] / "shared/data"))
BUDGETS = (4, 12, 36, 108)
RANKER = {"members": 2, "epochs": 40}
MADE: dict[str, tuple[Strategy, int]] = {  # and how many networks may begin
    "random": (ft.strategies.get("random"), 100),
    "evolution": (ft.strategies.get("regularized-evolution", population=20, sample_size=5), 100),
    "brp-nas, gp": (BRPNAS(5, 16, predictor="gp", batch=10), 100),
    "rank-nosh, gp": (RankNOSH(BUDGETS[:3], predictor="gp"), 150),
    "brp-nas": (BRPNAS(5, 16, predictor_settings=RANKER, batch=10), 100),
    "rank-nosh": (RankNOSH(BUDGETS[:3], predictor_settings=RANKER), 150),
    "brp-nas, linear": (BRPNAS(5, 16, predictor="bayes-lin", batch=10), 100),
    "rank-nosh, linear": (RankNOSH(BUDGETS[:3], predictor="bayes-lin"), 150),
    "asha": (ft.strategies.get("asha", min_epochs=4), 300),
    "hyperband": (Hyperband(min_epochs=4), 220),
    "bohb": (Hyperband("kde", min_epochs=4), 220),
}


def main() -> int:
    """Run, print, and compare with the bound."""
    path = DATA / "nb101_val_4_12_36_108.csv.gz"
    if not path.exists():
        print(f"skipped: no {path}; set FORETELL_DATA to the folder of real tables")
        return 0
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    names = sys.argv[2].split("; ") if len(sys.argv) > 2 else list(MADE)
    table = ft.Table.open(path, space=ft.spaces.get("nb101"))
    several, whole = (
        Lookup(table, {e: f"val_{e}ep" for e in BUDGETS}),
        Lookup(table, f"val_{BUDGETS[-1]}ep"),
    )
    rows = int(sys.argv[3]) if len(sys.argv) > 3 else len(table)
    space = listed(table.space, table.X[:rows])
    top = float(np.nanmax(table.column(f"val_{BUDGETS[-1]}ep")[:rows]))
    print(f"NAS-Bench-101, {rows:,} graphs, best {whole.objective} {top:.4f}, {seeds} seeds")
    print(f"{'method':<18}{'networks':>9}{'epochs':>8}{'best':>9}{'regret':>18}{'s a seed':>10}")
    best: dict[str, list[float]] = {}
    spent: dict[str, float] = {}
    for name in names:
        strategy, networks = MADE[name]
        paused = type(strategy).promotions is not Strategy.promotions
        lookup, counts, start = several if paused else whole, [], time.process_time()
        best[name] = []
        for seed in range(seeds):
            search = ft.Search(space, strategy, seed=seed, max_epochs=lookup.epochs)
            for _ in Loop(search, lookup, Simulated(lookup, 1), networks=networks).run():
                pass
            history = search.history.told
            epochs = history.latest.epochs if paused else np.full(len(history), BUDGETS[-1])
            counts.append(float(epochs.sum()))
            best[name].append(float(history.full.y.max()))
        spent[name] = float(np.mean(counts))
        seconds = (time.process_time() - start) / seeds
        regret = "{:.4f} ± {:.4f}".format(*mean_interval([top - one for one in best[name]]))
        print(
            f"{name:<18}{networks:>9}{spent[name]:>8.0f}{np.mean(best[name]):>9.4f}{regret:>18}"
            f"{seconds:>10.1f}",
            flush=True,
        )
    bad = 0
    for ranker in ("", ", gp", ", linear"):
        ours, theirs = f"rank-nosh{ranker}", f"brp-nas{ranker}"
        if ours in best and theirs in best:
            mean, half = mean_interval(np.subtract(best[ours], best[theirs]))
            share = spent[ours] / spent[theirs]
            print(f"{ours} minus {theirs}: {mean:+.4f} ± {half:.4f} with {share:.2f} of its epochs")
            bad += mean + half < 0 or share > 1 / 3
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
