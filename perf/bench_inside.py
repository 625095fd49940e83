"""Predictors inside of searches, acquisitions, rounds and zero-cost scores, on NAS-Bench-201.

A search reads `cifar10_val_12ep`; the number of seeds is the first argument (10), a second one is a
part of the names that are run. Printed: best validation at 50 and 100 networks, mean and half of
the 95 % interval. Zero-cost scores are those of the published table; of cells that it lacks, their
median.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern, WhiteKernel

import foretell as ft
from foretell.acquisition import Acquisition
from foretell.encodings import Encoding
from foretell.metrics import mean_interval
from foretell.predictors import OnFeatures
from foretell.search.strategy import Strategy
from foretell.strategies.bo import BO
from foretell.strategies.brp_nas import BRPNAS
from foretell.strategies.neural_predictor import NeuralPredictor
from foretell.strategies.predictor_evolution import PredictorEvolution

SPACE = ft.spaces.get("nb201")
DATA = Path(os.environ.get("FORETELL_DATA", Path(__file__).resolve().parents[2] / "shared/data"))
COLUMN = "cifar10_val_12ep"
AT = (50, 100)


class Score(Encoding):
    """A column of a table as if it had been computed."""

    def __init__(self, space: ft.Space, column: str) -> None:
        self.space = space
        self.column = column

    def encode(self, X: np.ndarray) -> np.ndarray:
        """The published score, (n, 1)."""
        table = scores()
        known = table.column(self.column)
        known = np.where(known < -1e7, np.nan, known)  # the proxy failed
        found = table.query(X, self.column, missing="nan")
        found = np.where(np.isfinite(found) & (found > -1e7), found, np.nanmedian(known))
        return found[:, None].astype(np.float32)


TABLES: dict[str, ft.Table] = {}


def scores() -> ft.Table:
    """The table of zero-cost scores, read once."""
    if not TABLES:
        TABLES["scores"] = ft.Table.open(DATA / "nb201_zerocost.csv.gz", space=SPACE)
    return TABLES["scores"]


def made() -> dict[str, Strategy]:
    """Label -> strategy."""
    out: dict[str, Strategy] = {
        "random": ft.strategies.get("random"),
        "evolution, 20 and 10": ft.strategies.get(
            "regularized-evolution", population=20, sample_size=10
        ),
        "local search": ft.strategies.get("local-search"),
    }
    for predictor in ("gp", "gp-wl", "bayes-lin", "rf", "xgb", "brp"):
        out[f"evolution + {predictor}"] = PredictorEvolution(predictor=predictor)
        kind: Acquisition = "ei" if ft.predictors.get(predictor, space=SPACE).has_std else "ts"
        out[f"bo + {predictor}, {kind}"] = BO(20, predictor=predictor, acquisition=kind)
    others: tuple[Acquisition, ...] = ("mean", "pi", "ucb", "ts", "its")
    for other in others:
        out[f"bo + gp, {other}"] = BO(20, acquisition=other)
    out["gp, one round, 50 + 50"] = NeuralPredictor(50, "gp")
    out["gp, rounds of 10, 50 + 50"] = NeuralPredictor(50, "gp", batch=10)
    out["gp, brp-nas, 5 rounds of 10"] = BRPNAS(5, 10, predictor="gp", batch=10)
    for steps, words in ((400, "pretrained"), (1, "not pretrained")):
        latent = ft.encodings.get("arch2vec", SPACE, steps=steps)
        settings = {"encoding": latent}
        out[f"gp on arch2vec, {words}"] = BO(20, "gp", settings)
    synflow, nwot = (Score(SPACE, f"cifar10_{name}") for name in ("synflow", "nwot"))
    out["zero-cost, synflow alone"] = NeuralPredictor(100, "gp", warm=synflow)
    out["zero-cost, synflow + nwot alone"] = NeuralPredictor(100, "gp", warm=(synflow, nwot))
    out["zero-cost, first 20, then bo + gp"] = BO(20, warm=(synflow, nwot))
    kernel = Matern(length_scale=5.0, nu=1.5) + WhiteKernel(0.1)
    regressor = GaussianProcessRegressor(kernel, normalize_y=True)
    features = ("graph-stats", "one-hot", synflow, nwot)
    out["zero-cost, as features of a gp"] = BO(20, OnFeatures(SPACE, regressor, encoding=features))
    cold = OnFeatures(SPACE, regressor, encoding=features[:2])
    out["zero-cost, the same without"] = BO(20, cold)
    return out


def main() -> int:
    """Run and print."""
    path = DATA / "nb201.csv.gz"
    if not path.exists():
        print(f"skipped: no {path}; set FORETELL_DATA to the folder of real tables")
        return 0
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    part = sys.argv[2] if len(sys.argv) > 2 else ""
    table = ft.Table.open(path, space=SPACE)
    print(f"{COLUMN}, best of 50 and 100 networks, mean ± half of the 95 % interval, {seeds} seeds")
    for name, strategy in made().items():
        if part not in name:
            continue
        best, start = [], time.process_time()
        for seed in range(seeds):
            search = ft.Search(SPACE, strategy, seed=seed)
            while search.n_rows < AT[-1]:
                X = search.ask(min(search.round_size or AT[-1], AT[-1] - search.n_rows))
                search.tell(X, table.query(X, COLUMN))
            best.append([float(search.values[:k].max()) for k in AT])
        seconds = (time.process_time() - start) / seeds
        cells = [
            "{:.3f} ± {:.3f}".format(*mean_interval(column)) for column in zip(*best, strict=True)
        ]
        print(f"  {name:<36}{cells[0]:>18}{cells[1]:>18}{seconds:>9.2f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
