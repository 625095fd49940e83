"""Metrics against scikit-learn, which computes them in another way."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import metrics as reference

from foretell.training import scores
from foretell.training.data import load


def data_of(y):
    rng = np.random.default_rng(1)
    return load((rng.normal(size=(len(y), 3)), y))


@pytest.mark.parametrize("n", [2, 3, 7])
@pytest.mark.parametrize("ties", [False, True])
def test_classes(n, ties):
    rng = np.random.default_rng(n)
    y = np.append(np.arange(n), rng.choice(n, 80, p=np.arange(1, n + 1) / (n * (n + 1) / 2)))
    out = rng.normal(size=(len(y), n)) + 0.7 * np.eye(n)[y]
    out = np.round(out) if ties else out
    found = scores.metrics(torch.tensor(out), torch.tensor(y), data_of(np.append(y, y)))
    said = torch.tensor(out).argmax(1).numpy()
    chances = torch.tensor(out).softmax(1).numpy()
    assert found == pytest.approx(
        {
            "acc": reference.accuracy_score(y, said),
            "balanced_acc": reference.balanced_accuracy_score(y, said),
            "f1": reference.f1_score(y, said, average="macro"),
            "auroc": reference.roc_auc_score(np.eye(n)[y], chances, average="macro"),
        }
    )
    table = scores.confusion(y, said, n)
    assert np.array_equal(table, reference.confusion_matrix(y, said))
    expected = reference.recall_score(y, said, average=None)
    np.testing.assert_allclose(scores.recalls(table), expected)


def test_one_class_said_of_two():
    """285 of one and 15 of the other, all said to be the one: as published definitions have it."""
    y = torch.tensor([0] * 285 + [1] * 15)
    out = torch.tensor([[1.0, 0.0]] * 300)
    found = scores.metrics(out, y, data_of(y.numpy()))
    f1 = 2 * 285 / (2 * 285 + 15) / 2
    expected = {"acc": 0.95, "balanced_acc": 0.5, "f1": f1, "auroc": 0.5}
    assert found == pytest.approx(expected)


def test_a_split_without_a_class_is_judged_by_the_others():
    y = torch.tensor([0, 0, 1, 1])
    out = torch.eye(3)[[0, 1, 1, 1]]
    found = scores.metrics(out, y, data_of(np.arange(60) % 3))
    assert found["balanced_acc"] == pytest.approx(0.75)
    assert found["auroc"] == pytest.approx(0.75)


@pytest.mark.parametrize("ties", [False, True])
def test_labels(ties):
    rng = np.random.default_rng(0)
    y = (rng.random((60, 4)) < [0.1, 0.5, 0.9, 0.3]).astype(np.float32)
    out = rng.normal(size=y.shape) + y
    out = np.round(out) if ties else out
    data = data_of(y)
    assert data.task == "multilabel"
    found = scores.metrics(torch.tensor(out), torch.tensor(y), data)
    assert found == pytest.approx(
        {
            "map": reference.average_precision_score(y, out, average="macro"),
            "f1": reference.f1_score(y, out >= 0, average="macro", zero_division=0),
            "exact": reference.accuracy_score(y, out >= 0),
        }
    )
    chances = 1 / (1 + np.exp(-out))
    expected = -np.mean(y * np.log(chances) + (1 - y) * np.log(1 - chances))
    assert float(scores.loss(torch.tensor(out), torch.tensor(y), data)) == pytest.approx(expected)


def test_balanced_weights_make_classes_count_alike():
    y = np.array([0] * 90 + [1] * 10)
    data = data_of(y)
    weights = scores.class_weights(data)
    rows = y[data.split["train"]]
    np.testing.assert_allclose(np.bincount(rows) * weights.numpy(), len(rows) / 2, rtol=1e-6)
    out = torch.tensor(np.random.default_rng(0).normal(size=(100, 2)))
    each = torch.nn.functional.cross_entropy(out, torch.tensor(y), reduction="none").numpy()
    wanted = np.average(each, weights=weights.double().numpy()[y])
    found = scores.loss(out, torch.tensor(y), data, weights=weights.double())
    assert float(found) == pytest.approx(wanted)
    smooth = torch.nn.functional.cross_entropy(
        out, torch.tensor(y), reduction="none", label_smoothing=0.1
    )
    wanted = np.average(smooth.numpy(), weights=weights.double().numpy()[y])
    found = scores.loss(out, torch.tensor(y), data, 0.1, weights.double())
    assert float(found) == pytest.approx(wanted)
    label, shares = scores.majority(data)
    assert label == "0"
    for part in ("val", "test"):
        p = np.mean(y[data.split[part]] == 0)
        assert shares[f"{part}_acc"] == p
        assert shares[f"{part}_balanced_acc"] == shares[f"{part}_auroc"] == 0.5
        assert shares[f"{part}_f1"] == pytest.approx(p / (1 + p))  # of two, one is never said
