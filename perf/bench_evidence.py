"""Predictors beside zero-cost scores on NAS-Bench-201, by protocol P1.

    python perf/bench_evidence.py score --out FOLDER [--minutes 7]
    python perf/bench_evidence.py run --out FOLDER [--predictors auto,gp] [--sizes 20,78,172,400]
        [--test 2000] [--published]

`score` computes, once for each of the 6,466 functions (rows of one canonical key), the parts of
`consensus` in the official skeleton, on 32 images of CIFAR-10 pooled to 16 x 16 pixels, and keeps
them: the same command goes on. `run` compares predictors with the consensus of all functions, which
needs no label, and without it, and tells it alone, on the first `--test` of the 2,000 test rows.
With `--published` the scores are those of the files of NAS-Bench-Suite-Zero, and training and test
rows are among their 9,445 cells.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from numpy.typing import NDArray

import foretell as ft
from foretell.evidence import Evidence, evidence_of
from foretell.metrics import kendall

DATA = Path(os.environ.get("FORETELL_DATA", Path(__file__).resolve().parents[2] / "shared/data"))
CONSENSUS: Any = ft.proxies.get("consensus")
NAMES = tuple(name for name in CONSENSUS.ranks.names if name != "n-flops")


class OfFunctions(Evidence):
    """The consensus of all functions, from the scores of the first row of each."""

    version = "1"
    features = ("consensus",)

    def __init__(self, scores: Any = None, firsts: Any = None, space: Any = None) -> None:
        self.scores = scores
        self.firsts = firsts
        self.space = space

    def values(self, X: Any, again: bool = False) -> NDArray[np.float64]:
        """Answers (n, 1)."""
        keys, rows = self.firsts
        if not hasattr(self, "_all"):
            columns = dict(zip(NAMES, self.scores.values(rows).T, strict=True))
            columns["n-flops"] = self.space.costs(rows).flops
            self._all = ft.proxies.ranked(CONSENSUS.ranks, columns)
        found: NDArray[np.float64] = self._all[
            np.searchsorted(keys, self.space.canonical(np.asarray(X)))
        ][:, None]
        return found

    def known(self, X: Any) -> NDArray[np.bool_]:
        """All cost nothing any more."""
        return np.ones(len(X), dtype=bool)

    def compute(self, X: Any) -> Any:
        raise NotImplementedError  # `values` has all answers


class Published(Evidence):
    """Scores of NAS-Bench-Suite-Zero, by the names of the catalog; one that failed is missing."""

    version = "1"

    def __init__(self, columns: Any = None, space: Any = None) -> None:
        self.columns = columns
        self.space = space

    @property
    def features(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(self.columns)

    def values(self, X: Any, again: bool = False) -> NDArray[np.float64]:
        """Answers (n, f), of a table that has them."""
        place = np.asarray(X) @ 5 ** np.arange(6)
        return np.column_stack([column[place] for column in self.columns.values()])

    def known(self, X: Any) -> NDArray[np.bool_]:
        """All cost nothing."""
        return np.ones(len(X), dtype=bool)

    def compute(self, X: Any) -> Any:
        raise NotImplementedError  # `values` has all answers


PUBLISHED = {
    "epe-nas": "epe_nas", "fisher": "fisher", "n-flops": "flops", "grad-norm": "grad_norm",
    "grasp": "grasp", "jacob-cov": "jacov", "l2-norm": "l2_norm", "naswot": "nwot",
    "n-params": "params", "plain": "plain", "snip": "snip", "synflow": "synflow", "zen": "zen",
}  # fmt: skip


def published(space: Any) -> tuple[Published, NDArray[np.bool_]]:
    """Scores on CIFAR-10, and which places of the space have all of them."""
    with gzip.open(DATA / "nb201_zerocost.csv.gz", "rt") as lines:
        rows = list(csv.DictReader(lines))
    place = space.from_str([row["arch"] for row in rows]) @ 5 ** np.arange(6)
    columns, there = {}, np.ones(5**6, dtype=bool)
    for name, column in PUBLISHED.items():
        values = np.array([float(row[f"cifar10_{column}"] or "nan") for row in rows])
        there[place] &= np.isfinite(values)
        columns[name] = np.full(5**6, np.nan)
        columns[name][place] = np.where(values <= -1e8, np.nan, values)
    return Published(columns, space), there


def table() -> tuple[Any, NDArray[Any], NDArray[np.float64]]:
    """The space, all rows in the order of the file, and their accuracies."""
    with gzip.open(DATA / "nb201.csv.gz", "rt") as lines:
        rows = list(csv.DictReader(lines))
    space = ft.spaces.get("nb201")
    return (
        space,
        space.from_str([row["arch"] for row in rows]),
        np.array([float(row["cifar10_test_200ep"]) for row in rows]),
    )


def evidence(space: Any, X: NDArray[Any]) -> OfFunctions:
    """Of all functions of the space."""
    with np.load(DATA / "cifar10_small.npz") as found:
        images, labels = found["x_train"][:32].astype(np.float32), found["y_train"][:32]
    images = images.reshape(-1, 3, 16, 2, 16, 2).mean(axis=(3, 5))
    images -= images.mean(axis=(0, 2, 3), keepdims=True)
    images /= images.std(axis=(0, 2, 3), keepdims=True)
    small = ft.spaces.get("nb201", input_shape=(3, 16, 16))
    scores = ft.proxies.ZeroCost(NAMES, (images, labels), batch=32, space=small)
    keys, first = np.unique(space.canonical(X), return_index=True)
    return OfFunctions(scores, (keys, X[first]), space)


def split(seed: int, n: int, total: int = 15_625) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Test and training rows."""
    p = np.random.default_rng(seed).permutation(total)
    return p[:2000], p[2000 : 2000 + n]


def score(asked: OfFunctions, minutes: float) -> None:
    """Compute what is not known yet."""
    end, start, done = time.monotonic() + 60 * minutes, time.process_time(), 0
    rows = asked.firsts[1]
    for x in rows[~asked.scores.known(rows)]:
        if time.monotonic() > end:
            break
        asked.scores.values(x[None])
        done += 1
    left = int((~asked.scores.known(rows)).sum())
    took = (time.process_time() - start) / max(done, 1)
    print(f"{done} networks, {took:.3f} s of CPU each; {left} are left")


def run(
    asked: OfFunctions | Published,
    X: NDArray[Any],
    y: NDArray[np.float64],
    seeds: Sequence[int],
    sizes: Sequence[int],
    predictors: Sequence[str],
    among: int,
) -> None:
    """Kendall tau of predictors with and without the scores."""
    for seed in seeds:
        test = split(seed, 0, len(X))[0][:among]
        if isinstance(asked, Published):
            break
        alone = kendall(y[test], asked.values(X[test])[:, 0])
        print(f"seed {seed}: consensus, of no result, {alone:.3f}")
    for n in sizes:
        for name in predictors:
            taus: dict[str, list[float]] = {}
            for seed in seeds:
                test, train = split(seed, n, len(X))
                test = test[:among]
                for with_scores in (True, False):
                    model = ft.predictors.get(name, space=asked.space, random_state=seed)
                    if with_scores and "evidence" in model.get_params():
                        model.set_params(evidence=asked)
                    elif with_scores:
                        model.set_params(encoding=(*model.encoding, asked))
                    start = time.perf_counter()
                    found = model.fit(X[train], y[train]).predict(X[test])
                    what = f"{name} with scores" if evidence_of(model) else f"{name} without"
                    taus.setdefault(what, []).append(kendall(y[test], found))
                    took = time.perf_counter() - start
                    print(f"  {seed} {n} {what} {taus[what][-1]:.3f} ({took:.0f} s)", flush=True)
            for what, values in taus.items():
                error = np.std(values, ddof=1) / len(values) ** 0.5 if len(values) > 1 else np.nan
                print(f"n = {n:3d}  {what:22s} {np.mean(values):.3f} ± {error:.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["score", "run"])
    parser.add_argument("--out", type=Path, default=Path("bench-evidence"))
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--sizes", default="20,78,172,400")
    parser.add_argument("--predictors", default="auto,gp")
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--published", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    seeds, sizes = ([int(v) for v in text.split(",")] for text in (args.seeds, args.sizes))
    space, X, y = table()
    if args.published:
        told, there = published(space)
        at = there[X @ 5 ** np.arange(6)]
        run(told, X[at], y[at], seeds, sizes, args.predictors.split(","), args.test)
        return
    with ft.evidence.ledger(args.out):
        asked = evidence(space, X)
        if args.what == "score":
            score(asked, args.minutes)
        else:
            run(asked, X, y, seeds, sizes, args.predictors.split(","), args.test)


if __name__ == "__main__":
    main()
