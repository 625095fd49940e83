"""The start of a curve as evidence: from a table, and from a training that goes on."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.svm import SVR

import foretell as ft
from foretell import metrics
from foretell.errors import DataError, SettingError
from foretell.evaluators.lookup import Lookup
from foretell.evaluators.trainer import Trainer
from foretell.evidence import Curve
from foretell.predictors import OnFeatures
from foretell.testing.evidence import check_evidence
from foretell.training.data import load
from foretell.training.recipe import Recipe


@pytest.fixture(scope="module")
def table():
    return ft.Table.open("nb201-digits")


@pytest.fixture(scope="module")
def small(table):
    """All rows of a little space of which everything is known."""
    space = ft.Space.from_choices({"a": [0, 1, 2], "b": [0, 1, 2, 3]}, build=print)
    X = np.array([[i, j] for i in range(3) for j in range(4)])
    loss = 3.0 / np.arange(1, 7) * (1 + X.sum(axis=1, keepdims=True))
    curves = {"train_loss": loss, "val_acc": 1 / (1 + loss)}
    return ft.Table(space, X, {"train_s": np.full(12, 60.0)}, curves)


@pytest.mark.parametrize("method", ["sotl-e", None])
def test_contract(small, method):
    lookup = Lookup(small, "val_acc", seconds="train_s")
    check_evidence(Curve(method, lookup, 3, space=small.space))


def test_of_a_table(table, tmp_path):
    lookup, X = Lookup(table, "val_acc", seconds="train_s"), table.X[:5]
    with ft.evidence.ledger(tmp_path):
        sotl = Curve("sotl", lookup, 4, space=table.space)
        want = -table.curve("train_loss")[:5, :4].sum(axis=1)
        assert sotl.values(X)[:, 0] == pytest.approx(want)
        assert sotl.spent(X) == pytest.approx(table.column("train_s")[:5] / 3)
        with pytest.raises(DataError, match="needs no fit"):
            Curve("lcsvr", lookup, 4, space=table.space).values(X)
    with pytest.raises(SettingError, match="no evaluator"):
        Curve("sotl", None, 4, space=table.space).values(X)


def test_epochs_that_were_paid_are_not_paid_again(tmp_path):
    space = ft.spaces.get("nb201", channels=4, n_cells=1)
    recipe = Recipe(epochs=4, batch_size=64, device="cpu")
    trainer = Trainer(space, load("digits", fractions=(0.1, 0.1, 0.8)), recipe)
    x = trainer.space.from_str(["310341"])[0]
    with ft.evidence.ledger(tmp_path):
        two = Curve("sotl-e", trainer, 2, space=trainer.space)
        first = two.values(x[None])[0, 0]
        three = Curve("sotl-e", trainer, 3, space=trainer.space)
        assert three.state(x) == two.state(x)
        after = three.values(x[None])[0, 0]
        trained = []
        whole = trainer.evaluate(
            x, 0, state=three.state(x), on_epoch=lambda epoch, row: trained.append(epoch)
        )
    assert trained == [3]  # the fourth epoch alone
    assert [-first, -after] == whole.curve["train_loss"][1:3]
    assert whole.curve == trainer.evaluate(x, 0).curve


def test_lcsvr_is_an_expression(table, tmp_path):
    lookup, y = Lookup(table, "val_acc"), table.column("val_acc")
    half = len(y) // 2
    with ft.evidence.ledger(tmp_path):
        model = OnFeatures(table.space, SVR(), Curve(None, lookup, 4), random_state=0)
        said = model.fit(table.X[:half], y[:half]).predict(table.X[half:])
    assert metrics.kendall(y[half:], said) > 0.3
