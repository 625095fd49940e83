"""Proxies of the loss's gradient against hand-written derivatives, gates and differences."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional

import foretell as ft
from foretell.evidence.zero_cost.fisher import Fisher
from foretell.evidence.zero_cost.grad_norm import GradNorm
from foretell.evidence.zero_cost.grasp import GraSP
from foretell.evidence.zero_cost.l2_norm import L2Norm
from foretell.evidence.zero_cost.plain import Plain
from foretell.evidence.zero_cost.snip import SNIP
from foretell.evidence.zero_cost.zico import ZiCo


def draws(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def one(proxy, net, data, **more):
    return ft.proxies.score({"it": proxy}, net, data, **more)["it"]


X, Y = draws(16, 3, 6, 6), torch.arange(16) % 4


def network(norm=True, seed=0):
    torch.manual_seed(seed)
    layers = [nn.Conv2d(3, 5, 3, padding=1), nn.BatchNorm2d(5) if norm else nn.Identity()]
    layers += [nn.ReLU(), nn.Conv2d(5, 6, 3, stride=2), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(24, 4))


def softmax_regression():
    """W (classes, features), no bias: dL/dW = (p - onehot)^T x / n."""
    net = nn.Linear(5, 3, bias=False)
    x, y = draws(8, 5), torch.arange(8) % 3
    W = net.weight.detach().double().numpy()
    z = x.double().numpy() @ W.T
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    G = (p - np.eye(3)[y.numpy()]).T @ x.double().numpy() / 8
    return net, (x, y), W, G


def test_by_hand():
    net, data, W, G = softmax_regression()
    assert one(GradNorm(), net, data) == pytest.approx(np.linalg.norm(G), rel=1e-5)
    assert one(SNIP(), net, data) == pytest.approx(np.abs(W * G).sum(), rel=1e-5)
    assert one(Plain(), net, data) == pytest.approx((W * G).sum(), rel=1e-4)
    assert one(L2Norm(), net, data) == pytest.approx(np.linalg.norm(W), rel=1e-6)


def test_fisher_by_hand():
    """Of softmax regression: a = z, d = (p - onehot) / n, five weights a channel."""
    net, data, W, _ = softmax_regression()
    z = data[0].double().numpy() @ W.T
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    d = (p - np.eye(3)[data[1].numpy()]) / 8
    assert one(Fisher(), net, data) == pytest.approx(
        5 * ((z * d) ** 2).mean(axis=0).sum() / 2, rel=1e-4
    )


def test_fisher_is_the_gradient_of_gates():
    """sum_pixels a d of an example is the derivative by a factor on its channel."""
    net = network()
    total = 0.0
    for name in ("0", "3", "6"):
        layer = dict(net.named_modules())[name]
        gates = torch.ones(16, layer.weight.shape[0], requires_grad=True)

        def gated(_, __, out, gates=gates):
            return out * gates.view(*gates.shape, *(1,) * (out.ndim - 2))

        hook = layer.register_forward_hook(gated)
        loss = functional.cross_entropy(copy.deepcopy(net).train()(X), Y)
        (g,) = torch.autograd.grad(loss, [gates])
        hook.remove()
        total += float(g.square().mean(dim=0).sum() / 2) * layer.weight[0].numel()
    assert one(Fisher(), net, (X, Y)) == pytest.approx(total, rel=1e-4)


def test_snip_is_the_gradient_of_masks():
    net = network()
    masks = {k: torch.ones_like(p).requires_grad_() for k, p in net.named_parameters()}
    masked = {k: p.detach() * masks[k] for k, p in net.named_parameters()}
    loss = functional.cross_entropy(functional_call(copy.deepcopy(net), masked, (X,)), Y)
    grads = torch.autograd.grad(loss, [masks[k] for k in ("0.weight", "3.weight", "6.weight")])
    assert one(SNIP(), net, (X, Y)) == pytest.approx(
        float(sum(g.abs().sum() for g in grads)), rel=1e-4
    )


def test_plain_is_zero_where_the_scale_does_not_matter():
    """Euler: a loss that does not depend on the scale of W has <W, dL/dW> = 0."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 5, 3, bias=False), nn.BatchNorm2d(5, eps=1e-12), nn.Flatten())
    head = nn.Linear(80, 4)
    head.requires_grad_(False)
    net.append(head)
    assert one(Plain(), net, (X, Y)) == pytest.approx(0, abs=1e-5)
    assert one(SNIP(), net, (X, Y)) > 0.1


def smooth_loss(net, weights, names, x, y):
    net = copy.deepcopy(net).double().train()
    return functional.cross_entropy(
        functional_call(net, dict(zip(names, weights, strict=True)), (x.double(),)), y
    )


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("seed", [0, 1])
def test_grasp_differentiated_twice(norm, seed):
    net = network(norm, seed)
    W = [p for p in net.parameters() if p.ndim >= 2]
    grads = torch.autograd.grad(
        functional.cross_entropy(copy_forward(net, X), Y), W, create_graph=True
    )
    H = torch.autograd.grad(sum((g * g.detach()).sum() for g in grads), W)
    expected = -float(sum((h * w.detach()).sum() for h, w in zip(H, W, strict=True)))
    assert one(GraSP(), net, (X, Y)) == pytest.approx(expected, rel=5e-3)


def copy_forward(net, x):
    """In training mode, without moving its statistics."""
    buffers = {k: b.clone() for k, b in net.named_buffers()}
    return functional_call(net.train(), buffers, (x,))


def test_grasp_by_differences_of_the_gradients_norm():
    """-W . H g = -1/2 d/da |grad L(W + a W)|^2 at a = 0; smooth activations, double precision."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(108, 9), nn.Tanh(), nn.Linear(9, 4))
    names = ["1.weight", "3.weight"]
    W = [p.detach().double() for p in net.parameters() if p.ndim >= 2]

    def squared(a):
        moved = [((1 + a) * w).requires_grad_() for w in W]
        return sum(
            float(g.square().sum())
            for g in torch.autograd.grad(smooth_loss(net, moved, names, X, Y), moved)
        )

    expected = -(squared(1e-4) - squared(-1e-4)) / 2e-4 / 2
    assert one(GraSP(), net, (X, Y)) == pytest.approx(expected, rel=2e-3)


def test_zico_by_hand():
    net = network()
    grads = []
    for half in (slice(0, 8), slice(8, 16)):
        W = [p for p in net.parameters() if p.ndim >= 2]
        loss = functional.cross_entropy(copy_forward(net, X[half]), Y[half])
        grads.append([g.numpy().ravel() for g in torch.autograd.grad(loss, W)])
    total = 0.0
    for a, b in zip(*grads, strict=True):
        std, mean = np.abs(a - b) / 2, (np.abs(a) + np.abs(b)) / 2
        total += np.log((mean[std > 0] / std[std > 0]).sum())
    assert one(ZiCo(), net, (X, Y)) == pytest.approx(total, rel=1e-3)


def test_losses():
    """Numbers are squared errors, and any loss can be given."""
    net, x, y = nn.Linear(5, 2, bias=False), draws(6, 5), draws(6, 2, seed=1)
    residual = (net(x) - y).detach()
    G = 2 * residual.T @ x / residual.numel()
    assert one(GradNorm(), net, (x, y)) == pytest.approx(float(G.norm()), rel=1e-5)
    thrice = one(GradNorm(), net, (x, y), loss=lambda out, y: 3 * functional.mse_loss(out, y))
    assert thrice == pytest.approx(3 * float(G.norm()), rel=1e-5)
