"""The network that is handed over takes what the user gave, and no number is hidden."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
import torch
from torch import nn

import foretell as ft
from foretell.errors import DataError, SettingError
from foretell.training.data import load
from foretell.winner import export
from foretell.winner.load import core

RNG = np.random.default_rng(0)
Y = np.arange(90) % 3
IMAGES = RNG.integers(0, 90, (90, 3, 6, 6), dtype=np.uint8) + (60 * Y).astype(np.uint8).reshape(
    -1, 1, 1, 1
)
ROWS = RNG.normal(size=(90, 4)) * [1, 10, 100, 0.1] + [0, 50, 1e6, 3]
SOURCES = {
    "bytes": (IMAGES, Y),
    "channels last": (IMAGES.transpose(0, 2, 3, 1), np.array(["a", "b", "c"])[Y]),
    "no channels": (IMAGES[:, 0], Y),
    "unit images": ((IMAGES / 255).astype(np.float32), Y),
    "features": (ROWS + 3 * Y[:, None] * [1, 10, 100, 0.1], Y),
    "regression": (ROWS, 150 + 40 * ROWS[:, 0]),
    "two targets": (ROWS, np.stack([150 + 40 * ROWS[:, 0], 1e-3 * ROWS[:, 1]], axis=1)),
}


def build(decisions, shape, n_outputs):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(int(np.prod(shape)), 16), nn.ReLU(), nn.Linear(16, n_outputs)
    )


@pytest.fixture(scope="module", params=SOURCES)
def fitted(request, tmp_path_factory):
    X, y = SOURCES[request.param]
    space = ft.Space.from_choices({"a": [1, 2]}, build=build, input_shape=(1,), n_outputs=1)
    out = tmp_path_factory.mktemp("whole") / "run"
    nas = ft.NAS(space=space, strategy="random", n_train=1, top_k=1, epochs=40, workers=1, out=out)
    return nas.fit((X, y)), X, y


def as_given(X):
    """What a user of torch makes a tensor of: channels first."""
    if X.ndim == 3:
        X = X[:, None]
    X = X if X.ndim == 2 or X.shape[1] in (1, 3) else X.transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(X))


def standalone(best):
    """The network of model.py, by itself."""
    spec = importlib.util.spec_from_file_location("model", best / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load()


def test_predictions_of_what_was_given(fitted):
    nas, X, y = fitted
    metric = "test_acc" if len(nas.classes_) else "test_r2"
    assert nas.score(X, y) > 0.9
    rows = load((X, y), seed=nas.seed).split["test"]
    assert nas.score(X[rows], y[rows]) == pytest.approx(nas.best_metrics_[metric], abs=1e-4)
    found = nas.predict(X)
    assert found.shape == y.shape
    with torch.no_grad():
        out = nas.best_model_(as_given(X)).numpy()
        unchanged = torch.from_numpy(np.ascontiguousarray(X))  # whatever its layout
        assert torch.equal(nas.best_model_(unchanged), torch.from_numpy(out))
        assert torch.equal(ft.load(nas.folder_ / "best")(unchanged), torch.from_numpy(out))
        assert torch.equal(standalone(nas.folder_ / "best")(unchanged), torch.from_numpy(out))
    if len(nas.classes_):
        assert set(found.tolist()) <= set(y.tolist())
        np.testing.assert_array_equal(nas.classes_[out.argmax(1)], found)
        chances = nas.predict_proba(X)
        np.testing.assert_allclose(chances.sum(1), 1)
        np.testing.assert_array_equal(nas.classes_[chances.argmax(1)], found)
    else:
        np.testing.assert_allclose(out.reshape(found.shape), found, rtol=1e-5)
        with pytest.raises(SettingError, match="expected a classification"):
            nas.predict_proba(X)
    with pytest.raises(DataError, match="inputs: expected shape"):
        nas.predict(np.zeros((2, 7)))


def test_folder_onnx_and_pt2_give_the_same(fitted, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    nas, X, _ = fitted
    best, x = nas.folder_ / "best", as_given(X)
    with torch.no_grad():
        out = nas.best_model_(x)
        torch.testing.assert_close(ft.load(best)(x), out)
    export.to_onnx(best, tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    (again,) = session.run(None, {"input": x.numpy().astype(np.float32)})
    scale = float(out.abs().max())
    np.testing.assert_allclose(again, out.numpy(), atol=1e-3 * scale)


def test_folders_written_before_work_as_they_did(fitted, tmp_path):
    """Without `core` in model.py and "takes" in config.json, the network is the bare one."""
    nas, *_ = fitted
    best = nas.folder_ / "best"
    files = {path.name: path.read_bytes() for path in best.iterdir()}
    source = files["model.py"].decode()
    old = tmp_path / "best"
    old.mkdir()
    for name, data in files.items():
        (old / name).write_bytes(data)
    a, b = source.index("def load("), source.index("def core(")
    (old / "model.py").write_text(source[:a] + source[b:].replace("def core(", "def load("))
    config = json.loads(files["config.json"])
    del config["takes"], config["sha256"]
    (old / "config.json").write_text(json.dumps(config))
    shape = config["input_shape"]
    x = torch.randn(5, *shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = core(best)(x)
        assert torch.equal(ft.load(old)(x), expected)
        export.to_pt2(old, tmp_path / "m.pt2")
        again = torch.export.load(tmp_path / "m.pt2").module()(x)
        torch.testing.assert_close(again, expected)
