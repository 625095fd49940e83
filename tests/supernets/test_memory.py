"""Foretold memory against what a step at the full batch really saves."""

from __future__ import annotations

import pytest
import torch

import foretell as ft
from foretell.supernets.loop import Run
from foretell.supernets.memory import advice, foretold, saved
from foretell.supernets.recipes import recipe
from foretell.training.data import load


@pytest.fixture(scope="module")
def digits():
    return load("digits", fractions=(0.2, 0.05, 0.75))


SPACES = {
    "nb201": {"channels": 8, "n_cells": 1},
    "darts": {"channels": 8, "n_cells": 3},
}


@pytest.mark.parametrize("name", ["darts", "gdas", "drnas", "rsws", "pc-darts", "proxylessnas"])
@pytest.mark.parametrize("space", sorted(SPACES))
def test_foretold_is_within_a_tenth_of_measured(space: str, name: str, digits) -> None:
    settings = {"divisor": 2} if name == "pc-darts" else {}
    method = recipe(name, **settings).but(batch_size=32)
    where = ft.spaces.get(space, **SPACES[space]).with_io(digits.input_shape, 10)
    run = Run(where, method, digits, 0, epochs=1)
    before = {k: v.clone() for k, v in run.tensors().items()}
    told = foretold(run)
    measured = max(saved(run, 32, alpha=alpha) for alpha in (False, True))
    assert told.activations == pytest.approx(measured, rel=0.1)
    after = run.tensors()
    assert all(torch.equal(before[k], after[k]) for k in before)


def test_what_does_not_fit_is_said_with_what_would(digits, monkeypatch) -> None:
    from foretell.supernets import memory

    where = ft.spaces.get("nb201", channels=8, n_cells=1).with_io(digits.input_shape, 10)
    run = Run(where, recipe("darts"), digits, 0, epochs=1)
    assert advice(run).startswith("needs")
    monkeypatch.setattr(memory, "free", lambda device: 2**20)
    assert "will not fit" in advice(run)
    assert "batch of" in advice(run)


def test_single_paths_need_a_fraction_of_the_mixture(digits) -> None:
    where = ft.spaces.get("nb201", channels=8, n_cells=1).with_io(digits.input_shape, 10)
    whole, single, half = (
        foretold(Run(where, method, digits, 0, epochs=1), 32).activations
        for method in (recipe("darts"), recipe("gdas"), recipe("pc-darts", divisor=2))
    )
    assert single < 0.6 * whole
    assert half < 0.8 * whole
