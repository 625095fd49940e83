"""Whole searches: equal in another run, continued to the same bits."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from toy import Toy, toy_data

import foretell as ft
from foretell import _catalog
from foretell.errors import SpaceError
from foretell.supernets import state
from foretell.supernets.loop import Run
from foretell.supernets.method import Method
from foretell.supernets.selection import Magnitude
from foretell.training.data import load

NAMES = [row.name for row in _catalog.KINDS["supernet"]]


@pytest.fixture(scope="module")
def data():
    return toy_data(0, n=120)


def quick(name: str, space, epochs: int = 2, **options):
    settings = dict(_catalog.row("supernet", name.partition(":")[0]).quick)
    search = ft.supernets.get(
        name, space=space, settings=settings, epochs=epochs, random_state=1, **options
    )
    search.method = search.method.but(batch_size=16)
    return search


@pytest.fixture(scope="module")
def digits():
    return load("digits", fractions=(0.08, 0.05, 0.87))


SLOW = {
    "darts-2nd", "darts-pt", "darts-pt-fixed-alpha", "darts-es", "darts-ada", "sdarts-adv",
    "sdarts-adv-pt", "r-darts", "bayesnas", "te-nas", "few-shot",
}  # fmt: skip
NAMES.remove("ofa")  # which needs numbers, and has a file of its own
EACH = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in NAMES]


@pytest.mark.parametrize("name", EACH)
def test_every_recipe_finds_the_same_row_again(name: str, digits) -> None:
    space = ft.spaces.get("nb201", channels=4, n_cells=1, input_shape=(1, 8, 8))
    state = torch.random.get_rng_state()
    a, b = (quick(name, space).fit(digits) for _ in range(2))
    assert torch.equal(state, torch.random.get_rng_state())
    assert np.array_equal(a.ranking_, b.ranking_)
    assert space.contains(a.ranking_).all()
    scores = a.score(a.ranking_)
    assert ((scores >= 0) & (scores <= 1)).all()
    strip = [{k: v for k, v in r.items() if k != "seconds"} for r in a.history_]
    assert strip == [{k: v for k, v in r.items() if k != "seconds"} for r in b.history_]


@pytest.mark.parametrize("x", [[3, 1, 4, 2, 0, 3], [0, 0, 0, 0, 0, 0], [3, 3, 3, 0, 0, 3]])
def test_a_row_of_the_supernet_is_the_network_of_that_row(x) -> None:
    """The same modules: with the same weights, and batch statistics, the same outputs."""
    space = ft.spaces.get("nb201", channels=4, n_cells=1, input_shape=(3, 8, 8))
    torch.manual_seed(0)
    whole = space.supernet((3, 8, 8), 5).train()
    whole.board.show(torch.from_numpy(space.mixture().weights(np.array([x]))[0]))
    batch = torch.randn(4, 3, 8, 8)
    alone = space.build(x, (3, 8, 8), 5).train()
    from foretell.supernets.inherit import inherit

    n = inherit(whole, alone, batch)
    assert n == sum(p.numel() for p in alone.parameters() if p.ndim > 1)
    torch.testing.assert_close(whole(batch), alone(batch), rtol=1e-4, atol=1e-5)


def test_what_a_row_does_not_touch_is_not_run() -> None:
    space = ft.spaces.get("nb201", channels=4, n_cells=2, input_shape=(3, 8, 8))
    whole, row = space.supernet((3, 8, 8), 5), np.array([[2, 2, 2, 3, 0, 0]])
    whole.board.show(torch.from_numpy(space.mixture().weights(row)[0]))
    whole(torch.randn(2, 3, 8, 8))
    calls = {m.site: m.calls for m in whole.mixed()[:6]}
    assert calls == {0: 0, 1: 0, 2: 0, 3: 1, 4: 0, 5: 0}  # only 0 -> 3 reaches the output


@pytest.mark.parametrize("name", ["darts-2nd", "gdas", "drnas-progressive", "darts-pt", "ofa"])
def test_killed_anywhere_it_goes_on_to_the_same_bits(
    name: str, digits, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(state, "EVERY_S", 0.0)
    space = ft.spaces.get("nb201", channels=4, n_cells=1, input_shape=(1, 8, 8))
    epochs = 2
    if name == "ofa":  # with a teacher, and phases that sort channels
        space, epochs = ft.spaces.get("mobile", preset="tiny", input_shape=(1, 8, 8)), 5
    straight = quick(name, space, epochs, folder=tmp_path / "a").fit(digits)

    class Killed(Exception):  # noqa: N818  # a kill
        pass

    rng = np.random.default_rng(3)
    broken, kills = quick(name, space, epochs, folder=tmp_path / "b"), 0
    while True:
        left = int(rng.integers(4, 11))

        def pulse() -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed

        try:
            broken.fit(digits, pulse=pulse)
            break
        except Killed:
            kills += 1
            broken = quick(name, space, epochs, folder=tmp_path / "b")
    assert kills
    for (_, one), (_, other) in zip(straight.runs_, broken.runs_, strict=True):
        a, b = one.tensors(), other.tensors()
        assert a.keys() == b.keys()
        assert all(torch.equal(a[key], b[key]) for key in a)
    assert np.array_equal(straight.ranking_, broken.ranking_)


def test_streams_are_apart(data) -> None:
    """A perturbation that does nothing leaves every other draw as it was."""
    from foretell.supernets.perturbation import UniformNoise

    space = Toy(width=8)
    plain = Method().but(epochs=1)
    runs = [
        Run(space, method, data, 0, epochs=1)
        for method in (plain, plain.but(perturbation=UniformNoise(0.0, 0.0)))
    ]
    for run in runs:
        run.train()
    a, b = (run.tensors() for run in runs)
    assert not torch.equal(a["rng/perturbation"], b["rng/perturbation"])
    same = [k for k in a if k != "rng/perturbation"]
    assert all(torch.allclose(a[k].float(), b[k].float(), atol=1e-6) for k in same)


def test_alpha_rests_in_the_warm_up(data) -> None:
    from foretell.supernets.schedule import WarmUp

    run = Run(Toy(width=8), Method(schedule=(WarmUp(0.5),)), data, 0, epochs=4)
    before, seen = run.arch.alpha.detach().clone(), []
    run.train(lambda record: seen.append(torch.equal(run.arch.alpha.detach(), before)))
    assert seen == [True, True, False, False]


def test_stages_prune_and_keep_what_is_kept(digits) -> None:
    """Three options of each edge are left, with the alphas that they had; the others have none."""
    space = ft.spaces.get("nb201", channels=4, n_cells=1, input_shape=(1, 8, 8))
    method = quick("drnas-progressive", space).method
    run = Run(space.with_io(digits.input_shape, 10), method, digits, 0, epochs=10)
    alphas: list[torch.Tensor] = []
    run.train(lambda record: alphas.append(run.arch.alpha.detach().clone()))
    assert run.mask.sum(1).tolist() == [3] * 6
    assert run.divisor == 1
    before, warm, last = alphas[4], alphas[5], alphas[9]  # of the second stage the first rests
    assert torch.equal(warm[run.mask], before[run.mask])
    assert not warm[~run.mask].any()
    assert not torch.equal(last[run.mask], before[run.mask])


@pytest.mark.parametrize("name", ["dsnas", "gdas", "proxylessnas", "enas", "snas"])
def test_a_row_without_any_path_ends_no_search(name: str, digits) -> None:
    """Nothing but "none": the loss does not depend on the weights of operations."""
    space = ft.spaces.get("nb201", channels=4, n_cells=1).with_io(digits.input_shape, 10)
    run = Run(space, quick(name, space).method, digits, 0, epochs=1)
    with torch.no_grad():
        run.arch.alpha[:, 0] = 50.0
        if name == "enas":
            run.arch.options.bias.view(6, 5)[:, 0] = 500.0
    run.train()
    assert np.isfinite(run.history[0]["train_loss"])
    assert torch.isfinite(run.arch.alpha).all()


def test_pairs_and_first_batches_are_those_of_the_seed(data) -> None:
    one, other = (Run(Toy(width=8), Method(), data, seed, epochs=1) for seed in (0, 1))
    assert not torch.equal(one.arch.alpha, other.arch.alpha)


def test_a_space_without_marks_says_how_to_get_a_supernet() -> None:
    own = ft.Space.from_choices({"op": ["a", "b"]}, build=print)
    with pytest.raises(SpaceError, match="mix=True"):
        own.mixture()


def test_limits_hold_for_what_is_chosen(data) -> None:
    from foretell.spaces.parts.limited import Limited

    space = ft.spaces.get("nb201", channels=4, n_cells=1, input_shape=(1, 8, 8))
    small = Limited.of(space, {"params": 12_000})
    digits = load("digits", fractions=(0.1, 0.05, 0.85))
    run = Run(small.with_io((1, 8, 8), 10), Method(), digits, 0, epochs=1)
    with torch.no_grad():  # convolutions everywhere: far too large
        run.arch.alpha.zero_()
        run.arch.alpha[:, 3] = 3.0
    (row,) = Magnitude().select(run)
    assert small.within(row[None]).all()
    assert not small.within(np.full((1, 6), 3)).all()
    assert (row == 3).any()  # and still as much of it as goes


def test_copies_carry_the_mask_and_the_board(data) -> None:
    run = Run(Toy(width=8), Method(), data, 0, epochs=1)
    other = copy.deepcopy(run.net)
    assert other.board is not run.net.board
    assert all(mixed.board is other.board for mixed in other.mixed())


def test_costs_of_options_are_those_of_the_networks() -> None:
    """In nb201 a convolution more is c^2 k^2 weights a cell, in three widths."""
    from foretell.supernets.costs import counted, fitted

    space = ft.spaces.get("nb201", channels=4, n_cells=2, input_shape=(3, 8, 8))
    params, flops = counted(space.supernet((3, 8, 8), 10), (3, 8, 8))
    squares = 2 * (4**2 + 8**2 + 16**2)
    assert params[0].tolist() == [0, 0, squares, 9 * squares, 0]
    by_size = 2 * (4**2 * 64 + 8**2 * 16 + 16**2 * 4)
    assert flops[3].tolist() == [0, 0, 2 * by_size, 18 * by_size, 0]
    fit = fitted(space, space.mixture(), "flops")
    assert fit[0, 3] > fit[0, 2] > fit[0, 1] >= 0  # dead edges make it no sum


def test_a_table_has_a_supernet_of_depths_widths_and_activations(data) -> None:
    space = ft.spaces.get("tabular", input_shape=(12,), n_outputs=4)
    search = ft.supernets.get("drnas", space=space, epochs=1).fit(data)
    mixture = search.space_.mixture()
    rest = [j for j in range(space.d) if j not in mixture.columns]
    assert [space.choices[j].name for j in rest] == ["norm", "dropout", "residual"]
    assert search.best_[rest].tolist() == [mixture.at[j] for j in rest]
    assert space.contains(search.ranking_).all()
    assert (search.best_ == space.canonical_form(search.best_[None])).all()
