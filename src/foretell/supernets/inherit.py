"""Weights of a supernet for the network of a row that `Space.build` makes."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from foretell.errors import SpaceError
from foretell.nets.supernet.elastic_layers import ElasticLayer
from foretell.nets.supernet.mixed import Supernet, untracked

_NORM = nn.modules.batchnorm._BatchNorm
_KINDS = (nn.modules.conv._ConvNd, nn.Linear, _NORM, nn.LayerNorm, ElasticLayer)


def inherit(net: Supernet, module: nn.Module, example: Tensor) -> int:
    """Give a network the weights that the row on the supernet's board has there.

    Layers are matched in the order in which they run, and the outputs are compared: the network
    then computes what the supernet does, up to statistics of normalisation layers. Scales and
    offsets that a supernet has not stay as they are.

    Args:
        net: a supernet, whose board shows the row.
        module: of the same row, by `build`.
        example: a batch of inputs.

    Returns: how many numbers were given.

    Raises: SpaceError where the two networks are not of one row.
    """
    theirs, ours = _layers(net, example), _layers(module, example)
    pairs = _aligned(theirs, ours)
    if pairs is None:
        raise SpaceError(
            "weights of a supernet", expected="the network of the row that it shows",
            got=f"{len(ours)} layers for {len(theirs)}",
        )  # fmt: skip
    count = 0
    with torch.no_grad():
        for source, target in pairs:
            given = _numbers(source)
            for name, value in target.named_parameters(recurse=False):
                if name in given:
                    value.copy_(given[name])
                    count += value.numel() if value.ndim > 1 else 0
        if not _equal(net, module, example):
            raise SpaceError(
                "weights of a supernet", expected="the same outputs in the network of the row",
                hint="its layers run in another order there",
            )  # fmt: skip
    return count


def _layers(module: nn.Module, example: Tensor) -> list[nn.Module]:
    """Layers with weights or statistics, in the order in which they first run."""
    found: list[nn.Module] = []

    def see(layer: nn.Module, *_: object) -> None:
        if layer not in found:
            found.append(layer)

    hooks = [m.register_forward_hook(see) for m in module.modules() if isinstance(m, _KINDS)]
    mode = module.training
    kept = {k: v.clone() for k, v in module.state_dict().items()}
    try:
        with torch.no_grad():
            module.train()(example)
    finally:
        for hook in hooks:
            hook.remove()
        module.load_state_dict(kept)
        module.train(mode)
    return found


def _aligned(
    theirs: list[nn.Module], ours: list[nn.Module]
) -> list[tuple[nn.Module, nn.Module]] | None:
    """Pairs in order; layers of the supernet alone (norms after its poolings) are passed over."""
    pairs, i = [], 0
    for target in ours:
        while i < len(theirs) and not _alike(theirs[i], target):
            i += 1
        if i == len(theirs):
            return None
        pairs.append((theirs[i], target))
        i += 1
    return pairs


def _alike(a: nn.Module, b: nn.Module) -> bool:
    if (a.like if isinstance(a, ElasticLayer) else type(a)) is not type(b):
        return False
    if isinstance(b, _NORM):
        width = a.width() if isinstance(a, ElasticLayer) else a.num_features
        return bool(width == b.num_features)
    return {k: v.shape for k, v in _numbers(a).items()} == {
        k: v.shape for k, v in _numbers(b).items()
    }


def _numbers(layer: nn.Module) -> dict[str, Tensor]:
    """What a layer has learnt; of an elastic one what the last pass took."""
    if isinstance(layer, ElasticLayer):
        return layer.shown()
    return dict(layer.named_parameters(recurse=False))


def _equal(net: Supernet, module: nn.Module, example: Tensor) -> bool:
    mode = net.training
    net.eval()
    said = untracked(copy.deepcopy(module)).eval()(example)
    same = torch.allclose(net(example), said, rtol=1e-3, atol=1e-4)
    net.train(mode)
    return same
