"""The encoder of graphs, its contrastive loss against a loop, and pretraining that goes on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import foretell as ft
from foretell.errors import DataError, SettingError
from foretell.graphs.computation import Computations, joined
from foretell.transfer.parts import heads
from foretell.transfer.parts.contrastive import contrastive_loss, pretrain
from foretell.transfer.parts.encoder import Encoder, Projection, Scorer, tensors


def drawn(n: int, seed: int = 0) -> Computations:
    space = ft.spaces.get("nb201", channels=4, n_cells=1)
    return space.computations(space.sample(n, rng=seed))


def relabelled(graph: Computations, rng: np.random.Generator) -> Computations:
    order = rng.permutation(len(graph.ops))
    place = np.argsort(order)
    edges = place[graph.edges].astype(np.int32)
    edges = edges[np.argsort(edges[:, 1], kind="stable")]
    return Computations(*(column[order] for column in graph[:7]), edges, graph.starts)


def small() -> Projection:
    torch.manual_seed(0)
    return Projection(Encoder(hidden=8, layers=2), size=4)


def test_vectors_do_not_know_the_order_of_vertices() -> None:
    graphs, module = drawn(5), small()
    other = joined([relabelled(graphs.take([i]), np.random.default_rng(i)) for i in range(5)])
    torch.testing.assert_close(module(tensors(other)), module(tensors(graphs)))


def test_graphs_of_a_batch_do_not_know_each_other() -> None:
    graphs, module = drawn(5), small()
    alone = torch.cat([module(tensors(graphs.take([i]))) for i in range(5)])
    torch.testing.assert_close(module(tensors(graphs)), alone)


@pytest.mark.parametrize("positives", ["soft", "literal", "hard"])
def test_the_loss_is_that_of_a_loop(positives) -> None:
    rng = np.random.default_rng(0)
    n, nearest, t, softness = 7, 3, 0.2, 0.7
    z = rng.normal(size=(n, 4))
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    points = rng.normal(size=(n, 2))
    d = np.linalg.norm(points[:, None] - points[None], axis=2)
    unit = np.mean([d[i, j] for i in range(n) for j in range(n) if i != j])
    total = 0.0
    for i in range(n):
        others = [r for r in range(n) if r != i]
        below = sum(np.exp(z[i] @ z[r] / t) for r in others)
        near = sorted(others, key=lambda r: d[i, r])[: 1 if positives == "hard" else nearest]
        sign = 1 if positives == "literal" else -1
        a = np.array([np.exp(sign * d[i, s] / unit / softness) for s in near])
        chi = np.array([np.log(np.exp(z[i] @ z[s] / t) / below) for s in near])
        total -= (a / a.sum()) @ chi
    found = contrastive_loss(
        torch.tensor(z),
        torch.tensor(d),
        temperature=t,
        softness=softness,
        positives=positives,
        nearest=nearest,
    )
    assert float(found) == pytest.approx(total / n)


def test_an_unknown_kind_of_positives_is_refused() -> None:
    with pytest.raises(SettingError, match="soft, literal or hard"):
        contrastive_loss(torch.eye(3), torch.ones(3, 3), positives="other")


def test_pretraining_draws_near_what_has_near_spectra() -> None:
    losses = pretrain(small(), drawn(60), steps=40, batch=24, lr=3e-3)
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.1


def test_a_broken_off_pretraining_goes_on_as_if_nothing_had_been(tmp_path) -> None:
    graphs, whole, first = drawn(20), small(), small()
    expected = pretrain(whole, graphs, steps=8, batch=8)
    file = tmp_path / "state.safetensors"

    class BrokenError(Exception):
        pass

    calls = []

    def stop(*_: object) -> None:
        calls.append(1)
        if len(calls) == 7:
            raise BrokenError

    first.register_forward_pre_hook(stop)
    with pytest.raises(BrokenError):
        pretrain(first, graphs, steps=8, batch=8, file=file, every=3)
    again = small()
    assert pretrain(again, graphs, steps=8, batch=8, file=file, every=3) == expected
    for name, value in again.state_dict().items():
        assert torch.equal(value, whole.state_dict()[name]), name
    other = Projection(Encoder(hidden=4, layers=1), size=4)
    with pytest.raises(DataError, match="state of a pretraining"):
        pretrain(other, graphs, steps=8, file=file)


def test_a_head_learns_and_a_frozen_encoder_stays() -> None:
    graphs = drawn(80)
    y = np.log(graphs.total(graphs.flops).astype(float))
    module = Scorer(small().encoder)
    before = {k: v.clone() for k, v in module.encoder.state_dict().items()}
    heads.fit(module, [heads.Labelled(graphs, y)], steps=60, lr=1e-2, encoder_lr=0.0)
    for name, value in module.encoder.state_dict().items():
        assert torch.equal(value, before[name])
    test = drawn(40, seed=9)
    wanted = np.log(test.total(test.flops).astype(float))
    frozen = np.corrcoef(heads.score(module, test), wanted)[0, 1]
    heads.fit(module, [heads.Labelled(graphs, y)], steps=60, lr=1e-2, encoder_lr=1.0)
    assert frozen > 0.5
    assert np.corrcoef(heads.score(module, test), wanted)[0, 1] > 0.85
