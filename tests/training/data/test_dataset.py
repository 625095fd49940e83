from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from foretell.errors import DataError, SettingError
from foretell.testing._globals import global_states
from foretell.training.data import Data, load, read_inputs
from foretell.training.data.inputs import raw_inputs


def arrays(n=60, classes=3, shape=(4,), seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, *shape)), np.arange(n) % classes


def parts_are_a_partition(data: Data) -> None:
    split = data.split
    together = np.concatenate([split["train"], split["val"], split["test"]])
    assert sorted(together) == list(range(len(data.x)))
    assert tuple(len(split[part]) for part in ("train", "val", "test")) == data.sizes


# -- the split -------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [7, 60, 997])
@pytest.mark.parametrize("fractions", [(0.7, 0.15, 0.15), (0.4, 0.3, 0.3), (0.9, 0.05, 0.05)])
def test_split_is_a_partition_with_the_asked_shares(n, fractions):
    data = load(arrays(n), fractions=fractions)
    parts_are_a_partition(data)
    for size, share in zip(data.sizes, fractions, strict=True):
        assert abs(size - share * n) <= 1.5


def test_split_is_stratified():
    x = np.zeros((1000, 2)) + np.arange(1000)[:, None]
    y = np.repeat([0, 1, 2], [800, 150, 50])
    data = load((x, y), fractions=(0.6, 0.2, 0.2))
    for part, share in (("train", 0.6), ("val", 0.2), ("test", 0.2)):
        counts = np.bincount(data.y[data.split[part]], minlength=3)
        assert np.abs(counts - share * np.array([800, 150, 50])).max() <= 1.5


@pytest.mark.parametrize("seed", range(20))
def test_every_class_is_trained_on_even_the_rare_ones(seed):
    y = np.repeat(np.arange(9), [200, 2, 2, 2, 2, 2, 2, 2, 2])
    data = load((np.random.default_rng(0).normal(size=(len(y), 3)), y), seed=seed)
    assert set(data.y[data.split["train"]]) == set(range(9))


def test_equal_seeds_give_equal_splits_and_digests_other_seeds_others():
    one, same, other = load("digits"), load("digits"), load("digits", seed=1)
    assert np.array_equal(one.index, same.index)
    assert one.digest == same.digest != other.digest
    assert not np.array_equal(one.index, other.index)


def test_the_same_in_another_process():
    code = "from foretell.training.data import load; d = load('digits'); print(d.digest)"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert out.strip() == load("digits").digest


def test_changed_content_changes_the_digest():
    x, y = arrays()
    before = load((x, y)).digest
    x[3, 1] += 1e-9
    assert load((x, y)).digest != before
    y[0] = 1
    assert load((x, y)).digest != before


def test_own_splits_are_kept(tmp_path):
    x, y = arrays(50)
    path = tmp_path / "own.npz"
    np.savez(path, x_train=x[:30], y_train=y[:30], x_test=x[30:], y_test=y[30:])
    data = load(path)
    assert data.sizes == (25, 5, 20)  # 0.15 / 0.85 of 30 to validation
    parts_are_a_partition(data)
    assert data.split["test"].tolist() == list(range(30, 50))
    np.savez(path, train_images=x[:30], train_labels=y[:30, None], val_images=x[30:40],
             val_labels=y[30:40, None], test_images=x[40:], test_labels=y[40:, None])  # fmt: skip
    data = load(path)
    assert data.sizes == (30, 10, 10)
    assert data.split["val"].tolist() == list(range(30, 40))
    assert data.describe()["own_splits"] == ["test", "train", "val"]


def test_global_random_state_does_not_move():
    before = global_states()
    load("digits")
    assert global_states() == before


@pytest.mark.parametrize(
    "fractions", [(1, 0, 0), (0.5, 0.5), (0.5, 0.2, 0.2), "abc", None, (0.7, -0.1, 0.4)]
)
def test_fractions_are_checked(fractions):
    with pytest.raises(SettingError, match="three positive shares"):
        load("digits", fractions=fractions)


# -- normalisation ---------------------------------------------------------------------------


def test_features_are_standardised_by_the_training_rows_alone():
    x, y = arrays(200)
    x = x * [1, 1e-6, 1e3, 7] + [
        0,
        1.6e9,
        -5,
        1e12,
    ]  # would cancel in float32 or in a sum of squares
    data = load((x, y))
    oracle = StandardScaler().fit(x[data.split["train"]])
    np.testing.assert_allclose(data.mean, oracle.mean_, rtol=1e-12)
    np.testing.assert_allclose(data.std[[0, 2]], oracle.scale_[[0, 2]], rtol=1e-9)
    np.testing.assert_allclose(
        data.x[:, [0, 2]], oracle.transform(x)[:, [0, 2]], rtol=1e-4, atol=1e-6
    )
    assert data.x.dtype == np.float32


def test_a_constant_feature_becomes_zero():
    x, y = arrays()
    x[:, 2] = 1 / 3
    assert (load((x, y)).x[:, 2] == 0).all()


def test_bytes_stay_bytes_and_have_channel_statistics():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (3000, 3, 5, 4), dtype=np.uint8)
    x[:, 1] //= 4
    data = load((x, np.arange(3000) % 2))
    train = x[data.split["train"]] / 255
    assert data.x.dtype == np.uint8
    assert np.array_equal(data.x, x)
    np.testing.assert_allclose(data.mean, train.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(data.std, train.std(axis=(0, 2, 3)), rtol=1e-9)


def test_regression_targets_are_standardised_and_keep_their_scale():
    x, _ = arrays(100)
    y = np.stack([x[:, 0] * 1000 + 5, x[:, 1]], axis=1)
    data = load((x, y))
    assert (data.task, data.n_outputs, data.labels) == ("regression", 2, ())
    np.testing.assert_allclose(data.y * data.target_std + data.target_mean, y, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(data.y[data.split["train"]].std(axis=0), 1, rtol=1e-5)


# -- what is to be predicted -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "task", "labels"),
    [
        (np.arange(60) % 3, "classification", ("0", "1", "2")),
        (np.arange(60) % 3 * 5.0 - 5, "classification", ("-5", "0", "5")),
        (np.array(["b", "a"] * 30), "classification", ("a", "b")),
        (np.array(["b", "a"] * 30, dtype=object), "classification", ("a", "b")),
        (np.arange(60) % 2 == 0, "classification", ("0", "1")),
        (np.eye(3)[np.arange(60) % 3], "classification", ("0", "1", "2")),
        ((np.arange(60) % 3)[:, None], "classification", ("0", "1", "2")),
        (np.arange(60), "regression", ()),
        (np.arange(60) % 3 + 0.5, "regression", ()),
        (np.random.default_rng(0).normal(size=(60, 4)), "regression", ()),
    ],
)
def test_task_is_inferred(y, task, labels):
    data = load((arrays()[0], y))
    assert (data.task, data.labels) == (task, labels)


def test_task_can_be_said():
    x, y = arrays()
    assert load((x, y), task="regression").n_outputs == 1
    assert load((x, np.arange(60) // 2), task="classification").n_outputs == 30
    with pytest.raises(SettingError, match="'auto', 'classification' or 'regression'"):
        load((x, y), task="ranking")
    with pytest.raises(DataError, match=r"target of X\[1\].*whole number or text"):
        load((x, np.array([0, 0.5] * 30)), task="classification")
    with pytest.raises(DataError, match="a number, got 'a'"):
        load((x, ["a", "b"] * 30), task="regression")


# -- shapes and types ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((7,), (7,)), ((9, 8), (1, 9, 8)), ((3, 9, 8), (3, 9, 8)), ((9, 8, 3), (3, 9, 8)),
     ((9, 8, 1), (1, 9, 8)), ((2, 9, 8), (2, 9, 8)), ((32, 32, 10), (10, 32, 32)),
     ((10, 32, 32), (10, 32, 32)), ((9, 8, 2), (2, 9, 8)), ((1, 140), (1, 140)),
     ((256, 3), (3, 256)), ((12, 29), (12, 29)), ((28, 28), (1, 28, 28))],
)  # fmt: skip
def test_layouts(shape, expected):
    assert load(arrays(20, 2, shape)).input_shape == expected


@pytest.mark.parametrize("shape", [(3, 9, 3), (8, 8, 8), (20, 30, 25)])
def test_layouts_that_have_to_be_said(shape):
    x, y = arrays(20, 2, shape)
    with pytest.raises(DataError, match=r"ambiguous shape.*--layout or layout= channels-first"):
        load((x, y))
    assert load((x, y), layout="channels-first").input_shape == shape
    last = load((x, y), layout="channels-last")
    assert last.input_shape == (shape[2], *shape[:2])
    with pytest.raises(SettingError, match="layout: expected one of auto, channels-first"):
        load((x, y), layout="hwc")


def test_lines_of_text_and_signals_of_bytes_are_told_apart_by_the_user():
    x, y = np.zeros((20, 16, 64), np.uint8), np.arange(20) % 2
    with pytest.raises(DataError, match=r"ambiguous shape.*grey"):
        load((x, y))
    assert load((x, y), layout="grey").input_shape == (1, 16, 64)
    assert load((x, y), layout="channels-first").input_shape == (16, 64)


def test_new_signals_are_read_as_those_of_training(tmp_path):
    x = np.random.default_rng(0).normal(size=(30, 50, 3))
    data = load((x, np.arange(30) % 2))
    assert "signals (n, length, channels)" in " ".join(data.lines())
    np.savez(tmp_path / "new.npz", x=x[:4])
    _, new = read_inputs(tmp_path / "new.npz", data.input_spec())
    np.testing.assert_allclose(new, data.x[:4], atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "layout"),
    [((8, 8, 8), "channels-last"), ((8, 8, 8), "channels-first"), ((3, 9, 3), "channels-last"),
     ((20, 30), "channels-first"), ((12, 30), "channels-last"), ((20, 20), "channels-last"),
     ((16, 64), "grey"), ((9, 8, 3), "auto"), ((50, 3), "auto")],
)  # fmt: skip
def test_new_arrays_have_the_layout_that_was_said(shape, layout):
    x, y = arrays(20, 2, shape)
    data = load((x, y), layout=layout)
    new = raw_inputs(x[:4], data.input_spec())
    each = (-1, *(1,) * (len(data.input_shape) - 1))
    z = (new - data.mean.reshape(each)) / data.std.reshape(each)
    np.testing.assert_allclose(z, data.x[:4], atol=1e-5)
    if layout == "auto":  # as the network takes them
        assert np.array_equal(raw_inputs(new, data.input_spec()), new)


def test_channels_last_is_moved_not_reshaped():
    x = np.random.default_rng(0).integers(0, 256, (20, 5, 6, 3), dtype=np.uint8)
    assert np.array_equal(load((x, np.arange(20) % 2)).x, x.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint16])
def test_whole_numbers_up_to_255_are_bytes(dtype):
    x = np.random.default_rng(0).integers(0, 256, (20, 5, 5)).astype(dtype)
    assert load((x, np.arange(20) % 2)).x.dtype == np.uint8


def test_digits():
    data = load("digits")
    assert data.sizes == (1257, 270, 270)
    raw = data.x * data.std[0] + data.mean[0]
    np.testing.assert_allclose(raw[:, 0], load_digits().images / 16, atol=1e-6)


def test_describe_and_spec_are_json():
    for source in ("digits", arrays(), (arrays()[0], arrays()[0][:, 0])):
        data = load(source)
        assert json.loads(json.dumps(data.describe())) == data.describe()
        assert json.loads(json.dumps(data.input_spec())) == data.input_spec()
    assert load("digits", name="scans").describe()["name"] == "scans"


def test_load_of_loaded_data_is_the_same():
    data = load("digits")
    assert load(data) is data


# -- torch datasets --------------------------------------------------------------------------


class Images(Dataset):
    def __init__(self, n=20, shape=(3, 6, 6), fail=None, odd=None, item=None):
        self.n, self.shape, self.fail, self.odd, self.item = n, shape, fail, odd, item

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        if i == self.fail:
            raise OSError("disk on fire")
        if self.item is not None:
            return self.item
        shape = (*self.shape[:-1], 9) if i == self.odd else self.shape
        return torch.full(shape, i / self.n), i % 2


class Stream(IterableDataset):
    def __iter__(self):
        return iter([])


def test_dataset():
    data = load(Images())
    assert (data.input_shape, data.labels) == ((3, 6, 6), ("0", "1"))
    tensors = TensorDataset(torch.randn(30, 4), torch.arange(30) % 3)
    assert load(tensors).n_outputs == 3


def test_datasets_in_their_splits():
    pair = load((Images(20), Images(10)))
    assert (pair.sizes[0] + pair.sizes[1], pair.sizes[2]) == (20, 10)
    assert load((Images(20), Images(8), Images(10))).sizes == (20, 8, 10)
    with pytest.raises(DataError, match="train, test"):
        load([Images()] * 4)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Images(fail=3), r"dataset\[3\] failed: got OSError: disk on fire"),
        (Images(odd=2), r"dataset\[2\] differs from dataset\[0\].*resize"),
        (Images(0), "examples, got an empty dataset"),
        (Images(item=torch.zeros(3)), r"\(x, y\), got Tensor"),
        (Images(item=(1, 2, 3)), r"\(x, y\), got 3 values"),
        ((Images(20), Images(10, (1, 6, 6))), "differs from the first"),
        (Stream(), "a Dataset with a length"),
        (object(), "data source.*'digits'"),
        ((1, 2, 3), "data source"),
    ],
)
def test_bad_sources(source, message):
    with pytest.raises(DataError, match=message):
        load(source)


# -- bad arrays ------------------------------------------------------------------------------


def nan_at(x, i):
    x = x.copy()
    x[i] = np.nan
    return x


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (arrays()[0][:50], arrays()[1], "as many targets as inputs, got 50 and 60"),
        (nan_at(arrays()[0], 7), arrays()[1], r"X\[7\]: expected finite"),
        (np.full((60, 1, 4, 4), 1e300), arrays()[1], r"X\[0\]: expected finite"),
        (arrays()[0], nan_at(arrays()[0][:, 0], 5), r"target of X\[5\]: expected a finite"),
        (arrays()[0], np.zeros(60), "one class only"),
        (arrays()[0], np.r_[2, arrays(59, 2)[1]], r"class '2' has a single example \(X\[0\]\)"),
        (arrays()[0], np.zeros((60, 2, 2)), r"shape \(n,\) or \(n, targets\)"),
        (arrays()[0], [None] * 60, "target of X|targets"),
        (arrays()[0], np.array(["a", 1] * 30, dtype=object), r"target of X\[1\]: expected text"),
        (arrays()[0], ["a", " "] * 30, r"target of X\[1\]: expected a label"),
        (arrays()[0], np.full(60, 0.5), "the same in all training rows"),
        (arrays()[0], np.datetime64("2020-01-01") + np.arange(60), "numbers or text"),
        (np.zeros(60), arrays()[1], r"\(n, features\), got shape \(60,\)"),
        (np.zeros((60, 0)), arrays()[1], r"shape \(60, 0\)"),
        (np.zeros((60, 2, 2, 2, 2)), arrays()[1], "shape"),
        ([[1, 2], [3]] * 30, arrays()[1], "X: expected an array"),
        (np.array([["a", "b"]] * 60), arrays()[1], "an array of numbers, got dtype <U1"),
        (np.array([["a", 2]] * 60, dtype=object), arrays()[1], "numbers.*csv"),
        (np.zeros((60, 3), complex), arrays()[1], "dtype complex"),
        (arrays()[0] * 1e200, arrays()[1], "too large"),
        (arrays(3)[0], [0, 0, 1], "class '1' has a single"),
        (arrays(3)[0], [0.1, 0.5, 0.9], "too few examples to split.*at least 2.*got 1 of 3"),
        (np.zeros((0, 3)), [], "shape"),
        (3, arrays()[1], "X: expected an array, got 3"),
    ],
)
def test_bad_arrays(x, y, message):
    with pytest.raises(DataError, match=message):
        load((x, y))


def test_more_classes_than_training_rows():
    with pytest.raises(DataError, match="at least 4 for training, got 2 of 8"):
        load((arrays(8)[0], [0, 0, 1, 1, 2, 2, 3, 3]), fractions=(0.2, 0.4, 0.4))


def test_a_label_that_only_the_test_split_has(tmp_path):
    x, y = arrays(40, 2)
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x, y_test=np.r_[y[:-1], 7])
    with pytest.raises(DataError, match=r"label '7' of x_test\[39\] of .*a.npz is in no training"):
        load(tmp_path / "a.npz")


# -- files and pickles -----------------------------------------------------------------------


def test_spilled_data_pickles_as_paths_and_is_the_same(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (700, 3, 32, 32), dtype=np.uint8)
    data = load((x, np.arange(700) % 2))
    spilled = data.spill(tmp_path / "arrays")
    text = pickle.dumps(spilled)
    assert len(text) < 50_000 < x.nbytes
    back = pickle.loads(text)
    assert isinstance(back.x, np.memmap)
    assert np.array_equal(back.x, x)
    assert np.array_equal(back.y, data.y)
    assert back.describe() == data.describe()
    (file,) = (tmp_path / "arrays").iterdir()
    stamp = file.stat().st_mtime_ns
    data.spill(tmp_path / "arrays")
    assert file.stat().st_mtime_ns == stamp  # equal content is not written again
    file.write_bytes(file.read_bytes()[:1000])  # torn
    assert np.array_equal(data.spill(tmp_path / "arrays").x, x)
    file.unlink()
    with pytest.raises(DataError, match=r"cannot read the data file.*load the data again"):
        pickle.loads(text)


def test_spilled_data_goes_through_no_link_and_waits_for_no_pipe(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (700, 3, 32, 32), dtype=np.uint8)
    data = load((x, np.arange(700) % 2))
    data.spill(tmp_path)
    (file,) = tmp_path.iterdir()
    file.unlink()
    os.mkfifo(file)
    mine = tmp_path / "thesis.txt"
    mine.write_text("precious")
    file.with_name(f"{file.name}.{os.getpid()}.part").symlink_to(mine)
    assert np.array_equal(data.spill(tmp_path).x, x)
    assert mine.read_text() == "precious"
    assert sorted(tmp_path.iterdir()) == sorted([file, mine])


def test_small_data_does_not_spill(tmp_path):
    load("digits").spill(tmp_path / "none")
    assert not (tmp_path / "none").exists()


# -- new inputs ------------------------------------------------------------------------------


def test_new_features_are_read_as_the_training_rows_were(tmp_path):
    x, y = arrays(80)
    data = load((x * 100 + 3, y))
    np.savez(tmp_path / "new.npz", x=x * 100 + 3)
    names, new = read_inputs(tmp_path / "new.npz", data.input_spec())
    np.testing.assert_array_equal(new, data.x)
    assert names[7] == "x[7]"
    (tmp_path / "new.csv").write_text("a,b,c,d\n" + ",".join(map(str, x[0] * 100 + 3)))
    names, new = read_inputs(tmp_path / "new.csv", data.input_spec())
    np.testing.assert_allclose(new[0], data.x[0], rtol=1e-6)
    assert names == ["line 2"]


def test_new_bytes_are_read_as_the_training_rows_were(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (20, 3, 8, 8), dtype=np.uint8)
    data = load((x, np.arange(20) % 2))
    spec = json.loads(json.dumps(data.input_spec()))
    np.savez(tmp_path / "new.npz", images=x[:4])
    _, new = read_inputs(tmp_path / "new.npz", spec)
    each = (1, 3, 1, 1)
    expected = (x[:4] / 255 - data.mean.reshape(each)) / data.std.reshape(each)
    np.testing.assert_allclose(new, expected, atol=1e-5)
    assert new.dtype == np.float32


def test_bad_new_inputs(tmp_path):
    spec = load("digits").input_spec()
    x = np.zeros((4, 1, 9, 9))
    np.savez(tmp_path / "size.npz", x=x)
    np.savez(tmp_path / "two.npz", a=x, b=x)
    np.savez(tmp_path / "signed.npz", x=x - 1)
    (tmp_path / "x.txt").write_text("hello")
    (tmp_path / "empty").mkdir()
    bytes_spec = load((np.zeros((20, 9, 9), np.uint8), np.arange(20) % 2)).input_spec()
    for name, message, which in [
        ("size.npz", r"expected shape \(n, 1, 8, 8\), got shape \(4, 1, 9, 9\)", spec),
        ("two.npz", "one named x, got a, b", spec),
        ("x.txt", "an image, a folder of them or a .npz", spec),
        ("empty", "no image in", spec),
        ("gone.png", "no file or folder", spec),
        ("signed.npz", "pixels from 0 to 255, or from 0 to 1", bytes_spec),
    ]:
        with pytest.raises(DataError, match=message):
            read_inputs(tmp_path / name, which)


@pytest.mark.parametrize("chance", [0.5, 1.0])
def test_random_transforms_of_a_dataset_are_told(chance):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3, 8, 8)).astype(np.float32)

    class Noisy(torch.utils.data.Dataset):
        def __len__(self):
            return len(x)

        def __getitem__(self, i):
            flipped = rng.random() < chance * 0.5
            return (x[i][:, :, ::-1].copy() if flipped else x[i]), i % 2

    with pytest.raises(DataError, match=r"differs when it is read again.*augment='crop\+flip'"):
        load(Noisy())


def test_bunches_and_dicts():
    from sklearn.datasets import load_digits, load_wine

    assert load(load_wine()).input_shape == (13,)
    assert load(load_digits()).input_shape == (1, 8, 8)
    x, y = np.zeros((30, 2)) + np.arange(30)[:, None], np.arange(30) % 2
    assert load({"x_train": x, "y_train": y, "x_dev": x[:9], "y_dev": y[:9]}).sizes[1] == 9
