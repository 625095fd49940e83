"""What a supernet needs of memory, told before it is trained."""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor

from foretell.supernets.loop import Run

SMALL = (2, 4)  # batches that are run to know what one more example costs


class Memory(NamedTuple):
    """Bytes: of weights, their gradients and the optimiser's memory, and of saved activations."""

    weights: int
    activations: int

    @property
    def total(self) -> int:
        """Both."""
        return self.weights + self.activations

    def __str__(self) -> str:
        return f"{self.total / 2**20:.0f} MB ({self.activations / 2**20:.0f} of activations)"


def foretold(run: Run, batch_size: int | None = None) -> Memory:
    """Memory of the heavier of both kinds of steps at a batch size.

    Activations that the backward pass needs are counted, each storage once, in steps on two very
    small batches; they grow in proportion to the batch. Weights count thrice: with their gradients
    and momentum. Nothing of the run changes.

    Args:
        run: before its training.
        batch_size: None for that of the method.
    """
    n = run.method.weights.batch_size if batch_size is None else batch_size
    n = min(n, len(run.learn))
    numbers = [p for p in run.net.parameters() if p.requires_grad]
    weights = sum(p.numel() * p.element_size() for p in numbers)
    found = [max(saved(run, k, alpha=alpha) for alpha in (False, True)) for k in SMALL]
    slope = (found[1] - found[0]) / (SMALL[1] - SMALL[0])
    return Memory(3 * weights, round(found[0] + slope * (n - SMALL[0])))


def saved(run: Run, n: int, *, alpha: bool) -> int:
    """Bytes that a step on `n` examples saves for its backward pass, weights apart.

    Args:
        run: of the step.
        n: examples.
        alpha: whether it is a step of alpha.
    """
    rngs = {name: rng.get_state() for name, rng in run.rngs.items()}
    own = {p.data_ptr() for p in run.net.parameters()}
    kept: dict[int, int] = {}
    alive: list[Tensor] = []  # so that no address is used twice

    def pack(value: Tensor) -> Tensor:
        place = value.untyped_storage()
        if place.data_ptr() not in own:
            kept[place.data_ptr()] = place.nbytes()
            alive.append(value)
        return value

    batch = run.learn.batch(torch.arange(n))
    arch = copy.deepcopy(run.arch)
    try:
        run.net.train()
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
            draw = run.distribution.draw(arch, run.mask, run.mixture, run.tau, run.rngs["alpha"])
            z = draw.z if alpha else draw.z.detach()
            if alpha and "path" not in run.distribution.gradient:
                z = z.detach().requires_grad_()
            loss = run.loss(z, batch, alpha=alpha)
        del loss
    finally:
        for name, rng in run.rngs.items():
            rng.set_state(rngs[name])
    return sum(kept.values())


def free(device: torch.device) -> int:
    """Bytes that are free on a device; of main memory where that is known, else 0."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return 0


def advice(run: Run) -> str:
    """A line on what the supernet needs; what to do where that is more than there is."""
    need, there = foretold(run), free(run.device)
    if not there or need.total <= there:
        return f"needs {need}"
    least = max(2, int(run.method.weights.batch_size * there / need.total * 0.8))
    return (
        f"will not fit: needs {need}, free are {there / 2**20:.0f} MB. Take a batch of {least}, "
        "fewer channels, a part of the channels (pc-darts), or a method of single paths (gdas)"
    )
