"""Make the benchmark that comes with the package: cells of nb201, really trained on digits.

`perf/make_nb201_digits.py train` trains the next cells, two seeds each, and goes on where it was
ended; `score` adds the zero-cost scores; `pack` writes what is there as the files that ship;
`check` trains some rows again and compares. On the same kind of CPU, with one thread and the same
torch, a row gives the same numbers to the last digit that is kept; elsewhere `check` tells how far
off it is.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import gzip
import io
import os
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from foretell import _catalog, spaces
from foretell._files import write_bytes
from foretell.evaluators.trainer import Trainer
from foretell.evidence import Paid
from foretell.evidence.zero_cost.parts.evidence import ZeroCost
from foretell.training.data import load
from foretell.training.recipe import Recipe

SHIPPED = Path(__file__).parents[1] / "src/foretell/tables/shipped/nb201_digits.csv.gz"
LINES = Path(__file__).with_name("nb201_digits.csv")  # one a training, as they come; not shipped
SCORES = LINES.with_name("nb201_digits_scores.csv")
SHIPPED_SCORES = SHIPPED.with_name("nb201_digits_scores.csv.gz")
CELLS, SEEDS = 1_200, (0, 1)
FRACTIONS = (0.15, 0.35, 0.5)  # few rows to learn from, so that cells differ
EPOCHS = 12
RECIPE = Recipe(
    epochs=EPOCHS,
    batch_size=90,
    lr=0.07,
    label_smoothing=0.0,
    augment="none",
    device="cpu",
    threads=1,
)
CURVES = ("train_loss", "val_loss", "val_acc")
FIELDS = (
    "arch",
    "seed",
    "test_acc",
    "test_loss",
    "train_s",
    *(f"{name}_{epoch}" for name in CURVES for epoch in range(1, EPOCHS + 1)),
)


def cells() -> list[str]:
    """One row of each function, in an order drawn once."""
    space = spaces.get("nb201")
    X = np.concatenate(list(space.enumerate()))
    _, first = np.unique(space.canonical(X), return_index=True)
    order = np.random.default_rng(0).permutation(np.sort(first))
    return ["".join(map(str, row)) for row in X[order[:CELLS]].tolist()]


def trainer() -> Trainer:
    space = spaces.get("nb201", channels=4, n_cells=1)
    return Trainer(space, load("digits", fractions=FRACTIONS), RECIPE)


def trained(by: Trainer, arch: str, seed: int) -> list[str]:
    """The fields of one training."""
    (x,) = by.space.from_str([arch])
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "w.safetensors"
        found = by.evaluate(x, seed, weights=weights)
        seconds = time.process_time() - start
        if not found.ok:
            raise SystemExit(f"{arch}, seed {seed}: {found.error}")
        test = by.test(x, weights)
    values = [v for name in CURVES for v in found.curve[name]]
    numbers = [test["test_acc"], test["test_loss"], seconds, *values]
    return [arch, str(seed), *(f"{value:.4g}" for value in numbers)]


def read(path: Path, width: int) -> list[list[str]]:
    """Whole rows of a file of this script, without its header; none where it is not there."""
    if not path.exists():
        return []
    lines = (gzip.decompress if path.suffix == ".gz" else bytes)(path.read_bytes()).decode()
    rows = csv.reader(lines.splitlines())
    return [row for row in rows if len(row) == width and row[0] != "arch"]


def known() -> dict[tuple[str, str], list[str]]:
    """Trainings that ship, and later ones."""
    rows = read(SHIPPED, len(FIELDS)) + read(LINES, len(FIELDS))
    return {(row[0], row[1]): row for row in rows}


def train(seeds: list[int]) -> None:
    there, by = known(), trainer()
    with LINES.open("a", newline="") as file:
        for arch in cells():
            for seed in seeds:
                if (arch, str(seed)) not in there:
                    file.write(",".join(trained(by, arch, seed)) + "\n")
                    file.flush()


def proxies() -> list[str]:
    """Those that are no aggregates of others."""
    return [row.name for row in _catalog.KINDS["proxy"] if row.name != "consensus"]


def score() -> None:
    """Scores of cells with all seeds, of a batch of 64 training images and weights of one seed."""
    names, by, there = proxies(), trainer(), known()
    evidence = ZeroCost(tuple(names), data=by.data, batch=64, space=by.space)
    done = {row[0] for row in scored()}
    with SCORES.open("a", newline="") as file:
        for arch in cells():
            if arch not in done and all((arch, str(s)) in there for s in SEEDS):
                start = time.process_time()
                with contextlib.suppress(ValueError):  # no proxy has a score of an empty cell
                    found = evidence.compute(by.space.from_str([arch]))
                    values = np.asarray(found.values if isinstance(found, Paid) else found)[0]
                    seconds = time.process_time() - start
                    fields = [f"{v:.6g}" if np.isfinite(v) else "" for v in (*values, seconds)]
                    file.write(",".join([arch, *fields]) + "\n")
                    file.flush()


def scored() -> list[list[str]]:
    """Scores that ship, and later ones."""
    return [row for path in (SHIPPED_SCORES, SCORES) for row in read(path, len(proxies()) + 2)]


def pack() -> None:
    """Cells with all seeds alone."""
    there = known()
    whole = [a for a in cells() if all((a, str(s)) in there for s in SEEDS)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIELDS)
    writer.writerows(there[arch, str(seed)] for arch in whole for seed in SEEDS)
    write_bytes(SHIPPED, gzip.compress(text.getvalue().encode(), 9, mtime=0))
    if rows := {row[0]: row for row in scored()}:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["arch", *proxies(), "score_s"])
        writer.writerows(rows[arch] for arch in whole if arch in rows)
        write_bytes(SHIPPED_SCORES, gzip.compress(text.getvalue().encode(), 9, mtime=0))
    print(f"{len(whole)} cells, {SHIPPED.stat().st_size:,} bytes")


def check(n: int) -> None:
    rows = read(SHIPPED, len(FIELDS))
    by, off = trainer(), []
    for i in np.random.default_rng(1).permutation(len(rows))[:n]:
        new = np.array(trained(by, rows[i][0], int(rows[i][1]))[2:], dtype=float)
        off.append(np.abs(np.delete(new - np.array(rows[i][2:], dtype=float), 2)).max())
    print(f"{n} trainings again: {sum(d == 0 for d in off)} equal, largest difference {max(off)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("train", "score", "pack", "check"))
    parser.add_argument("--n", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    chosen = parser.parse_args()
    if chosen.what == "train":
        train(chosen.seeds)
    elif chosen.what == "score":
        score()
    elif chosen.what == "pack":
        pack()
    else:
        check(chosen.n)


if __name__ == "__main__":
    main()
