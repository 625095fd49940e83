from __future__ import annotations

import io
import json
import os
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

import foretell as ft
from foretell import cli
from foretell.errors import MissingExtraError, RunError
from foretell.nets.formats import program_of, pt2_of
from foretell.testing.cover import cover
from foretell.training.data import load
from foretell.winner import best, export
from foretell.winner.base import Winner
from foretell.winner.load import config_of
from foretell.winner.predict import predict


def winner_of(space, x, data=None, **more):
    """A network as after some training: moved weights, measured statistics of batch norms."""
    shape = space.input_shape
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(3)
        module = space.build(x, shape, space.n_outputs)
        for parameter in module.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
        for _ in range(5):
            module(torch.randn(8, *shape))
    plain = {"mean": [0.5] * shape[0], "std": [2.0] * shape[0], "scale": None}
    given = {
        "space": space,
        "x": x,
        "module": module.eval(),
        "task": data.task if data else "classification",
        "labels": data.labels if data else tuple(map(str, range(space.n_outputs))),
        "inputs": data.input_spec() if data else plain,
        "objective": "val_acc",
        "metrics": {"val_acc": 0.5},
        "facts": {"data": "made here"},
    }
    return Winner(**{**given, **more})


def written(folder, space, x, data=None):
    best.write(folder / "best", winner_of(space, x, data), lambda network: None)
    return folder / "best"


def own(forward, width=4):
    """A space of networks that run `forward(module, x)` with a linear layer `a`."""

    class Net(nn.Module):
        def __init__(self, n_outputs):
            super().__init__()
            self.a = nn.Linear(width, n_outputs)

        def forward(self, x):
            return forward(self, x)

    return ft.Space.from_choices(
        {"a": [1, 2]}, build=lambda decisions, shape, n_outputs: Net(n_outputs)
    ).with_io((width,), 3)


# -- every operation of every space ---------------------------------------------------------------


def operations(space, X):
    return set(space.graphs(X).ops.ravel().tolist())


class Together(nn.Module):
    """Networks side by side: outputs (n, all of theirs)."""

    def __init__(self, networks):
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, x):
        return torch.cat([network(x) for network in self.networks], dim=1)


SPACES = {  # small, few: it is operations that count; perf/bench_export.py has all options
    "nb201": ({"channels": 4, "n_cells": 1}, (2, 9, 8)),
    "nb101": ({"channels": 16, "n_stacks": 2, "n_cells": 1}, (2, 6, 5)),
    "mobile": ({"preset": "tiny", "expands": (2,)}, (1, 8, 8)),
    "tabular": ({"widths": (4, 8)}, (5,)),
    "signal": ({"max_depth": 2, "widths": (4, 8), "kernels": (3, 5)}, (2, 9)),
    "nb-graph": ({"hidden": 4}, (3, 8)),
    "nb301": ({"channels": 4, "n_cells": 3}, (2, 8, 8)),
    "nb-nlp": ({"hidden": 4, "max_nodes": 10}, (2, 3)),
    "tnb-micro": ({"channels": 4, "modules": "24"}, (2, 16, 16)),
    "tnb-macro": ({"channels": 2}, (2, 16, 16)),
}


# spaces whose networks are put together of the operations of another one
LIKE = {
    **dict.fromkeys(("darts", "nasnet"), "nb301"),
    **{f"darts-s{i}": "nb301" for i in (1, 2, 3, 4)},
    **{f"nb1shot1-{i}": "nb101" for i in (1, 2, 3)},
    **dict.fromkeys(("ofa-mbv3", "proxyless"), "mobile"),  # inverted residual blocks; a minute each
}


def test_all_spaces_are_exported():
    assert {*SPACES, *LIKE} == set(ft.spaces.names())


@pytest.mark.parametrize("name", SPACES)
def test_every_operation_of_every_space(name, tmp_path):
    settings, shape = SPACES[name]
    space = ft.spaces.get(name, **settings).with_io(shape, 2)
    X = cover(space)
    while operations(space, X[:-1]) == operations(space, X):
        X = X[:-1]
    X = np.vstack([X, (0 * X[:1])[space.contains(0 * X[:1])]])  # in nb201 without any edge
    together = ft.Space.from_choices(
        {"a": [1]}, build=lambda *_: Together([space.build(x, shape, 2) for x in X])
    ).with_io(shape, 2 * len(X))
    folder = written(tmp_path, together, np.array([0]))
    assert config_of(folder)["standalone"]
    for call, file in ((export.to_onnx, "m.onnx"), (export.to_pt2, "m.pt2")):
        done = call(folder, tmp_path / file)
        assert done.difference <= export.TOLERANCE, file
        assert done.bytes == (tmp_path / file).stat().st_size > 0


# -- one network in full --------------------------------------------------------------------------


def session_of(file):
    return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def digits_best(small, tmp_path_factory):
    folder, data = tmp_path_factory.mktemp("digits"), load("digits")
    space = small.with_io(data.input_shape, data.n_outputs)
    return written(folder, space, space.sample(1, rng=0)[0], data)


def test_onnx_says_what_it_takes_and_gives(digits_best, tmp_path, capfd):
    state = torch.get_rng_state()
    done = export.to_onnx(digits_best.parent, tmp_path / "m.onnx")
    assert torch.equal(torch.get_rng_state(), state)
    assert capfd.readouterr() == ("", "")
    assert [item.name for item in tmp_path.iterdir()] == ["m.onnx"]
    proto = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(proto, full_check=True)
    assert [o.version for o in proto.opset_import if not o.domain] == [done.opset]
    session = session_of(tmp_path / "m.onnx")
    (given,), (taken,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.shape) == ("input", ["batch", 1, 8, 8])
    assert (taken.name, taken.shape) == ("scores", ["batch", 10])
    facts, config = session.get_modelmeta().custom_metadata_map, config_of(digits_best)
    assert {facts["foretell"], facts["arch"]} == {ft.__version__, config["arch"]}
    assert json.loads(facts["labels"]) == config["labels"]
    assert json.loads(facts["mean"]) == config["input"]["mean"]
    assert facts["inputs"] == "raw"
    x = np.random.default_rng(0).standard_normal((11, 1, 8, 8)).astype(np.float32)
    with torch.no_grad():
        expected = ft.load(digits_best)(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(session.run(None, {"input": x})[0], expected, rtol=1e-4, atol=1e-5)


def test_files_are_the_same_again_and_name_no_folder_of_here(digits_best, tmp_path):
    for call, file in ((export.to_onnx, "m.onnx"), (export.to_pt2, "m.pt2")):
        file = tmp_path / file
        file.write_text("what was there")
        call(digits_best, file)
        first = file.read_bytes()
        assert not [word for word in (b"site-packages", b".py", b"/runs/") if word in first]
        if file.suffix == ".onnx":
            call(digits_best, file)
            assert file.read_bytes() == first


def test_pt2_runs_with_torch_alone(digits_best, tmp_path):
    done = export.to_pt2(digits_best, tmp_path / "m.pt2")
    assert done.opset is None
    extra = {"foretell.json": ""}
    loaded = torch.export.load(tmp_path / "m.pt2", extra_files=extra).module()
    assert json.loads(extra["foretell.json"])["foretell"] == ft.__version__
    x = torch.randn((5, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(loaded(x), ft.load(digits_best)(x))


def test_a_link_is_replaced_and_not_written_through(digits_best, tmp_path):
    mine = tmp_path / "thesis.txt"
    mine.write_text("precious")
    for name in ("m.pt2", f".m.pt2.{os.getpid()}.tmp"):
        (tmp_path / name).symlink_to(mine)
    export.to_pt2(digits_best, tmp_path / "m.pt2")
    assert mine.read_text() == "precious"
    assert not (tmp_path / "m.pt2").is_symlink()
    assert len(list(tmp_path.iterdir())) == 2


def test_with_normalisation_it_takes_and_gives_what_predict_does(small, tmp_path):
    rng = np.random.default_rng(0)
    X = 100 + 7 * rng.normal(size=(60, 3))
    data = load((X, 1000 + 50 * X[:, 0]), task="regression")
    space = small.with_io(data.input_shape, data.n_outputs)
    folder = written(tmp_path, space, space.sample(1, rng=0)[0], data)
    X = X.astype(np.float32)
    np.savez(tmp_path / "new.npz", x=X)
    expected = [row.values for row in predict(folder, tmp_path / "new.npz")]
    export.to_onnx(folder, tmp_path / "m.onnx", with_normalisation=True)
    session = session_of(tmp_path / "m.onnx")
    assert session.get_outputs()[0].name == "values"
    assert session.get_modelmeta().custom_metadata_map["inputs"] == "raw"
    np.testing.assert_allclose(session.run(None, {"input": X})[0], expected, rtol=1e-5)


# -- what goes wrong ------------------------------------------------------------------------------


def test_a_file_with_other_outputs_is_not_written(digits_best, tmp_path, monkeypatch):
    network = ft.load(digits_best)
    *_, last = network.parameters()
    last.data[3] += 1e-3
    other = pt2_of(program_of(network, torch.zeros(2, 1, 8, 8)), {})
    monkeypatch.setattr(export, "pt2_of", lambda program, facts: other)
    (tmp_path / "m.pt2").write_text("what was there")
    with pytest.raises(RunError, match=r"m\.pt2 is not written: expected .* at most 0\.0001"):
        export.to_pt2(digits_best, tmp_path / "m.pt2")
    assert [item.read_text() for item in tmp_path.iterdir()] == ["what was there"]


REFUSED = {
    "a value decides": (
        lambda m, x: m.a(x) if x.sum() < 100 else -m.a(x),
        r"cannot be exported: its forward has a Python condition .* \(test_export\.py, line \d+\)",
    ),
    "the batch size decides": (
        lambda m, x: torch.stack([m.a(one) for one in x]),
        "cannot be exported: its forward depends on the number of examples",
    ),
    "numpy": (
        lambda m, x: torch.from_numpy(np.tanh(m.a(x).numpy())),
        r"cannot be exported: RuntimeError: .*numpy",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_forward_that_is_no_graph_is_refused_with_its_reason_and_line(name):
    forward, message = REFUSED[name]
    module = own(forward).build(np.array([0]), (4,), 3)
    with pytest.raises(RunError, match=message) as caught:
        program_of(module.eval(), torch.zeros(2, 4))
    assert "\n" not in str(caught.value)


def test_an_operation_that_onnx_has_not_is_named(tmp_path):
    space = own(lambda m, x: m.a(x) + torch.special.i1(x[:, :3]))
    folder = written(tmp_path, space, np.array([0]))
    with pytest.raises(RunError, match=r"cannot be written as ONNX: ONNX has no form of .*i1"):
        export.to_onnx(folder, tmp_path / "m.onnx")
    assert export.to_pt2(folder, tmp_path / "m.pt2").difference == 0
    assert {item.name for item in tmp_path.iterdir()} == {"best", "m.pt2"}


def test_nonfinite_outputs_are_equal_only_to_themselves():
    module = own(lambda m, x: x[:, :3].sqrt()).build(np.array([0]), (4,), 3)
    numbers = {key: np.zeros(1, np.float32) for key in ("mean", "m")}
    numbers |= {key: np.ones(1, np.float32) for key in ("c", "std", "s")}
    network = export._Network(module, module, (4,), "scores", {}, **numbers)
    run = export._runs(module)
    assert network._difference(run) == 0
    assert np.isnan(network._difference(lambda x: np.nan_to_num(run(x))))
    assert network._difference(lambda x: run(x) + 0.01) == pytest.approx(0.01, rel=0.01)


def call(monkeypatch, *args):
    """Exit code, stdout and stderr of `foretell *args`."""
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "argv", ["foretell", *map(str, args)])
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(cli.console.err, "file", err)
    try:
        cli.main()
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    return code, out.getvalue(), err.getvalue()


def test_the_command(digits_best, tmp_path, monkeypatch):
    onnx_file, pt2_file = tmp_path / "m.onnx", tmp_path / "m.pt2"
    code, out, _ = call(monkeypatch, "export", digits_best, "--onnx", onnx_file, "--pt2", pt2_file)
    assert code == 0
    assert "opset" in out
    assert f"next: torch.export.load({str(pt2_file)!r}).module()(x)" in out
    code, out, _ = call(monkeypatch, "export", digits_best, "--pt2", pt2_file, "--json")
    (row,) = json.loads(out)
    assert row["file"] == str(pt2_file)
    assert row["difference"] < 1e-5
    assert row["bytes"] == pt2_file.stat().st_size


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "--onnx FILE or --pt2 FILE"),
        (("--pt2", "nowhere/m.pt2"), "cannot write nowhere/m.pt2"),
        (("--onnx", "m.onnx"), "pip install 'foretell[onnx]'"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(digits_best, args, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    code, out, err = call(monkeypatch, "export", digits_best, *args)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())
    with pytest.raises(MissingExtraError):
        export.to_onnx(digits_best, tmp_path / "m.onnx")
