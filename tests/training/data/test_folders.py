"""Folders as people have them: splits by any name, odd files, links, orientation, depth."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from foretell.errors import DataError
from foretell.training.data import load, read_inputs
from foretell.training.data.splits import split_of

RNG = np.random.default_rng(0)


def fill(folder, write_image, n=4, suffix=".png", classes=("cat", "dog")):
    for label in classes:
        for i in range(n):
            pixels = RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8)
            write_image(folder / label / f"{label}{i}{suffix}", pixels)


def notes(data):
    return " | ".join(data.describe()["notes"])


@pytest.mark.parametrize(
    ("folders", "own"),
    [
        (("train", "test"), ["test", "train"]),
        (("train", "dev"), ["train", "val"]),
        (("trainset", "testset"), ["test", "train"]),
        (("Training", "Validation", "Testing"), ["test", "train", "val"]),
        (("train_images", "val_images"), ["train", "val"]),
        (("train2017", "val2017"), ["train", "val"]),
        (("seg_train", "seg_test"), ["test", "train"]),
        (("train", "holdout"), ["test", "train"]),
        (("trn", "hold-out"), ["test", "train"]),
        (("1_train", "2_valid"), ["train", "val"]),
        (("train-clean", "dev-clean"), ["train", "val"]),
        (("photos_train_224", "photos_test_224"), ["test", "train"]),
        (("trainval", "tst"), ["test", "train"]),
        (("train_validation", "test"), ["test", "train"]),
    ],
)
@pytest.mark.parametrize("beside", ["annotations", "predict", None])
def test_splits_by_any_name_beside_anything(tmp_path, write_image, folders, own, beside):
    for folder in folders:
        fill(tmp_path / "d" / folder, write_image, 6)
    if beside == "annotations":
        (tmp_path / "d" / beside).mkdir()
        (tmp_path / "d" / beside / "a.json").write_text("{}")
    elif beside:
        write_image(tmp_path / "d" / beside / "new.png", np.zeros((6, 8, 3), np.uint8))
    data = load(tmp_path / "d")
    assert data.labels == ("cat", "dog")
    assert data.describe()["own_splits"] == own
    assert f"splits of its own: train 12, {sorted(own)[-1 if 'val' in own else 0]} 12" in notes(
        data
    )
    if beside == "annotations":
        assert "left out: annotations/ (1 files)" in notes(data)
    elif beside:
        assert "left out: predict/ (1 images without a class)" in notes(data)


def test_a_test_folder_of_loose_files_is_left_out_and_said(tmp_path, write_image):
    fill(tmp_path / "train", write_image, 8)
    for i in range(3):
        write_image(tmp_path / "test" / f"{i}.png", np.zeros((6, 8, 3), np.uint8))
    data = load(tmp_path)
    assert data.labels == ("cat", "dog")
    assert sum(data.sizes) == 16
    assert "left out: test/ (3 images without a class)" in notes(data)


def test_splits_further_down_and_below_classes(tmp_path, write_image):
    for part in ("train", "test"):
        fill(tmp_path / "down" / "pets" / "v1" / part, write_image, 6)
        fill(tmp_path / "twice" / f"seg_{part}" / f"seg_{part}", write_image, 6)
        for label in ("cat", "dog"):
            fill(tmp_path / "below" / label, write_image, 6, classes=(part,))
    for name in ("down", "twice", "below"):
        data = load(tmp_path / name)
        assert data.labels == ("cat", "dog"), name
        assert data.sizes[2] == 12
        assert "train 12, test 12" in notes(data)


def test_one_name_of_a_split_is_a_class(tmp_path, write_image):
    fill(tmp_path, write_image, 8, classes=("train", "bus", "tram"))
    assert load(tmp_path).labels == ("bus", "train", "tram")
    assert split_of("contest") is None


def test_classes_that_are_called_like_splits(tmp_path, write_image):
    """Folders of images alone, whatever they are called, are classes."""
    names = ("invoice", "test certificate", "training certificate")
    fill(tmp_path, write_image, 8, classes=names)
    assert load(tmp_path).labels == names


def test_a_class_with_one_split_or_none(tmp_path, write_image):
    for part in ("train", "test"):
        for label in ("cat", "dog"):
            fill(tmp_path / label, write_image, 6, classes=(part,))
    fill(tmp_path / "fox", write_image, 6, classes=("train",))
    fill(tmp_path, write_image, 6, classes=("owl",))
    data = load(tmp_path)
    assert data.labels == ("cat", "dog", "fox", "owl")
    assert data.sizes[2] == 12
    assert "train 24, test 12" in notes(data)
    assert "trained on as a whole, for it has no split: owl" in notes(data)


def test_what_cannot_be_splits_is_said(tmp_path, write_image):
    for name in ("train", "val", "validation"):
        fill(tmp_path / "two" / name, write_image)
    for name in ("val", "test"):
        fill(tmp_path / "none" / name, write_image)
    with pytest.raises(DataError, match=r"two for the split 'val'.*got val, validation"):
        load(tmp_path / "two")
    with pytest.raises(DataError, match=r"no training examples.*train/.*got val/, test/"):
        load(tmp_path / "none")


@pytest.mark.parametrize(
    "keys",
    [
        ("x_train", "y_train", "x_valid", "y_valid"),
        ("X_train", "Y_train", "X_val", "Y_val"),
        ("train_images", "train_labels", "dev_images", "dev_labels"),
        ("trainX", "trainY", "validX", "validY"),
        ("data_training", "target_training", "data_validation", "target_validation"),
        ("xtrain", "ytrain", "xval", "yval"),
        ("Xtr", "ytr", "X_va", "y_va"),
        ("x_trn", "y_trn", "x_dev", "y_dev"),
    ],
)
def test_split_names_of_arrays(tmp_path, keys):
    x, y = RNG.normal(size=(30, 3)), np.arange(30) % 2
    np.savez(tmp_path / "a.npz", **dict(zip(keys, (x, y, x[:10], y[:10]), strict=True)), ids=y)
    data = load(tmp_path / "a.npz")
    assert data.sizes[1] == 10
    assert "train 30, val 10" in notes(data)
    assert "arrays left out: ids" in notes(data)


def test_arrays_without_targets_are_left_out_and_twins_refused(tmp_path):
    x, y = RNG.normal(size=(30, 3)), np.arange(30) % 2
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x)
    assert "arrays left out: x_test" in notes(load(tmp_path / "a.npz"))
    np.savez(tmp_path / "b.npz", x_train=x, y_train=y, x_val=x, y_val=y, x_valid=x, y_valid=y)
    with pytest.raises(DataError, match="one of each kind, got x_val, x_valid"):
        load(tmp_path / "b.npz")


@pytest.mark.parametrize("suffix", [".tif", ".TIFF", ".gif", ".ppm", ".tga", ".jp2", ".ico", ""])
def test_whatever_pillow_reads_is_read(tmp_path, write_image, suffix):
    fill(tmp_path, write_image, 6)
    for i in range(6):
        pixels = RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        options = {} if suffix else {"format": "PNG"}
        write_image(tmp_path / "fox" / f"{i}{suffix}", pixels, **options)
    data = load(tmp_path)
    assert data.labels == ("cat", "dog", "fox")
    assert sum(data.sizes) == 18


def test_what_is_no_example_is_counted(tmp_path, write_image):
    fill(tmp_path, write_image, 6)
    fill(tmp_path / "cat" / ".ipynb_checkpoints", write_image, 2, classes=("x",))
    (tmp_path / "owl").mkdir()
    (tmp_path / "cat" / "list").write_text("no image")
    (tmp_path / "dog" / "a.h5").write_text("x")
    write_image(tmp_path / "loose.png", np.zeros((6, 8, 3), np.uint8))
    still = [Image.fromarray(np.full((6, 8, 3), c, np.uint8)) for c in (9, 200)]
    still[0].save(tmp_path / "dog" / "moving.gif", save_all=True, append_images=still[1:])
    data = load(tmp_path)
    assert data.labels == ("cat", "dog")
    assert sum(data.sizes) == 13
    said = notes(data)
    assert "owl/ (empty)" in said
    assert f"{tmp_path.name}/ (1 images without a class)" in said
    assert "no images were left out: 1 .h5, 1 list" in said
    assert "the first frame is used of 1 files" in said
    assert data.x[data.y == 1].reshape(7, -1).max(axis=1).min() <= 9


def test_links_are_followed_once(tmp_path, write_image):
    fill(tmp_path / "far", write_image, 6)
    root = tmp_path / "d"
    fill(root, write_image, 4)
    (root / "cat" / "more").symlink_to(tmp_path / "far" / "cat")
    (root / "dog" / "round").symlink_to(root / "dog")
    data = load(root)
    assert np.bincount(data.y).tolist() == [10, 4]


@pytest.mark.parametrize("turn", [1, 3, 6, 8])
def test_sizes_are_those_of_upright_images(tmp_path, write_image, turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    pixels = RNG.integers(0, 256, (24, 10, 3), dtype=np.uint8)
    for i in range(6):
        write_image(tmp_path / "ab"[i % 2] / f"{i}.png", pixels, exif=exif)
    x = load(tmp_path).x[0].transpose(1, 2, 0)
    np.testing.assert_array_equal(x, np.rot90(pixels, {1: 0, 3: 2, 6: -1, 8: 1}[turn]))


@pytest.mark.parametrize(
    ("size", "read"),
    [
        ((30, 2000), (16, 1045)),  # 128 x 128 pixels, as it was shaped
        ((480, 640), (96, 128)),
        ((64, 512), (32, 256)),
        ((8, 512), (8, 512)),
        ((600, 600), (128, 128)),
    ],
)
def test_narrow_images_keep_their_shape(tmp_path, write_image, size, read):
    for i in range(6):
        write_image(tmp_path / "ab"[i % 2] / f"{i}.png", RNG.integers(0, 9, size, dtype=np.uint8))
    assert load(tmp_path).input_shape == (1, *read)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_deep_grey_keeps_its_levels_and_new_files_too(tmp_path, write_image, bits):
    top = 2**bits - 1
    deep = np.linspace(0, top, 256).round().astype(np.uint16).reshape(16, 16)
    for i in range(6):
        write_image(tmp_path / "d" / "ab"[i % 2] / f"{i}.png", deep)
    data = load(tmp_path / "d")
    np.testing.assert_array_equal(data.x[0, 0], np.arange(256).reshape(16, 16))
    assert f"{top} is white in 6 images" in notes(data)
    dark = write_image(tmp_path / "dark.png", deep // 4)
    _, new = read_inputs(dark, data.input_spec())
    pixels = new[0, 0] * data.std[0] + data.mean[0]
    np.testing.assert_allclose(pixels, np.arange(256).reshape(16, 16) / 4 / 255, atol=1 / 255)


def test_all_broken_files_are_named(tmp_path, write_image):
    fill(tmp_path / "d", write_image, 6)
    spec = load(tmp_path / "d").input_spec()
    whole = (tmp_path / "d" / "cat" / "cat1.png").read_bytes()
    (tmp_path / "d" / "cat" / "cat1.png").write_bytes(whole[:60])
    (tmp_path / "d" / "dog" / "dog2.png").write_text("hello")
    with pytest.raises(DataError, match=r"cat1.png and 1 others: .*dog2\.png.*these files"):
        load(tmp_path / "d")
    unread = {}
    names, x = read_inputs(tmp_path / "d", spec, unread)
    assert len(names) == len(x) == 10
    assert sorted(unread) == ["cat/cat1.png", "dog/dog2.png"]


def test_dates_and_counts_behind_a_dot_are_no_ending(tmp_path, write_image):
    fill(tmp_path, write_image, 6)
    for i in range(3):
        pixels = RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        write_image(tmp_path / "cat" / f"scan 12.03.202{i}", pixels, format="JPEG")
        write_image(tmp_path / "cat" / f"frame.{i}", pixels, format="PNG")
    (tmp_path / "cat" / "notes.2").write_text("none")
    (tmp_path / "cat" / "copy.bak").write_text("none")
    data = load(tmp_path)
    assert sum(data.sizes) == 18
    assert "left out: 1 .2, 1 .bak" in notes(data)


@pytest.mark.parametrize(("low", "high"), [(29_000, 31_000), (0, 200_000), (-3_000, 3_000)])
def test_values_of_any_range_keep_their_levels(tmp_path, low, high):
    """Temperatures and heights: whole numbers of 32 bits, and floats below zero."""
    values = np.linspace(low, high, 64 * 6).reshape(6, 8, 8)
    for i, one in enumerate(values):
        for kind in (np.int32, np.float32):
            path = tmp_path / kind.__name__ / "ab"[i % 2] / f"{i}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(one.astype(kind)).save(path)
    for name in ("int32", "float32"):
        data = load(tmp_path / name)
        assert len(np.unique(data.x)) > 190
        _, new = read_inputs(tmp_path / name / "a" / "2.tif", data.input_spec())
        found = [np.allclose(new[0], (x / 255 - data.mean[0]) / data.std[0], atol=1e-5)
                 for x in data.x]  # fmt: skip
        assert sum(found) == 1


def test_networks_of_older_runs_know_white_alone(tmp_path):
    deep = np.full((8, 8), 1000, np.uint16)
    Image.fromarray(deep).save(tmp_path / "a.png")
    spec = {"shape": [1, 8, 8], "mean": [0.0], "std": [1.0], "scale": 255.0, "bytes": True}
    _, new = read_inputs(tmp_path / "a.png", {**spec, "white": 4095.0})
    assert np.allclose(new, round(1000 * 255 / 4095) / 255)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_every_orientation_of_every_format(tmp_path, suffix):
    upright = np.zeros((6, 12, 3), np.uint8)
    upright[0], upright[:, 0] = (255, 0, 0), (0, 255, 0)
    turn = Image.Transpose
    stored = dict(enumerate([turn.FLIP_LEFT_RIGHT, turn.ROTATE_180, turn.FLIP_TOP_BOTTOM,
                             turn.TRANSPOSE, turn.ROTATE_90, turn.TRANSVERSE, turn.ROTATE_270],
                            start=2))  # fmt: skip
    how = {".jpg": {"quality": 100, "subsampling": 0}, ".webp": {"lossless": True}}
    for i in range(2):
        for number, back in stored.items():
            exif = Image.Exif()
            exif[0x0112] = number
            path = tmp_path / "ab"[i] / f"{number}{suffix}"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(upright).transpose(back).save(path, exif=exif, **how.get(suffix, {}))
    data = load(tmp_path)
    assert data.input_shape == (3, 6, 12)
    assert abs(data.x.astype(int) - upright.transpose(2, 0, 1)).max() <= 3
