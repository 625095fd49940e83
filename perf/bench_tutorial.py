"""What alpha tells of operations, and how flat searches end: figures of the literature, small.

    python perf/bench_tutorial.py [toy] [--cells 4] [--seeds 3] [--every 10] [--figure toy.svg]
    python perf/bench_tutorial.py nb201 --epochs 9 --every 3 --seeds 2 --figure nb201.svg
    python perf/bench_tutorial.py nb1shot1 --channels 8 --epochs 12 --seeds 3 --figure nb1shot1.svg

`toy` has the space and data of `tests/supernets/toy.py` (64 networks), `nb201` 5,085 images of
CIFAR-10, pooled to 8 x 8 pixels, --channels 4 and a cell a stage. On both:
 1. the weight that DARTS gives each operation of each edge, against the accuracy of the supernet
    when that edge has it alone, at once and after an epoch more (Wang et al., ICLR 2021, figure 3);
 2. the test accuracy of the network that is chosen after so many epochs, by the largest weights
    and by what removal costs (PT) (the same, figures 1 and 5): trained anew on the toy, after 200
    epochs of all of CIFAR-10 in the table of NAS-Bench-201;
 3. the largest eigenvalue and the trace of the second derivative of the validation loss in the
    logits of the mean weights: what DrNAS's objective, an expectation over weights, bounds (Chen et
    al., ICLR 2021, proposition 1), of DARTS and of DrNAS (Zela et al., ICLR 2020, figure 3).
`nb1shot1` has the same images, twice the channels and space 1 of NAS-Bench-1Shot1: the regret of
the row that DARTS, SDARTS-RS and SDARTS-ADV (of two steps) would choose after each epoch (Chen &
Hsieh, ICML 2020, figure 5), in mean test accuracy of three trainings of NAS-Bench-101
(`nb101_3seeds.csv.gz` of FORETELL_DATA), among the rows that are in that file.
Not shown: what needs CIFAR-100, SVHN or ImageNet, and searches of a GPU's size. Numbers are kept
in --out, and a seed that is there is not run again.
"""

from __future__ import annotations

import argparse
import csv
import functools
import gzip
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench_collapse import curvature, parts, retrain  # puts the tests' folder on the path
from bench_supernets import DATA, images, shorter
from toy import Toy, toy_data  # type: ignore[import-not-found]  # tests are no package

import foretell as ft
from foretell import metrics
from foretell.spaces.nb101 import NB101
from foretell.supernets.loop import Run
from foretell.supernets.method import Method
from foretell.supernets.recipes import recipe
from foretell.supernets.selection import Magnitude, ProgressiveRemoval
from foretell.training.data import Data

SHAKEN = ("darts", "sdarts-rs", "sdarts-adv")
Row = tuple[int, ...]


@dataclass(frozen=True)
class World:
    """Where searches are watched: `test` gives a row's test accuracy; `batches` of the choosing
    rows measure removals (None for all), `rows` of them curvature."""

    space: ft.Space
    data: Data
    method: Callable[[str], Method]
    test: Callable[[Row], float]
    batches: int | None = None
    rows: int | None = None


def toy(args: argparse.Namespace, seed: int) -> World:
    """64 networks, which are trained anew."""
    data, space = toy_data(seed), Toy(cells=args.cells)
    test = functools.cache(lambda row: retrain(space, np.array(row), data, seed))
    return World(space, data, lambda system: parts(system, args.epochs), test)


def nb201(args: argparse.Namespace, seed: int) -> World:
    """Images, and the table of 15,625 cells."""
    space = ft.spaces.get("nb201", channels=args.channels, n_cells=1)
    table = ft.Table.open(DATA / "nb201.csv.gz", space=space)

    def test(row: Row) -> float:
        return float(table.query([row], "cifar10_test_200ep")[0]) / 100

    data = images(8)
    space = space.with_io(data.input_shape, data.n_outputs)
    return World(space, data, recipe, test, batches=2, rows=256)


def begun(world: World, system: str, args: argparse.Namespace, seed: int) -> Run:
    """A search before its first epoch."""
    method = world.method(system)
    return Run(world.space, method, world.data, seed, epochs=args.epochs, look=1, device="cpu")


def copied(run: Run, world: World, system: str, args: argparse.Namespace) -> Run:
    """The same search, to be changed."""
    copy = begun(world, system, args, run.seed)
    copy.restore(run.tensors(), json.loads(json.dumps(run.facts())))
    return copy


def alone(run: Run, world: World, args: argparse.Namespace) -> list[list[float]]:
    """Site, weight, accuracy of the mixture in which the site has this operation alone, and that
    after an epoch more; of each operation of DARTS."""
    with torch.no_grad():
        z = run.distribution.mean(run.arch, run.mask, run.mixture)
    found = []
    for e, k in np.argwhere(run.mixture.takeable).tolist():
        copy = copied(run, world, "darts", args)
        copy.mask = copy.mask.clone()
        copy.mask[e] = False
        copy.mask[e, k] = True
        said = []
        for epochs in (0, 1):
            copy.tune(epochs)
            with torch.no_grad():
                mean = copy.distribution.mean(copy.arch, copy.mask, copy.mixture)
            said.append(copy.accuracy(mean, world.batches))
        found.append([e, float(z[e, k]), *said])
    return found


def one(world: World, args: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Both searches of a seed."""
    out: dict[str, Any] = {"over": []}
    for system in ("darts", "drnas"):
        run = begun(world, system, args, seed)

        def look(record: Any, run: Run = run, system: str = system) -> None:
            epoch = record["epoch"] + 1
            if epoch % args.every:
                return
            point = {"system": system, "epoch": epoch, **curvature(run, world.rows)}
            if system == "darts":
                for name, how in (
                    ("magnitude", Magnitude()),
                    ("pt", ProgressiveRemoval(tune=1, batches=world.batches)),
                ):
                    row = how.select(copied(run, world, system, args))[0]
                    point[name] = world.test(tuple(row.tolist()))
            out["over"].append(point)
            print(point, file=sys.stderr)

        run.train(look)
        if system == "darts":
            out["alone"] = alone(run, world, args)
    return out


def regrets(args: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Regret, and whether the strongest row of all is in the file; after each epoch."""
    data = images(8)
    space = ft.spaces.get("nb1shot1-1", channels=2 * args.channels, n_cells=1)
    space = space.with_io(data.input_shape, data.n_outputs)
    X, tests = known_rows(space)
    taken = space.mixture().weights(X)
    out: dict[str, Any] = {"mean": float(tests.max() - tests.mean())}
    out["median"] = float(tests.max() - np.median(tests))
    for system in SHAKEN:
        run = Run(
            space, shorter(recipe(system)), data, seed, epochs=args.epochs, look=1, device="cpu"
        )
        points: list[list[float]] = []

        def look(record: Any, run: Run = run, points: list[Any] = points) -> None:
            log_p = np.log(np.maximum(run.scores(), 1e-12))
            likely = (taken * log_p).sum(axis=(1, 2))
            at = int(likely.argmax())
            best = run.mixture.best(run.scores(), run.mask.numpy())
            inside = likely[at] >= (best * log_p).sum() - 1e-4
            points.append([float(tests.max() - tests[at]), float(inside), record["val_mixture"]])

        start = time.process_time()
        run.train(look)
        out[system] = points
        print(system, seed, f"{time.process_time() - start:.0f} s", points[-1], file=sys.stderr)
    return out


def known_rows(space: Any) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the space whose graphs are in the file, and their mean test accuracies."""
    with gzip.open(DATA / "nb101_3seeds.csv.gz", "rt") as file:
        tests = {
            row["hash"]: np.mean([float(row[f"test_108_run{k}"]) for k in (1, 2, 3)])
            for row in csv.DictReader(file)
        }
    X = np.concatenate(list(space.enumerate()))
    hashes = NB101().md5_hash(space.to_nb101(X))
    there = np.array([one in tests for one in hashes])
    return X[there], np.array([tests[one] for one in hashes if one in tests])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", nargs="?", choices=("toy", "nb201", "nb1shot1"), default="toy")
    parser.add_argument("--cells", type=int, default=4, help="of the toy")
    parser.add_argument("--channels", type=int, default=4, help="of nb201; nb1shot1: twice")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("tutorial.json"))
    parser.add_argument("--figure", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    known = json.loads(args.out.read_text()) if args.out.exists() else {}
    size = args.cells if args.what == "toy" else args.channels
    runs = []
    for seed in range(args.first, args.first + args.seeds):
        key = f"{args.what}|{size}|{seed}|{args.epochs}|{args.every}"
        if key not in known:
            if args.what == "nb1shot1":
                known[key] = regrets(args, seed)
            else:
                world = toy(args, seed) if args.what == "toy" else nb201(args, seed)
                known[key] = one(world, args, seed)
            args.out.write_text(json.dumps(known))
        runs.append(known[key])
    (show_regrets if args.what == "nb1shot1" else show)(runs)
    if args.figure is not None:
        draw(runs, args.figure, args.what)


def over(runs: list[dict[str, Any]], system: str, name: str) -> tuple[list[int], list[float]]:
    """Epochs, and the mean over seeds."""
    points = [p for run in runs for p in run["over"] if p["system"] == system]
    epochs = sorted({p["epoch"] for p in points})
    means = [float(np.mean([p[name] for p in points if p["epoch"] == e])) for e in epochs]
    return epochs, means


def alike(run: dict[str, Any], column: int) -> float:
    """Share of pairs of operations of one site whose weights are in the order of accuracies."""
    pairs = [
        (a[1] - b[1]) * (a[column] - b[column])
        for a in run["alone"] for b in run["alone"] if a[0] == b[0] and a[1] > b[1]
    ]  # fmt: skip
    return float(np.mean([(np.sign(product) + 1) / 2 for product in pairs]))


def show(runs: list[dict[str, Any]]) -> None:
    """The numbers of all figures."""
    for column, when in ((2, "at once"), (3, "after an epoch more")):
        each = [np.array(run["alone"])[:, [1, column]].T for run in runs]
        taus = [metrics.kendall(*one) for one in each]
        within = [alike(run, column) for run in runs]
        print(f"Seeds: {len(runs)}. Weight of an operation and accuracy with it alone, {when}: tau "
              f"{np.mean(taus):.2f} (each {', '.join(f'{tau:.2f}' for tau in taus)}); pairs of one "
              f"edge in the same order {np.mean(within):.2f}")  # fmt: skip
    print(f"{'epoch':>6}{'by weight':>11}{'by removal':>12}{'eigenvalue darts':>18}"
          f"{'drnas':>9}{'trace darts':>13}{'drnas':>9}")  # fmt: skip
    columns = [over(runs, "darts", name)[1] for name in ("magnitude", "pt")]
    columns += [over(runs, s, n)[1] for n in ("eigenvalue", "trace") for s in ("darts", "drnas")]
    for row in zip(over(runs, "darts", "pt")[0], *columns, strict=True):
        print("{:6d}{:11.3f}{:12.3f}{:18.4f}{:9.4f}{:13.4f}{:9.4f}".format(*row))


def show_regrets(runs: list[dict[str, Any]]) -> None:
    """Regret in points after some epochs."""
    n = len(runs[0]["darts"])
    print(f"Seeds: {len(runs)}; a random row has {100 * runs[0]['mean']:.2f} points of regret in "
          f"the mean, {100 * runs[0]['median']:.2f} in the median")  # fmt: skip
    at = sorted({0, n // 4 - 1, n // 2 - 1, 3 * n // 4 - 1, n - 1})
    print(f"{'regret, points, after':<24}" + "".join(f"{e + 1:>15d}" for e in at) + "  in file")
    for system in SHAKEN:
        points = np.array([run[system] for run in runs])
        mean, spread = (100 * f(points[:, at, 0], axis=0) for f in (np.mean, np.std))
        cells = [f"{m:8.2f} ± {s:4.2f}" for m, s in zip(mean, spread, strict=True)]
        print(f"{system:<24}{''.join(cells)}{points[..., 1].mean():9.0%}")


def draw(runs: list[dict[str, Any]], path: Path, what: str) -> None:
    """The figures side by side."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "tutorial"})
    figure = Figure(figsize=(6, 3.6) if what == "nb1shot1" else (12, 3.6), layout="constrained")
    if what == "nb1shot1":
        axis = figure.subplots()
        for i, system in enumerate(SHAKEN):
            values = 100 * np.array([[p[0] for p in run[system]] for run in runs])
            epochs = np.arange(1, values.shape[1] + 1)
            axis.plot(epochs, values.T, color=f"C{i}", lw=0.7, alpha=0.4)
            axis.plot(epochs, values.mean(0), color=f"C{i}", lw=2, label=f"{system}, mean")
        axis.axhline(100 * runs[0]["mean"], color="0.5", ls=":", label="a random row, mean")
        axis.set(xlabel="epochs of the search", ylabel="test regret, points", ylim=(0, None))
        axis.legend()
    else:
        first, second, third = figure.subplots(1, 3)
        for seed, run in enumerate(runs):
            at = np.array(run["alone"])
            first.scatter(at[:, 1], at[:, 3], s=16, label=f"seed {seed}")
        first.set(xlabel="weight of the operation",
                  ylabel="accuracy with it alone on its edge,\nan epoch later")  # fmt: skip
        first.legend()
        for name, label in (("magnitude", "by weight"), ("pt", "by removal (PT)")):
            second.plot(*over(runs, "darts", name), marker="o", label=label)
        second.set(xlabel="epochs of the search (DARTS)",
                   ylabel="test accuracy of the chosen network")  # fmt: skip
        second.legend()
        for system, style in (("darts", "-"), ("drnas", "--")):
            for i, name in enumerate(("eigenvalue", "trace")):
                third.plot(*over(runs, system, name), style, color=f"C{i}", marker="o",
                           label=f"{name}, {system}")  # fmt: skip
        third.set(xlabel="epochs of the search", ylabel="second derivative in the logits",
                  ylim=(0, 1.6 * third.get_ylim()[1]))  # fmt: skip
        third.legend(loc="upper center")
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


if __name__ == "__main__":
    main()
