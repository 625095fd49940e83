"""A pretrained network beside the winner: weights of this machine, equal seconds, who won."""

from __future__ import annotations

import importlib.util
import json
import re
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import foretell as ft
from foretell.errors import DataError, SettingError, UnknownNameError
from foretell.nets import pretrained
from foretell.report.page import render
from foretell.report.reading import read
from foretell.runs.rival import RivalRecord, Side, lines

NAME = "test_resnet"
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def timm():
    """timm; operators of a torchvision of another build, which it does not use, are declared."""
    found = importlib.util.find_spec("torchvision")
    if found is None or importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed")
    try:
        import timm
    except RuntimeError:
        path = Path(found.origin).parent / "_meta_registrations.py"
        library = torch.library.Library("torchvision", "DEF")
        for name in re.findall(r'register_(?:fake|meta)\("(?:\w+::)?(\w+)"', path.read_text()):
            library.define(f"{name}(Tensor x) -> Tensor")
        import timm
    return timm


@pytest.fixture(scope="module")
def weights(timm, tmp_path_factory):
    """A small network with weights of ours, as a file."""
    torch.manual_seed(3)
    network = timm.create_model(NAME, num_classes=7)
    path = tmp_path_factory.mktemp("timm") / "w.safetensors"
    save_file(network.state_dict(), path)
    return path, network


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    def refuse(*_args, **_more):
        raise AssertionError("a look-up")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_the_weights_are_those_of_the_file_and_the_head_is_new(weights):
    path, network = weights
    made = pretrained.build(f"timm:{NAME}@{path}", (3, 80, 72), 4, [0.4] * 3, [0.2] * 3)
    theirs, ours = network.state_dict(), made.network.state_dict()
    same = [name for name in theirs if torch.equal(theirs[name], ours[name])
            if theirs[name].shape == ours[name].shape]  # fmt: skip
    heads = {name for name in theirs if theirs[name].shape != ours[name].shape}
    assert set(theirs) - set(same) == heads
    assert heads
    x = torch.rand(2, 3, 80, 72)
    normalised = (x - 0.4) / 0.2
    known = network.pretrained_cfg
    mean, std = (torch.tensor(known[key]).reshape(1, 3, 1, 1) for key in ("mean", "std"))
    inside = normalised * made.a + made.b
    assert torch.allclose(inside, (x - mean) / std, atol=1e-5)
    assert made.eval()(normalised).shape == (2, 4)
    assert made.size == (80, 72)


def test_grey_and_small_images_are_taken(weights):
    path, _ = weights
    made = pretrained.build(f"timm:{NAME}@{path}", (1, 8, 16), 2, [0.5], [0.5])
    assert made.size == (64, 128)
    assert made.eval()(torch.zeros(2, 1, 8, 16)).shape == (2, 2)


@pytest.mark.parametrize(
    ("asked", "shape", "error", "words"),
    [
        ("resnet18", (3, 8, 8), SettingError, "expected timm:NAME"),
        ("timm:", (3, 8, 8), SettingError, "expected timm:NAME"),
        ("timm:x@weights.pth", (3, 8, 8), SettingError, "safetensors"),
        ("timm:resnet18", (5,), SettingError, "data of images"),
        ("timm:resnet18x", (3, 8, 8), UnknownNameError, "network of timm 'resnet18x'"),
        (f"timm:{NAME}@none.safetensors", (3, 8, 8), DataError, "no file 'none.safetensors'"),
        (f"timm:{NAME}", (3, 8, 8), DataError, "cannot be had on this machine"),
    ],
)
def test_what_cannot_be_had_is_said(asked, shape, error, words, timm, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(error, match=re.escape(words)):
        pretrained.build(asked, shape, 2, [0.5] * shape[0], [0.5] * shape[0])


def test_a_run_has_its_rival_once_and_says_who_won(weights, tmp_path):
    path, _ = weights
    x = RNG.integers(0, 255, (80, 1, 12, 12), dtype=np.uint8)
    y = np.arange(80) % 2
    x[y == 1, :, :6] //= 3

    def build(decisions, shape, n_outputs):
        return nn.Sequential(nn.Flatten(), nn.Linear(144, n_outputs))

    space = ft.Space.from_choices({"a": [1, 2, 3], "b": [1, 2]}, build=build)

    def run(**more):
        return ft.NAS(space=space, n_train=2, top_k=1, epochs=1, workers=0, predictor="mean",
                      out=tmp_path / "run", **more).fit(x, y)  # fmt: skip

    run()
    assert not (tmp_path / "run" / "rival.json").exists()
    nas = run(pretrained=f"timm:{NAME}@{path}")
    text = (tmp_path / "run" / "rival.json").read_text()
    found = json.loads(text)
    assert found["rival"]["name"] == f"timm:{NAME}"
    assert found["rival"]["params"] > found["winner"]["params"] == 290
    assert found["winner"]["metrics"]["test_acc"] == nas.best_metrics_["test_acc"]
    assert found["rival"]["epochs"] >= 1
    assert min(found[who]["latency_ms"] for who in ("rival", "winner")) > 0
    assert any(f"timm:{NAME}, fine-tuned for" in line for line in nas.summary_lines_)
    page = render(read(tmp_path / "run", space))
    assert "Against a pretrained network" in page
    assert f"timm:{NAME}" in page
    run(pretrained=f"timm:{NAME}@{path}")
    assert (tmp_path / "run" / "rival.json").read_text() == text, "it is trained once"


def test_who_is_better_is_said():
    record = RivalRecord(
        "timm:x", 0, Side("timm:x", {"test_acc": 0.9}, 10_000, 2.0, 60.0, 3),
        Side("a=1", {"test_acc": 0.85}, 100, None, 60.0, 5),
    )  # fmt: skip
    first, second = lines(record, "test_acc")
    assert first == ("timm:x, fine-tuned for 1 min 00 s: test_acc 90 %, 10,000 parameters, 2 ms")
    assert second.endswith("85 %, 100 parameters: timm:x is better by 5 points")
