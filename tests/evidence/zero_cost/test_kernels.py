"""Kernels, spectra and features against explicit Jacobians and hand-made networks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, jacrev, vmap

import foretell as ft
from foretell.evidence.zero_cost.az_nas import Expressivity, Progressivity, Trainability
from foretell.evidence.zero_cost.meco import MeCo
from foretell.evidence.zero_cost.ntk_cond import NTKCond
from foretell.evidence.zero_cost.parts.look import Look
from foretell.evidence.zero_cost.parts.matrices import chosen, per_example
from foretell.evidence.zero_cost.synflow import SynFlow
from foretell.evidence.zero_cost.vkdnw import VKDNW
from foretell.evidence.zero_cost.zen import Zen
from foretell.nets.counts import measure


def draws(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def one(proxy, net, data):
    return ft.proxies.score({"it": proxy}, net, data)["it"]


def network():
    torch.manual_seed(0)
    layers = [nn.Conv2d(4, 6, 3, padding=1, groups=2), nn.ReLU(), nn.Conv2d(6, 4, 3, 2, 2, 2)]
    return nn.Sequential(*layers, nn.ReLU(), nn.Flatten(), nn.Linear(36, 3))


X, Y = draws(10, 4, 6, 6), torch.arange(10) % 3
WEIGHTS = ("0.weight", "2.weight", "5.weight")


def explicit(net, x):
    """Gradients (n, outputs, weights) of each output of each example."""
    params = {k: p.detach() for k, p in net.named_parameters()}

    def of(chosen, example):
        return functional_call(net, {**params, **chosen}, (example[None],))[0]

    jacobian = vmap(jacrev(of), (None, 0))({k: params[k] for k in WEIGHTS}, x)
    return torch.cat([jacobian[k].flatten(2) for k in WEIGHTS], dim=2)


def test_ntk_from_the_explicit_jacobian():
    J = explicit(network(), X).sum(dim=1).double()
    v = torch.linalg.eigvalsh(J @ J.T)
    assert one(NTKCond(), network(), (X, Y)) == pytest.approx(float(v[-1] / v[0]), rel=1e-3)


def test_ntk_holds_the_statistics_of_normalisation():
    """As if the normalisation were the fixed map that it is on this batch."""
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)
    tail = [nn.ReLU(), nn.Flatten(), nn.Linear(96, 3)]
    z = conv(X).detach()
    fixed = nn.Conv2d(6, 6, 1, groups=6)
    mean, var = z.mean((0, 2, 3)), z.var((0, 2, 3), unbiased=False)
    with torch.no_grad():
        fixed.weight.copy_(((var + norm.eps) ** -0.5).view(6, 1, 1, 1))
        fixed.bias.copy_(-mean * (var + norm.eps) ** -0.5)
    fixed.requires_grad_(False)
    a, b = (one(NTKCond(), nn.Sequential(conv, n, *tail), (X, Y)) for n in (norm, fixed))
    assert a == pytest.approx(b, rel=1e-3)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2), (4, 9)),
        (nn.Conv2d(4, 6, (3, 1), padding="same", dilation=2), (4, 7, 6)),
        (nn.Conv3d(2, 4, (1, 2, 3), stride=(1, 2, 1), padding=(0, 1, 1), groups=2), (2, 3, 5, 4)),
        (nn.Conv3d(2, 3, 2, dilation=2, padding="valid"), (2, 5, 4, 3)),
        (nn.Linear(5, 3), (5,)),
        (nn.Linear(5, 3), (7, 5)),
    ],
)
def test_gradients_of_single_examples(layer, shape):
    """Of a sum of squares, whose gradient by the output is twice the output."""
    x = draws(4, *shape)
    net = nn.Sequential(layer, nn.Flatten())
    look = Look(net, x, torch.zeros(4))
    (called,) = look.apart[1]
    got = per_example(called, 2 * called.output.detach())
    for k in range(4):
        (expected,) = torch.autograd.grad(layer(x[k : k + 1]).square().sum(), layer.weight)
        torch.testing.assert_close(got[k], expected.flatten(), rtol=1e-4, atol=1e-4)
    (some,) = chosen(called, [2 * called.output.detach()], 5)
    at = torch.linspace(0, layer.weight.numel() - 1, 5).long()
    torch.testing.assert_close(some, got[:, at], rtol=1e-4, atol=1e-4)


def test_vkdnw_from_the_explicit_fisher_information():
    """With many draws E_y g g^T is the sum over classes, J^T (diag p - p p^T) J."""
    net = network()
    J = explicit(net, X).double()
    sizes = [p.numel() for p in net.parameters() if p.ndim >= 2]
    starts = np.cumsum([0, *sizes[:-1]])
    at = np.concatenate(
        [s + torch.linspace(0, n - 1, 4).long().numpy() for s, n in zip(starts, sizes, strict=True)]
    )
    p = net(X).softmax(dim=1).double().detach()
    middle = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    F = (J[:, :, at].mT @ middle @ J[:, :, at]).mean(dim=0)
    d = torch.quantile(torch.linalg.eigvalsh(F).clamp_min(0), torch.arange(1, 10).double() / 10)
    q = (d / d.sum()).numpy()
    expected = 3 - np.sum(q * np.log(q)) / math.log(9)
    assert one(VKDNW(weights=12, draws=400), net, (X, Y)) == pytest.approx(expected, abs=0.02)


def test_synflow_is_conserved():
    """Each layer's flow is R itself, here 1^T |W3| |W2| |W1| 1: three times."""
    torch.manual_seed(0)
    parts = [nn.Linear(5, 7, bias=False), nn.BatchNorm1d(7), nn.ReLU(), nn.Linear(7, 6, bias=False)]
    net = nn.Sequential(*parts, nn.Linear(6, 3, bias=False))
    W = [p.detach().double().abs() for p in net.parameters() if p.ndim == 2]
    flow = float((W[2] @ W[1] @ W[0]).sum())
    found = one(SynFlow(), net, (draws(4, 5), torch.arange(4) % 3))
    assert found == pytest.approx(math.log1p(3 * flow), rel=1e-12)


def test_zen_by_hand():
    net = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1))
    net.extend([nn.Flatten(), nn.Linear(4, 2)])
    data = (draws(4, 3, 6, 6), torch.arange(4) % 2)
    g = Look(net, *data).generator("zen", "0")
    x, e = (torch.randn(16, 3, 6, 6, generator=g) for _ in range(2))
    W = torch.randn(4, 3, 3, 3, generator=g)
    z = [nn.functional.conv2d(v, W) for v in (x, x + 0.01 * e)]
    f = [nn.functional.batch_norm(v, None, None, training=True) for v in z]
    apart = (f[0] - f[1]).abs().sum((1, 2, 3)).mean().log()
    scale = z[1].var((0, 2, 3), unbiased=False).mean().sqrt().log()
    assert one(Zen(), net, data) == pytest.approx(float(apart + scale), rel=1e-4)


def test_zen_does_not_see_what_normalisation_hides():
    """Ten times the input of a normalised layer is log 10 more."""

    class Times(nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.factor, self.conv = factor, nn.Conv2d(3, 4, 3, bias=False)
            self.tail = nn.Sequential(nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())

        def forward(self, x):
            return self.tail(self.factor * self.conv(x))

    data = (draws(4, 3, 6, 6), torch.arange(4) % 2)
    small, large = (one(Zen(), Times(f), data) for f in (1.0, 10.0))
    assert large - small == pytest.approx(math.log(10), rel=1e-3)


class Scaled(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x):
        return self.factor * x


def chain(*blocks):
    """Weights first, so that what blocks get has a gradient."""
    return nn.Sequential(nn.Linear(6, 1, bias=False), nn.Sequential(*blocks))


def test_trainability_by_hand():
    """One channel: a block that multiplies by c has c as its norm; a change of nothing costs 1."""
    data = (draws(8, 6), torch.zeros(8, 1))
    for factors in ([0.5, 2.0, 3.0], [4.0, 0.25, 1.5]):
        expected = np.mean([2 - c - 1 / (c + 1e-6) for c in factors])
        net = chain(*map(Scaled, factors))
        assert one(Trainability(), net, data) == pytest.approx(expected, rel=1e-5)
    net = chain(Scaled(0.5), nn.Identity(), Scaled(0.5))
    assert one(Trainability(), net, data) == pytest.approx(2 - 0.5 - 2 - 1, abs=1e-4)


def test_expressivity_by_hand():
    """Features whose covariance has equal eigenvalues in k channels have the entropy log k."""

    class Keeps(nn.Module):
        def __init__(self, k):
            super().__init__()
            self.k = k

        def forward(self, x):
            return torch.cat([x[:, : self.k], torch.zeros_like(x[:, self.k :])], dim=1)

    X = torch.tensor(np.linalg.qr(np.c_[np.ones(32), draws(32, 8).numpy()])[0][:, 1:]).float()
    net = nn.Sequential(Keeps(8), Keeps(4), Keeps(3), nn.Identity())
    data = (X, torch.arange(32) % 3)
    expected = math.log(8) + math.log(8) + math.log(4) + 2 * math.log(3)
    assert one(Expressivity(), net, data) == pytest.approx(expected, rel=1e-4)
    assert one(Progressivity(), net, data) == pytest.approx(math.log(4) - math.log(8), rel=1e-3)


def test_meco_by_hooks():
    net = network()
    kept = []
    for part in net.modules():
        part.register_forward_hook(lambda _, __, out: kept.append(out))
    net(X)
    maps = [out[0].flatten(1).detach().double().numpy() for out in kept if out.ndim == 4]
    assert len(maps) == 4
    moving = [m for m in maps if (m.std(axis=1) > 0).all()]  # a channel that is 0 makes it 0
    expected = sum(np.linalg.eigvalsh(np.corrcoef(m))[0] for m in moving)
    assert one(MeCo(), network(), (X, Y)) == pytest.approx(expected, abs=1e-4)


def test_sizes_are_those_that_spaces_count():
    for space in (ft.spaces.get("nb201", channels=4, n_cells=1), ft.spaces.get("mobile")):
        space = space.with_io((3, 8, 8), 10)
        for x in space.sample(3, rng=0):
            net = space.build(x, (3, 8, 8), 10)
            params, flops = measure(lambda net=net: net, (3, 8, 8))
            data = (draws(4, 3, 8, 8), torch.arange(4))
            found = ft.proxies.score(["n-params", "n-flops", "n-layers"], net, data)
            assert (found["n-params"], found["n-flops"]) == (params, flops)
            layers = [m for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
            assert found["n-layers"] == len(layers)
