"""Collapse and flatness of searches by shared weights, on a space of 64 networks in seconds.

    python perf/bench_collapse.py [--cells 2] [--seeds 5] [--epochs 30] [--systems darts,gdas]
    python perf/bench_collapse.py alarm --cells 4 [--each 20]

Data and space are those of `tests/supernets/toy.py`. Printed are, for each system, how many of six
edges are convolutions, in how many seeds all six are identities (a collapse: a linear network, at
chance), the test accuracy of the chosen network trained anew on training and validation rows,
and for soft systems where the search has ended: the rise of the validation loss under noise on
the weights of operations, on taking the chosen network alone, and the largest eigenvalue of its
second derivative in the 12 logits. Then what must hold, and whether it does. Results are kept in
--out, and a seed that is there is not run again.

With `alarm` searches are run until --each of them have collapsed, which is that the chosen network
trained anew has a test accuracy below .7, and as many have not; then it is counted what the alarm
has said of each: at the end, with the choice, and of the records alone, epoch after epoch. Those
that do not are of DARTS+PT (whose supernets do), DrNAS, GDAS, SNAS and RSWS in turn.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "supernets"))

from toy import Toy, toy_data  # type: ignore[import-not-found]  # tests are no package

from foretell.supernets import hessian
from foretell.supernets.alarm import alarm
from foretell.supernets.distribution import Dirichlet, Softmax
from foretell.supernets.loop import Run
from foretell.supernets.method import Method, Weights
from foretell.supernets.recipes import recipe
from foretell.supernets.schedule import Temperature
from foretell.supernets.selection import ProgressiveRemoval, SampleAndScore

TOY = Weights(
    epochs=30, batch_size=100, lr=0.05, lr_end=0.001, weight_decay=3e-4, clip=5.0, share=1.0,
    augment="none",
)  # fmt: skip
SYSTEMS = {
    "darts": "darts", "darts + pt": "darts", "fixed alpha + pt": "darts-pt-fixed-alpha",
    "rsws": "rsws", "gdas": "gdas", "snas": "snas", "drnas": "drnas", "r-darts(l2) x27": "darts",
    "sdarts-rs": "sdarts-rs", "sdarts-adv": "sdarts-adv",
}  # fmt: skip
SHEET = {  # four cells, eight seeds: convolutions, collapses, test accuracy
    "darts": (1.0, "4/8", 0.584), "darts + pt": (2.25, "0/8", 0.909),
    "fixed alpha + pt": (3.25, "0/8", 0.905), "rsws": (2.9, "0/8", 0.902),
    "gdas": (2.4, "0/8", 0.902), "snas": (4.1, "0/8", 0.902), "drnas": (3.4, "0/8", 0.907),
    "r-darts(l2) x27": (0.9, "3/8", 0.661), "sdarts-rs": (1.1, "4/8", 0.584),
    "sdarts-adv": (0.4, "6/8", 0.420),
}  # fmt: skip
SOLVED = 0.7  # test accuracy that a network with an operation that learns reaches
FLAT = {  # two cells, five seeds: rise under noise, on discretisation, eigenvalue
    "darts": (0.073, 0.92, 0.446), "r-darts(l2) x27": (0.060, 0.37, 0.227),
    "sdarts-rs": (0.0275, 0.50, 0.168), "sdarts-adv": (0.0146, 0.49, 0.085),
    "drnas": (0.0053, 0.05, 0.023),
}  # fmt: skip


def parts(system: str, epochs: int) -> Method:
    """The recipe with the settings of the toy."""
    found: Method = recipe(SYSTEMS[system])
    from dataclasses import replace

    weights = replace(TOY, epochs=epochs)
    if system == "r-darts(l2) x27":
        weights = replace(weights, weight_decay=27 * 3e-4)
    if system == "snas":
        return found.but(weights=weights, regularisers=(), alpha=replace(found.alpha, lr=1e-2))
    changes: dict[str, Any] = {"weights": weights}
    if system not in ("rsws", "fixed alpha + pt"):
        changes["alpha"] = replace(found.alpha, lr=1e-2, order="alpha-first")
    if system == "gdas":
        changes["schedule"] = (Temperature(10, 0.1),)
    if system == "rsws":
        changes["selection"] = SampleAndScore(64, None)
    if system.endswith("+ pt"):
        changes["selection"] = ProgressiveRemoval(tune=1)
    return found.but(**changes)


def retrain(space: Any, x: Any, data: Any, seed: int) -> float:
    """Test accuracy after ten epochs from scratch on training and validation rows."""
    torch.manual_seed(seed)
    net = space.build(x, (12,), 4)
    learn = np.concatenate([data.split["train"], data.split["val"]])
    X, y = torch.from_numpy(data.x), torch.from_numpy(data.y)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=3e-4)
    steps = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 10)
    for _ in range(10):
        for at in torch.from_numpy(learn)[torch.randperm(len(learn))].split(100):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(X[at]), y[at]).backward()
            optimiser.step()
        steps.step()
    test = torch.from_numpy(data.split["test"])
    with torch.no_grad():
        return float((net.eval()(X[test]).argmax(1) == y[test]).double().mean())


def flatness(run: Run) -> dict[str, float]:
    """Of the validation loss in the weights of operations, at the end of a search."""
    with torch.no_grad():
        z = run.distribution.mean(run.arch, run.mask, run.mixture)
        base = run.loss_of(z)
        rng = torch.Generator().manual_seed(0)
        rises = []
        for _ in range(30):
            noise = 0.6 * torch.rand(z.shape, generator=rng) - 0.3
            moved = (z + noise).clamp(min=0)
            rises.append(run.loss_of(moved / moved.sum(1, keepdim=True).clamp(min=1e-6)) - base)
        alone = torch.from_numpy(run.mixture.best(run.scores(), run.mask.numpy()))
        gap = run.loss_of(alone) - base
    return {"rise": float(np.mean(rises)), "gap": gap, "eigenvalue": curvature(run)["eigenvalue"]}


def curvature(run: Run, rows: int | None = None) -> dict[str, float]:
    """Largest eigenvalue and trace of the validation loss's second derivative in the logits of the
    mean weights, on the first choosing rows, None for all."""
    with torch.no_grad():
        z = run.distribution.mean(run.arch, run.mask, run.mixture)
    batch = run.choose.batch(torch.arange(len(run.choose))[:rows])
    run.net.train()

    def f(logits: torch.Tensor) -> torch.Tensor:
        arch: Any = SimpleNamespace(alpha=logits, beta=None)
        return run.loss(Softmax().mean(arch, run.mask, run.mixture), batch)

    values = torch.linalg.eigvalsh(hessian.hessian(f, torch.log(z.clamp(min=1e-6))))
    return {"eigenvalue": float(values[-1]), "trace": float(values.sum())}


def one(system: str, cells: int, seed: int, epochs: int) -> dict[str, Any]:
    """One search and what it has found."""
    start = time.perf_counter()
    data, space, method = toy_data(seed), Toy(cells=cells), parts(system, epochs)
    run = Run(space, method, data, seed, epochs=epochs, look=1, device="cpu")
    run.train()
    soft = isinstance(method.distribution, Softmax | Dirichlet) and not system.endswith("+ pt")
    found = {"flat": flatness(run)} if soft else {}
    rows, history = method.selection.select(run), run.history
    seconds = time.perf_counter() - start
    said = [alarm(history[: i + 1]).level for i in range(len(history))]
    skips = [[round(r["skip_weight"], 4) for r in history][i] for i in (0, len(history) // 2, -1)]
    return found | {
        "row": rows[0].tolist(), "conv": int(rows[0].sum()), "seconds": seconds, "skip": skips,
        "test": retrain(space, rows[0], data, seed), "said": said,
        "alarm": alarm(history, int(rows[0].sum())).level,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cells", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--out", type=Path, default=Path("collapse.json"))
    parser.add_argument("what", nargs="?", choices=("table", "alarm"), default="table")
    parser.add_argument("--each", type=int, default=20)
    args = parser.parse_args()
    torch.set_num_threads(1)
    known = json.loads(args.out.read_text()) if args.out.exists() else {}
    names = [name.strip() for name in args.systems.split(",")]
    end = time.monotonic() + 60 * args.minutes
    if args.what == "alarm":
        ring(known, args, end)
        return
    for seed in range(args.first, args.first + args.seeds):
        for system in names:
            key = f"{system}|{args.cells}|{seed}|{args.epochs}"
            if key not in known and time.monotonic() < end:
                known[key] = one(system, args.cells, seed, args.epochs)
                args.out.write_text(json.dumps(known))
                print(key, known[key], file=sys.stderr)
    table(known, args.cells, args.epochs)


def ring(known: dict[str, Any], args: argparse.Namespace, end: float) -> None:
    """Searches until enough of both kinds are there, and what the alarm has said of them."""
    fell: list[dict[str, Any]] = []
    stood: list[dict[str, Any]] = []
    steady = ("darts + pt", "drnas", "gdas", "snas", "rsws")
    plan = [("darts", seed) for seed in range(args.first, args.first + 3 * args.each)]
    plan += [(steady[i % 5], args.first + i // 5) for i in range(2 * args.each)]
    for system, seed in plan:
        if len(fell if system == "darts" else stood) >= args.each:
            continue
        key = f"{system}|{args.cells}|{seed}|{args.epochs}"
        if "alarm" not in known.get(key, {}):
            if time.monotonic() > end:
                break
            known[key] = one(system, args.cells, seed, args.epochs)
            args.out.write_text(json.dumps(known))
            print(key, {k: known[key][k] for k in ("test", "alarm", "seconds")}, file=sys.stderr)
        side = fell if known[key]["test"] < SOLVED else stood
        if len(side) < args.each:
            side.append(known[key] | {"system": system})
    missed = [run for run in fell if run["alarm"] != "collapsed"]
    wrong = [run for run in stood if run["alarm"] == "collapsed"]
    print(f"{args.cells} cells: {len(fell)} searches collapsed, {len(missed)} of them missed; "
          f"{len(stood)} did not, {len(wrong)} false alarms")  # fmt: skip
    rang = [run for run in fell if run["said"][-1] != "calm"]
    print(f"of the records alone, without the choice: {len(rang)} of {len(fell)} collapses said")
    firsts = [next(i for i, level in enumerate(run["said"]) if level != "calm") for run in rang]
    if firsts:
        print(f"first word of it after epoch {np.median(firsts) + 1:.0f} in the median of "
              f"{args.epochs}, at the latest {max(firsts) + 1}")  # fmt: skip
    for system in sorted({run["system"] for run in stood}):
        mine = [run for run in stood if run["system"] == system]
        leaning = sum(run["alarm"] == "leaning" for run in mine)
        print(f"  {system:<12}{len(mine):3d} not collapsed, {leaning} said to be leaning")


def table(known: dict[str, Any], cells: int, epochs: int) -> None:
    """Both tables, and what must hold."""
    print(f"{cells} cells, {epochs} epochs (in brackets the reference: 4 cells, 8 seeds)")
    print(f"{'system':<18}{'conv of 6':>15}{'collapses':>15}{'test':>17}{'s':>7}")
    of: dict[str, dict[int, dict[str, Any]]] = {}
    for key, found in known.items():
        system, c, seed, e = key.split("|")
        if (int(c), int(e)) == (cells, epochs):
            of.setdefault(system, {})[int(seed)] = found
    for system in (name for name in SYSTEMS if name in of):
        runs = list(of[system].values())
        conv, test = (np.mean([r[k] for r in runs]) for k in ("conv", "test"))
        falls = sum(r["conv"] == 0 for r in runs)
        few, share, good = SHEET[system]
        print(f"{system:<18}{conv:8.2f} ({few:4.2f}){falls:6d}/{len(runs)} ({share:>3})"
              f"{test:9.3f} ({good:.3f}){np.mean([r['seconds'] for r in runs]):7.1f}")  # fmt: skip
    print(f"\n{'flatness':<18}{'rise by noise':>18}{'alone':>16}{'eigenvalue':>18}")
    for system in (name for name in FLAT if name in of):
        flat = [r["flat"] for r in of[system].values()]
        rise, gap, top = (np.mean([f[k] for f in flat]) for k in ("rise", "gap", "eigenvalue"))
        x, y, top0 = FLAT[system]
        print(f"{system:<18}{rise:9.4f} ({x:.4f}){gap:7.2f} ({y:.2f}){top:9.3f} ({top0:.3f})")

    def falls_of(system: str) -> int:
        return sum(r["conv"] == 0 for r in of.get(system, {}).values())

    says = []
    if {"darts", "darts + pt"} <= of.keys():
        better = np.mean([r["test"] for r in of["darts + pt"].values()]) - np.mean(
            [r["test"] for r in of["darts"].values()])  # fmt: skip
        says += [("pt never collapses", falls_of("darts + pt") == 0),
                 (f"pt beats magnitude by .1 ({better:+.3f})", better >= 0.1),
                 ("darts collapses at least once", falls_of("darts") > 0)]  # fmt: skip
    says += [(f"{s} never collapses", falls_of(s) == 0)
             for s in ("drnas", "gdas", "snas", "rsws") if s in of]  # fmt: skip
    if {"darts", "sdarts-rs", "sdarts-adv"} <= of.keys():
        seeds = set.intersection(*(set(of[s]) for s in ("darts", "sdarts-rs", "sdarts-adv")))
        held = sum(
            of["sdarts-adv"][s]["flat"]["eigenvalue"] < of["sdarts-rs"][s]["flat"]["eigenvalue"]
            < of["darts"][s]["flat"]["eigenvalue"] for s in seeds
        )  # fmt: skip
        says.append((f"eigenvalues adv < rs < darts in {held} of {len(seeds)} seeds",
                     held >= 0.8 * len(seeds)))  # fmt: skip
    all_runs = [run for runs in of.values() for run in runs.values()]
    fell = [run["test"] < SOLVED for run in all_runs]
    rang = [alarm([], run["conv"]).level == "collapsed" for run in all_runs]
    missed = sum(f and not r for f, r in zip(fell, rang, strict=True))
    wrong = sum(r and not f for f, r in zip(fell, rang, strict=True))
    says.append((f"alarm: {sum(fell)} of {len(fell)} searches collapsed (test below {SOLVED}), "
                 f"{missed} missed, {wrong} false alarms", missed == 0 and wrong <= 1))  # fmt: skip
    for text, good in says:
        print(f"{'holds' if good else 'FAILS':<7}{text}")


if __name__ == "__main__":
    main()
