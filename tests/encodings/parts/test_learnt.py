"""What learnt encodings share: numbering is forgotten, files come back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import foretell as ft
from foretell.encodings.arch2vec import Arch2Vec
from foretell.encodings.cate import CATE
from foretell.errors import DataError, SettingError
from foretell.graphs.tensors import batch
from foretell.spaces.base import Graphs
from foretell.testing._globals import global_states

NB201 = ft.spaces.get("nb201")
NB101 = ft.spaces.get("nb101")
WORDS = len(NB201.vocabulary)
QUICK = {"rows": 64, "steps": 5}


def tensors(graphs, words=WORDS):
    return batch(graphs, np.zeros((len(graphs.ops), 0), dtype=np.float32), words)


def shuffled(graphs, seed=0):
    """The same graphs with vertices in another order."""
    rng = np.random.default_rng(seed)
    n, v = graphs.ops.shape
    order = rng.permuted(np.tile(np.arange(v), (n, 1)), axis=1)
    line = np.arange(n)[:, None, None]
    edges = graphs.adjacency[line, order[:, :, None], order[:, None, :]]
    return Graphs(np.take_along_axis(graphs.ops, order, axis=1), edges)


@pytest.mark.parametrize("kind", [Arch2Vec, CATE])
@pytest.mark.parametrize("space", [NB201, NB101], ids=lambda s: s.name)
def test_unchanged_when_vertices_are_renamed(kind, space):
    encoding = kind(space, **QUICK)
    module, words = encoding.module(), len(space.vocabulary)
    graphs = space.graphs(space.sample(40, rng=1))
    one, other = (encoding._embed(module, tensors(g, words)) for g in (graphs, shuffled(graphs)))
    assert torch.allclose(one, other, atol=1e-10)
    assert one.std(dim=0).max() > 1e-4  # and not all the same


@pytest.mark.parametrize("kind", [Arch2Vec, CATE])
def test_weights_come_back_from_a_file(kind, tmp_path):
    encoding = kind(NB201, seed=3, **QUICK)
    X = NB201.sample(20, rng=0)
    path = tmp_path / "weights.safetensors"
    encoding.save(path)
    read = kind(NB201, path=path)  # other rows, steps and seed: nothing is learnt
    assert np.allclose(read.transform(X), encoding.transform(X), rtol=1e-5, atol=1e-6)
    assert not np.allclose(kind(NB201, seed=4, **QUICK).transform(X), encoding.transform(X))


def test_wrong_files_are_refused_in_one_line(tmp_path):
    X = NB201.sample(2, rng=0)
    with pytest.raises(DataError, match=r"expected a \.safetensors file"):
        Arch2Vec(NB201, path=tmp_path / "none.safetensors").transform(X)
    (tmp_path / "text.safetensors").write_text("hello")
    with pytest.raises(DataError, match="text"):
        Arch2Vec(NB201, path=tmp_path / "text.safetensors").transform(X)
    Arch2Vec(NB201, **QUICK).save(tmp_path / "nb201.safetensors")
    with pytest.raises(DataError, match="of another network"):
        Arch2Vec(NB101, path=tmp_path / "nb201.safetensors").transform(NB101.sample(2, rng=0))
    save_file({"x": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(DataError, match=r"got none|got shape \(2,\)"):
        CATE(NB201, path=tmp_path / "other.safetensors").transform(X)


@pytest.mark.parametrize("kind", [Arch2Vec, CATE])
def test_learnt_once_and_without_touching_global_state(kind):
    """A second encoding of equal settings shares the network; random states stay as they were."""
    before = global_states()
    first = kind(NB201, seed=11, **QUICK)
    module = first.module()
    assert global_states() == before
    assert kind(NB201, seed=11, **QUICK).module() is module
    assert kind(NB201, seed=12, **QUICK).module() is not module


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (Arch2Vec, {"rows": 0}),
        (Arch2Vec, {"steps": 0}),
        (Arch2Vec, {"hidden": 0}),
        (CATE, {"latent": 6}),
        (CATE, {"layers": 0}),
        (CATE, {"hide": 0.0}),
    ],
)
def test_settings_are_checked(kind, settings):
    with pytest.raises(SettingError, match=next(iter(settings))):
        kind(NB201, **settings).transform(NB201.sample(1, rng=0))
