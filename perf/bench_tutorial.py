"""What alpha tells of operations, and how flat searches end: figures of the literature on a toy.

    python perf/bench_tutorial.py [--cells 4] [--seeds 2] [--epochs 30] [--figure tutorial.svg]

On the space and data of `tests/supernets/toy.py` (64 networks):
 1. the weight that DARTS gives each operation of each edge, against the accuracy of the supernet
    when that edge has it alone (Wang et al., ICLR 2021, figure 3);
 2. the test accuracy of the network that is chosen after so many epochs and trained anew, by the
    largest weights and by what removal costs (PT) (the same, figures 1 and 5);
 3. the largest eigenvalue and the trace of the second derivative of the validation loss in the
    logits of the weights, of DARTS and of DrNAS (Zela et al., ICLR 2020, figure 3; Chen et al.,
    ICLR 2021, appendix).
Not shown here: what needs CIFAR-100, SVHN or ImageNet, and regret over epochs on nb1shot1, which
needs CIFAR-10 and hours. Numbers are kept in --out, and a seed that is there is not run again.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench_collapse import parts, retrain  # puts the tests' folder on the path
from toy import Toy, toy_data  # type: ignore[import-not-found]  # tests are no package

from foretell import metrics
from foretell.supernets import hessian
from foretell.supernets.distribution import Softmax
from foretell.supernets.loop import Run
from foretell.supernets.selection import Magnitude, ProgressiveRemoval


def curvature(run: Run) -> dict[str, float]:
    """Largest eigenvalue and trace, on all choosing rows."""
    with torch.no_grad():
        z = run.distribution.mean(run.arch, run.mask, run.mixture)
    batch = run.choose.batch(torch.arange(len(run.choose)))
    run.net.train()

    def f(logits: torch.Tensor) -> torch.Tensor:
        arch: Any = SimpleNamespace(alpha=logits, beta=None)
        return run.loss(Softmax().mean(arch, run.mask, run.mixture), batch)

    values = torch.linalg.eigvalsh(hessian.hessian(f, torch.log(z.clamp(min=1e-6))))
    return {"eigenvalue": float(values[-1]), "trace": float(values.sum())}


def alone(run: Run) -> list[list[float]]:
    """Weight, and accuracy of the mixture in which the edge has this operation alone; each."""
    with torch.no_grad():
        z = run.distribution.mean(run.arch, run.mask, run.mixture)
    found = []
    for e, k in np.argwhere(run.mixture.takeable):
        trial = z.clone()
        trial[e] = 0
        trial[e, k] = 1
        found.append([float(z[e, k]), run.accuracy(trial)])
    return found


def one(cells: int, seed: int, epochs: int, every: int) -> dict[str, Any]:
    """Both searches of a seed."""
    data, space = toy_data(seed), Toy(cells=cells)
    tests: dict[tuple[int, ...], float] = {}

    def test(row: Any) -> float:
        key = tuple(row.tolist())
        if key not in tests:
            tests[key] = retrain(space, row, data, seed)
        return tests[key]

    out: dict[str, Any] = {"over": []}
    for system in ("darts", "drnas"):
        method = parts(system, epochs)
        run = Run(space, method, data, seed, epochs=epochs, look=1, device="cpu")

        def look(record: Any, run: Run = run, system: str = system, method: Any = method) -> None:
            epoch = record["epoch"] + 1
            if epoch % every:
                return
            point = {"system": system, "epoch": epoch, **curvature(run)}
            if system == "darts":
                copy = Run(space, method, data, seed, epochs=epochs, look=1, device="cpu")
                copy.restore(run.tensors(), json.loads(json.dumps(run.facts())))
                point["magnitude"] = test(Magnitude().select(copy)[0])
                point["pt"] = test(ProgressiveRemoval(tune=1).select(copy)[0])
            out["over"].append(point)
            print(point, file=sys.stderr)

        run.train(look)
        if system == "darts":
            out["alone"] = alone(run)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cells", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("tutorial.json"))
    parser.add_argument("--figure", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    known = json.loads(args.out.read_text()) if args.out.exists() else {}
    for seed in range(args.first, args.first + args.seeds):
        key = f"{args.cells}|{seed}|{args.epochs}|{args.every}"
        if key not in known:
            known[key] = one(args.cells, seed, args.epochs, args.every)
            args.out.write_text(json.dumps(known))
    mine = [v for k, v in known.items() if k.split("|")[::2] == [str(args.cells), str(args.epochs)]]
    show(mine)
    if args.figure is not None:
        draw(mine, args.figure)


def over(runs: list[dict[str, Any]], system: str, name: str) -> tuple[list[int], list[float]]:
    """Epochs, and the mean over seeds."""
    points = [p for run in runs for p in run["over"] if p["system"] == system]
    epochs = sorted({p["epoch"] for p in points})
    means = [float(np.mean([p[name] for p in points if p["epoch"] == e])) for e in epochs]
    return epochs, means


def show(runs: list[dict[str, Any]]) -> None:
    """The numbers of all figures."""
    taus = [metrics.kendall(*np.array(run["alone"]).T) for run in runs]
    print(f"{len(runs)} seeds. Weight of an operation and accuracy with it alone: tau "
          f"{np.mean(taus):.2f} (each {', '.join(f'{tau:.2f}' for tau in taus)})")  # fmt: skip
    print(f"{'epoch':>6}{'by weight':>11}{'by removal':>12}{'eigenvalue darts':>18}"
          f"{'drnas':>9}{'trace darts':>13}{'drnas':>9}")  # fmt: skip
    columns = [over(runs, "darts", name)[1] for name in ("magnitude", "pt")]
    columns += [over(runs, s, n)[1] for n in ("eigenvalue", "trace") for s in ("darts", "drnas")]
    for row in zip(over(runs, "darts", "pt")[0], *columns, strict=True):
        print("{:6d}{:11.3f}{:12.3f}{:18.4f}{:9.4f}{:13.4f}{:9.4f}".format(*row))


def draw(runs: list[dict[str, Any]], path: Path) -> None:
    """The three figures side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    first, second, third = figure.subplots(1, 3)
    for seed, run in enumerate(runs):
        x, y = np.array(run["alone"]).T
        first.scatter(x, y, label=f"seed {seed}")
    first.set(xlabel="weight of the operation", ylabel="accuracy with it alone on its edge")
    first.legend()
    for name, label in (("magnitude", "by weight"), ("pt", "by removal (PT)")):
        second.plot(*over(runs, "darts", name), marker="o", label=label)
    second.set(xlabel="epochs of the search", ylabel="test accuracy of the chosen network")
    second.legend()
    for system, style in (("darts", "-"), ("drnas", "--")):
        for name in ("eigenvalue", "trace"):
            third.plot(*over(runs, system, name), style, marker="o", label=f"{name}, {system}")
    third.set(xlabel="epochs of the search", ylabel="second derivative in the logits")
    third.legend()
    figure.savefig(path)


if __name__ == "__main__":
    main()
