"""arch2vec: the process that it is, embeddings from files, the paper's settings, a real table."""

from __future__ import annotations

import numpy as np
import pytest

import foretell as ft
from foretell.errors import SettingError
from foretell.metrics import kendall
from foretell.predictors.arch2vec import Arch2Vec

NB201 = ft.spaces.get("nb201")


def examples(n=40):
    X = NB201.sample(n, rng=0)
    return X, (X == 3).sum(axis=1) + np.linspace(0.0, 0.5, n)


@pytest.mark.parametrize("name", ["arch2vec", "cate"])
def test_a_gaussian_process_on_the_embedding(name):
    """Without features beside it, only the embedding is seen: equal features, equal predictions."""
    X, y = examples()
    model = Arch2Vec(NB201, name, encoding=None, steps=5, random_state=0).fit(X, y)
    new = NB201.sample(200, rng=1)
    features = ft.encodings.get(name, NB201, steps=5).transform(new)
    mean, std = model.predict(new, return_std=True)
    _, first, back = np.unique(features, axis=0, return_index=True, return_inverse=True)
    assert len(first) < 200
    assert np.allclose(mean, mean[first][back.ravel()])
    assert np.allclose(std, std[first][back.ravel()])
    by_hand = ft.predictors.get(
        "gp", space=NB201, encoding=ft.encodings.get(name, NB201, steps=5), random_state=3
    )
    assert np.allclose(mean, by_hand.fit(X, y).predict(new))


def test_an_embedding_from_a_file(tmp_path):
    """Weights learnt once serve another predictor; no learning happens there."""
    X, y = examples()
    quick = {"hidden": 8, "layers": 2, "latent": 4}
    learnt = ft.encodings.get("arch2vec", NB201, steps=10, seed=7, **quick)
    learnt.save(tmp_path / "weights.safetensors")
    read = ft.encodings.get("arch2vec", NB201, path=tmp_path / "weights.safetensors", **quick)
    one, other = (Arch2Vec(NB201, e, random_state=0).fit(X, y).predict(X) for e in (learnt, read))
    assert np.allclose(one, other, rtol=1e-4, atol=1e-4)


def test_settings_of_the_paper_learn_too():
    X, y = examples()
    embedding = Arch2Vec.paper(NB201, random_state=0).embedding
    small = type(embedding).paper(NB201, hidden=8, rows=64, steps=3)
    assert np.isfinite(Arch2Vec.paper(NB201, 0, embedding=small).fit(X, y).predict(X)).all()


def test_settings_are_checked():
    with pytest.raises(SettingError, match="steps"):
        Arch2Vec(NB201, steps=0).fit(*examples())


def test_ranks_a_real_table(data_dir):
    """60 cells of NAS-Bench-201 rank 500 others; published at 78 is .54."""
    table = ft.Table.open(data_dir / "nb201.csv.gz", space=NB201)
    rows = np.random.default_rng(123).permutation(len(table.X))[:560]
    X, y = table.X[rows], table.query(table.X[rows], "cifar10_test_200ep")
    model = Arch2Vec(NB201, steps=60, random_state=0).fit(X[:60], y[:60])
    assert kendall(y[60:], model.predict(X[60:])) > 0.6
    alone = Arch2Vec(NB201, encoding=None, steps=60, random_state=0).fit(X[:60], y[:60])
    assert kendall(y[60:], alone.predict(X[60:])) > 0.4
