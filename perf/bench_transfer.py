"""Transfer between spaces: zero-shot for every pair, then with a few labels of the target.

Part "pairs": a prior of each source alone, and of all other spaces together, on each target:
Spearman and Kendall, mean and 95 % interval of the mean over seeds (of the prior and its draw of
1,500 source networks), beside the number of parameters and FLOPs of the target's networks.

Part "labels": all other spaces as source, then 20, 50 and 100 results of the target, beside `gp`
from scratch on the same rows, and on 78: Kendall on at most 1,000 other networks.

Part "search": rank of the best network found in the whole table of NAS-Bench-201, and in 30,001
graphs of NAS-Bench-101, beside other searches.

Part "front": 50 once-for-all sub-networks at 224 pixels known, the others ranked.

Part "contrast": the graph network of the paper on held-out spaces: pretrained on unlabelled graphs
of the target with soft, literal and hard positives, or not at all; head on labels of the others.

    python perf/bench_transfer.py [--parts pairs,labels,search,front,contrast] [--seeds 5 --first 0]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr, t
from ship_prior import without
from sources import FOLDER, Known, family, load, ofa_text, records, space_of

import foretell as ft
from foretell.encodings import measures as encoding
from foretell.graphs.measures import NAMES
from foretell.predictors.gp import GP
from foretell.spaces.parts.listed import listed
from foretell.transfer.parts import heads
from foretell.transfer.parts.contrastive import pretrain
from foretell.transfer.parts.encoder import Encoder, Projection, Scorer
from foretell.transfer.parts.learning import Source, learn
from foretell.transfer.parts.prior import Prior
from foretell.transfer.transferable import Transferable

SIZES = (20, 50, 100)
WHOLE = {  # table, what a search reads, after how many queries
    "nb201": ("nb201.csv.gz", "cifar10_val_12ep", (20, 50, 90)),
    "nb101": ("nb101_val_4_12_36_108.csv.gz", "val_108ep", (50, 90, 300, 700)),
}
OTHERS = ("random", "regularized-evolution", "foresight")
SLOW = ("bananas", "ga-nas")


def main() -> int:
    """Print the parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", default="pairs,labels,search,front,contrast")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--targets", default="")
    args = parser.parse_args()
    torch.set_num_threads(1)
    sources = load()
    if len(sources) < 2:
        print("skipped: needs the tables in FORETELL_DATA")
        return 0
    targets = args.targets.split(",") if args.targets else list(sources)
    for part in args.parts.split(","):
        started = time.perf_counter()
        globals()[part](sources, targets, range(args.first, args.first + args.seeds), args.steps)
        print(f"{part}: {time.perf_counter() - started:.0f} s", flush=True)
    return 0


def told(values: Sequence[float]) -> str:
    """Mean and half of the 95 % interval of the mean."""
    n = len(values)
    half = t.ppf(0.975, n - 1) * np.std(values, ddof=1) / n**0.5 if n > 1 else float("nan")
    return f"{np.mean(values):.3f} +- {half:.3f}"


def some(source: Source, n: int, seed: int) -> Source:
    """At most n of its networks."""
    at = np.random.default_rng(seed).permutation(len(source.y))[:n]
    return Source(source.name, source.numbers[at], source.y[at])


def pairs(sources: dict[str, Known], targets: list[str], seeds: range, steps: int) -> None:
    """Zero-shot."""
    print("| source | target | Spearman | Kendall |\n|---|---|---|---|")
    tests = {name: some(sources[name].source, 3_000, 99) for name in targets}
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for name, one in sources.items():
        for seed in seeds:
            prior = learn([some(one.source, 1_500, seed)], steps=steps, random_state=seed)
            for target, test in tests.items():
                if family(target) != family(name):
                    scores = prior.score(test.numbers)[0]
                    pair = float(spearmanr(scores, test.y)[0]), float(kendalltau(scores, test.y)[0])
                    found.setdefault((name, target), []).append(pair)
    for target, test in tests.items():
        for seed in seeds:
            scores = without(sources, target, steps, seed).score(test.numbers)[0]
            pair = float(spearmanr(scores, test.y)[0]), float(kendalltau(scores, test.y)[0])
            found.setdefault(("all others", target), []).append(pair)
        for cost in ("params", "flops"):
            sizes = test.numbers[:, NAMES.index(cost)]
            pair = float(spearmanr(sizes, test.y)[0]), float(kendalltau(sizes, test.y)[0])
            found[cost, target] = [pair]
    for (name, target), got in sorted(found.items(), key=lambda item: item[0][::-1]):
        rho, tau = zip(*got, strict=True)
        print(f"| {name} | {target} | {told(rho)} | {told(tau)} |", flush=True)


def labels(sources: dict[str, Known], targets: list[str], seeds: range, steps: int) -> None:
    """A few labels of the target, all other spaces as source."""
    print("| target | labels | prior | gp | transferable | worst difference |")
    print("|---|---|---|---|---|---|")
    gaps = []
    for name in targets:
        one = sources[name]
        if one.space is None or one.X is None:
            continue
        space, y = one.space, one.source.y
        X = space.canonical_form(space.check(one.X))
        known = encoding._known(space)
        rows = (row.tobytes() for row in np.ascontiguousarray(X))
        known.update(zip(rows, one.source.numbers.astype(np.float32), strict=True))
        taus: dict[tuple[int, str], list[float]] = {}
        for seed in seeds:
            prior = without(sources, name, steps, seed)
            order = np.random.default_rng(seed).permutation(len(y))
            rest, test = order[: SIZES[-1]], order[SIZES[-1] :][:1_000]
            scores = GP(space, random_state=seed).fit(X[rest[:78]], y[rest[:78]]).predict(X[test])
            taus.setdefault((78, "gp"), []).append(float(kendalltau(scores, y[test])[0]))
            for n in SIZES:
                at = rest[:n]
                models = {
                    "gp": GP(space, random_state=seed),
                    "transferable": Transferable(space, prior, random_state=seed),
                }
                for label, model in models.items():
                    scores = model.fit(X[at], y[at]).predict(X[test])
                    taus.setdefault((n, label), []).append(float(kendalltau(scores, y[test])[0]))
                scores = prior.score(one.source.numbers[test])[0]
                taus.setdefault((n, "prior"), []).append(float(kendalltau(scores, y[test])[0]))
        print(f"| {name} | 78 | | {told(taus[78, 'gp'])} | | |", flush=True)
        for n in SIZES:
            gap = np.subtract(taus[n, "transferable"], taus[n, "gp"])
            gaps += gap.tolist()
            cells = [told(taus[n, label]) for label in ("prior", "gp", "transferable")]
            print(f"| {name} | {n} | {' | '.join(cells)} | {gap.min():+.3f} |", flush=True)
    bad = np.mean(np.array(gaps) < -0.01)
    print(f"{len(gaps)} cases: {1 - bad:.0%} at most .01 below gp; worst {min(gaps):+.3f}")


class Whole:
    """A whole table to search in: `name` of `WHOLE`."""

    def __init__(self, name: str) -> None:
        file, self.column, self.at = WHOLE[name]
        table = ft.Table.open(FOLDER / file, space=space_of(name))
        full = len(table) >= table.space.size
        self.table, self.X, self.y = table, table.X, table.column(self.column)
        self.space = table.space if full else listed(table.space, table.X)
        self.row = dict(zip(self.space.row_key(self.X).tolist(), range(len(self.y)), strict=True))

    def ask(self, strategy: str, seed: int) -> list[int]:
        """Rows in the order in which a strategy of the catalog asks for them."""
        run, seen = ft.Search(self.space, strategy, seed=seed), list[int]()
        while len(seen) < self.at[-1]:
            left = self.at[-1] - len(seen)
            X = run.ask(min(run.round_size or left, left))
            new = [self.row[key] for key in self.space.row_key(X).tolist()]
            run.tell(X, self.y[new])
            seen += new
        return seen

    def greedy(self, prior: Prior | None, seed: int) -> list[int]:
        """What is liked best: by the prior, then by `transferable`; without one, by `gp`."""
        if prior is None:
            seen = list[int](np.random.default_rng(seed).permutation(len(self.y))[:20].tolist())
        else:
            liked = prior.score(encoding.Measures(self.space).encode(self.X))[0]
            seen = np.argsort(-liked, kind="stable")[:20].tolist()
        while len(seen) < self.at[-1]:
            model = (
                GP(self.space, random_state=seed)
                if prior is None
                else Transferable(self.space, prior, random_state=seed)
            )
            scores = model.fit(self.X[seen], self.y[seen]).predict(self.X)
            scores[seen] = -np.inf
            new = 10 if len(seen) < 100 else len(seen) // 2
            new = min(new, self.at[-1] - len(seen))
            seen += np.argsort(-scores, kind="stable")[:new].tolist()
        return seen

    def ranks(self, seen: list[int]) -> list[int]:
        """Of the best of the first ones."""
        return [int((self.y > self.y[seen[:n]].max()).sum()) + 1 for n in self.at]


def search(sources: dict[str, Known], targets: list[str], seeds: range, steps: int) -> None:
    """Rank of the best found in a whole table, after so many queries of its validation.

    "transferable": the 20 that a prior from all other spaces likes best, then what `transferable`,
    fitted on all results, likes best: 10 at a time, after 100 results half as many as are known.
    "gp": 20 random ones, then the same with `gp`. "synflow": the best by published scores of that
    proxy; cells without one are in the middle. The others are strategies of the catalog; those led
    by slow networks have a quarter of the seeds.
    """
    print("| target | networks | method | seeds | rank of the best after so many |")
    print("|---|---|---|---|---|")
    for name in targets:
        if name not in WHOLE or name not in sources:
            continue
        whole = Whole(name)
        for method in ("transferable", "gp", "synflow", *OTHERS, *SLOW):
            found = list[list[int]]()
            for seed in seeds[: max(len(seeds) // 4, 1)] if method in SLOW else seeds:
                if method == "synflow":
                    if name == "nb201" and not found:
                        found.append(whole.ranks(np.argsort(-synflow(whole.table)).tolist()))
                elif method in ("transferable", "gp"):
                    prior = without(sources, name, steps, seed) if method != "gp" else None
                    found.append(whole.ranks(whole.greedy(prior, seed)))
                else:
                    found.append(whole.ranks(whole.ask(method, seed)))
            if found:
                cells = [
                    f"{n}: {told(ranks)} (at most {max(ranks)})"
                    for n, ranks in zip(whole.at, np.array(found).T.tolist(), strict=True)
                ]
                line = (name, str(len(whole.y)), method, str(len(found)), ", ".join(cells))
                print(f"| {' | '.join(line)} |", flush=True)


def synflow(table: ft.Table) -> NDArray[Any]:
    """The published score of every row; the middle where there is none."""
    scores = ft.Table.open(FOLDER / "nb201_zerocost.csv.gz", space=table.space)
    found = scores.query(table.X, "cifar10_synflow", missing="nan")
    found = np.where(np.isfinite(found), found, np.nanmedian(found))
    return np.asarray(found)


def front(sources: dict[str, Known], targets: list[str], seeds: range, steps: int) -> None:
    """Once-for-all rows at 224 pixels: tuned on 50, the others ranked, and the front over MACs.

    The table has sub-networks that other searches came by, with accuracies of inherited weights:
    what a search in the whole space would find cannot be measured without ImageNet.
    """
    space = space_of("ofa")
    known_macs = [r for r in records("ofa_subnets.csv.gz") if r["macs"]]
    lines = [r for r in known_macs if r["supernet"] == "ofa_mbv3_w1.0"]
    X, first = np.unique(space.from_str([ofa_text(r) for r in lines]), axis=0, return_index=True)
    y = np.array([float(lines[i]["top1"]) for i in first])
    macs = np.array([float(lines[i]["macs"]) for i in first])
    print(f"{len(y)} sub-networks, measured top-1 {y.min():.2f} to {y.max():.2f}")
    print("| seed | Kendall | measured top-1 of the best predicted | share of the front |")
    print("|---|---|---|---|")
    for seed in seeds:
        prior = without(sources, "ofa", steps, seed)
        order = np.random.default_rng(seed).permutation(len(y))
        known, rest = order[:50], order[50:]
        model = Transferable(space, prior, random_state=seed).fit(X[known], y[known])
        scores = model.predict(X[rest])
        tau = float(kendalltau(scores, y[rest])[0])
        best = y[rest][np.argmax(scores)]
        whole = _hypervolume(macs[rest], y[rest], y[rest])
        shared = _hypervolume(macs[rest], scores, y[rest]) / whole
        print(f"| {seed} | {tau:.3f} | {best:.2f} | {shared:.3f} |", flush=True)


def _hypervolume(costs: NDArray[Any], by: NDArray[Any], y: NDArray[Any]) -> float:
    """Area under the measured values of the rows on the front of `by` over costs."""
    order = np.argsort(costs, kind="stable")
    on = by[order] >= np.maximum.accumulate(by[order])
    c = np.append(costs[order][on], costs.max())
    reached = np.maximum.accumulate(y[order][on]) - y.min()
    return float((np.diff(c) * reached).sum())


def contrast(sources: dict[str, Known], targets: list[str], seeds: range, steps: int) -> None:
    """The graph network, pretrained in several ways."""
    print("| target | pretraining | Spearman, zero-shot |\n|---|---|---|")
    graphs = {}
    for name, one in sources.items():
        if one.space is not None and one.X is not None:
            at = np.random.default_rng(0).permutation(len(one.X))[:400]
            graphs[name] = heads.Labelled(one.space.computations(one.X[at]), one.source.y[at])
    for name in (name for name in targets if name in graphs):
        for positives in ("none", "soft", "literal", "hard"):
            got = []
            for seed in seeds:
                torch.manual_seed(seed)
                module = Projection(Encoder(hidden=32, layers=4))
                if positives != "none":
                    pretrain(
                        module,
                        graphs[name].graphs,
                        steps=steps // 2,
                        batch=48,
                        positives=positives,  # type: ignore[arg-type]
                        random_state=seed,
                    )
                scorer = Scorer(module.encoder)
                others = [task for n, task in graphs.items() if family(n) != family(name)]
                heads.fit(scorer, others, steps=steps, batch=24, lr=3e-3, encoder_lr=0.3)
                rho = spearmanr(heads.score(scorer, graphs[name].graphs), graphs[name].y)[0]
                got.append(float(rho))
            print(f"| {name} | {positives} | {told(got)} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
