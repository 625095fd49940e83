"""The prior that foretell ships: learnt from all sources, written with its model card.

What it does on a space that it has not seen is measured first: for each space a prior is learnt
from the others. Sources and settings are those that did best there, on the mean over spaces.

    python perf/ship_prior.py [--out src/foretell/transfer/prior.safetensors] [--measure]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from scipy.stats import kendalltau, spearmanr
from sources import LICENCES, Known, family, load

from foretell.transfer.parts.learning import Source, learn
from foretell.transfer.parts.prior import SHIPPED, Prior

HERE = Path(__file__).resolve().parents[1]
TESTED = 3_000


def main() -> int:
    """Measure, learn, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE / "src/foretell/transfer" / SHIPPED)
    parser.add_argument("--measure", action="store_true", help="measure alone, write nothing")
    parser.add_argument("--steps", type=int, default=150)
    args = parser.parse_args()
    torch.set_num_threads(1)
    started = time.perf_counter()
    sources = load()
    if len(sources) < 2:
        print("skipped: needs the tables in FORETELL_DATA")
        return 0
    unseen = {name: held_out(sources, name, args.steps) for name in sources}
    for name, (rho, tau) in unseen.items():
        print(f"{name:12} zero-shot from all other spaces: Spearman {rho:.3f}, Kendall {tau:.3f}")
    if args.measure:
        return 0
    facts = {
        "sources": {
            name: f"{len(one.source.y)} networks: {LICENCES[name]}" for name, one in sources.items()
        },
        "held_out": {
            name: {"spearman": round(r, 3), "kendall": round(t, 3)}
            for name, (r, t) in unseen.items()
        },
        "unknown": "transformers, recurrent and graph networks, other data than images, and how"
        " a network is trained; it ranks networks of one task, and says no accuracy",
    }
    prior = learn(
        [one.source for one in sources.values()], steps=args.steps, facts=facts, random_state=0
    )
    prior.save(args.out)
    card(prior, args.out.with_suffix(".md"))
    print(f"{args.out}: {args.out.stat().st_size:,} bytes, {time.perf_counter() - started:.0f} s")
    return 0


def held_out(
    sources: dict[str, Known], name: str, steps: int, seed: int = 0
) -> tuple[float, float]:
    """Spearman's rho and Kendall's tau on a space, of a prior from all others."""
    prior = without(sources, name, steps, seed)
    target = sources[name].source
    at = np.random.default_rng(seed + 1).permutation(len(target.y))[:TESTED]
    scores, y = prior.score(target.numbers[at])[0], target.y[at]
    return float(spearmanr(scores, y)[0]), float(kendalltau(scores, y)[0])


def without(sources: dict[str, Known], name: str, steps: int, seed: int = 0) -> Prior:
    """A prior from all sources of other spaces."""
    others: list[Source] = [s.source for n, s in sources.items() if family(n) != family(name)]
    return learn(others, steps=steps, random_state=seed)


def card(prior: Prior, file: Path) -> None:
    """The model card."""
    lines = ["# The shipped prior", "", "Scores networks by numbers of their computational graphs"]
    lines[-1] += " (`foretell.graphs.measures`); made by `perf/ship_prior.py`."
    lines += ["", "| source | what | Spearman, unseen | Kendall, unseen |", "|---|---|---|---|"]
    for name, what in prior.facts["sources"].items():
        got = prior.facts["held_out"][name]
        lines.append(f"| {name} | {what} | {got['spearman']} | {got['kendall']} |")
    lines += [
        "",
        "*Unseen*: learnt from the sources of all other spaces, tested on at most 3,000 networks",
        "of this one.",
        "",
        f"It does not know: {prior.facts['unknown']}.",
        "",
        "The file has weights of small networks and no row of any table; licences are those of the",
        "repositories that publish the tables. A benchmark on one of these tables is no fair test",
        "of it: learn a prior from the others (`perf/bench_transfer.py` does).",
    ]
    file.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
