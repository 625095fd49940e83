"""A search step beside that of a method's own published code, on the same cells and images.

    python perf/bench_steps.py --reference DIR [--steps 8]

DIR has a copy of the folder `cnn` of quark0/darts. It runs on a CPU of today with the smallest
patch: `.cuda()` is the identity, and the old signatures of `add_` and `sub_` are those of today.
Steps of both alternate; printed are medians of CPU seconds of a whole step (alpha, then weights)
and their ratio, for the first and the second order.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from foretell.spaces.nb301 import NB301, OPS
from foretell.supernets.loop import Run
from foretell.supernets.recipes import recipe
from foretell.training.data import load

SIDE = 16


class WithNone(NB301):
    """The DARTS space with "none" in its supernet, as the reference has it."""

    def mixed_options(self) -> tuple[tuple[str, ...], ...]:
        """Operations of each edge."""
        return (("none", *OPS),) * 28


def reference(folder: Path, channels: int, cells: int) -> tuple[Any, Any]:
    """Its network and its architect, patched to run without a GPU."""

    def same(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self

    def old(new: Any) -> Any:
        def call(self: Tensor, first: Any, second: Any = None, **kwargs: Any) -> Any:
            if second is None:
                return new(self, first, **kwargs)
            return new(self, second, alpha=float(first))

        return call

    torch.Tensor.cuda = nn.Module.cuda = same  # type: ignore[method-assign]
    for name in ("add_", "sub_", "sub"):
        setattr(torch.Tensor, name, old(getattr(torch.Tensor, name)))
    sys.path.insert(0, str(folder))
    search: Any = importlib.import_module("model_search")
    architect: Any = importlib.import_module("architect")
    joined = architect._concat
    architect._concat = lambda xs: joined(list(xs))
    args = SimpleNamespace(
        momentum=0.9, weight_decay=3e-4, arch_learning_rate=3e-4, arch_weight_decay=1e-3
    )
    net = search.Network(channels, 10, cells, nn.CrossEntropyLoss())
    return net, architect.Architect(net, args)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--reference", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--cells", type=int, default=5)
    parser.add_argument("--batch", type=int, default=32)
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, size=(12 * args.batch, 3, SIDE, SIDE), dtype=np.uint8)
    data = load((x, np.arange(len(x)) % 10), seed=0, fractions=(0.8, 0.1, 0.1))
    net, architect = reference(args.reference, args.channels, args.cells)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.025, momentum=0.9, weight_decay=3e-4)
    for order, name in ((1, "darts"), (2, "darts-2nd")):
        method = recipe(name).but(batch_size=args.batch, augment="none")
        space = WithNone(channels=args.channels, n_cells=args.cells)
        space = space.with_io((3, SIDE, SIDE), 10)
        run = Run(space, method, data, 0, epochs=1, device="cpu")
        run._begin(0)
        run.net.train()
        net.train()

        def theirs(train: Any, val: Any, unrolled: bool = order == 2) -> None:
            architect.step(*train, *val, 0.025, optimiser, unrolled=unrolled)
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(train[0]), train[1]).backward()
            nn.utils.clip_grad_norm_(net.parameters(), 5)
            optimiser.step()

        def ours(train: Any, val: Any, run: Run = run, method: Any = method) -> None:
            run._batches = {"train": train, "val": val}
            run._step(method.alpha)

        spent: dict[Any, list[float]] = {theirs: [], ours: []}
        for i in range(args.steps + 1):
            train = run.learn.batch(torch.randperm(len(run.learn))[: args.batch])
            val = run.choose.batch(torch.randperm(len(run.choose))[: args.batch])
            for step, seconds in spent.items():
                start = time.process_time()
                step(train, val)
                if i:
                    seconds.append(time.process_time() - start)
        a, b = (float(np.median(seconds)) for seconds in spent.values())
        print(
            f"{name:<10} published code {a:.3f} s, foretell {b:.3f} s, ratio {b / a:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
