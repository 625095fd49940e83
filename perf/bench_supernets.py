"""Searches by shared weights on real images on a CPU, against the table of NAS-Bench-201.

    python perf/bench_supernets.py [--methods gdas,rsws] [--epochs 10] [--seeds 3] [--channels 4]

Images are `cifar10_small.npz` of FORETELL_DATA, pooled to 16 x 16. The chosen row is looked up in
`nb201.csv.gz` (200 epochs, test) beside random rows: one is worth 87.1 on average, the best by
validation of 100 trainings 93.7. With --tau N, tau between inherited accuracies of N random
rows and the table. What differs from published searches: 5,085 images of a quarter of the size
instead of 50,000, a few channels, one cell a stage, few epochs. Results are kept in --out.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import foretell as ft
from foretell import metrics
from foretell.training.data import Data, load

PUBLISHED = {  # test accuracy on CIFAR-10, searched there (Chen et al., ICLR 2021)
    "rsws": 87.66, "enas": 54.30, "darts": 54.30, "darts-2nd": 54.30, "gdas": 93.23, "snas": 92.77,
    "dsnas": 93.08, "pc-darts": 93.41, "drnas": 94.36, "te-nas": 93.90, "darts-pt": 88.11,
}  # fmt: skip


def images() -> Data:
    """CIFAR-10, 5,085 images of 16 x 16."""
    folder = Path(os.environ.get("FORETELL_DATA", Path(__file__).parents[2] / "shared" / "data"))
    found = np.load(folder / "cifar10_small.npz")
    x, y = found["x_train"], found["y_train"]
    n, c, h, w = x.shape
    small = x.reshape(n, c, h // 2, 2, w // 2, 2).mean(axis=(3, 5)).round().astype(np.uint8)
    return load((small, y), seed=0, fractions=(0.8, 0.1, 0.1), name="cifar10-16")


def table() -> tuple[dict[str, float], list[str]]:
    """Test accuracy after 200 epochs by string."""
    folder = Path(os.environ.get("FORETELL_DATA", Path(__file__).parents[2] / "shared" / "data"))
    with gzip.open(folder / "nb201.csv.gz", "rt") as file:
        head, *lines = file.read().splitlines()
    names = head.split(",")
    arch, acc = names.index("arch"), names.index("cifar10_test_200ep")
    rows = [line.split(",") for line in lines]
    return {row[arch]: float(row[acc]) for row in rows}, [row[arch] for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--methods", default="gdas,rsws,drnas,darts,darts-pt")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--channels", type=int, default=4)
    parser.add_argument("--tau", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("supernets.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    known: dict[str, Any] = json.loads(args.out.read_text()) if args.out.exists() else {}
    data, (truth, names) = images(), table()
    space = ft.spaces.get("nb201", channels=args.channels, n_cells=1)
    quick = {"darts-pt": {"tune": 1}, "rsws": {"n": 200, "batches": 1}, "pc-darts": {"divisor": 2},
             "one-shot": {"n": 200, "batches": 1}, "sdarts-adv": {"steps": 3}}  # fmt: skip
    for seed in range(args.seeds):
        for name in args.methods.split(","):
            key = f"{name}|{seed}|{args.epochs}|{args.channels}"
            if key not in known:
                search = ft.supernets.get(
                    name, space=space, settings=quick.get(name), epochs=args.epochs,
                    random_state=seed, device="cpu", look=1,
                )  # fmt: skip
                cpu, wall = time.process_time(), time.perf_counter()
                search.fit(data)
                text = space.to_str(search.best_[None])[0]
                found = {"row": text, "test": truth[text], "cpu": time.process_time() - cpu,
                         "wall": time.perf_counter() - wall}  # fmt: skip
                if args.tau:
                    at = np.random.default_rng(0).permutation(len(names))[: args.tau]
                    X = space.from_str([names[i] for i in at])
                    said = search.score(X, 2)
                    found["tau"] = metrics.kendall([truth[names[i]] for i in at], said)
                known[key] = found
                args.out.write_text(json.dumps(known))
                print(key, found, file=sys.stderr)
    print(f"{'method':<14}{'test of chosen':>22}{'published':>11}{'tau':>8}{'CPU s':>8}")
    for name in args.methods.split(","):
        runs = [v for k, v in known.items()
                if k.split("|")[0] == name and k.split("|")[2] == str(args.epochs)]  # fmt: skip
        tests = [run["test"] for run in runs]
        taus = [run["tau"] for run in runs if "tau" in run]
        tau = f"{np.mean(taus):.2f}" if taus else ""
        print(f"{name:<14}{np.mean(tests):14.2f} ± {np.std(tests):5.2f}"
              f"{PUBLISHED.get(name, float('nan')):11.2f}{tau:>8}"
              f"{np.mean([run['cpu'] for run in runs]):8.0f}")  # fmt: skip
    print("random rows: one 87.1 ± 13.4, best of 10 trainings 92.55, best of 100 93.74 (the table)")


if __name__ == "__main__":
    main()
