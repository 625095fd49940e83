"""A space of 134,217,728 networks, with a limit on parameters, ranked row by row.

Each case is a process of its own, on one core. Rows a second are those of the whole space, that is
looked at; those within the limit are also predicted. Bounds: listing and filtering above 10^6 rows
a second, peak memory of the process below 1 GB. At the end: how well latency is predicted from
some measurements, and what rare rows cost to draw.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import itertools
import json
import resource
import subprocess
import sys
import time

import numpy as np
from numpy.typing import ArrayLike

import foretell as ft
from foretell.costs.latency import Latency
from foretell.metrics import kendall
from foretell.search.ranking import rank
from foretell.spaces.parts.limited import Limited

WIDTHS = np.array([8, 16, 24, 32, 48, 64, 96, 128])


class Chain(ft.Space):
    """Nine layers, eight widths each: a user's space that says its costs in whole arrays."""

    closed_form_costs = True
    width = ft.choice(WIDTHS.tolist(), repeat=9)

    def costs(self, X: ArrayLike) -> ft.spaces.Costs:
        width = WIDTHS[self.check(X)].T
        products = width[0] * 3 + width[-1] * 10
        sums = width.sum(axis=0) + 10
        for before, after in itertools.pairwise(width):
            products += before * after
        return ft.spaces.Costs(products + sums, 2 * products)


def spaces(name: str) -> ft.Space:
    if name == "chain":
        return Chain(input_shape=(3,), n_outputs=10)
    return ft.spaces.get("mobile", n_stages=4, input_shape=(1, 8, 8))


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def case(name: str, share: float, what: str) -> None:
    """One figure: list, or rank by a predictor, the rows within the limit that `share` keeps."""
    space = spaces(name)
    X = space.sample(200_000, rng=0)
    limit = float(np.quantile(space.measure(X, ("params",)), share))
    limited = Limited.of(space, {"params": limit})
    start_mib = peak_mib()
    if what == "list":
        start = time.process_time()
        n = sum(map(len, limited.enumerate()))
    else:
        known = limited.sample(200, rng=1)
        y = np.log(limited.measure(known, ("flops",))[:, 0])
        settings = {"encoding": "one-hot"} if what == "bayes-lin" else {}
        model = ft.predictors.get(what, space=limited, random_state=0, **settings).fit(known, y)
        start = time.process_time()
        best = rank(limited, model, 100, limit=None)
        n = best.n_scored
        assert limited.within(best.X).all()
        assert len(best) == 100
    seconds = time.process_time() - start
    figures = {
        "limit": limit, "rows": space.size, "within": n, "s": seconds,
        "start_mib": start_mib, "peak_mib": peak_mib(),
    }  # fmt: skip
    print(json.dumps(figures))


CASES = [
    ("chain", 0.01, "list"),
    ("chain", 0.1, "list"),
    ("chain", 0.01, "bayes-lin"),
    ("chain", 0.1, "bayes-lin"),
    ("chain", 0.001, "rf"),
    ("mobile", 0.01, "list"),
    ("mobile", 0.1, "bayes-lin"),
]


def draws() -> None:
    """What rare rows cost to draw and to change."""
    space = spaces("mobile")
    params = np.sort(space.measure(space.sample(10**6, rng=0), ("params",))[:, 0])
    for share in (0.5, 0.01, 1e-3, 1e-4, 1e-5):
        start = time.process_time()
        limited = Limited.of(space, {"params": float(params[int(share * len(params))])})
        X = limited.sample(100, rng=0)
        drawn = time.process_time()
        Y = limited.mutate(X, rng=0)
        end = time.process_time()
        assert limited.within(X).all()
        assert limited.within(Y).all()
        different = len(np.unique(limited.row_key(X)))
        print(
            f"  1 in {1 / share:7,.0f} of mobile: 100 drawn in {drawn - start:5.2f} s, "
            f"{different} different; mutants in {end - drawn:5.2f} s, "
            f"{(X != Y).any(axis=1).sum()} moved"
        )


def latency() -> None:
    """Error of a prediction of milliseconds on networks that were not measured for it."""
    space = ft.spaces.get("mobile", input_shape=(3, 32, 32))
    X = space.sample(60, rng=7)
    measured, spread = Latency().measured(space, X)
    for n in (30, 100):
        start = time.perf_counter()
        predicting = Latency(fit=n)
        said = predicting(space, X)
        seconds = time.perf_counter() - start
        error = np.abs(said / measured - 1)
        assert predicting.error is not None
        print(
            f"  latency of mobile, {measured.min():.2f} to {measured.max():.2f} ms, spread "
            f"{100 * np.median(spread / measured):.1f} %: from {n} networks in {seconds:.0f} s, "
            f"median error {100 * np.median(error):.1f} %, 9 of 10 within "
            f"{100 * np.quantile(error, 0.9):.0f} %, tau {kendall(measured, said):.2f} "
            f"(cross-validated: {100 * predicting.error[0]:.1f} %, {predicting.error[1]:.2f})"
        )


def main() -> int:
    """All figures; 1 when a bound is broken."""
    broken = 0
    for name, share, what in CASES:
        words = [sys.executable, __file__, name, str(share), what]
        out = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        got = json.loads(out)
        speed = got["rows"] / got["s"]
        bad = got["peak_mib"] > 1024 or (what == "list" and speed < 1e6)
        broken |= bad
        print(
            f"{name} {got['rows']:,} rows, params <= {got['limit']:,.0f}: {got['within']:,} within"
            f" | {what}: {got['s']:.1f} s, {speed / 1e6:.2f} M rows/s, peak {got['peak_mib']:.0f}"
            f" MiB ({got['start_mib']:.0f} at the start){' BROKEN' if bad else ''}",
            flush=True,
        )
    draws()
    latency()
    return int(broken)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        case(sys.argv[1], float(sys.argv[2]), sys.argv[3])
    else:
        sys.exit(main())
