from __future__ import annotations

import dataclasses
import itertools
import json
import pickle
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import foretell as ft
from foretell.errors import DataError, RunError, SettingError
from foretell.evaluators.base import TrialTimeout, deadline
from foretell.evaluators.trainer import Trainer, reason
from foretell.testing._globals import global_states
from foretell.training.data import load
from foretell.training.recipe import Recipe

FAST = Recipe(epochs=2)


def block(a, b, stride=1):
    return [nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]


def build_cnn(decisions, input_shape, n_outputs):
    w = decisions["width"]
    return nn.Sequential(
        *block(input_shape[0], w),
        *block(w, 2 * w, 2),
        *block(2 * w, 2 * w),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(decisions["dropout"]),
        nn.Linear(2 * w, n_outputs),
    )


def build_mlp(decisions, input_shape, n_outputs):
    w = decisions["width"]
    return nn.Sequential(nn.Linear(*input_shape, w), nn.ReLU(), nn.Linear(w, n_outputs))


def cnn_space():
    return ft.Space.from_choices({"width": [4, 16, 18], "dropout": [0.0, 0.2]}, build=build_cnn)


def mlp_space():
    return ft.Space.from_choices({"width": [16, 64]}, build=build_mlp)


def space_of(build):
    return ft.Space.from_choices({"width": [4, 16]}, build=build)


def trainer(recipe=FAST, space=None):
    return Trainer(space or cnn_space(), load("digits"), recipe)


# -- what it reports -------------------------------------------------------------------------


def test_a_small_network_learns_digits_well_and_quickly(tmp_path):
    """Some 20,000 parameters, at most 15 epochs: above 97 % on the test split."""
    tr = trainer(Recipe(epochs=12))
    x = np.array([2, 0])
    assert 10_000 < sum(p.numel() for p in tr._build(x).parameters()) < 25_000
    start = time.process_time()
    result = tr.evaluate(x, seed=0, weights=tmp_path / "w.safetensors")
    seconds = time.process_time() - start
    test = tr.test(x, tmp_path / "w.safetensors")
    assert result.ok
    assert test["test_acc"] > 0.97
    assert abs(result.metrics["val_acc"] - test["test_acc"]) < 0.03
    assert seconds < 20  # some 1 s on an idle core


def test_result():
    result = trainer().evaluate(np.array([1, 1]), seed=7)
    assert result.ok
    assert result.seed == 7
    assert result.seconds > 0
    kinds = {"acc", "balanced_acc", "f1", "auroc", "loss"}
    assert set(result.metrics) == {f"val_{kind}" for kind in kinds}
    assert set(result.curve) == {"train_loss", *result.metrics}
    assert result.curve["val_acc"][-1] == result.metrics["val_acc"]
    assert trainer().objective == "val_acc"
    assert trainer().direction == "max"


def test_regression():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 4))
    y = 1e4 + 300 * (x[:, 0] * x[:, 1] + np.sin(x[:, 2]))
    tr = Trainer(mlp_space(), load((x, y)), Recipe(epochs=30))
    result = tr.evaluate([1])
    assert tr.objective == "val_r2"
    assert set(result.metrics) == {"val_r2", "val_rmse", "val_loss"}
    assert result.metrics["val_r2"] > 0.8  # a linear fit has about 0.3 here
    val = tr.data.split["val"]
    spread = tr.data.y[val].std() * tr.data.target_std[0]
    expected = spread * np.sqrt(1 - result.metrics["val_r2"])
    assert result.metrics["val_rmse"] == pytest.approx(expected, rel=1e-3)


def test_real_images(data_dir):
    """CIFAR-10: far above chance (0.1) after one epoch, with shifts and mirroring."""
    data = load(data_dir / "cifar10_small.npz")
    result = Trainer(cnn_space(), data, Recipe(epochs=1)).evaluate([1, 0])
    assert result.metrics["val_acc"] > 0.2


# -- determinism -----------------------------------------------------------------------------


def test_equal_seeds_give_equal_results_other_seeds_others():
    tr = trainer()
    x = np.array([0, 1])
    first, again, other = tr.evaluate(x, 3), tr.evaluate(x, 3), tr.evaluate(x, 4)
    assert (first.metrics, first.curve) == (again.metrics, again.curve)
    assert first.curve != other.curve


def test_the_same_in_another_process(tmp_path):
    tr = trainer()
    here = tr.evaluate([0, 1], 3, weights=tmp_path / "w.safetensors")
    (tmp_path / "trainer.pickle").write_bytes(pickle.dumps(tr))
    code = f"""
import importlib.util, json, pathlib, pickle, sys, torch
spec = importlib.util.spec_from_file_location({__name__!r}, {__file__!r})
sys.modules[{__name__!r}] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
torch.manual_seed(99)
tr = pickle.loads(pathlib.Path(sys.argv[1], "trainer.pickle").read_bytes())
r = tr.evaluate([0, 1], 3, weights=pathlib.Path(sys.argv[1], "there.safetensors"))
print(json.dumps([r.metrics, r.curve]))
"""
    out = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout
    assert json.loads(out) == [here.metrics, here.curve]
    ours, theirs = (tmp_path / name for name in ("w.safetensors", "there.safetensors"))
    assert ours.read_bytes() == theirs.read_bytes()


def tiny_trainer(recipe):
    rng = np.random.default_rng(0)
    return Trainer(mlp_space(), load((rng.normal(size=(60, 4)), np.arange(60) % 2)), recipe)


def test_global_states_do_not_move():
    before, threads = global_states(), torch.get_num_threads()
    assert tiny_trainer(Recipe(epochs=1, threads=threads + 1)).evaluate([1]).ok
    assert global_states() == before
    assert torch.get_num_threads() == threads


def test_threads_of_the_recipe_are_used():
    used = []
    tr = tiny_trainer(Recipe(epochs=1, threads=3))
    tr.evaluate([0], on_epoch=lambda *_: used.append(torch.get_num_threads()))
    assert used == [3]


# -- the test split --------------------------------------------------------------------------


def test_evaluate_never_reads_the_test_split(tmp_path):
    """The test rows are poisoned: no number that `evaluate` gives changes; `test` notices."""
    data = load("digits")
    x, y = data.x.copy(), data.y.copy()
    x[data.split["test"]] = np.nan
    y[data.split["test"]] = 12345
    poisoned = dataclasses.replace(data, x=x, y=y)
    clean = Trainer(cnn_space(), data, FAST)
    dirty = Trainer(cnn_space(), poisoned, FAST)
    a = clean.evaluate([1, 1], 0, weights=tmp_path / "a.safetensors")
    b = dirty.evaluate([1, 1], 0, weights=tmp_path / "b.safetensors")
    assert (a.metrics, a.curve) == (b.metrics, b.curve)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    x[data.split["test"]] = 0.0
    y[data.split["test"]] = (data.y[data.split["test"]] + 1) % 10
    shifted = Trainer(cnn_space(), dataclasses.replace(data, x=x, y=y), FAST)
    assert clean.test([1, 1], tmp_path / "a.safetensors")["test_acc"] > 0.5
    assert shifted.test([1, 1], tmp_path / "a.safetensors")["test_acc"] < 0.3


def test_splits_do_not_overlap():
    split = load("digits").split
    assert not set(split["val"]) & set(split["test"])
    assert not set(split["train"]) & (set(split["val"]) | set(split["test"]))


# -- weights ---------------------------------------------------------------------------------


def test_weights_give_the_validation_metrics_again(tmp_path):
    from foretell.training import loop
    from foretell.training.data import batches

    tr = trainer()
    result = tr.evaluate([1, 1], 0, weights=tmp_path / "deep" / "w.safetensors")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["w.safetensors"]
    model = tr._build([1, 1])
    model.load_state_dict(load_file(tmp_path / "deep" / "w.safetensors"))
    part = batches.Split(tr.data, "val", torch.device("cpu"))
    again = loop.evaluate(model, part, tr.data, tr.recipe)
    assert again["acc"] == result.metrics["val_acc"]
    assert again["loss"] == pytest.approx(result.metrics["val_loss"], rel=1e-5)


def test_weights_of_another_network(tmp_path):
    tr = trainer()
    tr.evaluate([0, 0], 0, weights=tmp_path / "w.safetensors")
    with pytest.raises(DataError, match=r"cannot read the weights .*width=16,dropout=0.0"):
        tr.test([1, 0], tmp_path / "w.safetensors")
    with pytest.raises(DataError, match="cannot read the weights"):
        tr.test([0, 0], tmp_path / "none.safetensors")


# -- going on inside a network ---------------------------------------------------------------


def tabular(recipe, seed=0):
    """Dropout, batch normalisation and a shortcut, on a few rows of digits."""
    digits = load("digits")
    data = load((digits.x[:240].reshape(240, -1), digits.y[:240]), seed=seed)
    return Trainer(ft.spaces.get("tabular", max_depth=2), data, recipe, state_every_s=0)


DEEP = "depth=2,width_0=32,width_1=16,activation=relu,norm=batch,dropout=0.3,residual=True"


def row(tr, arch=DEEP):
    return tr.space.from_str([arch])[0]


def augmented(recipe):
    """Shifted and mirrored images through convolutions, channels last, with dropout."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (90, 3, 28, 28), dtype=np.uint8)
    return Trainer(cnn_space(), load((images, np.arange(90) % 3)), recipe, state_every_s=0)


RECIPES = [
    Recipe(epochs=5, batch_size=32),
    Recipe(epochs=5, batch_size=32, optimiser="adamw", keep="best"),
    Recipe(epochs=12, lr=1.0, schedule="constant", warmup=0.0, keep="best", early_stop=3),
]


def everything(folder, result):
    return result.metrics, result.curve, result.error, (folder / "w").read_bytes()


def stopping(epoch):
    def on_epoch(now, row):
        if now == epoch:
            raise KeyboardInterrupt

    return on_epoch


@pytest.mark.parametrize(
    ("make", "arch", "recipe"),
    [*((tabular, DEEP, recipe) for recipe in RECIPES), (augmented, "width=4,dropout=0.2", FAST)],
)
def test_broken_off_after_every_epoch_it_ends_as_in_one_go(make, arch, recipe, tmp_path):
    tr = make(recipe)
    x = row(tr, arch)
    whole = tr.evaluate(x, 3, weights=tmp_path / "w")
    expected = everything(tmp_path, whole)
    (tmp_path / "w").unlink()
    trained = len(whole.curve["val_loss"])
    assert whole.ok
    assert (trained < recipe.epochs) == bool(recipe.early_stop)
    for epoch in range(trained - 1):
        with pytest.raises(KeyboardInterrupt):
            tr.evaluate(
                x, 3, weights=tmp_path / "w", on_epoch=stopping(epoch), state=tmp_path / "s"
            )
        assert [path.name for path in tmp_path.iterdir()] == ["s"]
    seen = []
    last = tr.evaluate(
        x,
        3,
        weights=tmp_path / "w",
        on_epoch=lambda epoch, _: seen.append(epoch),
        state=tmp_path / "s",
    )
    assert everything(tmp_path, last) == expected
    assert seen == [trained - 1]
    assert {path.name for path in tmp_path.iterdir()} == {"w", "s"}
    last = tr.evaluate(
        x, 3, weights=tmp_path / "w", on_epoch=lambda *_: seen.append("more"), state=tmp_path / "s"
    )
    assert everything(tmp_path, last) == expected
    assert seen == [trained - 1], "what has ended before is not trained again"


@pytest.mark.parametrize("recipe", RECIPES)
def test_epochs_in_portions_are_one_training(recipe, tmp_path):
    tr = tabular(recipe)
    x = row(tr)
    whole = everything(tmp_path, tr.evaluate(x, 3, weights=tmp_path / "w"))
    (tmp_path / "w").unlink()
    portions, seen = {}, []
    for epochs in (1, 3, 3, 2):  # a driver may ask again for what it has not written down
        part = portions[epochs] = tr.evaluate(
            x, 3, weights=tmp_path / "w", on_epoch=lambda epoch, _: seen.append(epoch),
            state=tmp_path / "s", epochs=epochs,
        )  # fmt: skip
        n = len(part.curve["val_loss"])
        assert n == min(epochs, len(whole[1]["val_loss"]))
        assert part.curve == {name: values[:n] for name, values in whole[1].items()}
        kept = int(np.argmin(part.curve["val_loss"])) if recipe.keep == "best" else n - 1
        assert part.metrics["val_acc"] == part.curve["val_acc"][kept]
        assert [path.name for path in tmp_path.iterdir()] == ["s"]
    assert seen == [0, 1, 2]
    assert portions[1] != portions[3]
    last = tr.evaluate(x, 3, weights=tmp_path / "w", state=tmp_path / "s", epochs=99)
    assert everything(tmp_path, last) == whole
    assert {path.name for path in tmp_path.iterdir()} == {"w", "s"}


def test_epochs_need_no_state():
    tr = tabular(RECIPES[0])
    assert len(tr.evaluate(row(tr), epochs=2).curve["val_loss"]) == 2
    for epochs in (0, -1, 1.5, True):
        with pytest.raises(SettingError, match="epochs: expected a whole number from 1"):
            tr.evaluate(row(tr), epochs=epochs)


def test_a_state_of_another_training_is_not_used(tmp_path):
    tr, s = tabular(RECIPES[0]), tmp_path / "s"
    tr.evaluate(row(tr), 3, state=s, epochs=2)
    state = s.read_bytes()

    def first_epoch(tr, x, seed):
        seen = []
        s.write_bytes(state)
        result = tr.evaluate(x, seed, on_epoch=lambda epoch, _: seen.append(epoch), state=s)
        return seen[0], result

    def recipe(**changes):
        return tabular(dataclasses.replace(tr.recipe, **changes))

    for other, arch, seed in [
        (tr, DEEP.replace("relu", "silu"), 3),
        (tr, DEEP, 4),
        (recipe(lr=0.2), DEEP, 3),
        (recipe(keep="best"), DEEP, 3),
        (tabular(tr.recipe, seed=1), DEEP, 3),
    ]:
        begun, result = first_epoch(other, row(other, arch), seed)
        alone = other.evaluate(row(other, arch), seed)
        assert begun == 0
        assert (result.metrics, result.curve) == (alone.metrics, alone.curve)
    assert first_epoch(tr, row(tr), 3)[0] == 2
    assert first_epoch(recipe(device="cpu"), row(tr), 3)[0] == 2
    assert recipe(threads=2)._identity(row(tr), 3) == tr._identity(row(tr), 3)


def test_seconds_are_of_all_attempts(tmp_path):
    class Slow(nn.Linear):
        def forward(self, x):
            time.sleep(0.02)
            return super().forward(x)

    tr = Trainer(space_of(lambda *_: Slow(4, 2)), tiny_trainer(FAST).data, Recipe(epochs=4))
    parts = [tr.evaluate([0], state=tmp_path / "s", epochs=n) for n in (1, 2, 3, 4)]
    seconds = np.array([part.seconds for part in parts])
    assert (seconds > 0.04 * np.arange(1, 5)).all()  # two calls of the network an epoch


def test_a_trial_whose_time_is_over_goes_on_later(tmp_path):
    tr, s = tabular(RECIPES[0]), tmp_path / "s"
    x, seen = row(tr), []

    def on_epoch(epoch, _):
        seen.append(epoch)
        if len(seen) == 2:
            deadline.set(time.monotonic() - 1)

    token = deadline.set(time.monotonic() + 60)
    try:
        with pytest.raises(TrialTimeout, match="time is over"):
            tr.evaluate(x, 3, on_epoch=on_epoch, state=s)
    finally:
        deadline.reset(token)
    again = tr.evaluate(x, 3, on_epoch=on_epoch, state=s)
    assert seen == [0, 1, 2, 3, 4]
    assert again.curve == tr.evaluate(x, 3).curve


def test_files_that_cannot_be_written(tmp_path):
    """The state is a help; the weights are what a trial is for."""
    tr, s = tabular(RECIPES[0]), tmp_path / "s"
    (tmp_path / "file").touch()
    nowhere = tmp_path / "file" / "f"
    expected = tr.evaluate(row(tr), 3)
    result = tr.evaluate(row(tr), 3, weights=tmp_path / "w", state=nowhere)
    assert (result.metrics, result.curve) == (expected.metrics, expected.curve)
    assert (tmp_path / "w").exists()
    with pytest.raises(RunError, match=r"cannot write the weights .*Next: make room"):
        tr.evaluate(row(tr), 3, weights=nowhere, state=s)
    seen = []
    tr.evaluate(
        row(tr), 3, weights=tmp_path / "w", on_epoch=lambda epoch, _: seen.append(epoch), state=s
    )
    assert seen == [], "all epochs are in the state"


def test_a_network_that_fails_fails_again(tmp_path):
    tr = tabular(Recipe(epochs=6, lr=1e3, clip=0.0, schedule="constant", warmup=0.0))
    linear = row(tr, DEEP.replace("norm=batch", "norm=none"))
    part = tiny_trainer(Recipe(epochs=3)).evaluate([0], state=tmp_path / "s", epochs=1)
    assert part.ok
    for _ in range(2):
        error = tr.evaluate(linear, state=tmp_path / "s").error
        assert error.endswith("loss is not a number in epoch 1")


KILLS = """
import json, os, pathlib, signal, sys, time
import numpy as np
import torch
import foretell as ft
from foretell.evaluators.trainer import Trainer
from foretell.training.data import load
from foretell.training.recipe import Recipe

folder, lives = pathlib.Path(sys.argv[1]), []
rng = np.random.default_rng(int(sys.argv[2]))
digits = load("digits")
data = load((digits.x[:240].reshape(240, -1), digits.y[:240]))
recipe = Recipe(epochs=100, batch_size=32)
tr = Trainer(ft.spaces.get("tabular", max_depth=2), data, recipe, state_every_s=0)
x = tr.space.from_str([sys.argv[3]])[0]
whole = tr.evaluate(x, 3, weights=folder / "whole")
while True:
    begun, report = os.pipe()
    child = os.fork()
    if not child:
        seen = lambda epoch, row: os.write(report, bytes([epoch]))
        result = tr.evaluate(x, 3, weights=folder / "w", on_epoch=seen, state=folder / "s")
        (folder / "r").write_text(json.dumps([result.metrics, result.curve]))
        os._exit(0)
    os.close(report)
    epochs = b""
    if len(lives) < 8:
        for _ in range(rng.integers(9)):
            epochs += os.read(begun, 1)
        time.sleep(rng.uniform(0, 0.02))
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    epochs += os.read(begun, 1000)
    os.close(begun)
    lives.append([epochs[0], epochs[-1]] if epochs else None)
    if status == 0:
        break
print(json.dumps([lives, [whole.metrics, whole.curve]]))
"""


def test_killed_at_random_it_ends_as_in_one_go(tmp_path):
    """`kill -9` of the training process, many times over one network."""
    command = [sys.executable, "-W", "ignore", "-c", KILLS, str(tmp_path), "0", DEEP]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lives, whole = json.loads(out)
    lives = [life for life in lives if life]
    assert json.loads((tmp_path / "r").read_text()) == whole
    assert (tmp_path / "w").read_bytes() == (tmp_path / "whole").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"r", "s", "w", "whole"}
    assert len(lives) > 4
    for before, after in itertools.pairwise(lives):
        assert before[1] < after[0]  # what was written is not trained again


# -- failures --------------------------------------------------------------------------------


class Raises(nn.Module):
    def __init__(self, error):
        super().__init__()
        self.error = error
        self.weight = nn.Parameter(torch.zeros(1, 1))

    def forward(self, x):
        raise self.error


class Explodes(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        return self.head(x.flatten(1)) * float("inf")


def raising(error):
    def build(*_):
        raise error

    return build


def flat(*layers):
    return lambda *_: nn.Sequential(nn.Flatten(), *layers)


def forward_raising(error):
    return lambda *_: Raises(error)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (raising(KeyError("width")), "build failed with KeyError: 'width'"),
        (raising(ValueError("one\ntwo")), "build failed with ValueError: one two"),
        (raising(MemoryError()), "out of memory: MemoryError"),
        (lambda *_: None, "build: expected an nn.Module, got NoneType"),
        (flat(nn.Linear(64, 64)), "expected a tensor (63, 10), got shape (63, 64)"),
        (flat(nn.Linear(63, 10)), "RuntimeError: mat1 and mat2 shapes"),
        (flat(nn.Linear(64, 10).requires_grad_(False)), "no weights to train"),
        (lambda *_: Explodes(), "the training loss is not a number in epoch 1"),
        (forward_raising(ValueError("odd")), "ValueError: odd"),
        (forward_raising(torch.OutOfMemoryError("CUDA oom")), "out of memory: CUDA oom"),
        (forward_raising(RuntimeError("x: not enough memory: y")), "out of memory: x: not"),
        (forward_raising(RuntimeError("can't allocate memory")), "out of memory: can't"),
    ],
)
def test_what_goes_wrong_with_a_network_is_a_result(build, message, tmp_path):
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    result = trainer(space=space_of(build)).evaluate([1], 5, weights=tmp_path / "w.safetensors")
    assert not result.ok
    assert message in result.error
    assert "\n" not in result.error
    assert (result.metrics, result.seed) == ({}, 5)
    assert list(tmp_path.iterdir()) == []
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_memory_that_really_is_not_there():
    def build(*_):
        return nn.Linear(1 << 24, 1 << 24)  # a petabyte

    result = trainer(space=space_of(build)).evaluate([1])
    assert result.error.startswith("out of memory")


def test_a_row_of_another_space_is_a_result():
    assert "width" in trainer().evaluate([9, 0]).error
    assert "shape" in trainer().evaluate([1, 0, 0]).error


def test_interruption_passes():
    tr = trainer(space=space_of(lambda *_: Raises(KeyboardInterrupt())))
    with pytest.raises(KeyboardInterrupt):
        tr.evaluate([1])


def test_a_wrong_device_fails_at_once():
    with pytest.raises(SettingError, match=r"device.*'tpu'.*use 'auto' or 'cpu'"):
        trainer(Recipe(device="tpu"))


def test_reason_is_short():
    assert len(reason(ValueError("x" * 10_000))) < 400


# -- CUDA ------------------------------------------------------------------------------------


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_cuda(tmp_path):
    tr = trainer(Recipe(epochs=8, device="cuda"))
    state = torch.cuda.get_rng_state()
    result = tr.evaluate([1, 1], 0, weights=tmp_path / "w.safetensors")
    assert result.metrics["val_acc"] > 0.95
    assert torch.equal(torch.cuda.get_rng_state(), state)
    on_gpu = tr.test([1, 1], tmp_path / "w.safetensors")
    on_cpu = trainer(Recipe(device="cpu")).test([1, 1], tmp_path / "w.safetensors")
    assert abs(on_gpu["test_acc"] - on_cpu["test_acc"]) < 0.02


def test_threads_give_what_one_process_gives(tmp_path):
    """Generators and threads of torch are global: four at once must not draw from one another."""
    from concurrent.futures import ThreadPoolExecutor

    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 3)).astype(np.float32)
    data = load((X, (X[:, 0] > X[:, 1]).astype(int)), seed=0)
    trainer = Trainer(ft.spaces.get("tabular"), data, Recipe(epochs=3))
    rows = trainer.space.sample(8, rng=0)

    def value(i):
        return trainer.evaluate(rows[i], seed=i).metrics

    alone = [value(i) for i in range(8)]
    threads = torch.get_num_threads()
    for _ in range(2):
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(value, range(8))) == alone
    assert torch.get_num_threads() == threads
