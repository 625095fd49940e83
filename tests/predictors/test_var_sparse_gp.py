"""`var-sparse-gp` against the exact process and against Titsias' closed form of the best q."""

from __future__ import annotations

import pytest

import foretell as ft
from foretell.predictors.var_sparse_gp import VarSparseGP

pytest.importorskip("gpytorch")
SPACE = ft.spaces.get("nb201")


def parts(model):
    """Scale, length, noise and inducing points of a fitted model with one encoding."""
    kernel, noise = model.model_.kernel, model.model_.likelihood.noise.item()
    Z = model.model_.variational_strategy.inducing_points
    length = kernel.base_kernel.lengthscale.item()
    return kernel.outputscale.item(), length, noise, Z.detach().numpy()


def test_all_rows_as_points_give_the_exact_process(sparse):
    sparse.check_exact(VarSparseGP, parts)


def test_trained_with_few_points_against_the_closed_form(sparse):
    sparse.check_closed_form(VarSparseGP, parts)


def test_wrong_settings(sparse):
    sparse.check_settings(VarSparseGP)


def test_on_the_real_table(beats_size):
    beats_size(VarSparseGP(SPACE, random_state=0), 0.1, seed=0, n=172, n_test=1000)
