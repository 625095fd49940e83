"""Once-for-all: phases, the lesson of the largest network, sub-networks with statistics."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional
from toy import Toy, toy_data

import foretell as ft
from foretell.errors import SettingError
from foretell.evaluators.trainer import Trainer
from foretell.supernets.loop import Run
from foretell.supernets.recipes import recipe
from foretell.supernets.shrinking import Shrink
from foretell.training.data import load
from foretell.training.recipe import Recipe


@pytest.fixture(scope="module")
def digits():
    return load("digits", fractions=(0.08, 0.05, 0.87))


def run_of(digits, epochs: int = 10, **settings) -> Run:
    space = ft.spaces.get("mobile", preset="tiny", input_shape=(1, 8, 8))
    method = recipe("ofa", **settings).but(batch_size=32)
    return Run(space, method, digits, 0, epochs=epochs, look=1, device="cpu")


def test_phases_are_those_of_the_paper() -> None:
    """Kernel; depth {3, 4}, {2, 3, 4}; expansion {4, 6}, {3, 4, 6}; 120 + 25 + 120 + 25 + 120."""
    mixture = ft.spaces.get("ofa-mbv3").mixture()
    phases = Shrink().phases(mixture, mixture.mask)
    assert [phase.kind for phase in phases] == ["", "kernel", "depth", "depth", "expand", "expand"]
    names = [site.name for site in mixture.sites]
    at = {kind: names.index(f"{kind}_3" + "_1" * (kind != "depth")) for kind in
          ("kernel", "depth", "expand")}  # fmt: skip
    for kind, free in {
        "kernel": [[7], *[[3, 5, 7]] * 5], "depth": [[4], [4], [3, 4], *[[2, 3, 4]] * 3],
        "expand": [*[[6]] * 4, [4, 6], [3, 4, 6]],
    }.items():  # fmt: skip
        options = np.array([int(option) for option in mixture.sites[at[kind]].options])
        assert [options[phase.mask[at[kind], : len(options)]].tolist() for phase in phases] == free
    assert all(phase.mask[0, :4].all() for phase in phases)  # resolutions are never left out
    assert (phases[-1].mask == mixture.mask).all()
    shares = np.array([phase.share for phase in phases])
    assert shares.sum() == pytest.approx(1)
    np.testing.assert_allclose(shares, np.array([180, 120, 25, 120, 25, 120]) / 590, atol=0.02)


def test_one_epoch_is_enough_for_all_options(digits) -> None:
    run = run_of(digits, epochs=1)
    run.train()
    assert torch.equal(run.mask, run.whole)


def test_first_the_largest_network_alone_learns(digits) -> None:
    run = run_of(digits, epochs=6)
    run.epochs = 1  # as if it were broken off there
    before = copy.deepcopy(run.net.state_dict())
    run.epochs = 6
    run._begin(0)
    assert run.teacher is None
    run._pass(0, 6)
    after = run.net.state_dict()
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert moved
    assert not any("smaller" in name for name in moved)


def test_the_lesson_is_the_cross_entropy_to_the_largest_network(digits) -> None:
    run = run_of(digits, epochs=10)
    while run.teacher is None:
        run._begin(run.epoch)
        net = copy.deepcopy(run.net)
        run._pass(run.epoch, 10)
        run.epoch += 1
    x, _ = run.learn.batch(torch.arange(32))
    rows = run.space.sample(1, rng=0)
    z = torch.from_numpy(run.mixture.weights(rows)[0])
    full = rows.copy()
    for j, column in enumerate(run.space.choices):
        if column.name.split("_")[0] not in ("op", "se"):
            full[0, j] = np.argmax(column.options)
    net.board.show(torch.from_numpy(run.mixture.weights(full)[0]))
    said = net.train()(x).softmax(1).detach()
    out = torch.randn(32, 10)
    expected = -(said * out.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(run.teacher.lesson(out, x, z, digits), expected)
    kept = {name: value.clone() for name, value in run.teacher.tensors().items()}
    run._begin(9)
    assert run.paths == 4
    run._pass(9, 10)
    assert all(torch.equal(value, kept[name]) for name, value in run.teacher.tensors().items())
    assert functional.cross_entropy(out, said) == pytest.approx(float(expected), rel=1e-5)


def test_a_network_has_statistics_of_its_own(digits) -> None:
    """With those that it was made with it is near chance; and it is what the supernet scores."""
    space = ft.spaces.get("mobile", preset="tiny", input_shape=(1, 8, 8))
    data = load("digits")
    search = ft.supernets.get("rsws", space=space, epochs=6, random_state=0, settings={"n": 12})
    search.method = search.method.but(lr=0.1, batch_size=16)
    search.fit(data)
    x, y = search.runs_[0][1].choose.batch(torch.arange(len(search.runs_[0][1].choose)))

    def accuracy(module) -> float:
        with torch.no_grad():
            return float((module.eval()(x).argmax(1) == y).double().mean())

    mine = search.network(search.best_)
    plain = copy.deepcopy(mine)
    for module in plain.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
    assert accuracy(mine) > accuracy(plain) + 0.2
    assert accuracy(mine) == pytest.approx(float(search.score(search.best_[None])[0]), abs=0.08)
    recipe = Recipe(epochs=1, lr=0.01)
    cold, warm = (
        Trainer(space, data, recipe, begin=begin).evaluate(search.best_, seed=0)
        for begin in (None, search.network)
    )
    assert not warm.error
    assert warm.metrics["val_acc"] > cold.metrics["val_acc"] + 0.1


def test_spaces_without_numbers_are_refused_in_words() -> None:
    search = ft.supernets.get("ofa", space=Toy(width=8), epochs=1)
    with pytest.raises(SettingError, match="progressive shrinking") as caught:
        search.fit(toy_data(0, n=60))
    assert "mobile or ofa-mbv3" in str(caught.value)
    with pytest.raises(SettingError, match="one of each"):
        Shrink(kinds=("kernel",))


@pytest.mark.parametrize("method", ["ofa", "rsws", "spos", "few-shot:rsws", "enas", "ghn"])
def test_searches_of_single_rows_find_rows_of_a_table(method: str) -> None:
    space = ft.spaces.get("tabular", input_shape=(12,), n_outputs=4)
    settings = {"enas": {}, "few-shot:rsws": {"site": 0}, "ghn": {"n": 6}}
    search = ft.supernets.get(
        method, space=space, epochs=1, settings=settings.get(method, {"n": 12})
    ).fit(toy_data(0, n=120))
    assert space.contains(search.ranking_).all()
    assert np.isfinite(search.score(search.ranking_)).all()


@pytest.mark.parametrize("method", ["ofa", "gdas", "darts", "sdarts-rs", "proxylessnas", "spos"])
def test_searches_find_rows_of_mobile(method: str, digits) -> None:
    space = ft.spaces.get("mobile", preset="tiny", input_shape=(1, 8, 8))
    settings = {"ofa": {"n": 12}, "spos": {"n": 12}}.get(method)
    search = ft.supernets.get(method, space=space, epochs=1, settings=settings).fit(digits)
    assert space.contains(search.ranking_).all()
    assert np.isfinite(search.score(search.ranking_)).all()


def test_limits_hold_for_parts(digits) -> None:
    from foretell.spaces.parts.limited import Limited

    whole = ft.spaces.get("mobile", preset="tiny", input_shape=(1, 8, 8))
    limit = float(np.median(whole.costs(whole.sample(200, rng=0)).params))
    space = Limited.of(whole, {"params": limit})
    search = ft.supernets.get("ofa", space=space, epochs=1, settings={"n": 20}).fit(digits)
    assert space.within(search.ranking_).all()
