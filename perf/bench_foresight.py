"""Networks until the best of a table is found, and how far a search is after 50, 100 and 150.

    python perf/bench_foresight.py                       # nb201, three data sets, 50 seeds
    python perf/bench_foresight.py cora arxiv nb101 --seeds 10
    python perf/bench_foresight.py cifar10 --strategies regularized-evolution,random --most 3000

A search sees validation alone, and stops at the best value of the table. `foresight` was set on
seeds from 1,000 on the three data sets of nb201; the other tables had no part in it. Evolution has
population 20 and tournaments of 20, the best of twelve settings on seeds 1,000 to 1,029 of cifar10
(population 10, 20, 30 and 50; tournaments of a fifth, a half and all of it) at 50 and 100 networks.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np

import foretell as ft
from foretell.metrics import mean_interval
from foretell.spaces.parts.listed import listed
from foretell.strategies import Strategy

DATA = Path(
    os.environ.get("FORETELL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)
NB201 = ("cifar10", "cifar100", "imagenet16_120")
BOUND = (35.0, 70.0)  # median and 90 % quantile, on nb201
AT = (50, 100, 130, 150, 200)


def table(name: str) -> tuple[ft.Table, str]:
    """A table and the column that searches see."""
    if name in NB201:
        space = ft.spaces.get("nb201")
        return ft.Table.open(DATA / "nb201.csv.gz", space=space), f"{name}_val_12ep"
    if name == "nb101":
        return ft.Table.open(DATA / "nb101_val_4_12_36_108.csv.gz"), "val_108ep"
    return ft.Table.open(f"nb-graph:{name}"), "val_perf"


def strategy(name: str) -> Strategy:
    """A strategy of the catalog, evolution with the settings above."""
    tuned = {"population": 20, "sample_size": 20}
    return ft.strategies.get(name, **(tuned if name == "regularized-evolution" else {}))


def search(
    space: ft.Space, values: dict[int, float], one: Strategy, seed: int, most: int, best: float
) -> list[float]:
    """Values in their order, to the first that is `best`, or `most` of them."""
    run = ft.Search(space, one, seed=seed)
    out: list[float] = []
    while len(out) < most:
        left = most - len(out)
        X = run.ask(min(run.round_size or left, left))
        if not len(X):
            break
        told = [values[key] for key in space.row_key(X).tolist()]
        run.tell(X, told)
        out += told
        if np.nanmax(told) >= best:
            return out[: int(np.argmax(out)) + 1]
    return out


def main() -> int:
    """Run, print, and compare with the bounds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tables", nargs="*", default=list(NB201))
    parser.add_argument("--strategies", default="foresight")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--most", type=int, default=200)
    args = parser.parse_args()
    if not (DATA / "nb201.csv.gz").exists():
        print(f"skipped: no tables in {DATA}; set FORETELL_DATA to the folder of real tables")
        return 0
    bad = False
    print(f"{'table':<16}{'strategy':<24}{'median':>8}{'90 %':>8}{'most':>7}{'found':>8}", end="")
    print("".join(f"{f'rank at {n}':>13}" for n in AT if n <= args.most) + "   s a network")
    for name in args.tables:
        known, column = table(name)
        space = known.space if len(known) >= known.space.size else listed(known.space, known.X)
        y = known.column(column)
        values = dict(zip(space.row_key(known.X).tolist(), y.tolist(), strict=True))
        order = np.sort(y[np.isfinite(y)])
        means: dict[str, np.ndarray] = {}
        for kind in args.strategies.split(","):
            found: list[int] = []
            curves = np.full((args.seeds, args.most), order[-1])
            seconds, asked = 0.0, 0
            for seed in range(args.first, args.first + args.seeds):
                start = time.process_time()
                got = search(space, values, strategy(kind), seed, args.most, order[-1])
                seconds, asked = seconds + time.process_time() - start, asked + len(got)
                hit = np.nanmax(got) >= order[-1]
                found.append(len(got) if hit else args.most + 1)
                curves[len(found) - 1, : len(got)] = np.fmax.accumulate(got)
            at = [n for n in AT if n <= args.most]
            best = curves[:, np.array(at) - 1]
            ranks = len(order) - np.searchsorted(order, best, "right") + 1
            means[kind] = curves.mean(axis=0)
            middle, tail = np.median(found), np.quantile(found, 0.9)
            hits = sum(n <= args.most for n in found)
            print(
                f"{name:<16}{kind:<24}{middle:>8.1f}{tail:>8.1f}{max(found):>7}"
                f"{f'{hits}/{len(found)}':>8}"
                + "".join(f"{r:>13.1f}" for r in np.median(ranks, axis=0))
                + f"{seconds / asked:>14.4f}\n{'':<16}best after "
                + ", ".join(
                    "{}: {:.4f} ± {:.4f}".format(n, *mean_interval(values))
                    for n, values in zip(at, best.T, strict=True)
                ),
                flush=True,
            )
            if kind == "foresight" and name in NB201:
                bad = bad or bool(middle > BOUND[0] or tail > BOUND[1])
        first, *others = means
        for kind in others:  # as many as the first needs after n, on the mean
            need = [int(np.argmax(there)) + 1 if (there := means[kind] >= means[first][n - 1]).any()
                    else 0 for n in (50, 100, 130) if n <= args.most]  # fmt: skip
            words = [f"{n} ({n / m:.1f} x)" if n else f"> {args.most} ({args.most / m:.1f} x)"
                     for n, m in zip(need, (50, 100, 130), strict=False)]  # fmt: skip
            print(f"{'':<16}{kind} needs for {first}'s mean at 50, 100, 130: {', '.join(words)}")
    print(f"bounds on nb201: median {BOUND[0]:.0f}, 90 % {BOUND[1]:.0f}", "FAILED" if bad else "")
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
