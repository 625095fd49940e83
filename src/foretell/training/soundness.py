"""Whether a network is all that its parameters and buffers say, so that it can be given away.

A network that is not is trained and measured, and what is read back later is another one: layers in
a plain list are not saved, a dropout that is always on gives other outputs at every call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from foretell.training.checkpoint import pack, unpack

TOLERANCE = 1e-4  # between outputs that should be equal, relative to values above 1
_DEEP = 4  # lists in lists that are looked into


class Trouble(NamedTuple):
    """What is wrong: a word, what was found, and what to do."""

    code: str
    what: str
    todo: str


def unregistered(module: nn.Module) -> list[str]:
    """Names of weights that a network has in plain lists, tuples or dicts, where torch looks not.

    >>> class Listed(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.blocks = [nn.Linear(2, 2, bias=False)]
    >>> unregistered(Listed())
    ['blocks[0].weight']
    """
    known = {id(tensor) for tensor in (*module.parameters(), *module.buffers())}
    names = []
    for path, part in module.named_modules():
        for key, value in vars(part).items():
            if key not in ("_parameters", "_buffers", "_modules"):
                for name, tensor in _weights(f"{path}.{key}".lstrip("."), value, _DEEP):
                    if id(tensor) not in known:
                        known.add(id(tensor))
                        names.append(name)
    return names


def unsized(module: nn.Module) -> Trouble | None:
    """What to say of weights without a size before the first forward pass, as in `nn.LazyLinear`.

    They cannot be counted, optimised or read back.
    """
    every = (*module.named_parameters(), *module.named_buffers())
    names = [name for name, tensor in every if nn.parameter.is_lazy(tensor)]
    if not names:
        return None
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return Trouble(
        "lazy",
        f"{names[0]}{more} has no size before the first inputs",
        "give layers their sizes, which follow from the input_shape that `build` gets",
    )


def ours(module: nn.Module) -> bool:
    """Whether a network is one of this package, of layers of this package and torch alone.

    Its tests have looked at those.

    >>> ours(nn.Sequential(nn.Linear(2, 2)))
    False
    """
    return type(module).__module__.startswith("foretell.") and all(
        type(part).__module__.startswith(("foretell.", "torch.nn.")) for part in module.modules()
    )


def _weights(name: str, value: object, deep: int) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):  # what was computed of others, as weight_norm does, is no weight
        if isinstance(value, nn.Parameter) or (value.requires_grad and value.is_leaf):
            yield name, value
    elif isinstance(value, nn.Module):
        for key, tensor in (*value.named_parameters(), *value.named_buffers()):
            yield f"{name}.{key}", tensor
    elif deep and isinstance(value, (list, tuple, Mapping)):
        for key, item in dict(value if isinstance(value, Mapping) else enumerate(value)).items():
            yield from _weights(f"{name}[{key!r}]", item, deep - 1)


@torch.no_grad()
def troubles(module: nn.Module, again: Callable[[], nn.Module], x: Tensor) -> Iterator[Trouble]:
    """What keeps a network from coming back: three looks, the next only where the last is good.

    Args:
        module: the network, as it was built or trained; left in the mode it was in.
        again: builds the same one anew, on that device, with other initial weights.
        x: a few inputs, on the network's device.
    """
    if names := unregistered(module):
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield Trouble(
            "registered",
            f"{names[0]}{more} is no part of the network, so it is neither trained nor saved",
            "put layers into nn.ModuleList or nn.ModuleDict, weights into nn.ParameterList",
        )
        return
    modes = {part: part.training for part in module.modules()}
    try:
        module.eval()
        first, second = module(x), module(x)
        if _differ(first, second):
            yield Trouble(
                "repeats",
                "two forward passes of the same inputs in eval mode differ",
                "switch off in eval mode what is random, as dropout(..., training=self.training) "
                "does, and count nothing in forward",
            )
            return
        other = again().eval()
        try:
            unpack(other, pack(module))
        except Exception as error:
            text = " ".join(str(error).split())[:200]
            yield Trouble(
                "saved",
                f"the saved weights do not fit a fresh build ({text})",
                "`build` must depend on its arguments alone",
            )
            return
        if _differ(first, other(x)):
            yield Trouble(
                "saved",
                "the network read back from its saved weights gives other outputs",
                "keep all that it computes with in parameters and buffers (register_buffer)",
            )
    finally:
        for part, mode in modes.items():
            part.training = mode


def _differ(one: object, other: object) -> bool:
    """Whether finite outputs differ by more than the tolerance."""
    if not (isinstance(one, Tensor) and isinstance(other, Tensor) and one.shape == other.shape):
        return False  # the shape of outputs has an error of its own
    both = torch.isfinite(one) & torch.isfinite(other)
    size = torch.where(both, one, 0.0).abs().amax() if one.numel() else torch.zeros(())
    gap = torch.where(both, one - other, 0.0).abs().amax() if one.numel() else size
    return bool(gap > TOLERANCE * size.clamp(min=1.0))
