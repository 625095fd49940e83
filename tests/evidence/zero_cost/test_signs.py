"""Proxies of signs, regions and input gradients against brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import foretell as ft
from foretell.evidence.zero_cost.epe_nas import EPENAS
from foretell.evidence.zero_cost.jacob_cov import JacobCov
from foretell.evidence.zero_cost.linear_regions import LinearRegions
from foretell.evidence.zero_cost.naswot import NASWOT
from foretell.evidence.zero_cost.swap import SWAP


def draws(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def one(proxy, net, data):
    return ft.proxies.score({"it": proxy}, net, data)["it"]


def network():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(80, 4))


X, Y = draws(20, 3, 6, 6), torch.arange(20) % 4


def signs(net, x):
    """(n, units): where each ReLU lets through."""
    found = []
    with torch.no_grad():
        for layer in net:
            if isinstance(layer, nn.ReLU):
                found.append((x > 0).flatten(1))
            x = layer(x)
    return torch.cat(found, dim=1).numpy()


def test_naswot_counts_pairs():
    code = signs(network(), X)
    K = np.array([[(a == b).sum() for b in code] for a in code], dtype=float)
    assert one(NASWOT(), network(), (X, Y)) == pytest.approx(np.linalg.slogdet(K)[1], rel=1e-6)


def test_naswot_of_equal_examples_says_why():
    found = ft.proxies.score(["naswot"], network(), (X[:1].repeat(4, 1, 1, 1), Y[:4]))
    assert np.isnan(found["naswot"])
    assert "inf" in found.reasons["naswot"]


def test_swap_counts_patterns():
    code = signs(network(), X[:16])
    assert one(SWAP(), network(), (X, Y)) == len({tuple(column) for column in code.T.tolist()})


def test_functions_count_as_modules_do():
    class Functions(nn.Module):
        def __init__(self, net):
            super().__init__()
            self.net = net

        def forward(self, x):
            x = torch.relu(nn.functional.conv2d(x, self.net[0].weight, self.net[0].bias, 1, 1))
            return self.net[5](self.net[2](x).relu().flatten(1))

    names = ["naswot", "swap", "fisher", "ntk-cond", "linear-regions", "grasp"]
    modules, functions = (
        ft.proxies.score(names, net, (X, Y)) for net in (network(), Functions(network()))
    )
    assert functions == pytest.approx(modules, rel=1e-3)


def test_linear_regions_of_the_plane():
    """Crossed regions on the way between two points of the plane, by every unit's own border."""
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(2, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU())
    net.append(nn.Linear(12, 2))
    x, y = torch.tensor([[-2.0, -1.0], [2.0, 1.5]]), torch.tensor([0, 1])
    t = torch.linspace(0, 1, 200_001, dtype=torch.float64)[:, None]
    code = signs(net.double(), (1 - t) * x[0] + t * x[1])
    changes = (code[1:] != code[:-1]).any(axis=1)
    regions = 1 + changes.sum()  # different neighbours: a new region each time
    assert len(np.unique(code, axis=0)) == regions  # a line meets a convex region once
    assert one(LinearRegions(ways=1, points=4001), net.float(), (x, y)) == regions
    assert 1 < one(LinearRegions(ways=1, points=3), net, (x, y)) <= regions


def jacobian(net, x):
    x = x.clone().requires_grad_()
    return np.array(
        [
            torch.autograd.grad(net(x[i : i + 1]).sum(), x)[0][i].numpy().ravel()
            for i in range(len(x))
        ]
    ).astype(float)


def test_jacob_cov_from_single_examples():
    v = np.linalg.eigvalsh(np.corrcoef(jacobian(network(), X)))
    expected = -np.sum(np.log(v + 1e-5) + 1 / (v + 1e-5))
    assert one(JacobCov(), network(), (X, Y)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("many", [False, True])
def test_epe_nas_from_single_examples(many, monkeypatch):
    if many:  # the rule for more classes than 100
        monkeypatch.setattr("foretell.evidence.zero_cost.epe_nas._MANY", 3)
    J, each = jacobian(network(), X), []
    for c in range(4):
        logs = np.log(np.abs(np.corrcoef(J[Y.numpy() == c])) + 1e-5)
        each.append(logs.mean() if many else logs.sum())
    pairs = sum(abs(a - b) for i, a in enumerate(each) for b in each[:i]) / 4
    expected = pairs if many else np.abs(each).sum()
    assert one(EPENAS(), network(), (X, Y)) == pytest.approx(expected, rel=1e-3)


def test_a_network_that_sees_nothing_says_so():
    net = nn.Sequential(nn.Flatten(), nn.Linear(108, 4))
    with torch.no_grad():
        net[1].weight.zero_()
    found = ft.proxies.score(["jacob-cov", "epe-nas", "naswot"], net, (X, Y))
    assert all(np.isnan(value) for value in found.values())
    assert "do not depend on the inputs" in found.reasons["jacob-cov"]
    assert "no ReLU" in found.reasons["naswot"]
