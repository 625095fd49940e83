"""Accuracy against epochs: RANK-NOSH beside BRP-NAS, ASHA, Hyperband and BOHB.

    python perf/bench_epochs.py                      # nb201-digits, 30 seeds
    python perf/bench_epochs.py nlp
    python perf/bench_epochs.py nb101 --seeds 10 --methods "brp-nas, gp; rank-nosh, gp"

`nb201-digits` comes with the package: 1,019 cells with the curves of their 12 epochs. NAS-Bench-NLP
has curves of 50 epochs of recurrent cells on PTB. NAS-Bench-101 has trainings of 4, 12, 36 and 108
epochs of 30,001 graphs, each with a schedule of its own, so that short ones tell little (Kendall
tau of 4 and 12 epochs with 108: .31 and .44). Searches with
several fidelities pay for all epochs that they train; the others train each network to the end.
Bound, on curves: RANK-NOSH has the mean best validation of BRP-NAS, within the interval of the
paired difference, with at most a third of its epochs. Settings were chosen on seeds from 1,000.
Rankers are `brp` with two members and 40 epochs, a Gaussian process, and a linear model.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import foretell as ft
from foretell.encodings import Encoding
from foretell.evaluators.lookup import Lookup
from foretell.evaluators.simulated import Simulated
from foretell.metrics import mean_interval
from foretell.predictors.gp import GP
from foretell.predictors.parts.features import FEATURES, resolve
from foretell.search.loop import Loop
from foretell.search.strategy import Strategy
from foretell.spaces.parts.listed import listed
from foretell.strategies.brp_nas import BRPNAS
from foretell.strategies.hyperband import Hyperband
from foretell.strategies.rank_nosh import RankNOSH

DATA = Path(os.environ.get("FORETELL_DATA", Path(__file__).resolve().parents[2] / "shared/data"))
BUDGETS = (4, 12, 36, 108)  # of NAS-Bench-101
RANKER = {"members": 2, "epochs": 40}
QUICK = "random; brp-nas, gp; brp-nas, gp, a third; rank-nosh, gp; brp-nas, linear; "
QUICK += "rank-nosh, linear; asha; hyperband; bohb"
METHODS = dict.fromkeys(("digits", "nb101"), QUICK.split("; "))


def digits() -> dict[str, tuple[Strategy, int]]:
    """Methods, and how many networks may begin, on curves of 12 epochs."""
    out: dict[str, tuple[Strategy, int]] = {
        "random": (ft.strategies.get("random"), 50),
        "asha": (ft.strategies.get("asha", min_epochs=1), 75),
        "hyperband": (Hyperband(min_epochs=1), 60),
        "bohb": (Hyperband("kde", min_epochs=1), 60),
        "brp-nas, gp, a third": (BRPNAS(5, 3, predictor="gp", batch=2), 17),
    }
    for words, settings in RANKERS.items():
        out[f"brp-nas{words}"] = BRPNAS(5, 8, batch=5, **settings), 50
        out[f"rank-nosh{words}"] = RankNOSH(batch=10, **settings), 50
    return out


def nlp(gp: GP) -> dict[str, tuple[Strategy, int]]:
    """The same on curves of 50 epochs; `gp` has encoded the table."""
    return {
        "random": (ft.strategies.get("random"), 50),
        "asha": (ft.strategies.get("asha", min_epochs=2), 160),
        "hyperband": (Hyperband(min_epochs=2), 110),
        "bohb": (Hyperband("kde", min_epochs=2), 110),
        "brp-nas, gp": (BRPNAS(5, 8, batch=5, predictor=gp), 50),
        "brp-nas, gp, a third": (BRPNAS(5, 3, batch=2, predictor=gp), 17),
        "rank-nosh, gp": (RankNOSH(batch=10, predictor=gp), 50),
        "rank-nosh, gp, wide": (RankNOSH((3, 7, 17), 1 / 3, batch=20, predictor=gp), 120),
        "rank-nosh, gp, a fifth": (RankNOSH((3, 7, 17), 1 / 3, batch=20, predictor=gp), 80),
    }


class Remembered(Encoding):
    """What an encoding says of the rows of a space, computed once."""

    def __init__(self, space: ft.Space, inner: Encoding) -> None:
        self.space = space
        self.inner = inner

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Looked up, (n, f)."""
        key = (self.space, type(self.inner))
        if key not in KNOWN:
            rows = np.concatenate(list(self.space.enumerate()))
            keys = self.space.row_key(rows)
            order = np.argsort(keys)
            KNOWN[key] = keys[order], self.inner.encode(rows[order])
        keys, features = KNOWN[key]
        return features[np.searchsorted(keys, self.space.row_key(X))]


KNOWN: dict[Any, tuple[np.ndarray, np.ndarray]] = {}


def nb101() -> dict[str, tuple[Strategy, int]]:
    """The same on trainings of 4, 12, 36 and 108 epochs."""
    out: dict[str, tuple[Strategy, int]] = {
        "random": (ft.strategies.get("random"), 100),
        "asha": (ft.strategies.get("asha", min_epochs=4), 300),
        "hyperband": (Hyperband(min_epochs=4), 220),
        "bohb": (Hyperband("kde", min_epochs=4), 220),
        "brp-nas, gp, a third": (BRPNAS(5, 5, predictor="gp", batch=4), 33),
    }
    for words, settings in RANKERS.items():
        out[f"brp-nas{words}"] = BRPNAS(5, 16, batch=10, **settings), 100
        out[f"rank-nosh{words}"] = RankNOSH((36,), 1 / 3, batch=5, **settings), 60
    return out


RANKERS: dict[str, dict[str, Any]] = {
    "": {"predictor_settings": RANKER},
    ", gp": {"predictor": "gp"},
    ", linear": {"predictor": "bayes-lin"},
}


def main() -> int:
    """Run, print, and compare with the bound."""
    parser = argparse.ArgumentParser()
    parser.add_argument("table", nargs="?", choices=("digits", "nlp", "nb101"), default="digits")
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--methods", help="separated by semicolons")
    args = parser.parse_args()
    file = {"nlp": "nb_nlp_ptb.jsonl.gz", "nb101": "nb101_val_4_12_36_108.csv.gz"}.get(args.table)
    if file and not (DATA / file).exists():
        print(f"skipped: no {DATA / file}; set FORETELL_DATA to the folder of real tables")
        return 0
    table = ft.Table.open(DATA / file if file else "nb201-digits")
    space, tests = listed(table.space, table.X), None
    if args.table == "digits":
        made = digits()
        several = whole = Lookup(table, "val_acc")
        tests = table.column("test_acc")
    elif args.table == "nlp":
        several = whole = Lookup(table, "val_loss", "min")
        tests = table.column("test_loss")
        encodings = [Remembered(space, one) for one in resolve(FEATURES, space, table.X)]
        made = nlp(GP(space, encoding=tuple(encodings)))
    else:
        made = nb101()
        several = Lookup(table, {e: f"val_{e}ep" for e in BUDGETS})
        whole = Lookup(table, f"val_{BUDGETS[-1]}ep")
    sign = 1.0 if whole.direction == "max" else -1.0
    column = whole.metric if isinstance(whole.metric, str) else ""
    y, length = sign * table.column(column), several.epochs
    top = float(np.nanmax(y))
    place = {key: i for i, key in enumerate(space.row_key(table.X).tolist())}
    print(f"{args.table}, {len(table):,} networks, best {whole.objective} {sign * top:.4f}, "
          f"{args.seeds} seeds; regret of the best validation, and of its test")  # fmt: skip
    print(f"{'method':<24}{'networks':>9}{'epochs':>8}{'regret':>18}{'test':>18}{'s a seed':>10}")
    best: dict[str, list[float]] = {}
    spent: dict[str, float] = {}
    for name in args.methods.split("; ") if args.methods else METHODS.get(args.table, made):
        strategy, networks = made[name]
        paused = type(strategy).promotions is not Strategy.promotions
        lookup, counts, start = several if paused else whole, [], time.process_time()
        best[name], chosen = [], []
        for seed in range(args.first, args.first + args.seeds):
            search = ft.Search(
                space, strategy, seed, direction=lookup.direction, max_epochs=lookup.epochs
            )
            for _ in Loop(search, lookup, Simulated(lookup, 1), networks=networks).run():
                pass
            history = search.history.told
            epochs = history.latest.epochs if paused else np.full(len(history), length)
            counts.append(float(epochs.sum()))
            full = history.full.ok
            first = int(np.argmax(full.y))
            best[name].append(float(full.y[first]))
            chosen.append(place[int(space.row_key(full.X[first : first + 1])[0])])
        spent[name] = float(np.mean(counts))
        seconds = (time.process_time() - start) / args.seeds
        cells = "{:.4f} ± {:.4f}".format(*mean_interval([top - one for one in best[name]]))
        after = ""
        if tests is not None:
            values = float(np.nanmax(sign * tests)) - sign * tests[chosen]
            after = "{:.4f} ± {:.4f}".format(*mean_interval(values))
        print(
            f"{name:<24}{networks:>9}{spent[name]:>8.0f}{cells:>18}{after:>18}{seconds:>10.1f}",
            flush=True,
        )
    bad = 0
    for ours in (name for name in best if name.startswith("rank-nosh")):
        theirs = ", ".join(ours.replace("rank-nosh", "brp-nas").split(", ")[:2])
        if theirs in best:
            mean, half = mean_interval(np.subtract(best[ours], best[theirs]))
            share = spent[ours] / spent[theirs]
            print(f"{ours} minus {theirs}: {mean:+.4f} ± {half:.4f} with {share:.2f} of its epochs")
            bad += mean + half < 0 or share > 1 / 3
    return int(bad > 0 and args.table != "nb101")


if __name__ == "__main__":
    sys.exit(main())
