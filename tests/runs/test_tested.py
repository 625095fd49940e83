"""What a winner says of the test rows, in the folder and in the report."""

from __future__ import annotations

import base64
import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from foretell.report.lines import _said_of
from foretell.report.page import render
from foretell.report.reading import read
from foretell.report.tested import said_interval, true_predicted
from foretell.runs.folder import RunFolder
from foretell.runs.tested import write_tested
from foretell.training.data import load
from foretell.training.data.pictures import pixels

RNG = np.random.default_rng(0)


def told(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def images(tmp_path):
    """A folder of 40 red and 20 blue images of several sizes."""
    for label, colour, n in (("red", (200, 10, 10), 40), ("blue", (10, 10, 200), 20)):
        (tmp_path / "data" / label).mkdir(parents=True)
        for i in range(n):
            image = Image.new("RGB", (60 + i % 20, 50), colour)
            image.save(tmp_path / "data" / label / f"{i:02d}.png")
    return tmp_path / "data"


def test_names_classes_and_mistakes_of_images(images, tmp_path, make_folder):
    data = load(images)
    out = np.zeros((data.sizes[2], 2))
    out[:, data.labels.index("red")] = np.arange(len(out))  # the last one is the surest
    folder = make_folder(data)
    write_tested(RunFolder(folder), data, out)
    rows = told(folder / "tested.csv")
    assert [row["name"].split("/")[0] for row in rows] == [row["is"] for row in rows]
    assert {row["said"] for row in rows[1:]} == {"red"}
    found = json.loads((folder / "examples.json").read_text())
    assert [len(one["pictures"]) for one in found["some"]] == [6, 6]
    wrong = [row["name"] for row in rows if row["is"] != row["said"]]
    assert [one["name"] for one in found["wrong"]] == wrong[::-1]
    url = found["wrong"][0]["picture"]
    picture = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    assert max(picture.size) == 64
    assert picture.getpixel((5, 5))[2] > 150 > picture.getpixel((5, 5))[0]
    page = render(read(folder))
    assert page.count("<img ") == 12 + len(wrong)
    assert "Its surest mistakes" in page
    assert wrong[0] in page


def test_a_picture_is_what_was_read(images):
    data = load(images)
    assert np.array_equal(pixels(data, 0), data.x[0].transpose(1, 2, 0))
    x = RNG.random((30, 1, 6, 5)).astype(np.float32)
    grey = load((x, np.arange(30) % 2))
    assert np.abs(pixels(grey, 3) - 255.0 * x[3, 0]).max() <= 1
    wide = load((x * 40 - 7, np.arange(30) % 2))
    assert (pixels(wide, 3).min(), pixels(wide, 3).max()) == (0, 255)


@pytest.fixture
def make_folder(tmp_path):
    """A folder of a run on some data that has ended, without its networks."""
    from foretell.runs import events
    from foretell.runs.record import DataRecord, RunRecord
    from foretell.typed import Reader

    def make(data, objective="val_acc", **metrics):
        folder = RunFolder(tmp_path / "run")
        described = Reader("data").record(DataRecord, data.describe())
        record = RunRecord(objective=objective, data=described)
        folder.run_json.write_text(json.dumps(record.to_dict()))
        final = events.Final(id=0, metrics=metrics, random=None, searched=1)
        folder.journal.write_text(json.dumps(final.written()) + "\n")
        return folder.path

    return make


def test_true_and_predicted_values_come_in_their_own_unit(make_folder, tmp_path):
    X = RNG.normal(size=(400, 2))
    data = load((X, np.stack([150 + 40 * X[:, 0], X[:, 1]], axis=1)), task="regression")
    rows = data.split["test"]
    out = np.asarray(data.y[rows], dtype=float)
    out[:, 0] += 0.5  # half a standard deviation too much
    folder = make_folder(data, "val_r2", test_r2=0.875)
    write_tested(RunFolder(folder), data, out)
    found = told(folder / "tested.csv")
    off = [float(row["said target 0"]) - float(row["is target 0"]) for row in found]
    assert off == pytest.approx([0.5 * data.target_std[0]] * len(rows), rel=1e-3)
    run = read(folder)
    first, second = true_predicted(run)
    assert first.title == "target 0: true and predicted"
    assert f"half of them are off by less than {0.5 * data.target_std[0]:.3g}" in first.caption
    assert "R² 1.000, rank correlation 1.00" in second.caption
    low, high = (float(word) for word in said_interval(run).split()[-3::2])
    assert low < 0.875 < high < 1.0
    assert not (folder / "examples.json").exists()


def test_the_interval_of_an_accuracy_is_wilsons(make_folder):
    data = load((RNG.normal(size=(300, 2)), np.arange(300) % 2))
    folder = make_folder(data, test_acc=21 / 45)
    assert data.sizes[2] == 45
    assert said_interval(read(folder)) == "95 % interval 32.9 to 60.9 %"


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"some": 3}', '{"wrong": [{"picture": "javascript:alert(1)"}]}']
)
def test_pictures_of_others_are_no_code(text, images, make_folder):
    folder = make_folder(load(images))
    (folder / "examples.json").write_text(text)
    page = render(read(folder))
    assert "<img" not in page
    assert "javascript:alert" not in page


@pytest.mark.parametrize(
    ("val", "words"),
    [
        ([1.0], "Too few epochs"),
        ([1.0, 1.2], "Too few epochs"),
        ([1.0, 0.5, 0.4], "lowest in the last epoch"),
        ([1.0, 0.5, 0.505], "hardly changed"),
        ([1.0, 0.5, 0.9], "rose by 80 % from there, while training loss fell on: overfitting"),
    ],
)
def test_overfitting_is_said_where_it_is_seen(val, words):
    table = {"val_loss": np.array(val), "train_loss": np.linspace(1, 0.1, len(val))}
    assert words in _said_of(table)
    assert ("overfitting." in _said_of(table)) == ("rose" in words)
