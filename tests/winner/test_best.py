from __future__ import annotations

import importlib.util
import json
import math
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml

import foretell as ft
from foretell.errors import DataError, RunError
from foretell.spaces.parts.load import load as load_space
from foretell.training.data import load
from foretell.winner import best
from foretell.winner.base import Winner
from foretell.winner.load import config_of, core
from foretell.winner.predict import predict

WITH_CONTROL_FLOW = """
import torch
from torch import nn
import foretell as ft


class Net(nn.Module):
    def __init__(self, width, shape, n_outputs):
        super().__init__()
        self.a = nn.Linear(shape[0] * shape[1] * shape[2], width)
        self.b = nn.Linear(width, n_outputs)

    def forward(self, x):
        x = self.a(x.flatten(1))
        if x.mean() > 100:
            return self.b(x)
        return self.b(torch.tanh(x))


class Own(ft.Space):
    width = ft.choice([2, 4])

    def __init__(self, bonus=0, **io):
        self.bonus = bonus
        super().__init__(**io)

    def build(self, x, input_shape, n_outputs):
        return Net(self.decode(x)["width"] + self.bonus, input_shape, n_outputs)


made = ft.Space.from_choices(
    {"width": [2, 4]}, build=lambda a, shape, n_outputs: Net(a["width"], shape, n_outputs)
)
"""


@pytest.fixture
def own(tmp_path):
    """A user's space file, imported."""
    path = tmp_path / "my_space.py"
    path.write_text(WITH_CONTROL_FLOW)
    spec = importlib.util.spec_from_file_location("my_space_for_tests", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def winner_of(space, x, data, **more):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        module = space.build(x, space.input_shape, space.n_outputs).eval()
    given = {
        "space": space,
        "x": x,
        "module": module,
        "task": data.task,
        "labels": data.labels,
        "inputs": data.input_spec(),
        "objective": "val_acc",
        "metrics": {"val_acc": 0.5, "test_acc": 0.25},
        "facts": {"data": "digits"},
    }
    return Winner(**{**given, **more})


@pytest.fixture(scope="module")
def digits():
    return load("digits")


@pytest.fixture
def written(tmp_path, small, digits):
    space = small.with_io(digits.input_shape, digits.n_outputs)
    winner = winner_of(space, space.sample(1, rng=0)[0], digits)
    best.write(tmp_path / "best", winner, lambda network: None)
    return tmp_path / "best", winner


def test_best_has_all_that_is_needed(written):
    folder, winner = written
    assert sorted(item.name for item in folder.iterdir()) == sorted(best.FILES)
    config = config_of(folder)
    assert config["standalone"] is True
    assert config["metrics"] == {"val_acc": 0.5, "test_acc": 0.25}
    assert winner.space.from_str([config["arch"]])[0].tolist() == config["row"]
    assert config["input"]["mean"] == winner.inputs["mean"]
    card = (folder / "README.md").read_text()
    assert "| test_acc | 0.2500 |" in card
    assert config["arch"] in card


def front_matter(folder):
    text = (folder / "README.md").read_text(encoding="utf-8")
    start, front, rest = text.split("---\n", 2)
    assert start == ""
    assert rest.startswith("\n# ")
    return yaml.safe_load(front)


def test_the_card_has_what_model_hubs_read(written):
    folder, _ = written
    card = front_matter(folder)
    assert card["library_name"] == "pytorch"
    assert card["pipeline_tag"] == "image-classification"
    assert card["metrics"] == ["accuracy"]
    (entry,) = card["model-index"]
    (result,) = entry["results"]
    assert result["task"] == {"type": "image-classification"}
    assert result["dataset"] == {"name": "digits", "type": "digits", "split": "test"}
    assert result["metrics"] == [{"type": "accuracy", "value": 0.25}]


@pytest.mark.parametrize(
    "name", ["a: b # c", "---\n---", "\"quoted\" 'x'", "日本 😀\x85\x7f", "{a}"]
)
def test_any_name_of_data_gives_a_valid_card(name, small, digits, tmp_path):
    space = small.with_io(digits.input_shape, digits.n_outputs)
    metrics = {"test_acc": 1e-5, "test_loss": math.nan}
    winner = winner_of(space, space.sample(1, rng=0)[0], digits, facts={"data": name})
    best.write(tmp_path / "best", replace(winner, metrics=metrics), lambda network: None)
    (entry,) = front_matter(tmp_path / "best")["model-index"]
    (result,) = entry["results"]
    assert (
        result["dataset"]["name"].split() == name.replace("\x85", " ").replace("\x7f", " ").split()
    )
    assert result["metrics"] == [{"type": "accuracy", "value": 1e-5}]


def test_a_public_name_loads_a_best_or_its_run(written):
    folder, winner = written
    for given in (folder, str(folder), folder.parent):
        best.same_outputs(winner.module, core(given), winner.space.input_shape)


def test_the_network_read_back_is_the_one_that_was_given(written):
    folder, winner = written
    state = torch.get_rng_state()
    network = core(folder)
    assert torch.equal(torch.get_rng_state(), state)
    assert not network.training
    best.same_outputs(winner.module, network, winner.space.input_shape)
    x = torch.randn((3, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(network(x), winner.module(x))
    assert not (folder / "__pycache__").exists()


def test_model_py_normalises_as_the_training_did(written, digits):
    folder, _ = written
    space = {"__name__": "model", "__file__": str(folder / "model.py")}
    exec((folder / "model.py").read_text(), space)
    x = np.random.default_rng(0).random((3, 1, 8, 8)).astype(np.float32)
    inner = torch.from_numpy((x - digits.mean[0]) / digits.std[0]).float()
    with torch.no_grad():
        expected = space["core"](folder)(inner)
        torch.testing.assert_close(space["load"](folder)(torch.from_numpy(x)), expected)
        torch.testing.assert_close(ft.load(folder)(torch.from_numpy(x)), expected)


def test_other_weights_are_found_out(written):
    folder, winner = written
    name, tensor = next(iter(winner.module.state_dict().items()))
    tensor += 1e-3
    with pytest.raises(RunError, match="other outputs"):
        best.same_outputs(winner.module, core(folder), winner.space.input_shape)
    assert name


def test_a_failed_check_leaves_what_was_there(written):
    folder, winner = written
    (folder / "mark").touch()

    def refuse(network):
        raise RunError("not as good")

    with pytest.raises(RunError, match="not as good"):
        best.write(folder, winner, refuse)
    assert (folder / "mark").exists()
    best.write(folder, winner, lambda network: None)
    assert not (folder / "mark").exists()
    assert [item.name for item in folder.parent.iterdir()] == ["best"]


@pytest.mark.parametrize("which", ["class", "class with settings", "instance"])
def test_a_network_with_control_flow_is_built_by_a_copy_of_its_space(which, own, digits, tmp_path):
    space = {
        "class": lambda: own.Own(),
        "class with settings": lambda: own.Own(bonus=3),
        "instance": lambda: own.made,
    }[which]().with_io(digits.input_shape, digits.n_outputs)
    winner = winner_of(space, space.sample(1, rng=0)[0], digits)
    folder = tmp_path / "best"
    best.write(folder, winner, lambda network: None)
    config = config_of(folder)
    assert config["standalone"] is False
    assert "control flow" in config["not_standalone_because"]
    assert "control flow" in (folder / "README.md").read_text()
    assert (folder / "space.py").read_text() == WITH_CONTROL_FLOW
    (tmp_path / "my_space.py").unlink()
    best.same_outputs(winner.module, core(folder), space.input_shape)


READS = WITH_CONTROL_FLOW.replace(
    "    def build(", "    def build(self, *given):\n        open('facts.json').close()\n"
    "        return self.made(*given)\n\n    def made(",
)  # fmt: skip


def test_a_space_that_reads_a_file_gives_weights_and_says_what_is_missing(
    digits, tmp_path, monkeypatch
):
    (tmp_path / "my_space.py").write_text(READS)
    (tmp_path / "facts.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    space = load_space(f"{tmp_path}/my_space.py:Own").with_io((1, 8, 8), 10)
    assert "facts.json" in best.lacking(space)
    best.write(tmp_path / "best", winner_of(space, np.array([1]), digits), lambda network: None)
    why = config_of(tmp_path / "best")["not_standalone_because"]
    assert "No such file or directory: " in why
    assert "control flow" in why
    assert (tmp_path / "best" / "model.safetensors").is_file()


def test_what_only_a_try_can_tell_is_told_before_training(digits, tmp_path):
    """A network of statements that do not give the same: it needs its space, which is no file."""

    class Odd(torch.nn.Conv2d):
        __module__ = "torch.nn.modules.conv"  # stays whole, and is another one

        def forward(self, x):
            return super().forward(x).mean((2, 3))

    def build(decisions, shape, n_outputs):
        conv = Odd(1, 10, 3)
        type(conv).__name__ = "Conv2d"
        return torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1), conv)

    build.__module__ = "typed_into_a_notebook"
    space = ft.Space.from_choices({"a": [1, 2]}, build=build).with_io((1, 8, 8), 10)
    assert "is in no file, so it cannot go along" in best.lacking(space)


def test_a_space_without_a_file_still_gives_weights_and_says_why(digits, tmp_path):
    class Flow(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = torch.nn.Linear(64, 10)

        def forward(self, x):
            return self.a(x.flatten(1)) if x.sum() < 1e9 else None

    def build(decisions, shape, n_outputs):
        return Flow()

    build.__module__ = "typed_into_a_notebook"
    space = ft.Space.from_choices({"a": [1, 2]}, build=build).with_io((1, 8, 8), 10)
    best.write(tmp_path / "best", winner_of(space, np.array([0]), digits), lambda network: None)
    assert (tmp_path / "best" / "model.safetensors").stat().st_size > 64 * 10 * 4
    with pytest.raises(RunError, match="was not in a file"):
        ft.load(tmp_path / "best")


def test_predictions_are_those_of_the_network(written, digits, tmp_path):
    folder, winner = written
    x = np.random.default_rng(0).random((5, 1, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "new.npz", x=x)
    rows = predict(folder, tmp_path / "new.npz", batch_size=2)
    with torch.no_grad():
        scores = winner.module(torch.from_numpy((x - digits.mean[0]) / digits.std[0]).float())
    expected = scores.softmax(1).max(1)
    assert [row.label for row in rows] == [str(k) for k in expected.indices.tolist()]
    np.testing.assert_allclose([r.probability for r in rows], expected.values, rtol=1e-5)
    assert [row.to_dict() for row in predict(folder.parent, tmp_path / "new.npz")] == [
        row.to_dict() for row in predict(folder, tmp_path / "new.npz")
    ]
    assert len(rows[0].cells()) == len(rows[0].columns())


def test_values_come_in_the_unit_of_the_target(small, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    data = load((X, 1000 + 50 * X[:, 0]), task="regression")
    space = small.with_io(data.input_shape, data.n_outputs)
    winner = winner_of(space, space.sample(1, rng=0)[0], data, metrics={"val_r2": 0.1})
    best.write(tmp_path / "best", winner, lambda network: None)
    np.savez(tmp_path / "new.npz", x=X[:4])
    rows = predict(tmp_path / "best", tmp_path / "new.npz")
    with torch.no_grad():
        out = winner.module(torch.from_numpy((X[:4] - data.mean) / data.std).float()).numpy()
    expected = out[:, 0] * data.target_std + data.target_mean
    np.testing.assert_allclose([row.values[0] for row in rows], expected, rtol=1e-5)
    assert rows[0].columns() == ("input", "value")


def test_what_is_wrong_with_a_folder_or_a_file_is_said(written, tmp_path):
    folder, _ = written
    np.savez(tmp_path / "wide.npz", x=np.zeros((2, 1, 9, 9), dtype=np.float32))
    with pytest.raises(DataError, match=r"wide\.npz"):
        predict(folder, tmp_path / "wide.npz")
    with pytest.raises(DataError, match="no file"):
        predict(folder, tmp_path / "none.npz")
    with pytest.raises(RunError, match=r"config\.json"):
        predict(tmp_path / "nowhere", tmp_path / "wide.npz")
    np.savez(tmp_path / "new.npz", x=np.zeros((2, 1, 8, 8), dtype=np.float32))
    (folder / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(RunError, match=r"model\.safetensors is not the file"):
        predict(folder, tmp_path / "new.npz")
    (folder / "model.py").unlink()
    with pytest.raises(RunError, match="no trained network"):
        ft.load(folder)
    for text in ("{", "[]", json.dumps({"format": 7})):
        (folder / "config.json").write_text(text)
        with pytest.raises(RunError, match=r"config\.json"):
            predict(folder, tmp_path / "new.npz")


def test_what_a_space_imports_goes_along_and_is_not_mixed_with_others(tmp_path, digits):
    made, path = [], list(sys.path)
    net, space = WITH_CONTROL_FLOW.split("class Own", 1)
    for act in ("tanh", "relu"):  # runs in two folders, each with a `same_blocks.py`
        here = tmp_path / act
        here.mkdir()
        (here / "same_blocks.py").write_text(net.replace("torch.tanh", f"torch.{act}"))
        text = f"import foretell as ft\nfrom same_blocks import Net\n\nclass Own{space}"
        (here / "my_space.py").write_text(text)
        sys.path[:], _ = path, sys.modules.pop("same_blocks", None)  # as in a process of its own
        own = load_space(f"{here}/my_space.py:Own").with_io((1, 8, 8), 10)
        assert best.lacking(own) == ""
        made.append(winner_of(own, np.array([1]), digits))
        best.write(here / "best", made[-1], lambda network: None)
        (here / "my_space.py").unlink()
        (here / "same_blocks.py").unlink()
    mine = sys.modules["same_blocks"]
    for act, winner in zip(("tanh", "relu"), made, strict=True):
        best.same_outputs(winner.module, core(tmp_path / act / "best"), (1, 8, 8))
    assert sys.modules["same_blocks"] is mine
    sys.path[:], _ = path, sys.modules.pop("same_blocks")
    changed = tmp_path / "relu" / "best" / "code" / "same_blocks.py"
    changed.write_text(changed.read_text() + "\n")
    with pytest.raises(RunError, match=r"same_blocks.py is not the file that was written"):
        core(tmp_path / "relu" / "best")
