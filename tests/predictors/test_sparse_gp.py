"""`sparse-gp` against the exact process and against Titsias' closed form."""

from __future__ import annotations

import pytest

import foretell as ft
from foretell.predictors.sparse_gp import SparseGP

pytest.importorskip("gpytorch")
SPACE = ft.spaces.get("nb201")


def parts(model):
    """Scale, length, noise and inducing points of a fitted model with one encoding."""
    noise, kernel = model.model_.likelihood.noise.item(), model.model_.kernel.base_kernel
    Z = model.model_.kernel.inducing_points
    length = kernel.base_kernel.lengthscale.item()
    return kernel.outputscale.item(), length, noise, Z.detach().numpy()


def test_all_rows_as_points_give_the_exact_process(sparse):
    sparse.check_exact(SparseGP, parts)


def test_trained_with_few_points_against_the_closed_form(sparse):
    sparse.check_closed_form(SparseGP, parts)


def test_wrong_settings(sparse):
    sparse.check_settings(SparseGP)


def test_on_the_real_table(beats_size):
    beats_size(SparseGP(SPACE, random_state=0), 0.1, seed=0, n=172, n_test=1000)
