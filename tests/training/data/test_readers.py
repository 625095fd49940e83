from __future__ import annotations

import contextlib
import gzip
import io
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from foretell.errors import DataError, ForetellError, SettingError
from foretell.training.data import load, read_inputs

FUZZ = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# -- folders of images -----------------------------------------------------------------------


def test_folder(image_folder):
    data = load(image_folder)
    assert (data.name, data.input_shape, data.labels) == ("pets", (3, 6, 8), ("cat", "dog"))
    with Image.open(image_folder / "dog" / "3.png") as image:
        pixels = np.asarray(image)
    assert np.array_equal(data.x[13], pixels.transpose(2, 0, 1))
    assert data.y[13] == 1


def test_grey_files_and_grey_colour_files_have_one_channel(tmp_path, write_image):
    rng = np.random.default_rng(0)
    for i in range(12):
        grey = rng.integers(0, 256, (5, 5), dtype=np.uint8)
        write_image(tmp_path / "grey" / "ab"[i % 2] / f"{i}.png", grey)
        write_image(tmp_path / "rgb" / "ab"[i % 2] / f"{i}.bmp", np.stack([grey] * 3, axis=2))
    grey, rgb = load(tmp_path / "grey"), load(tmp_path / "rgb")
    assert grey.input_shape == rgb.input_shape == (1, 5, 5)
    assert np.array_equal(grey.x, rgb.x)
    assert "all pixels are grey" in rgb.describe()["notes"][0]


def test_sixteen_bit_transparent_and_turned_images(tmp_path, write_image):
    deep = (np.arange(36, dtype=np.uint16) * 1820).reshape(6, 6)
    clear = np.zeros((6, 6, 4), np.uint8)
    clear[:3] = (10, 20, 30, 255)
    turned = np.zeros((6, 4, 3), np.uint8)
    turned[0] = (255, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    for i in range(4):
        write_image(tmp_path / "deep" / "ab"[i % 2] / f"{i}.png", deep)
        write_image(tmp_path / "clear" / "ab"[i % 2] / f"{i}.webp", clear, lossless=True)
        write_image(tmp_path / "turn" / "ab"[i % 2] / f"{i}.png", turned, exif=exif)
    np.testing.assert_array_equal(load(tmp_path / "deep").x[0, 0], np.round(deep / 257))
    x = load(tmp_path / "clear").x[0]
    assert (x[:, 0, 0].tolist(), x[:, 5, 5].tolist()) == ([10, 20, 30], [255, 255, 255])
    x = load(tmp_path / "turn", image_size=(4, 6)).x[0]
    assert (x[0, :, 5] == 255).all()  # the top row is the right column now
    assert (x[0, :, :5] == 0).all()


def test_sizes(tmp_path, write_image):
    for i, side in enumerate((4, 8, 8, 8, 20, 8)):
        pixels = np.full((side, side + 2, 3), (40 * i, 3, 7), np.uint8)
        write_image(tmp_path / "a" / "xy"[i % 2] / f"{i}.png", pixels)
        write_image(
            tmp_path / "big" / "xy"[i % 2] / f"{i}.jpg", np.full((100, 400, 3), 9, np.uint8)
        )
    data = load(tmp_path / "a")
    assert data.input_shape == (3, 8, 10)  # the median
    assert "files have 6 x 4 to 22 x 20" in data.describe()["notes"][0]
    assert load(tmp_path / "a", image_size=5).input_shape == (3, 5, 5)
    assert load(tmp_path / "a", image_size=(5, 6)).input_shape == (3, 5, 6)
    assert load(tmp_path / "big").input_shape == (1, 32, 128)  # at most 128 a side
    for size in (0, -3, "8", (1, 2, 3), 2.5):
        with pytest.raises(SettingError, match="image_size"):
            load(tmp_path / "a", image_size=size)


def test_folder_with_its_own_splits(tmp_path, write_image):
    for part, n in (("train", 12), ("valid", 4), ("test", 6)):
        for i in range(n):
            pixels = np.full((4, 4), i, np.uint8)
            write_image(tmp_path / part / "ab"[i % 2] / f"{i:02}.png", pixels)
    data = load(tmp_path)
    assert data.sizes == (12, 4, 6)
    assert data.x[data.split["test"]].max() == 5
    write_image(tmp_path / "test" / "c" / "x.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match=r"label 'c' of test.c.x.png is in no training example"):
        load(tmp_path)


def test_other_files_are_left_out_and_said(image_folder):
    (image_folder / "cat" / "notes.txt").write_text("x")
    (image_folder / "cat" / ".DS_Store").write_text("x")
    (image_folder / "__MACOSX").mkdir()
    data = load(image_folder)
    assert len(data.x) == 20
    assert data.describe()["notes"] == ["files that are no images were left out: 1 .txt"]


def test_broken_image_is_named(image_folder):
    whole = (image_folder / "cat" / "3.png").read_bytes()
    for content in (b"", b"hello", whole[:60], whole[:-30]):
        (image_folder / "cat" / "3.png").write_bytes(content)
        with pytest.raises(DataError, match=r"cannot read the image .*cat.3\.png.*replace"):
            load(image_folder)


def test_bad_folders(tmp_path, write_image):
    pixel = np.zeros((4, 4), np.uint8)
    (tmp_path / "empty").mkdir()
    write_image(tmp_path / "loose" / "a.png", pixel)
    (tmp_path / "text" / "a").mkdir(parents=True)
    (tmp_path / "text" / "a" / "x.txt").write_text("x")
    write_image(tmp_path / "one" / "a" / "1.png", pixel)
    write_image(tmp_path / "one" / "a" / "2.png", pixel)
    for i in range(3):
        write_image(tmp_path / "single" / "many" / f"{i}.png", pixel)
    write_image(tmp_path / "single" / "few" / "0.png", pixel)
    write_image(tmp_path / "half" / "train" / "a" / "0.png", pixel)
    (tmp_path / "half" / "test").mkdir()
    for name, message in [
        ("empty", "no images in .*empty.*class folders.*got nothing"),
        ("loose", "outside of class folders.*move them: loose/CLASS/a.png"),
        ("text", "no images in .*got 1 .txt"),
        ("one", "one class only.*'a'"),
        ("single", r"class 'few' has a single example \(few.0.png\)"),
        ("half", "one class only.*'a'"),
        ("gone", "no file or folder"),
    ]:
        with pytest.raises(DataError, match=message):
            load(tmp_path / name)


def test_new_images_are_read_as_those_of_training(image_folder, tmp_path, write_image):
    data = load(image_folder)
    spec = data.input_spec()
    names, new = read_inputs(image_folder / "cat", spec)
    assert names == [f"{i}.png" for i in range(10)]
    each = (1, 3, 1, 1)
    expected = (data.x[:10] / 255 - data.mean.reshape(each)) / data.std.reshape(each)
    np.testing.assert_allclose(new, expected, atol=1e-5)
    other = write_image(tmp_path / "one.jpg", np.full((30, 30), 100, np.uint8))
    names, new = read_inputs(other, spec)
    assert (names, new.shape) == (["one.jpg"], (1, 3, 6, 8))
    digit = write_image(tmp_path / "digit.png", (load("digits").x[0, 0] > 0).astype(np.uint8) * 255)
    assert read_inputs(digit, load("digits").input_spec())[1].max() < 2  # 0 to 1, standardised


# -- .npz ------------------------------------------------------------------------------------


def test_bad_npz(tmp_path):
    x, y = np.zeros((20, 3)), np.arange(20) % 2
    np.savez(tmp_path / "keys.npz", a=x, b=y)
    np.savez(tmp_path / "pickle.npz", x=np.array([{}] * 20), y=y)
    np.savez(tmp_path / "shapes.npz", x_train=x, y_train=y, x_test=x[:, :2], y_test=y)
    np.savez(tmp_path / "types.npz", x_train=np.zeros((20, 4, 4), np.uint8), y_train=y,
             x_test=np.zeros((20, 4, 4)), y_test=y)  # fmt: skip
    np.savez(tmp_path / "lengths.npz", x=x, y=y[:5])
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "none.npz").write_bytes(b"")
    np.save(tmp_path / "array.npy", x)
    (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    (tmp_path / "x.parquet").write_text("x")
    for name, message in [
        ("keys", "x and y, or x_train.*got a, b"),
        ("pickle", "plain numeric arrays.*[Oo]bject arrays"),
        ("shapes", r"x_test of .*shapes.npz differs from the first: expected inputs \(3,\)"),
        ("types", "one type of number"),
        ("lengths", "x and y of .*lengths.npz.*got 20 and 5"),
        ("text", "cannot read .*text.npz"),
        ("none", "cannot read .*none.npz"),
        ("array", "a single .npy array"),
    ]:
        with pytest.raises(DataError, match=message):
            load(tmp_path / f"{name}.npz")
    with pytest.raises(DataError, match=r"cannot tell what .*x.parquet.*got ending '.parquet'"):
        load(tmp_path / "x.parquet")


def test_real_npz(data_dir):
    cifar = load(data_dir / "cifar10_small.npz")
    assert (cifar.input_shape, cifar.n_outputs) == ((3, 32, 32), 10)
    assert cifar.sizes == (4188, 897, 1017)
    mnist = load(data_dir / "mnist10k.npz")
    assert (mnist.input_shape, sum(mnist.sizes)) == ((1, 28, 28), 10_000)


@FUZZ
@given(st.data())
def test_npz_fuzz(tmp_path, data):
    """Broken bytes, odd arrays and odd members: a ForetellError, or data."""
    shapes = st.lists(st.integers(0, 5), max_size=4).map(tuple)
    dtypes = st.sampled_from(["u1", "i8", "f4", "f8", "c8", "U3", "S2", "M8[s]", "?", "f2"])
    keys = st.sampled_from(["x", "y", "x_train", "y_train", "x_test", "y_test", "images", "z"])
    seed = data.draw(st.integers(0, 9))
    rng = np.random.default_rng(seed)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for key in data.draw(st.lists(keys, max_size=4, unique=True)):
            shape, dtype = data.draw(shapes), data.draw(dtypes)
            member = io.BytesIO()
            with np.errstate(all="ignore"):
                values = rng.integers(0, 4, shape).astype(dtype)
            np.save(member, values)
            text = bytearray(member.getvalue())
            if data.draw(st.booleans()) and len(text) > 20:
                text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
            file.writestr(key + ".npy", bytes(text))
    content = bytearray(buffer.getvalue())
    if data.draw(st.booleans()):
        content[data.draw(st.integers(0, len(content) - 1))] ^= 0xFF
    path = tmp_path / "fuzz.npz"
    path.write_bytes(content)
    with contextlib.suppress(ForetellError):
        load(path)


# -- .csv ------------------------------------------------------------------------------------

ROWS = "\n".join(
    f"{i},{i * i % 7},{'red' if i % 3 else 'blue'},{'yes' if i % 2 else 'no'}" for i in range(40)
)


def test_csv(csv_file):
    data = load(csv_file("a,b,colour,sold\n" + ROWS))
    assert (data.task, data.labels, data.input_shape) == ("classification", ("no", "yes"), (4,))
    assert data.x[:3, 2:].tolist() == [[1, 0], [0, 1], [0, 1]]  # blue, red
    np.testing.assert_allclose(data.x[data.split["train"], 0].std(), 1, rtol=1e-5)
    assert data.describe()["target"] == "sold"
    assert "the last column, 'sold'" in data.describe()["notes"][0]
    data = load(csv_file("a,b,colour,sold\n" + ROWS), target="a")
    assert (data.task, data.input_shape, data.describe()["target"]) == ("regression", (5,), "a")
    with pytest.raises(SettingError, match=r"no target column 'price'.*one of a, b, colour, sold"):
        load(csv_file("a,b,colour,sold\n" + ROWS), target="price")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_delimiters_quotes_marks_and_compression(csv_file, tmp_path, delimiter):
    text = '\ufeffa,b,"the\ncolour",sold\r\n' + ROWS.replace("\n", "\r\n").replace("red", '"red"')
    path = csv_file(text.replace(",", delimiter))
    data = load(path)
    assert data.x.shape == (40, 4)
    with gzip.open(tmp_path / "t.csv.gz", "wb") as file:
        file.write(path.read_bytes())
    assert load(tmp_path / "t.csv.gz").digest == data.digest


def test_missing_numbers_take_the_train_median_and_missing_texts_nothing(csv_file):
    lines = ROWS.split("\n")
    lines[5] = "NA,?,,yes"
    lines[6] = ",1,red,no"
    data = load(csv_file("a,b,colour,sold\n" + "\n".join(lines)))
    train = data.split["train"]
    a = np.array([float(i) for i in range(40)])
    median = np.median(a[[i for i in train if i not in (5, 6)]])
    spec = data.input_spec()["columns"]
    assert spec[0] == {"name": "a", "fill": median}
    assert data.x[5, 0] == data.x[6, 0]
    assert data.x[5, 2:].tolist() == [0, 0]
    assert "2 in 'a', 1 in 'b'" in data.describe()["notes"][1]


def test_values_that_only_other_splits_have_are_no_features(csv_file):
    data = load(csv_file("a,b,colour,sold\n" + ROWS))
    row = int(data.split["test"][0])
    lines = ROWS.split("\n")
    cells = lines[row].split(",")
    lines[row] = ",".join([*cells[:2], "green", cells[3]])
    other = load(csv_file("a,b,colour,sold\n" + "\n".join(lines)))
    assert other.input_spec()["columns"][2] == {"name": "colour", "values": ["blue", "red"]}
    assert other.x[row, 2:].tolist() == [0, 0]


def test_new_rows_are_read_as_those_of_training(csv_file, tmp_path):
    data = load(csv_file("a,b,colour,sold\n" + ROWS))
    spec = data.input_spec()
    new = tmp_path / "new.csv"
    new.write_text("extra,colour,b,a\nx,red,4,2\nx,green,,3\n")  # other order, no target
    names, x = read_inputs(new, spec)
    assert names == ["line 2", "line 3"]
    np.testing.assert_array_equal(x[0], data.x[2])
    assert x[1, 2:].tolist() == [0, 0]
    new.write_text("colour,b\nred,4\n")
    with pytest.raises(DataError, match="no column 'a'"):
        read_inputs(new, spec)
    new.write_text("a,colour,b\n1,red,many\n")
    with pytest.raises(DataError, match="column 'b': expected numbers, got 'many' in line 2"):
        read_inputs(new, spec)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("a,b\n", "has no rows"),
        ("1,2\n3,4\n5,6\n", "has no header.*names at the top"),
        ("a,b,a\n1,2,3\n", "column 3 of .*a name of its own in the header, got 'a'"),
        (",a,b\nx,1,2\n", "column 1 of .*got ''"),
        ("a,b\n1,2\n3\n", "line 3 of .*expected 2 cells, got 1"),
        ("a,b\n1,2\n\n\n3,4,5\n", "line 5 of .*expected 2 cells, got 3"),
        ("a,b\n1,x\n2,\n3,y\n", "column 'b', line 3 of .*a target in every row, got 1 rows"),
        ("a,b\n1,0\ninf,1\n2,1\n", "column 'a', line 3: expected a finite number, got inf"),
        ("b\n1\n2\n", "has one column"),
        ('a,b\n1,"2\n', "cannot read .*csv"),
        ("a,b\n" + "\n".join(f"u{i},{i % 2}" for i in range(300)),
         "text column 'a' has 210 different values: expected at most 100.*'u0' in line 2"),
        ("a,b\n,0\n,1\n" * 1 + ",0\n,1\n" * 9, "no column to learn from"),
        ("name,id\n" + "\n".join(f"{i % 3},x{i}" for i in range(30)), "single example.*target"),
    ],
)  # fmt: skip
def test_bad_csv(csv_file, text, message):
    with pytest.raises(DataError, match=message):
        load(csv_file(text))


def test_csv_that_is_no_text(tmp_path):
    path = tmp_path / "t.csv"
    for content in (b"\xff\xfe\x00", b"a,b\n\xe4,1\n", "a,b\n1,2".encode("utf-16-le")):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"cannot read .*UTF-8"):
            load(path)
    for content in (b"hello", gzip.compress(b"a,b\n1,2\n" * 50)[:-9]):
        (tmp_path / "t.csv.gz").write_bytes(content)
        with pytest.raises(DataError, match="cannot read"):
            load(tmp_path / "t.csv.gz")


CELL = st.one_of(
    st.sampled_from(
        [
            "",
            "1",
            "0",
            "2.5",
            "-1e308",
            "1e308",
            "1e400",
            "nan",
            "NA",
            "x",
            "y",
            '"',
            "inf",
            "1_0",
            "\u0661",
        ]
    ),
    st.text(max_size=3),
)


@FUZZ
@given(
    st.lists(st.lists(CELL, min_size=1, max_size=4), max_size=12),
    st.booleans(),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["auto", "classification", "regression"]),
)
def test_csv_fuzz(tmp_path, rows, header, delimiter, task):
    """Any text in a .csv: a ForetellError, or data whose new rows read as they were."""
    path = tmp_path / "fuzz.csv"
    width = max([len(row) for row in rows], default=1)
    if header:
        rows = [
            [f"c{j}" for j in range(width)],
            *([*row, *["1"] * (width - len(row))] for row in rows),
        ]
    text = "\n".join(delimiter.join(row) for row in rows)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        data = load(path, task=task)
    except ForetellError:
        return
    np.testing.assert_array_equal(read_inputs(path, data.input_spec())[1], data.x)


@FUZZ
@given(
    st.integers(4, 40),
    st.lists(st.tuples(st.floats(), st.floats(-5, 5)), min_size=1, max_size=3),
    st.integers(0, 5),
)
def test_array_fuzz(n, columns, seed):
    """Any floating-point columns: a ForetellError, or finite features."""
    rng = np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        x = np.stack([a + b * rng.normal(size=n) for a, b in columns], axis=1)
    try:
        data = load((x, x[:, 0]), task="regression")
    except ForetellError:
        return
    assert np.isfinite(data.x).all()
    assert np.isfinite(data.y).all()
