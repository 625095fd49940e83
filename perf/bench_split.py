"""Neural Predictor's headline, and its figure over N at a fixed N + K.

    python perf/bench_split.py --total 100 --splits 10,20,30,50,70,90 --figure split.svg   # nb201
    python perf/bench_split.py nb101 --most 1000 --peer-seeds 4

All of NAS-Bench-201 (`cifar10_val_12ep`), or 30,001 graphs of NAS-Bench-101 (`val_108ep`), where
most neighbours of a graph are not in the table and evolution takes 25 ms a network. One round, as
in the paper: N random networks, a fit, the K best predicted. Printed for each N: mean best
validation of N + K, the rank of the median, the networks that evolution and random search need for
the same mean, as a multiple, and, for N = 172, the same after other K. Evolution has population and
tournaments of 20, the best of twelve settings on other seeds (`bench_foresight.py`). Bounds, of the
paper, on NAS-Bench-101: at N = 172 more than 20 times as many for evolution; all N at or above
evolution with as many networks.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.special import gammaln

import foretell as ft
from foretell.metrics import mean_interval
from foretell.spaces.parts.listed import listed

DATA = Path(os.environ.get("FORETELL_DATA", Path(__file__).resolve().parents[2] / "shared/data"))
TABLES = {
    "nb201": ("nb201.csv.gz", "cifar10_val_12ep"),
    "nb101": ("nb101_val_4_12_36_108.csv.gz", "val_108ep"),
}
SPLITS = (10, 20, 43, 86, 129, 172, 222, 262)
AT = (10, 20, 50, 100)  # K beside N = 172
EVOLUTION = ft.strategies.get("regularized-evolution", population=20, sample_size=20)


def curve(
    space: ft.Space,
    values: dict[int, float],
    strategy: ft.strategies.Strategy,
    seed: int,
    most: int,
) -> np.ndarray:
    """Best value after 1, 2, ..., `most` networks."""
    run = ft.Search(space, strategy, seed=seed)
    out: list[float] = []
    while len(out) < most:
        left = most - len(out)
        X = run.ask(min(run.round_size or left, left))
        told = [values[key] for key in space.row_key(X).tolist()]
        run.tell(X, told)
        out += told
    return np.maximum.accumulate(out)


def by_chance(y: np.ndarray, most: int) -> np.ndarray:
    """Expected best of 1, ..., `most` random rows: P(max of n <= y_k) = C(k, n) / C(M, n)."""
    order, k, n = np.sort(y), np.arange(len(y) + 1), np.arange(1, most + 1)[:, None]
    out = []
    for some in np.array_split(n, max(most // 50, 1)):
        left = np.maximum(k - some, 0)
        logs = gammaln(k + 1) - gammaln(left + 1) - gammaln(len(y) + 1) + gammaln(len(y) - some + 1)
        below = np.where(k >= some, np.exp(logs), 0.0)
        out.append(np.diff(below, axis=1) @ order)
    return np.concatenate(out)


def main() -> int:
    """Run, print, draw, and compare with the bounds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("table", nargs="?", choices=TABLES, default="nb201")
    parser.add_argument("--predictor", default="gp")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--total", type=int, default=272, help="N + K")
    parser.add_argument("--splits", default=",".join(map(str, SPLITS)), help="N")
    parser.add_argument("--most", type=int, default=3_000, help="networks of a peer")
    parser.add_argument("--peer-seeds", type=int, default=20)
    parser.add_argument("--figure", type=Path, help="file of the figure over N")
    args = parser.parse_args()
    file, column = TABLES[args.table]
    path = DATA / file
    if not path.exists():
        print(f"skipped: no {path}; set FORETELL_DATA to the folder of real tables")
        return 0
    table = ft.Table.open(path, space=ft.spaces.get(args.table))
    whole = len(table) >= table.space.size
    space, y = table.space if whole else listed(table.space, table.X), table.column(column)
    values = dict(zip(space.row_key(table.X).tolist(), y.tolist(), strict=True))
    order = np.sort(y)
    seeds = range(args.peer_seeds)
    evolved = [curve(space, values, EVOLUTION, seed, args.most) for seed in seeds]
    peers = {"evolution": np.mean(evolved, axis=0), "random": by_chance(y, 10_000)}

    def line(label: str, networks: int, best: list[float]) -> dict[str, float]:
        """Prints one; the multiples, infinite where a peer never gets there."""
        mean, half = mean_interval(best)
        rank = len(order) - np.searchsorted(order, np.median(best), "right") + 1
        found, cells = {}, []
        for name, means in peers.items():
            need = int(np.argmax(means >= mean)) + 1 if means[-1] >= mean else 0
            found[name] = need / networks if need else np.inf
            words = f"{need:,} ({found[name]:.1f} x)" if need else f"> {len(means):,}"
            cells.append(f"{words:>20}{means[networks - 1]:>8.4f}")
        print(f"{label:<12}{mean:>8.4f} ± {half:.4f}{rank:>6}" + "".join(cells), flush=True)
        return found

    print(f"{column}, {args.predictor}, {args.seeds} seeds; best {order[-1]:.4f}")
    print(f"beside it what each peer needs, and has with as many "
          f"({args.peer_seeds} seeds; random: what is to be expected)")  # fmt: skip
    print(f"{'N + K':<12}{'best':>8}{'':>9}{'rank':>6}" + "".join(f"{one:>28}" for one in peers))
    means, halves, bad = [], [], []
    splits = [int(n) for n in args.splits.split(",")]
    for n in splits:
        start = time.process_time()
        one = ft.strategies.get("neural-predictor", n_train=n, predictor=args.predictor)
        runs = [curve(space, values, one, seed, args.total) for seed in range(args.seeds)]
        found = line(f"{n} + {args.total - n}", args.total, [run[-1] for run in runs])
        mean, half = mean_interval([run[-1] for run in runs])
        means.append(mean)
        halves.append(half)
        if mean + half < peers["evolution"][args.total - 1]:
            bad.append(f"N = {n} is below evolution")
        if n == 172:
            for k in AT:
                if n + k < args.total:
                    line(f"{n} + {k}", n + k, [run[n + k - 1] for run in runs])
            if found["evolution"] <= 20:
                bad.append("N = 172: evolution needs at most 20 times as many")
        print(f"{'':<12}{(time.process_time() - start) / args.seeds:.1f} s a seed")
    if args.figure:
        canvas = Figure(figsize=(6, 4), layout="constrained")
        ax = canvas.subplots()
        ax.errorbar(splits, means, halves, marker="o", capsize=3, label=args.predictor)
        for name, style in zip(peers, ("--", "-.", ":"), strict=False):
            ax.axhline(peers[name][args.total - 1], ls=style, color="0.3", label=name)
        ax.axhline(order[-1], color="0.7", label="oracle")
        ax.set(xlabel=f"N, of N + K = {args.total}", ylabel=f"best {column}")
        ax.legend()
        canvas.savefig(args.figure)
        print(args.figure)
    for text in bad:
        print("FAILED:", text)
    return int(bool(bad) and args.table == "nb101")


if __name__ == "__main__":
    sys.exit(main())
