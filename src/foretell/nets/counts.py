"""What a network costs, counted without training it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from foretell.errors import ForetellError

# what neither has flops nor changes a shape, and takes torch's meta device most of the time
_SAME = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm),
    *(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
)


def measure(make: Callable[[], nn.Module], input_shape: tuple[int, ...]) -> tuple[int, int]:
    """Trainable parameters, and flops of one forward pass of one input in evaluation mode.

    The network is built on torch's meta device, where tensors have shapes but no memory. One that
    cannot be (it reads values while it is built or run) is counted on the CPU instead. Flops are
    those of `torch.utils.flop_counter`: two for each multiply-add of convolutions and matrix
    products, nothing else.

    Args:
        make: builds the network.
        input_shape: of one example, without the batch.

    Returns: (params, flops).

    >>> measure(lambda: nn.Linear(10, 3), (10,))
    (33, 60)
    """
    with torch.random.fork_rng(devices=[]):
        try:
            return _count(make, input_shape, "meta")
        except ForetellError:
            raise
        except (RuntimeError, NotImplementedError, TypeError):
            return _count(make, input_shape, "cpu")


def _count(
    make: Callable[[], nn.Module], input_shape: tuple[int, ...], device: str
) -> tuple[int, int]:
    with torch.device(device):
        module = make().eval()
        example = torch.zeros((1, *input_shape))
    params = sum(p.numel() for p in module.parameters() if p.requires_grad)
    for layer in module.modules() if device == "meta" else ():
        if type(layer) in _SAME:
            layer.forward = _as_it_is
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(example)
    return params, counter.get_total_flops()


def _as_it_is(x: torch.Tensor) -> torch.Tensor:
    return x
