"""Zero-cost proxies on the official networks of NAS-Bench-201, and looked at once elsewhere.

    python perf/bench_proxies.py score nb201 --n 1000 --out FOLDER [--minutes 7] [--dear]
        [--device cuda] [--part 1/8]
    python perf/bench_proxies.py table nb201 --out FOLDER
    python perf/bench_proxies.py choose nb201 --out FOLDER
    python perf/bench_proxies.py time nb201 --n 3 [--peer FOLDER]

`score` computes and keeps (the same command goes on, several with parts of the rows side by side;
on a card a network takes a fraction of the time), `table` prints rank correlations with the
accuracy after training, `choose` the best sums of logarithms of ranks. Networks look at the first
64 images of `cifar10_small.npz`; outside of nb201 skeletons are smaller. What takes long (`--dear`)
is computed for fewer rows. `time` compares the shared pass with one pass a proxy, and with a
checkout of zero-cost-nas (Samsung Labs), whose scores it prints beside ours; CPU seconds of one
thread.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import importlib
import itertools
import os
import sys
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
# those of the papers take minutes a network elsewhere: a smaller skeleton, and 32 images of 16 x 16
SKELETON: dict[str, dict[str, Any]] = {
    "nb201": {},
    "nb101": {"channels": 16, "n_cells": 1, "input_shape": (3, 16, 16)},
    "darts": {"channels": 8, "n_cells": 5, "input_shape": (3, 16, 16)},
}
TARGETS = {"nb201": "cifar10_test_200ep", "nb101": "val_108ep", "darts": "valid_acc50"}


def rows(name: str, n: int) -> tuple[Any, NDArray[Any], NDArray[np.float64]]:
    """A space, `n` rows of its table drawn with seed 0, and their accuracies."""
    file = {
        "nb201": "nb201.csv.gz",
        "nb101": "nb101_val_4_12_36_108.csv.gz",
        "darts": "darts_oncenas545.csv.gz",
    }[name]
    with gzip.open(DATA / file, "rt") as lines:
        table = [row for row in csv.DictReader(lines) if "none~" not in row.get("genotype", "")]
    at = np.random.default_rng(0).permutation(len(table))[:n]
    chosen = [table[i] for i in at]
    y = np.array([float(row[TARGETS[name]]) for row in chosen])
    space = ft.spaces.get(name, **SKELETON[name])
    if name == "nb201":
        X = space.from_str([row["arch"] for row in chosen])
    elif name == "nb101":
        made: Any = space
        X = np.array([made.from_matrix(row["adjacency"], row["labels"]) for row in chosen])
    else:
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


def evidence(space: Any, dear: bool, device: str = "cpu") -> ft.proxies.ZeroCost:
    """The proxies on real images."""
    with np.load(DATA / "cifar10_small.npz") as found:
        images, labels = found["x_train"][:64], found["y_train"][:64]
    if space.input_shape == (3, 16, 16):
        images = images[:32].reshape(-1, 3, 16, 2, 16, 2).mean(axis=(3, 5)).round().astype(np.uint8)
        labels = labels[:32]
    data = ft.proxies.batch((images, labels))
    return ft.proxies.ZeroCost(DEAR if dear else CHEAP, data=data, space=space, device=device)


def score(name: str, n: int, minutes: float, dear: bool, device: str, part: str) -> None:
    """Compute what is not known yet of a part of the rows."""
    space, X, _ = rows(name, n)
    first, every = map(int, part.split("/"))
    X = X[first - 1 :: every]
    asked = evidence(space, dear, device)
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


def scores_of(name: str, n: int) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float64]]:
    """What is known of each proxy, and the accuracies."""
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
    return found, y


def table(name: str, n: int) -> None:
    """Rank correlations of what is known."""
    found, y = scores_of(name, n)
    print("| proxy | networks | Spearman | Kendall tau |\n|---|---|---|---|")
    for proxy in ft.proxies.names():
        one = ft.proxies.get(proxy)
        parts = one.ranks.names if isinstance(one, ft.proxies.Aggregate) else (proxy,)
        among = np.ones(len(y), dtype=bool)
        for part in parts:
            among &= found[f"known {(DEAR if part in DEAR else CHEAP)[0]}"] > 0
        scores = {part: found[part][among] for part in parts}
        expression = one.ranks if len(parts) > 1 else ft.proxies.rank(proxy)
        s = ft.proxies.ranked(expression, scores)
        if among.sum() > 2:
            tau, rho = kendall(y[among], s), spearman(y[among], s)
            print(f"| `{proxy}` | {among.sum()} | {rho:.3f} | {tau:.3f} |")


def choose(name: str, n: int) -> None:
    """Sums of the logarithms of up to five ranks, best first, and the consensus."""
    found, y = scores_of(name, n)
    there = found[f"known {CHEAP[0]}"] > 0
    y = y[there]
    ranks = {k: ft.proxies.ranked(ft.proxies.log_rank(k), {k: found[k][there]}) for k in CHEAP}
    sums = [c for size in range(2, 6) for c in itertools.combinations(CHEAP, size)]
    taus = [(kendall(y, np.sum([ranks[k] for k in c], axis=0)), c) for c in sums]
    for tau, names in sorted(taus, reverse=True)[:15]:
        print(f"{tau:.3f}  {' + '.join(names)}")
    names = ft.proxies.get("consensus").ranks.names
    print(f"{kendall(y, np.sum([ranks[k] for k in names], axis=0)):.3f}  consensus, {len(y)} rows")


PEER = {
    "grad-norm": "grad_norm",
    "snip": "snip",
    "grasp": "grasp",
    "fisher": "fisher",
    "jacob-cov": "jacob_cov",
    "plain": "plain",
    "synflow": "synflow",
}


def timed(name: str, n: int, peer: Path | None) -> None:
    """Seconds of the shared pass, of one pass a proxy, and of the peer."""
    space, X, _ = rows(name, 100)
    middle = np.argsort(np.abs(space.costs(X).flops - np.median(space.costs(X).flops)))[:n]
    examples = evidence(space, False).examples
    every = ft.proxies.names()
    ratios: dict[str, list[float]] = {"one by one": [], "peer": []}
    ft.proxies.score(every, space.build(X[0], space.input_shape, 10), examples)  # what it imports
    for x in X[middle]:
        torch.manual_seed(0)
        net = space.build(x, space.input_shape, 10)
        _, shared = clock(lambda net=net: ft.proxies.score(every, net, examples))
        alone = sum(
            clock(lambda k=k, net=net: ft.proxies.score(k, net, examples))[1] for k in every
        )
        ratios["one by one"].append(shared / alone)
        print(f"all {len(every)} together {shared:.2f} s, one by one {alone:.2f} s")
        if peer is None:
            continue
        sys.path.insert(0, str(peer))
        predictive = importlib.import_module("foresight.pruners.predictive")
        loader = [(examples.inputs, examples.targets)]
        theirs, their_s = clock(
            lambda net=net, loader=loader, measures=predictive: measures.find_measures(
                net, loader, ("random", 1, 10), "cpu", measure_names=list(PEER.values())
            )
        )
        ours, our_s = clock(lambda net=net: ft.proxies.score(list(PEER), net, examples))
        ratios["peer"].append(their_s / our_s)
        print(f"the same {len(PEER)}: ours {our_s:.2f} s, theirs {their_s:.2f} s")
        for k, word in PEER.items():
            known = float(np.log1p(theirs[word]) if k == "synflow" else np.real(theirs[word]))
            print(f"  {k:10s} ours {ours[k]:14.6g} theirs {known:14.6g}")
    for what, values in ratios.items():
        if values:
            print(f"{what}: {np.median(values):.2f} (median of {len(values)} networks)")


def clock(call: Any) -> tuple[Any, float]:
    """What a call gives, and its seconds of CPU."""
    start = time.process_time()
    return call(), time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["score", "table", "choose", "time"])
    parser.add_argument("name", choices=list(TARGETS))
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--dear", action="store_true")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--part", default="1/1", metavar="I/N", help="every N-th row from the I-th")
    parser.add_argument("--out", type=Path, default=Path("bench-proxies"))
    parser.add_argument("--peer", type=Path, default=None, help="a checkout of zero-cost-nas")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with ft.evidence.ledger(args.out):
        if args.what == "score":
            score(args.name, args.n, args.minutes, args.dear, args.device, args.part)
        elif args.what == "table":
            table(args.name, args.n)
        elif args.what == "choose":
            choose(args.name, args.n)
        else:
            timed(args.name, args.n, args.peer)


if __name__ == "__main__":
    main()
