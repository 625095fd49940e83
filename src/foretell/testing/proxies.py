"""What every zero-cost proxy promises, as checks that anyone can run on an own one.

>>> import foretell as ft
>>> check_proxy(ft.proxies.get("l2-norm"))
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from foretell.errors import ForetellError
from foretell.evidence.zero_cost import Aggregate, Proxy, Scores, score
from foretell.testing._globals import global_states, shaken

One = Proxy | Aggregate


def check_proxy(proxy: One) -> None:
    """Run all checks of this module; AssertionError says which promise is broken."""
    for check in CHECKS:
        check(proxy)


class _Block(nn.Module):
    """A shortcut beside a convolution, as cells have them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """The sum of both."""
        out: Tensor = x + self.norm(self.conv(torch.relu(x)))
        return out


class _Nothing(nn.Module):
    """Says the same whatever it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        """The same for all."""
        return self.bias.expand(len(x), -1)


def examples() -> dict[str, tuple[nn.Module, tuple[Tensor, Tensor]]]:
    """Networks and data: images and a network that has gradients, features, signals, nothing."""
    draws = torch.Generator().manual_seed(0)
    labels = torch.arange(12) % 3
    images = torch.randn(12, 3, 9, 8, generator=draws)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        cells = nn.Sequential(_Block(6), _Block(6), nn.AvgPool2d(2), _Block(6))
        stem = nn.Conv2d(3, 6, 3, padding=1)
        head = [nn.ReLU(inplace=True), nn.Dropout(0.2), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        convolutional = nn.Sequential(stem, cells, *head, nn.Linear(6, 3))
        features = nn.Sequential(nn.Linear(7, 16), nn.ReLU(), nn.Linear(16, 8), nn.GELU())
        features.append(nn.Linear(8, 3))
        signal = nn.Sequential(
            nn.Conv1d(2, 4, 3, stride=2, groups=2), nn.BatchNorm1d(4), nn.ReLU(), nn.Flatten()
        )
        signal.append(nn.Linear(24, 1))
    convolutional.eval()
    stem.train()
    stem.weight.grad = torch.full_like(stem.weight, 0.5)
    stem.requires_grad_(False).weight.requires_grad_()
    return {
        "images": (convolutional, (images, labels)),
        "features": (features, (torch.randn(12, 7, generator=draws), labels)),
        "signal": (
            signal,
            (torch.randn(12, 2, 13, generator=draws), torch.randn(12, 1, generator=draws)),
        ),
        "nothing": (_Nothing(), (images, labels)),
    }


def check_numbers(proxy: One) -> None:
    """A float of each network: finite, or NaN with a reason; it says which direction is better."""
    assert isinstance(proxy.higher_is_better, bool), "`higher_is_better` is no bool"
    answered = 0
    for name, (net, data) in examples().items():
        found = _ask(proxy, net, data)
        value = found["it"]
        assert type(value) is float, f"on {name} the score is a {type(value).__name__}"
        assert math.isfinite(value) == ("it" not in found.reasons), f"on {name}: no reason is told"
        assert math.isfinite(found.seconds["it"]), f"on {name}: seconds are not finite"
        assert found.seconds["it"] >= 0, f"on {name}: seconds are negative"
        answered += math.isfinite(value)
    assert answered, "it has no answer to any network"


def check_untouched(proxy: One) -> None:
    """Weights, gradients, statistics, modes, hooks and the data are the same bits as before."""
    for name, (net, data) in examples().items():
        before, images, labels = _facts(net), data[0].clone(), data[1].clone()
        _ask(proxy, net, data)
        for what, value in _facts(net).items():
            assert _equal(value, before[what]), f"on {name}: {what} is another"
        assert torch.equal(data[0], images), f"on {name}: the inputs are others"
        assert torch.equal(data[1], labels), f"on {name}: the targets are others"


def check_determinism(proxy: One) -> None:
    """Asked again, under another global generator and without gradients, it says the same."""
    for name, (net, data) in examples().items():
        first = _ask(proxy, net, data)["it"]
        with shaken(), torch.no_grad():
            again = _ask(proxy, net, data)["it"]
        assert _same(first, again), f"on {name}: asked again, the score is another"


def check_global_randomness(proxy: One) -> None:
    """The global generators of random, numpy and torch are not touched."""
    net, data = examples()["images"]
    _ask(proxy, net, data)  # what it imports may draw
    with shaken():
        before = global_states()
        _ask(proxy, net, data)
        after = global_states()
    for name, state in after.items():
        assert state == before[name], f"the global generator of {name} was used"


def check_beside_others(proxy: One) -> None:
    """Computed from one pass with others, before or after them, every score is the one alone."""
    others: dict[str, Any] = {"first": _Sum(), "last": _Sum()}
    for name, (net, data) in examples().items():
        alone, sums = _ask(proxy, net, data)["it"], score(others, net, data)
        for order in (("first", "it", "last"), ("it", "first", "last")):
            found = score({k: others.get(k, proxy) for k in order}, net, data)
            assert _same(found["it"], alone), f"on {name}: beside others the score is another"
            for one in ("first", "last"):
                assert _same(found[one], sums[one]), f"on {name}: it changes what others see"


def check_wrong_input(proxy: One) -> None:
    """Data that does not fit is refused in words."""
    net, (images, labels) = examples()["images"]
    for data in ((images, labels[:-1]), (images[:0], labels[:0]), (images[0, 0, 0], labels[:8])):
        try:
            _ask(proxy, net, data)
        except ForetellError:
            continue
        raise AssertionError(f"data of shapes {[tuple(d.shape) for d in data]} was not refused")


class _Sum(Proxy):
    """What the network has and sees, in a number."""

    needs = frozenset({"loss", "codes", "blocks", "inputs"})

    def score(self, look: Any) -> float:
        """Weights, statistics, outputs and gradients."""
        state = sum(float(v.detach().double().sum()) for v in look.layers)
        grads = sum(float(g.detach().double().sum()) for g in look.gradients)
        return state + float(look.seen.outputs.detach().double().sum()) + grads


def _ask(proxy: One, net: nn.Module, data: tuple[Tensor, Tensor]) -> Scores:
    return score({"it": proxy}, net, data)


def _facts(net: nn.Module) -> dict[str, Any]:
    facts: dict[str, Any] = {k: v.detach().clone() for k, v in net.state_dict().items()}
    for name, p in net.named_parameters():
        facts[f"gradient of {name}"] = None if p.grad is None else p.grad.clone()
        facts[f"requires_grad of {name}"] = p.requires_grad
        facts[f"place of {name}"] = (p.data_ptr(), p.stride())
    for name, part in net.named_modules():
        facts[f"mode of {name or 'the network'}"] = part.training
        hooks = (part._forward_hooks, part._forward_pre_hooks, part._backward_hooks)
        facts[f"hooks of {name or 'the network'}"] = [len(one) for one in hooks]
        facts[f"attributes of {name or 'the network'}"] = sorted(vars(part))
    return facts


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return bool(np.array_equal(a.numpy(), b.numpy(), equal_nan=True))
    return bool(a == b)


def _same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))


CHECKS: tuple[Callable[[One], None], ...] = (
    check_numbers,
    check_untouched,
    check_determinism,
    check_global_randomness,
    check_beside_others,
    check_wrong_input,
)
