"""REINFORCE's gradient against its closed form and finite differences, on two decisions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import foretell as ft
from foretell._rng import stream
from foretell.errors import SettingError
from foretell.search.history import History
from foretell.strategies.parts.controller import Controller, policy, reinforce_loss, tensors
from foretell.strategies.parts.controller import updated as update
from foretell.strategies.reinforce import Reinforce

TWO = ft.Space.from_choices({"a": [0, 1], "b": [0, 1, 2]}, build=print)
ALL = np.concatenate(list(TWO.enumerate()))


def controller(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Controller([2, 3], 4, 1, generator, width=0.5).double()


def flat(net):
    return torch.cat([p.detach().reshape(-1) for p in net.parameters()])


def put(net, values):
    at = 0
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(values[at : at + p.numel()].reshape(p.shape))
            at += p.numel()


def expected_reward(net, reward):
    """sum_x p(x) R(x) over all six rows, exactly."""
    return float((np.exp(net.log_probability(TWO, ALL)) * reward).sum())


def test_chances_of_all_rows_sum_to_one():
    assert np.exp(controller().log_probability(TWO, ALL)).sum() == pytest.approx(1.0)


def test_the_gradient_is_that_of_the_expected_reward():
    # sum_x p(x) (R(x) - b) grad log p(x) = grad E[R], for any baseline b
    net, reward = controller(), np.array([0.1, 0.9, 0.3, 0.7, 0.2, 0.5])
    chance = np.exp(net.log_probability(TWO, ALL))
    rows, active = tensors(TWO, ALL)
    for baseline in (0.0, 0.4):
        net.zero_grad()
        weight = torch.from_numpy(chance * (reward - baseline) * len(ALL))
        reinforce_loss(net, rows, active, weight, 0.0).backward()
        mine = -torch.cat([p.grad.reshape(-1) for p in net.parameters()])
        values, h = flat(net), 1e-5
        numeric = []
        for i in range(len(values)):
            ends = []
            for sign in (1, -1):
                moved = values.clone()
                moved[i] += sign * h
                put(net, moved)
                ends.append(expected_reward(net, reward))
            numeric.append((ends[0] - ends[1]) / (2 * h))
        put(net, values)
        np.testing.assert_allclose(mine.numpy(), numeric, atol=1e-8)


def test_the_gradient_of_the_last_biases_in_closed_form():
    # of the logits of the first decision: (R - b) (1[a = k] - p_k)
    net = controller()
    x = np.array([[1, 2]])
    rows, active = tensors(TWO, x)
    p = net.log_probs(rows)[0][0].exp().detach().numpy()
    reinforce_loss(net, rows, active, torch.tensor([0.7]).double(), 0.0).backward()
    np.testing.assert_allclose(-net.head.bias.grad[:2], 0.7 * (np.array([0, 1]) - p))


def test_entropy_is_that_of_the_decisions():
    net = controller()
    rows, active = tensors(TWO, ALL)
    _, entropy = net.taken(rows, active)
    chance = np.exp(net.log_probability(TWO, ALL))
    # the average of the entropies along the way is that of the whole distribution
    exact = -(chance * np.log(chance)).sum()
    assert float(chance @ entropy.detach().numpy()) == pytest.approx(exact)


def test_the_baseline_is_a_moving_average_and_the_old_policy_stays():
    first = policy(TWO, 4, 1, 0.01, 0)
    before = flat(first.controller).clone()
    second = update(first, TWO, ALL[:2], np.array([0.2, 0.4]), 0.0, 0.9)
    assert second.baseline == pytest.approx(0.3)
    third = update(second, TWO, ALL[:2], np.array([1.0, 1.0]), 0.0, 0.9)
    assert third.baseline == pytest.approx(0.9 * 0.3 + 0.1)
    assert torch.equal(flat(first.controller), before)
    assert not torch.equal(flat(second.controller), before)


def test_samples_come_as_often_as_their_chances():
    net = controller()
    X = net.sample(20_000, stream(0))
    share = np.bincount(X[:, 0] * 3 + X[:, 1], minlength=6) / len(X)
    chance = np.exp(net.log_probability(TWO, ALL))[np.lexsort((ALL[:, 1], ALL[:, 0]))]
    assert np.abs(share - chance).max() < 4 * np.sqrt(0.25 / 20_000)


def test_decisions_that_do_not_apply_do_not_count():
    own = ft.Space.from_choices(
        {"depth": [1, 2], "width": ft.choice([8, 16], repeat="depth")}, build=print
    )
    rows = np.concatenate(list(own.enumerate()))
    net = policy(own, 4, 1, 0.01, 0).controller
    assert np.exp(net.log_probability(own, rows)).sum() == pytest.approx(1.0)


def test_it_learns_what_is_good():
    space = ft.spaces.get("nb201")
    search = ft.Search(space, Reinforce(repeats=True), seed=0)
    for _ in range(12):
        X = search.ask(10)
        search.tell(X, (X == 3).sum(axis=1))
    assert search.values[-30:].mean() > search.values[:30].mean() + 1
    net = Reinforce().policy(space, History.empty(space)).controller
    assert net.log_probability(space, np.full((1, 6), 3))[0] == pytest.approx(
        -6 * np.log(5), abs=0.1
    )
    with pytest.raises(SettingError, match="reinforce, lr"):
        Reinforce(lr=0)
