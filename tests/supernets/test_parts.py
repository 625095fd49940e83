"""Each part against closed forms and its definition."""

from __future__ import annotations

import dataclasses
import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from foretell.errors import SettingError
from foretell.nets.supernet.mixed import Board, Mixed, shuffled
from foretell.spaces.parts.mixture import Columns, Mixture, Node, Site
from foretell.supernets import hessian, perturbation, schedule
from foretell.supernets.alpha import (
    First,
    GateUpdate,
    LocalScore,
    NoUpdate,
    Reinforce,
    Second,
)
from foretell.supernets.controller import Controller
from foretell.supernets.distribution import (
    Architecture,
    Categorical,
    Concrete,
    Constant,
    Dirichlet,
    GumbelST,
    Proximal,
    Softmax,
    Uniform,
    dirichlet,
)
from foretell.supernets.execution import Full, Gates, Single, skip_drop
from foretell.supernets.method import Method, warnings
from foretell.supernets.regulariser import KL, Drawn, Entropy, kl_to_uniform
from foretell.supernets.selection import Magnitude, ProgressiveRemoval, SampleAndScore
from foretell.supernets.shrinking import Shrink

SOFT = (Softmax(), Concrete(), Dirichlet(), Constant())
HARD = (GumbelST(), Categorical(), Uniform(), Controller(), Proximal())
SHIFTED = (Softmax(), Concrete(), GumbelST(), Categorical())


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mixture(sites: int = 3, options: int = 4, keep: int = 1) -> Mixture:
    names = tuple(f"o{k}" for k in range(options))
    each = tuple(Site(f"site_{e}", names, keep) for e in range(sites))
    return Columns(each, columns=tuple(range(sites)), at=(0,) * sites)


def cell() -> Mixture:
    """The 14 edges of a DARTS cell."""
    names = ("none", "skip_connect", "conv")
    sites = tuple(Site(f"edge_{e}", names) for e in range(14))
    starts = (0, 2, 5, 9, 14)
    nodes = tuple(Node(tuple(range(a, b)), 2) for a, b in itertools.pairwise(starts))
    return Columns(sites, nodes, frozenset({"none"}), columns=tuple(range(14)), at=(0,) * 14)


def arch(alpha: Tensor) -> Architecture:
    return Architecture(alpha)


@pytest.mark.parametrize("part", SOFT + HARD, ids=lambda part: type(part).__name__)
def test_draws_keep_the_mask_and_follow_their_stream(part) -> None:
    where = mixture()
    mask = torch.tensor([[1, 1, 0, 1], [0, 1, 0, 0], [1, 1, 1, 1]], dtype=torch.bool)
    learnt = part.start(where, rng(3))
    first, second = (part.draw(learnt, mask, where, 0.7, rng(1)).z for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert (first[~mask] == 0).all()
    torch.testing.assert_close(first.sum(1), torch.ones(3))
    assert part.hard == all(set(row.tolist()) <= {0.0, 1.0} for row in first.round(decimals=6))
    mean = part.mean(learnt, mask, where)
    assert (mean[~mask] == 0).all()
    torch.testing.assert_close(mean.sum(1), torch.ones(3))


@pytest.mark.parametrize("part", SHIFTED, ids=lambda part: type(part).__name__)
def test_a_constant_added_to_logits_changes_nothing(part) -> None:
    where, alpha = mixture(), torch.randn(3, 4, generator=rng())
    mask = torch.ones(3, 4, dtype=torch.bool)
    a, b = (part.draw(arch(x), mask, where, 1.0, rng(5)).z for x in (alpha, alpha + 3.0))
    torch.testing.assert_close(a, b, rtol=0, atol=1e-5)


def test_concrete_goes_from_one_hot_to_equal() -> None:
    where, mask = mixture(2000, 5), torch.ones(2000, 5, dtype=torch.bool)
    alpha = arch(torch.randn(2000, 5, generator=rng()))
    measured = {10.0: 0.24, 1.0: 0.61, 0.1: 0.95, 0.03: 0.99}
    for tau, largest in measured.items():
        z = Concrete().draw(alpha, mask, where, tau, rng(1)).z
        assert float(z.detach().max(1).values.mean()) == pytest.approx(largest, abs=0.03)


@pytest.mark.parametrize("part", [GumbelST(), Categorical()])
def test_frequencies_are_softmax(part) -> None:
    n, row = 20_000, torch.tensor([0.5, -1.0, 0.0, 1.5])
    where, mask = mixture(n, 4), torch.ones(n, 4, dtype=torch.bool)
    z = part.draw(arch(row.expand(n, 4).clone()), mask, where, 1.0, rng(2)).z
    torch.testing.assert_close(z.detach().mean(0), row.softmax(0), rtol=0, atol=0.012)


def test_gumbel_gradient_reaches_all_and_sums_to_zero() -> None:
    where, mask = mixture(), torch.ones(3, 4, dtype=torch.bool)
    learnt = arch(torch.randn(3, 4, generator=rng()))
    z = GumbelST().draw(learnt, mask, where, 1.0, rng(1)).z
    assert float((z - z.round()).detach().abs().max()) < 1e-6
    (z * torch.randn(3, 4, generator=rng(9))).sum().backward()
    assert (learnt.alpha.grad != 0).all()
    torch.testing.assert_close(learnt.alpha.grad.sum(1), torch.zeros(3), rtol=0, atol=1e-6)


def test_temperature_of_gdas_and_snas() -> None:
    gdas, snas = schedule.Temperature(10, 0.1), schedule.Temperature(1.0, 0.03)
    assert [gdas.at(e, 250) for e in (0, 124, 249)] == pytest.approx([10, 5.07, 0.1], abs=5e-3)
    assert [snas.at(e, 150) for e in (0, 75, 149)] == pytest.approx([1, 0.512, 0.03], abs=1e-3)


def test_dirichlet_gradient_is_that_of_the_expectation() -> None:
    beta = torch.tensor([0.7, 1.0, 1.8, 0.4], dtype=torch.float64)
    c = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    n, total = 100_000, float(beta.sum())
    many = beta.expand(n, 4).clone().requires_grad_()
    (dirichlet(many, rng(0)) @ c).mean().backward()
    closed = c / total - (c @ beta) / total**2
    torch.testing.assert_close(many.grad.sum(0), closed, rtol=0, atol=4e-3)
    quadratic = beta.expand(n, 4).clone().requires_grad_()
    (dirichlet(quadratic, rng(1))[:, 0] ** 2).mean().backward()
    leaf = beta.clone().requires_grad_()  # E z_0^2 = b (b + 1) / (S (S + 1))
    whole = leaf.sum()
    (leaf[0] * (leaf[0] + 1) / (whole * (whole + 1))).backward()
    torch.testing.assert_close(quadratic.grad.sum(0), leaf.grad, rtol=0, atol=4e-3)


def test_masked_dirichlet_is_dirichlet_of_what_is_left() -> None:
    n = 100_000
    alpha = (
        torch.tensor([0.7, 1.0, 1.8, 0.4])
        .log()
        .where(torch.tensor([0.7, 1.0, 1.8, 0.4]) < 1, torch.tensor([0.7, 1.0, 1.8, 0.4]) - 1)
    )
    mask = torch.tensor([True, False, True, False]).expand(n, 4)
    z = Dirichlet().draw(arch(alpha.expand(n, 4).clone()), mask, mixture(n, 4), 1.0, rng(4)).z
    z = z.detach()
    assert float(z[:, 0].mean()) == pytest.approx(0.7 / 2.5, abs=4e-3)
    assert float(z[:, 0].var()) == pytest.approx(0.7 * 1.8 / (2.5**2 * 3.5), abs=2e-3)


def test_kl_against_torch() -> None:
    beta = torch.tensor([[0.7, 1.0, 1.8, 0.4], [2.0, 2.0, 2.0, 2.0]], dtype=torch.float64)
    like = torch.distributions.Dirichlet
    whole = torch.distributions.kl_divergence(like(beta), like(torch.ones_like(beta)))
    torch.testing.assert_close(kl_to_uniform(beta), whole, rtol=1e-12, atol=1e-12)
    mask = torch.tensor([[True, True, True, False]] * 2)
    part = torch.distributions.kl_divergence(
        like(beta[:, :3]), like(torch.ones(2, 3, dtype=torch.float64))
    )
    torch.testing.assert_close(kl_to_uniform(beta, mask), part, rtol=1e-12, atol=1e-12)


def test_alpha_zero_is_the_uniform_dirichlet_and_decay_leads_there() -> None:
    learnt = arch(torch.full((2, 3), 0.8))
    optimiser = First(weight_decay=0.5, lr=0.05).optimiser(learnt)
    for _ in range(200):
        learnt.alpha.grad = torch.zeros_like(learnt.alpha)
        optimiser.step()
    torch.testing.assert_close(Dirichlet().beta(learnt), torch.ones(2, 3), rtol=0, atol=0.02)


def test_proximal_has_two_edges_a_node_and_a_gradient_for_all() -> None:
    where, part = cell(), Proximal()
    learnt = part.start(where, rng(0))
    mask = torch.from_numpy(where.mask)
    z = part.draw(learnt, mask, where, 1.0, rng(1)).z
    assert float(z.detach().sum()) == 8
    assert [int((z[list(n.sites)] > 0).sum()) for n in where.nodes] == [2, 2, 2, 2]
    assert (z[:, 0] == 0).all()  # none is never taken
    (z * torch.randn(z.shape, generator=rng(3))).sum().backward()
    assert (learnt.alpha.grad != 0).all()
    with torch.no_grad():
        learnt.alpha += 5 * torch.randn(learnt.alpha.shape, generator=rng(4))
    part.constrain(learnt)
    assert float(learnt.alpha.detach().min()) >= 0
    assert float(learnt.alpha.detach().max()) <= 1


def test_equal_alphas_do_not_all_become_the_first_operation() -> None:
    part, where = Proximal(), mixture(40, 4)
    z = part.draw(
        part.start(where, rng(0)), torch.ones(40, 4, dtype=torch.bool), where, 1.0, rng(1)
    ).z
    assert (z.sum(0) > 2).all()


def test_uniform_takes_each_pair_of_a_nodes_edges_alike() -> None:
    where = cell()
    mask, generator = torch.from_numpy(where.mask), rng(0)
    learnt = Uniform().start(where, rng(1))
    drawn = torch.stack([Uniform().draw(learnt, mask, where, 1.0, generator).z for _ in range(600)])
    last = drawn[:, 9:14].sum(2)
    assert (last.sum(1) == 2).all()
    assert (drawn[:, :, 0] == 0).all()
    torch.testing.assert_close(last.mean(0), torch.full((5,), 0.4), rtol=0, atol=0.08)


# -- the controller -------------------------------------------------------------------------------


class Table:
    """A bench whose reward is the sum of a table's entries."""

    def __init__(self, part, table: Tensor, seed: int) -> None:
        self.part, self.table, self.mixture = part, table, mixture(*table.shape)
        self.arch = part.start(self.mixture, rng(seed))
        self.mask = torch.ones(table.shape, dtype=torch.bool)
        self.alpha_rng = rng(seed + 1)

    def draw(self):
        return self.part.draw(self.arch, self.mask, self.mixture, 1.0, self.alpha_rng)

    def next_batch(self):
        return torch.zeros(0), torch.zeros(0)

    def reward(self, z: Tensor, batch) -> float:
        return float((z.detach() * self.table).sum())


def test_reinforce_finds_the_best_row_of_a_table() -> None:
    orders = [torch.randperm(5, generator=rng(e)) for e in range(4)]
    table = torch.stack(orders) / 5
    for seed in range(1):
        bench = Table(Controller(hidden=8), table, seed)
        update = Reinforce(lr=0.05, eps=1e-8, samples=6)
        optimiser = update.optimiser(bench.arch)
        for _ in range(90):
            optimiser.zero_grad()
            update.gradients(bench)
            optimiser.step()
        best = Controller().mean(bench.arch, bench.mask, bench.mixture).argmax(1)
        assert best.tolist() == table.argmax(1).tolist()


def test_reinforce_is_unbiased_and_its_baseline_cuts_the_variance() -> None:
    table = torch.rand(2, 3, generator=rng(7)) + 2
    bench = Table(Categorical(), table, 0)
    with torch.no_grad():
        bench.arch.alpha.zero_()
    found = {}
    for decay in (1.0, 0.9):  # with decay 1 the baseline stays what it was: 0
        update = Reinforce(samples=1, entropy=0.0, decay=decay)
        bench.arch.baseline = 0.0
        each = []
        for _ in range(1200):
            update.gradients(bench)
            each.append(bench.arch.alpha.grad.clone())
        found[decay] = torch.stack(each)
    p = torch.full((3,), 1 / 3)
    exact = -torch.stack([p * (row - (p * row).sum()) for row in table])
    torch.testing.assert_close(found[0.9][100:].mean(0), exact, rtol=0, atol=0.05)
    assert float(found[0.9][100:].var(0).sum()) < 0.2 * float(found[1.0].var(0).sum())


# -- gradients of alpha ---------------------------------------------------------------------------


class Bilinear(nn.Module):
    """Two edges of three smooth operations."""

    def __init__(self) -> None:
        super().__init__()
        self.ops = nn.ModuleList(nn.Linear(3, 3) for _ in range(4))
        self.head = nn.Linear(3, 2)
        self.z = torch.zeros(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        for e in range(2):
            first, second = self.ops[2 * e], self.ops[2 * e + 1]
            x = (
                self.z[e, 0] * x
                + self.z[e, 1] * torch.tanh(first(x))
                + self.z[e, 2] * torch.sin(second(x))
            )
        return self.head(x)


class Small:
    """A bench of a smooth network in double precision."""

    def __init__(self, part=None, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.net = Bilinear().double()
        self.part, self.mixture = part or Softmax(), mixture(2, 3)
        self.mask = torch.ones(2, 3, dtype=torch.bool)
        self.arch = Architecture(torch.randn(2, 3, generator=rng(seed)).double())
        self.optimiser = torch.optim.SGD(
            self.net.parameters(), lr=0.1, momentum=0.9, weight_decay=3e-4
        )
        self.alpha_rng = rng(1)
        data = [torch.randn(20, 3, generator=rng(s)).double() for s in (2, 3)]
        self.data = {
            name: (x, (x[:, 0] > x[:, 1]).long())
            for name, x in zip(("train", "val"), data, strict=True)
        }
        loss = self.loss(self.draw().z, self.batch("train"))  # so that there is a momentum
        loss.backward()
        self.optimiser.step()
        self.arch.alpha.grad = None

    def draw(self):
        return self.part.draw(self.arch, self.mask, self.mixture, 1.0, self.alpha_rng)

    def loss(self, z, batch, *, alpha=True):
        self.net.z = z.double()
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def objective(self, z, batch):
        return self.loss(z, batch)

    def batch(self, part):
        return self.data[part]


@pytest.mark.parametrize("part", [Softmax(), Concrete()], ids=["softmax", "concrete"])
def test_second_order_by_differences_is_the_exact_one(part) -> None:
    """The correction alone: the whole gradient differs by so little that it proves nothing."""
    found = []
    for exact in (False, True):
        bench = Small(part)
        before = [p.detach().clone() for p in bench.net.parameters()]
        state = bench.alpha_rng.get_state()
        Second(exact=exact).gradients(bench)
        for p, old in zip(bench.net.parameters(), before, strict=True):
            assert torch.equal(p, old)
        second = bench.arch.alpha.grad.clone()
        bench.alpha_rng.set_state(state)
        found.append(second)
    # the gradient without the correction: w' = w - xi (mu m + dL + wd w), nothing of alpha in w'
    bench = Small(part)
    params, state = list(bench.net.parameters()), bench.alpha_rng.get_state()
    slopes = torch.autograd.grad(bench.loss(bench.draw().z, bench.batch("train")), params)
    with torch.no_grad():
        for p, slope in zip(params, slopes, strict=True):
            p -= 0.1 * (slope + 3e-4 * p + 0.9 * bench.optimiser.state[p]["momentum_buffer"])
    bench.alpha_rng.set_state(state)
    bench.objective(bench.draw().z, bench.batch("val")).backward()
    direct = bench.arch.alpha.grad
    near, exact = (one - direct for one in found)
    assert float(exact.norm()) > 0
    assert float((near - exact).norm() / exact.norm()) < 1e-3


def test_second_order_is_first_order_at_rate_zero() -> None:
    first, second = Small(), Small()
    second.optimiser.param_groups[0]["lr"] = 0.0
    First().gradients(first)
    Second().gradients(second)
    torch.testing.assert_close(first.arch.alpha.grad, second.arch.alpha.grad, rtol=0, atol=1e-12)


def test_local_score_is_unbiased_where_the_loss_is_linear() -> None:
    slope = torch.randn(1, 4, generator=rng(1)).double()
    alpha = torch.randn(1, 4, generator=rng(2)).double()
    p = alpha.softmax(1)
    mean = torch.zeros(1, 4, dtype=torch.float64)
    for k in range(4):

        class One(Categorical):
            def draw(self, arch, mask, where, tau, generator, k=k):
                hot = torch.zeros(1, 4, dtype=torch.float64)
                hot[0, k] = 1.0
                drawn = super().draw(arch, mask, where, tau, generator)
                return drawn._replace(z=hot, log_prob=arch.alpha.log_softmax(1)[:, k])

        bench = Small()
        bench.part, bench.mixture = One(), mixture(1, 4)
        bench.mask, bench.arch = torch.ones(1, 4, dtype=torch.bool), Architecture(alpha.clone())
        bench.objective = lambda z, batch: (z * slope).sum()
        LocalScore(data="val", order="alpha-first").gradients(bench)
        mean += p[0, k] * bench.arch.alpha.grad
    exact = p * (slope - (p * slope).sum())
    torch.testing.assert_close(mean, exact, rtol=0, atol=1e-14)


def test_gates_are_the_jacobian_of_softmax_and_pairs_leave_the_others() -> None:
    slope = torch.randn(2, 3, generator=rng(1)).double()
    bench = Small(Categorical())
    bench.objective = lambda z, batch: (z * slope).sum()
    GateUpdate().gradients(bench)
    leaf = bench.arch.alpha.detach().clone().requires_grad_()
    (leaf.softmax(1) * slope).sum().backward()
    torch.testing.assert_close(bench.arch.alpha.grad, leaf.grad, rtol=0, atol=1e-14)

    update = GateUpdate(pair=True, lr=0.3)
    optimiser = update.optimiser(bench.arch)
    before = bench.arch.alpha.detach().clone()
    optimiser.zero_grad()
    update.gradients(bench)
    optimiser.step()
    update.after(bench)
    after = bench.arch.alpha.detach()
    assert ((before != after).sum(1) == 2).all()
    old, new = before.softmax(1), after.softmax(1)
    torch.testing.assert_close(old[before == after], new[before == after], rtol=0, atol=1e-12)


# -- executions -----------------------------------------------------------------------------------


def edge(divisor: int = 1, options: int = 3) -> Mixed:
    torch.manual_seed(0)
    board = Board([[f"o{k}" for k in range(options)]])
    ops = {f"o{k}": nn.Conv2d(8 // divisor, 8 // divisor, 3, padding=1) for k in range(options)}
    return Mixed(board, 0, ops, divisor)


def shown(mixed: Mixed, z: Tensor, run, alpha: bool = False, mask: Tensor | None = None) -> None:
    class Net:
        board = mixed.board

    run.show(Net(), z, torch.ones_like(z, dtype=torch.bool) if mask is None else mask, alpha=alpha)


def test_single_runs_one_operation_and_leaves_the_others_bit_for_bit() -> None:
    mixed = edge()
    z = torch.tensor([[0.0, 1.0, 0.0]])
    optimiser = torch.optim.SGD(mixed.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    before = [p.detach().clone() for p in mixed.parameters()]
    shown(mixed, z, Single())
    optimiser.zero_grad(set_to_none=True)
    mixed(torch.randn(2, 8, 4, 4)).sum().backward()
    optimiser.step()
    assert mixed.calls == 1
    moved = [not torch.equal(p, old) for p, old in zip(mixed.parameters(), before, strict=True)]
    assert moved == [False, False, True, True, False, False]


def test_masked_operations_are_not_called() -> None:
    mixed = edge()
    z = torch.tensor([[0.5, 0.5, 0.0]])
    shown(mixed, z, Full(), alpha=True, mask=torch.tensor([[True, True, False]]))
    mixed(torch.randn(2, 8, 4, 4))
    assert mixed.calls == 2


def test_three_kinds_of_gates_give_the_same_slopes() -> None:
    x, target = torch.randn(2, 8, 4, 4), torch.randn(2, 8, 4, 4)
    slopes = []
    for how in ("full", "recompute"):
        mixed = edge()
        z = torch.tensor([[0.0, 1.0, 0.0]], requires_grad=True)
        shown(mixed, z, Gates(how=how), alpha=True)
        loss = ((mixed(x) - target) ** 2).sum()
        loss.backward()
        slopes.append(z.grad.clone())
        assert [p.grad is not None for p in mixed.parameters()] == [False, False, True, True] + [
            False
        ] * 2
    mixed = edge()
    with torch.no_grad():
        outs = [op(x) for op in mixed.ops.values()]
        by_hand = torch.stack([(2 * (outs[1] - target) * out).sum() for out in outs])
    for slope in slopes:
        torch.testing.assert_close(slope[0], by_hand, rtol=1e-4, atol=1e-3)


def test_partial_channels_save_the_square_and_the_share() -> None:
    def saved(divisor: int) -> tuple[int, int]:
        mixed, total = edge(divisor), 0
        z = torch.full((1, 3), 1 / 3, requires_grad=True)
        shown(mixed, z, Full())
        kept: dict[int, int] = {}

        def pack(t: Tensor) -> Tensor:
            if t.ndim == 4 and t.shape[0] == 4:
                kept[t.data_ptr()] = t.numel()
            return t

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            out = mixed(torch.randn(4, 8, 6, 6, requires_grad=True))
        total = sum(kept.values())
        assert out.shape == (4, 8, 6, 6)
        return total, sum(p.numel() for p in mixed.parameters() if p.ndim == 4)

    whole, half, quarter = (saved(q) for q in (1, 2, 4))
    assert half[0] / whole[0] == pytest.approx(0.5, abs=0.1)
    assert quarter[0] / whole[0] == pytest.approx(0.25, abs=0.1)
    assert (half[1] * 4, quarter[1] * 16) == (whole[1], whole[1])


def test_shuffle_is_a_permutation_with_fixed_ends() -> None:
    x = torch.arange(16).view(1, 16, 1, 1)
    out = shuffled(x, 4).flatten().tolist()
    assert out[:6] == [0, 4, 8, 12, 1, 5]
    assert sorted(out) == list(range(16))
    assert torch.equal(shuffled(shuffled(x, 4), 4), x)  # its own inverse where C = q^2


# -- perturbations --------------------------------------------------------------------------------


def test_uniform_noise_adds_a_sixth_of_the_trace() -> None:
    """E[L(z + d)] - L(z) = eps^2 / 6 tr H for a quadratic loss and no clip."""
    H = torch.randn(12, 12, generator=rng(0)).double()
    H = H @ H.T / 12
    generator, eps = rng(1), 0.3
    drawn = torch.stack(
        [perturbation._noise(torch.zeros(12).double(), eps, generator) for _ in range(20_000)]
    )
    rise = 0.5 * ((drawn @ H) * drawn).sum(1)
    assert float(rise.mean()) == pytest.approx(
        float(eps**2 / 6 * H.trace()), abs=4 * float(rise.std()) / 141
    )


def test_adversarial_loss_is_never_lower_and_above_that_of_noise() -> None:
    where, mask = mixture(2, 4), torch.ones(2, 4, dtype=torch.bool)
    clean, noise, attack = [], [], []
    for seed in range(20):
        slope = torch.randn(2, 4, generator=rng(seed))

        def loss(z, slope=slope):
            return (z * slope).sum() + (z**2).sum()

        z = torch.randn(2, 4, generator=rng(seed + 50)).softmax(1)
        worse, other = (
            part(z, perturbation.Step(mask, where, 0.3, loss, rng(1)))
            for part in (perturbation.Adversarial(), perturbation.UniformNoise())
        )
        for found, values in ((z, clean), (other, noise), (worse, attack)):
            torch.testing.assert_close(found.sum(1), torch.ones(2))
            values.append(float(loss(found)))
    assert all(a >= c for a, c in zip(attack, clean, strict=True))
    assert np.mean(attack) > np.mean(noise) > np.mean(clean) - 0.05
    assert np.mean(attack) > np.mean(noise) + 0.1


def test_path_dropout_drops_all_paths_with_its_rate() -> None:
    where, r, n = mixture(2, 3), 0.2, 4000
    part, z = perturbation.PathDropout(), torch.ones(2, 3)
    step = perturbation.Step(torch.ones(2, 3, dtype=torch.bool), where, r, None, rng(0))
    drawn = torch.stack([part(z, step) for _ in range(n)])
    share = (drawn.sum(2) == 0).double().mean(0)
    torch.testing.assert_close(share, torch.full((2,), r).double(), rtol=0, atol=0.03)
    assert torch.equal(part(z, step._replace(size=0.0)), z)


def test_skip_dropout_of_p_darts() -> None:
    rates = [skip_drop(0.4, t, 25) for t in (0, 1, 9, 10, 11, 12, 24)]
    assert rates == pytest.approx([0.384, 0.368, 0.24, 0.4, 0.3275, 0.2681, 0.0243], abs=1e-4)


# -- curvature and schedules ----------------------------------------------------------------------


def test_largest_eigenvalue_is_that_of_the_whole_matrix() -> None:
    H = torch.randn(20, 20, generator=rng(0)).double()
    H = H + H.T - 3 * torch.eye(20).double()

    def f(x: Tensor) -> Tensor:
        return 0.5 * x @ H @ x + (x**4).sum()

    at = torch.randn(20, generator=rng(1)).double()
    exact = torch.linalg.eigvalsh(hessian.hessian(f, at))[-1]
    torch.testing.assert_close(hessian.hessian(f, at), H + torch.diag(12 * at**2))
    assert hessian.largest(f, at) == pytest.approx(float(exact), rel=1e-3)


def test_hessian_in_logits_knows_no_shift() -> None:
    weights = torch.randn(3, 4, generator=rng(0)).double()
    alpha = torch.randn(3, 4, generator=rng(1)).double()
    H = hessian.hessian(lambda a: (a.softmax(1) * weights).sum() ** 2, alpha)
    ones = torch.zeros(12, dtype=torch.float64)
    ones[4:8] = 1.0
    assert float((H @ ones).abs().max()) < 1e-14


@pytest.mark.parametrize(
    ("series", "stop", "back"),
    [
        (lambda m: 1.0, None, None),
        (lambda m: 1 + 0.05 * m, None, None),
        (lambda m: 1.1**m, 22, 10),
        (lambda m: 1.0 if m < 13 else 2.0, 28, 16),
    ],
)
def test_stop_rule_on_series_by_hand(series, stop, back) -> None:
    rule, found = schedule.Flatness(), None
    epochs, values = [], []
    for m in range(25):
        epochs.append(2 * m)
        values.append(series(m))
        found = rule.returns(epochs, values)
        if found is not None:
            break
    assert (None if found is None else epochs[-1]) == stop
    assert found == back


def course(alpha: list[list[float]], keep: int) -> SimpleNamespace:
    """A search whose mean weights are these, of rows that take `keep` options of a site."""
    scores = np.array(alpha)
    return SimpleNamespace(
        scores=lambda: scores, mixture=mixture(*scores.shape, keep),
        mask=torch.ones(scores.shape, dtype=torch.bool),
    )  # fmt: skip


def test_sites_are_frozen_once_what_a_row_takes_leads() -> None:
    weights = [[0.6, 0.3, 0.1, 0.0], [0.5, 0.4, 0.05, 0.05], [0.3, 0.3, 0.2, 0.2]]
    one, two = course(weights, 1), course(weights, 2)
    for search in (one, two):
        schedule.Freeze(0.3).end(search, 0)
    assert one.mask.tolist() == [[True, False, False, False], [True] * 4, [True] * 4]
    assert two.mask.tolist() == [[True] * 4, [True, True, False, False], [True] * 4]
    z = Categorical().draw(arch(torch.zeros(3, 4)), two.mask, two.mixture, 1.0, rng())
    assert z.z.sum(1).tolist() == [2] * 3
    assert torch.isfinite(z.log_prob).all()


def test_pruning_leaves_what_a_row_takes() -> None:
    search = course([[0.1, 0.2, 0.3, 0.4]] * 2, 2)
    schedule.prune(search, 3)
    assert search.mask.tolist() == [[False, True, True, True]] * 2
    schedule.prune(search, 1)
    assert search.mask.tolist() == [[False, False, True, True]] * 2


def test_entropy_bonus_and_price() -> None:
    """Of equal options the entropy is log K; a negative weight makes it a price."""
    alpha, mask = torch.zeros(2, 4), torch.tensor([[True] * 4, [True, True, False, False]])
    at = Drawn(alpha, arch(alpha), mask, Softmax(), lambda name: alpha)
    mean = (math.log(4) + math.log(2)) / 2
    for weight in (0.5, -0.5):
        loss = Entropy(weight)(torch.tensor(1.0), at)
        assert float(loss.detach()) == pytest.approx(1 - weight * mean, abs=1e-6)


# -- selection and combinations -------------------------------------------------------------------


def test_magnitude_takes_two_edges_never_none_and_earlier_ones_of_equals() -> None:
    where = cell()
    scores = np.full((14, 3), 1 / 3)
    best = where.best(scores)
    assert np.flatnonzero(best.any(axis=1)).tolist() == [0, 1, 2, 3, 5, 6, 9, 10]
    assert not best[:, 0].any()
    assert best[:, 1].sum() == 8
    scores[:, 0] = 9.0  # none everywhere
    scores[4] = [9, 0.1, 0.9]
    best = where.best(scores)
    assert best[4].tolist() == [0, 0, 1]
    assert best[3].sum() == 0
    assert best.sum() == 8


GOOD = Method()
SHARP = {"distribution": GumbelST(), "execution": Single()}
BAD = {
    "Single with Softmax": {"execution": Single()},
    "Gates with Softmax": {"execution": Gates()},
    "UniformNoise with GumbelST": {
        **SHARP, "perturbation": perturbation.UniformNoise()
    },
    "Adversarial with GumbelST": {
        **SHARP, "perturbation": perturbation.Adversarial()
    },
    "First with Categorical": {"distribution": Categorical(), "execution": Single()},
    "Second with Categorical": {
        "distribution": Categorical(), "execution": Single(), "alpha": Second()
    },
    "GateUpdate with Single": {
        "distribution": Categorical(), "execution": Single(), "alpha": GateUpdate()
    },
    "nothing to read": {"alpha": NoUpdate()},
    "never ran together": {
        "distribution": GumbelST(), "execution": Single(), "selection": ProgressiveRemoval()
    },
    "Second with order 'joint'": {"alpha": Second(order="joint", data="train"), "share": 1.0},
    "Second with dropout": {"alpha": Second(), "execution": Full(skip_drop=0.3)},
    "order 'joint' uses all": {"alpha": First(order="joint")},
    "KL with Softmax": {"regularisers": (KL(),)},
    "edge normalisation": {
        "execution": Full(edge_norm=True), "selection": SampleAndScore()
    },
    "Flatness with stages": {
        "schedule": (schedule.Stages(fresh=True), schedule.Flatness())
    },
    "share of the training rows": {"share": 0.0},
    "Shrink with Full": {"schedule": (Shrink(),)},
}  # fmt: skip


@pytest.mark.parametrize("words", sorted(BAD))
def test_what_does_not_fit_is_refused_in_words(words: str) -> None:
    with pytest.raises(SettingError, match=words) as caught:
        GOOD.but(**BAD[words])
    assert "Next:" in str(caught.value)
    assert "expected" in str(caught.value)


def test_near_chance_scores_are_warned_of() -> None:
    full = Method(distribution=Constant(), alpha=NoUpdate(), selection=SampleAndScore())
    assert "PathDropout" in warnings(full)[0]
    assert warnings(dataclasses.replace(full, perturbation=perturbation.PathDropout())) == []
    assert warnings(Method(selection=Magnitude())) == []
