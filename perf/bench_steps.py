"""A search step beside that of a method's published code, on the same cells and images.

    python perf/bench_steps.py --system darts --reference DIR [--steps 8]

DIR is a copy of a public repository: for darts (both orders) the folder `cnn` of quark0/darts, for
pc-darts yuhuixu1993/PC-DARTS, for drnas and gdas xiangning-chen/DrNAS (folder `201-space`, whose
GDAS is a copy of the authors' own). They run on a CPU of today with the smallest patch: `.cuda()`
is the identity, old signatures of `add_` and `sub_` are those of today, torchvision is empty. Steps
of both alternate; printed are medians of CPU seconds of a whole step (alpha, then weights), and the
memory that steps take on top of what was there before the network was made, each in a process of
its own.
"""

from __future__ import annotations

import argparse
import importlib
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from foretell.spaces.base import Space
from foretell.spaces.nb201 import NB201
from foretell.spaces.nb301 import NB301, OPS
from foretell.supernets.loop import Run
from foretell.supernets.recipes import recipe
from foretell.training.data import Data, load

SIDE = 16
Step = Callable[[Any, Any], None]
RECIPES = {"darts": ("darts", "darts-2nd")}  # else the system's own name


class WithNone(NB301):
    """The DARTS space with "none" in its supernet, as the references have it."""

    def mixed_options(self) -> tuple[tuple[str, ...], ...]:
        """Operations of each edge."""
        return (("none", *OPS),) * 28


def patch() -> None:
    """Old code on a CPU of today."""

    def same(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self

    def old(new: Any) -> Any:
        def call(self: Tensor, first: Any, second: Any = None, **kwargs: Any) -> Any:
            if second is None:
                return new(self, first, **kwargs)
            return new(self, second, alpha=float(first))

        return call

    torch.Tensor.cuda = nn.Module.cuda = same  # type: ignore[method-assign]
    vision = ("torchvision", "torchvision.transforms", "torchvision.datasets")  # no step needs it
    sys.modules |= {name: ModuleType(name) for name in vision}
    for name in ("add_", "sub_", "sub"):
        setattr(torch.Tensor, name, old(getattr(torch.Tensor, name)))


def published(args: argparse.Namespace, name: str) -> Step:
    """A step of the published code."""
    patch()
    settings = SimpleNamespace(
        momentum=0.9, weight_decay=3e-4, arch_learning_rate=3e-4, arch_weight_decay=1e-3,
        reg_type="l2", reg_scale=1e-3,
    )  # fmt: skip
    loss, small = nn.CrossEntropyLoss(), args.system in ("drnas", "gdas")
    paths = [args.reference / "201-space", args.reference] if small else [args.reference]
    sys.path[:0] = [str(path) for path in paths]
    if args.system == "drnas":
        options = importlib.import_module("cell_operations").NAS_BENCH_201
        net = importlib.import_module("search_model").TinyNetwork(
            args.channels, args.cells, 4, 10, loss, options, k=1, species="dirichlet"
        )
    elif args.system == "gdas":
        options = importlib.import_module("cell_operations").NAS_BENCH_201
        net = importlib.import_module("search_model_gdas").TinyNetworkGDAS(
            args.channels, args.cells, 4, 10, loss, options
        )
    else:
        net = importlib.import_module("model_search").Network(args.channels, 10, args.cells, loss)
    code: Any = importlib.import_module("architect")
    joined = code._concat
    code._concat = lambda xs: joined(list(xs))
    architect = code.Architect(net, settings)
    weights = net.get_weights() if small else list(net.parameters())
    optimiser = torch.optim.SGD(weights, lr=0.025, momentum=0.9, weight_decay=3e-4)
    net.train()

    def step(train: Any, val: Any) -> None:
        architect.step(*train, *val, 0.025, optimiser, unrolled=name == "darts-2nd")
        optimiser.zero_grad()
        loss(net(train[0]), train[1]).backward()
        nn.utils.clip_grad_norm_(weights, 5)
        optimiser.step()

    return step


def own(args: argparse.Namespace, name: str, data: Data) -> tuple[Step, Run]:
    """A step of foretell."""
    method = recipe(name).but(batch_size=args.batch, augment="none", clip=5.0)
    small = args.system in ("drnas", "gdas")
    kind: Any = NB201 if small else WithNone
    space: Space = kind(channels=args.channels, n_cells=args.cells)
    run = Run(space.with_io((3, SIDE, SIDE), 10), method, data, 0, epochs=1, device="cpu")
    run._begin(0)
    run.alpha_on = True  # also where it would still be warming up
    run.net.train()

    def step(train: Any, val: Any) -> None:
        run._batches = {"train": train, "val": val}
        run._step(method.alpha)

    return step, run


def images(n: int) -> Data:
    """Random ones."""
    x = np.random.default_rng(0).integers(0, 256, size=(n, 3, SIDE, SIDE), dtype=np.uint8)
    return load((x, np.arange(n) % 10), seed=0, fractions=(0.8, 0.1, 0.1))


def memory(args: argparse.Namespace, name: str) -> None:
    """Print the bytes that three steps of one side take."""
    data = images(12 * args.batch)
    _, run = own(args, name, data)
    pairs = [
        (run.learn.batch(torch.arange(args.batch)), run.choose.batch(torch.arange(args.batch)))
    ]
    del run
    page = resource.getpagesize()
    before = int(Path("/proc/self/statm").read_text().split()[1]) * page
    step = published(args, name) if args.memory == "theirs" else own(args, name, data)[0]
    for _ in range(3):
        step(*pairs[0])
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--reference", type=Path, required=True)
    parser.add_argument("--system", choices=("darts", "pc-darts", "drnas", "gdas"), default="darts")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--cells", type=int, default=5, help="of drnas and gdas in each stage")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--memory", choices=("ours", "theirs"), help="this alone, of one side")
    parser.add_argument("--recipe", default="", help="for --memory")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    if args.memory:
        memory(args, args.recipe)
        return
    data = images(12 * args.batch)
    for name in RECIPES.get(args.system, (args.system,)):
        ours, run = own(args, name, data)
        theirs = published(args, name)
        spent: dict[Step, list[float]] = {theirs: [], ours: []}
        for i in range(args.steps + 1):
            train = run.learn.batch(torch.randperm(len(run.learn))[: args.batch])
            val = run.choose.batch(torch.randperm(len(run.choose))[: args.batch])
            for step, seconds in spent.items():
                start = time.process_time()
                step(train, val)
                if i:
                    seconds.append(time.process_time() - start)
        a, b = (float(np.median(seconds)) for seconds in spent.values())
        again = [sys.executable, *sys.argv, "--recipe", name, "--memory"]
        bytes_of = {
            side: int(subprocess.run([*again, side], capture_output=True, check=True).stdout)
            for side in ("theirs", "ours")
        }
        print(
            f"{name:<10} published code {a:.3f} s, foretell {b:.3f} s, ratio {b / a:.2f}; "
            f"{bytes_of['theirs'] / 2**20:.0f} MB, {bytes_of['ours'] / 2**20:.0f} MB, ratio "
            f"{bytes_of['ours'] / bytes_of['theirs']:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
