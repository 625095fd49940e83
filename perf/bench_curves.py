"""Methods on learning curves against the last value, on the own table and on published curves.

For each table 100 test trainings and 100 others, of seed 0; Kendall's tau to the final validation
value after 5, 10, 25 and 50 % of the epochs (methods that learn are fitted on the others), and how
many true values lie in LCE's 90 % intervals, as they are and calibrated on the others. Bound: the
best method is above the last value in the mean of the fractions on each table; calibrated intervals
hold 80 to 97 %. Tables are read from FORETELL_DATA where they are there.
"""

from __future__ import annotations

import csv
import gzip
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

import foretell as ft
from foretell import metrics
from foretell.errors import ForetellError

DATA = Path(os.environ.get("FORETELL_DATA", Path(__file__).parents[2] / "shared/data"))
FRACTIONS = (0.05, 0.10, 0.25, 0.50)
TEST, TRAIN = 100, 100
LEVEL = 0.9


def wide(name: str, first: str, last: str) -> dict[str, np.ndarray]:
    """Accuracies between two columns of a .csv.gz."""
    with gzip.open(DATA / name, "rt", newline="") as file:
        header, *rows = csv.reader(file)
    at = range(header.index(first), header.index(last) + 1)
    return {"val_acc": np.array([[float(row[i] or "nan") for i in at] for row in rows])}


def of_table(name: str) -> dict[str, np.ndarray]:
    table = ft.Table.open(name)
    keep = [c for c in table.curves if not c.startswith("test")]
    return {c: table.curves[c] for c in keep}


def naap() -> dict[str, np.ndarray]:
    with gzip.open(DATA / "lc_naap440_cifar10.csv.gz", "rt", newline="") as file:
        header, *rows = csv.reader(file)

    def curve(suffix: str) -> np.ndarray:
        at = [i for i, name in enumerate(header) if name.endswith(suffix) and name[0] == "e"]
        return np.array([[float(row[i] or "nan") for i in at] for row in rows])

    loss = next(n for n in header if n.startswith("e1") and "LossMean" in n).lstrip("e0123456789")
    acc = next(n for n in header if n.startswith("e1") and "Accuracy" in n).lstrip("e0123456789")
    return {"val_acc": curve(acc), "train_loss": curve(loss)}


def lstm() -> dict[str, np.ndarray]:
    found = wide("lc_lstm_ptb.csv.gz", "ep_0", "ep_59")
    return {"val_perplexity": found["val_acc"]}


TABLES: dict[str, Callable[[], dict[str, np.ndarray]]] = {
    "nb201-digits": lambda: of_table("nb201-digits"),
    "nb_nlp_wikitext2": lambda: of_table(str(DATA / "nb_nlp_wikitext2.jsonl.gz")),
    "nb_nlp_ptb": lambda: of_table(str(DATA / "nb_nlp_ptb.jsonl.gz")),
    "lc_metaqnn_svhn": lambda: wide("lc_metaqnn_svhn.csv.gz", "acc_1", "acc_20"),
    "lc_deep_resnets": lambda: wide("lc_deep_resnets_cifar10.csv.gz", "acc_0", "acc_49"),
    "lc_lstm_ptb": lstm,
    "lc_naap440": naap,
    "darts_214": lambda: {"val_acc": np.load(DATA / "darts_214_curves.npz")["val_acc"]},
}


def study(name: str, curves: dict[str, np.ndarray], methods: list[str]) -> bool:
    main = next(c for c in ("val_acc", "val_loss", "val_perplexity") if c in curves)
    sign = 1.0 if main == "val_acc" else -1.0
    whole = np.isfinite(curves[main]).all(axis=1)
    curves = {c: v[whole] for c, v in curves.items()}
    order = np.random.default_rng(0).permutation(whole.sum())
    test, train = order[:TEST], order[TEST : TEST + TRAIN]
    n, epochs = len(test), curves[main].shape[1]
    final = sign * curves[main][:, -1]
    print(f"\n{name}: {len(order)} trainings, {epochs} epochs, {main}")
    rows: dict[str, list[float]] = {"last value": []}
    seen = [max(1, round(f * epochs)) for f in FRACTIONS]
    for e in seen:
        rows["last value"].append(metrics.kendall(final[test], sign * curves[main][test, e - 1]))
    cover: list[float] = []
    held: list[float] = []  # the same, calibrated on the others
    for label in methods:
        start, rows[label] = time.process_time(), []
        for e in seen:
            try:
                reads = ft.curves.get(label).reads
                metric = main if reads[0].startswith("val_acc") and len(reads) > 1 else None
                method = ft.curves.get(label, **({"metric": metric} if metric else {}))
                if e < method.least:
                    rows[label].append(np.nan)
                    continue
                method.fit({c: v[train] for c, v in curves.items()}, final[train])
                begun = {c: v[test] for c, v in curves.items()}
                if label == "lce":  # draws once, for both figures
                    draws = method.samples(begun, e)
                    said = draws.mean(axis=1)
                    cover.append(inside(draws, final[test]))
                    method.calibrate({c: v[train] for c, v in curves.items()}, e, final[train])
                    held.append(inside(method.samples(begun, e), final[test]))
                else:
                    said = method.predict(begun, epochs=e)
                rows[label].append(metrics.kendall(final[test], said))
            except ForetellError:
                rows[label].append(np.nan)
        if np.isnan(rows[label]).all():
            del rows[label]
            continue
        seconds = (time.process_time() - start) / n / len(seen) * 1e3
        print(f"  {label:15s} " + cells(rows[label]) + f"   {seconds:8.1f} ms a curve", flush=True)
    print(f"  {'last value':15s} " + cells(rows["last value"]))
    print("  coverage of lce " + cells(cover) + ", calibrated on the others " + cells(held))
    means = {k: np.nanmean(v) for k, v in rows.items() if not np.isnan(v).any()}
    best = max(means, key=lambda k: means[k])
    print(f"  best: {best} {means[best]:.3f}, last value {means['last value']:.3f}")
    return best != "last value" and all(0.80 <= c <= 0.97 for c in held)


def inside(draws: np.ndarray, truth: np.ndarray) -> float:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
    return float(((low <= truth) & (truth <= high)).mean())


def cells(values: list[float]) -> str:
    return " ".join(f"{v:7.3f}" if np.isfinite(v) else "    n/a" for v in values)


def main() -> int:
    warnings.simplefilter("ignore")
    chosen = sys.argv[1].split(",") if len(sys.argv) > 1 else list(TABLES)
    methods = sys.argv[2].split(",") if len(sys.argv) > 2 else ft.curves.names()
    print("Kendall's tau after " + ", ".join(f"{f:.0%}" for f in FRACTIONS) + " of the epochs")
    met = {}
    for name in chosen:
        try:
            curves = TABLES[name]()
        except (FileNotFoundError, ForetellError) as error:
            print(f"{name} is not there: {error}")
            continue
        met[name] = study(name, curves, methods)
    print("\nbound kept: " + ", ".join(f"{k} {'yes' if v else 'no'}" for k, v in met.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
