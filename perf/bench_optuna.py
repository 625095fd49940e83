"""An Optuna study led by `PredictorSampler`, against Optuna's own samplers, on NAS-Bench-201.

Twenty seeds; a trial reads `cifar10_val_12ep` of six categorical parameters, one for each edge.
Settings were chosen on other seeds. Bound: at 100 trials better than TPE, multivariate (default
from Optuna 5 on) and univariate (before), with the 95 % interval of the paired difference above 0,
with the space and without.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna

import foretell as ft
from foretell.integrations.optuna import PredictorSampler, suggest
from foretell.metrics import mean_interval

SEEDS = range(20)
TRIALS = 100
AT = (25, 50, 100)
COLUMN = "cifar10_val_12ep"
SPACE = ft.spaces.get("nb201")
TPE = ("TPE, univariate", "TPE, multivariate")
OURS = ("foretell, with the space", "foretell, plain categoricals")
SAMPLERS: dict[str, Callable[[int], optuna.samplers.BaseSampler]] = {
    OURS[0]: lambda seed: PredictorSampler(space=SPACE, seed=seed),
    OURS[1]: lambda seed: PredictorSampler(seed=seed),
    TPE[0]: lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=False),
    TPE[1]: lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=True),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
}


def main() -> int:
    """Run, print, and compare with the bound."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    path = Path(os.environ.get("FORETELL_DATA", default)) / "nb201.csv.gz"
    if not path.exists():
        print(f"skipped: no {path}; set FORETELL_DATA to the folder of real tables")
        return 0
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    table = ft.Table.open(path, space=SPACE)

    def objective(trial: optuna.Trial) -> float:
        return float(table.query(suggest(trial, SPACE)[None], COLUMN)[0])

    print(f"{COLUMN}, best so far, mean ± half of the 95 % interval over {len(SEEDS)} seeds")
    print(f"{'':<30}" + "".join(f"{f'{n} trials':>18}" for n in AT) + "   s a study  distinct")
    best: dict[str, np.ndarray] = {}
    for name, sampler in SAMPLERS.items():
        start, runs, distinct = time.perf_counter(), [], []
        for seed in SEEDS:
            study = optuna.create_study(direction="maximize", sampler=sampler(seed))
            study.optimize(objective, n_trials=TRIALS)
            runs.append(
                np.maximum.accumulate(
                    np.array([trial.value for trial in study.trials], dtype=float)
                )
            )
            distinct.append(len({tuple(trial.params.values()) for trial in study.trials}))
        seconds = (time.perf_counter() - start) / len(SEEDS)
        best[name] = np.array(runs)
        cells = ["{:.3f} ± {:.3f}".format(*mean_interval(best[name][:, n - 1])) for n in AT]
        line = "".join(f"{cell:>18}" for cell in cells)
        print(f"{name:<30}{line}{seconds:>12.2f}{np.mean(distinct):>10.1f}", flush=True)
    bad = []
    print(f"\npaired difference at {TRIALS} trials")
    for ours in OURS:
        for peer in (*TPE, "random"):
            mean, half = mean_interval(best[ours][:, -1] - best[peer][:, -1])
            print(f"  {ours + ' minus ' + peer:<52} {mean:+.3f} ± {half:.3f}")
            if mean - half <= 0:
                bad.append(f"{ours} is not better than {peer}")
    for text in bad:
        print("FAILED:", text)
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
