"""Small real trainings of `mobile` on three image sets: the table that `bench_prior.py` reads.

Of each set a part is trained on for a few epochs, at 14 to 16 pixels: 60 random networks (seed 0
of the space), of which the first 12 are trained with a second seed as well, which says what the
noise of a training leaves to be foretold. A line is added to `perf/mobile_trainings.csv` when one
is done, so that the program may be stopped and started again; `--minutes` ends it in time.

    python perf/train_mobile.py [--minutes 8]
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import foretell as ft
from foretell.training.data import Data, load
from foretell.training.recipe import Recipe

TABLE = Path(__file__).with_name("mobile_trainings.csv")
FOLDER = Path(
    os.environ.get("FORETELL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)
NETWORKS, AGAIN = 60, 12
EPOCHS = {"flowers": 6, "cifar10": 4, "mnist": 3}
SIZES = {"mnist": (600, 1000), "cifar10": (1200, 1000)}  # images to train on, and to validate on
COLUMNS = ("set", "arch", "seed", "val_acc", "seconds")


def images(name: str) -> Data:
    """A part of a set: some images to train on, and enough others to tell networks apart."""
    if name == "flowers":
        found = np.load(FOLDER / "flowers17_16x16.npz")
        return load({key: found[key] for key in found.files}, name=name)
    if name == "mnist":
        found = np.load(FOLDER / "mnist10k.npz")
        x, y = found["x"], found["y"]
    else:
        found = np.load(FOLDER / "cifar10_small.npz")
        x, y = found["x_train"], found["y_train"]
    n, m = SIZES[name]
    train, val, test = slice(0, n), slice(n, n + m), slice(n + m, n + m + 200)
    half = x.reshape(*x.shape[:2], x.shape[2] // 2, 2, x.shape[3] // 2, 2).mean(axis=(3, 5))
    x = half.astype(np.uint8)
    parts: dict[str, Any] = {}
    for part, rows in (("train", train), ("val", val), ("test", test)):
        parts[f"x_{part}"], parts[f"y_{part}"] = x[rows], y[rows]
    return load(parts, name=name)


def main() -> int:
    """Train what is not in the table yet."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--minutes", type=float, default=float("inf"))
    args = parser.parse_args()
    end = time.monotonic() + 60 * args.minutes
    done = set()
    if TABLE.exists():
        with TABLE.open(newline="") as lines:
            done = {(r["set"], r["arch"], r["seed"]) for r in csv.DictReader(lines)}
    else:
        TABLE.write_text(",".join(COLUMNS) + "\n")
    trainers = {}
    for name, epochs in EPOCHS.items():
        data = images(name)
        space = ft.spaces.get("mobile", input_shape=data.input_shape, n_outputs=data.n_outputs)
        trainers[name] = ft.Trainer(space, data, Recipe(epochs=epochs, device="cpu"))
    any_space = ft.spaces.get("mobile")
    X = any_space.sample(NETWORKS, rng=0)
    archs = any_space.to_str(X)
    order = [*((i, 0) for i in range(NETWORKS)), *((i, 1) for i in range(AGAIN))]
    for name, trainer in trainers.items():
        for i, seed in order:
            if (name, archs[i], str(seed)) in done:
                continue
            if time.monotonic() > end:
                return 0
            result = trainer.evaluate(X[i], seed=seed)
            if result.error:
                print(f"{name} {archs[i]}: {result.error}")
                continue
            line = (
                name,
                archs[i],
                seed,
                f"{result.metrics['val_acc']:.4f}",
                f"{result.seconds:.1f}",
            )
            with TABLE.open("a", newline="") as table:
                csv.writer(table, lineterminator="\n").writerow(line)
    print("all trainings are done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
