"""Zero-cost proxies on the official networks of NAS-Bench-201, and looked at once elsewhere.

    python perf/bench_proxies.py score nb201 --n 1000 --out FOLDER [--minutes 7] [--dear]
    python perf/bench_proxies.py table nb201 --out FOLDER

`score` computes and keeps (the same command goes on), `table` prints rank correlations with the
accuracy after training. Networks look at the first 64 images of `cifar10_small.npz`. Scores that
take long (`--dear`) are computed for fewer rows.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import foretell as ft
from foretell.metrics import kendall, spearman

DATA = Path(os.environ.get("FORETELL_DATA", Path(__file__).resolve().parents[2] / "shared/data"))
CHEAP = (
    *("n-params", "n-flops", "n-layers", "l2-norm", "synflow", "naswot", "swap", "meco"),
    *("grad-norm", "snip", "plain", "fisher", "jacob-cov", "epe-nas"),
    *("az-expressivity", "az-progressivity", "az-trainability"),
)
DEAR = ("grasp", "zen", "zico", "ntk-cond", "linear-regions", "vkdnw")
TARGETS = {"nb201": "cifar10_test_200ep", "nb101": "val_108ep", "darts": "valid_acc50"}


def rows(name: str, n: int) -> tuple[Any, NDArray[Any], NDArray[np.float64]]:
    """A space, `n` rows of its table drawn with seed 0, and their accuracies."""
    file = {
        "nb201": "nb201.csv.gz",
        "nb101": "nb101_val_4_12_36_108.csv.gz",
        "darts": "darts_oncenas545.csv.gz",
    }[name]
    with gzip.open(DATA / file, "rt") as lines:
        table = list(csv.DictReader(lines))
    at = np.random.default_rng(0).permutation(len(table))[:n]
    chosen = [table[i] for i in at]
    y = np.array([float(row[TARGETS[name]]) for row in chosen])
    space = ft.spaces.get(name)
    if name == "nb201":
        X = space.from_str([row["arch"] for row in chosen])
    elif name == "nb101":
        X = np.array([space.from_matrix(row["adjacency"], row["labels"]) for row in chosen])  # type: ignore[attr-defined]
    else:
        space = ft.spaces.get("darts", channels=16, n_cells=8)
        X = space.from_str([genotype(row["genotype"]) for row in chosen])
    return space, X, y


def genotype(text: str) -> str:
    """DARTS's own words for "normal=op~0 op~1 ...|reduce=..."."""
    parts = []
    for part in text.split("|"):
        cell, _, words = part.partition("=")
        pairs = [word.split("~") for word in words.split()]
        listed = ", ".join(f"('{op}', {source})" for op, source in pairs)
        parts += [f"{cell}=[{listed}]", f"{cell}_concat=range(2, 6)"]
    return f"Genotype({', '.join(parts)})"


def evidence(space: Any, dear: bool) -> ft.proxies.ZeroCost:
    """The proxies on real images."""
    with np.load(DATA / "cifar10_small.npz") as found:
        images, labels = found["x_train"][:64], found["y_train"][:64]
    data = ft.proxies.batch((images, labels))
    return ft.proxies.ZeroCost(DEAR if dear else CHEAP, data=data, space=space)


def score(name: str, n: int, minutes: float, dear: bool) -> None:
    """Compute what is not known yet."""
    space, X, _ = rows(name, n)
    asked = evidence(space, dear)
    end, start = time.monotonic() + 60 * minutes, time.process_time()
    todo = np.flatnonzero(~asked.known(X))
    done = 0
    for i in todo:
        if time.monotonic() > end:
            break
        asked.values(X[i : i + 1])
        done += 1
    used = (time.process_time() - start) / max(done, 1)
    print(f"{name}: {done} of {len(todo)} rows, {used:.2f} s of CPU each")


def table(name: str, n: int) -> None:
    """Rank correlations of what is known."""
    space, X, y = rows(name, n)
    found: dict[str, NDArray[np.float64]] = {}
    for dear in (False, True):
        asked = evidence(space, dear)
        known = asked.known(X)
        values = np.full((len(X), len(asked.features)), np.nan)
        if known.any():
            values[known] = asked.values(X[known])
        found |= dict(zip(asked.features, values.T, strict=True))
        found |= {f"known {asked.features[0]}": known.astype(float)}
    print("| proxy | networks | Spearman | Kendall tau |\n|---|---|---|---|")
    for proxy in ft.proxies.names():
        one = ft.proxies.get(proxy)
        parts = one.ranks.names if isinstance(one, ft.proxies.Aggregate) else (proxy,)
        among = np.ones(len(X), dtype=bool)
        for part in parts:
            among &= found[f"known {(DEAR if part in DEAR else CHEAP)[0]}"] > 0
        scores = {part: found[part][among] for part in parts}
        expression = one.ranks if len(parts) > 1 else ft.proxies.rank(proxy)
        s = ft.proxies.ranked(expression, scores)
        if among.sum() > 2:
            tau, rho = kendall(y[among], s), spearman(y[among], s)
            print(f"| `{proxy}` | {among.sum()} | {rho:.3f} | {tau:.3f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["score", "table"])
    parser.add_argument("name", choices=list(TARGETS))
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--dear", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("bench-proxies"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    with ft.evidence.ledger(args.out):
        if args.what == "score":
            score(args.name, args.n, args.minutes, args.dear)
        else:
            table(args.name, args.n)


if __name__ == "__main__":
    main()
