"""What it is worth to begin a training with the weights that a supernet has for the row.

    python perf/bench_warm.py [--rows 6] [--epochs 3] [--supernet-epochs 12] [--seeds 1]

The space `mobile` (tiny) on digits: a supernet by `ofa`, then random rows trained with random and
with inherited weights, alike in all else. Printed are the mean validation accuracies after each
epoch, the gain of the last with its standard error over rows, and the CPU seconds of both sides.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

import foretell as ft
from foretell.evaluators.trainer import Trainer
from foretell.training.data import load
from foretell.training.recipe import Recipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--supernet-epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    data, space = load("digits"), ft.spaces.get("mobile", preset="tiny")
    curves: dict[str, list[list[float]]] = {"random": [], "inherited": []}
    spent = {"supernet": 0.0, "random": 0.0, "inherited": 0.0}
    for seed in range(args.seeds):
        start = time.process_time()
        search = ft.supernets.get(
            "ofa", space=space, epochs=args.supernet_epochs, random_state=seed, look=1
        ).train(data)
        spent["supernet"] += time.process_time() - start
        for x in space.sample(args.rows, rng=seed):
            for side, begin in (("random", None), ("inherited", search.network)):
                start = time.process_time()
                trainer = Trainer(space, data, Recipe(epochs=args.epochs), begin=begin)
                result = trainer.evaluate(x, seed=seed)
                spent[side] += time.process_time() - start
                curves[side].append([float(one) for one in result.curve["val_acc"]])
    both = {side: np.array(found) for side, found in curves.items()}
    for side, found in both.items():
        line = ", ".join(f"{mean:.3f}" for mean in found.mean(axis=0))
        print(f"{side:<10} after each epoch {line}; {spent[side]:.0f} CPU s")
    gain = both["inherited"][:, -1] - both["random"][:, -1]
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    print(f"gain {gain.mean():+.3f} +- {error:.3f} over {len(gain)} rows; the supernet took "
          f"{spent['supernet']:.0f} CPU s")  # fmt: skip


if __name__ == "__main__":
    main()
