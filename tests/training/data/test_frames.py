"""Tables that are no single file: DataFrames, and folders of .csv files."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

import foretell as ft
from foretell.errors import DataError, SettingError
from foretell.training.data import load, read_inputs
from foretell.training.data.inputs import raw_inputs

RNG = np.random.default_rng(0)
N = 120


@pytest.fixture
def frame():
    """Numbers with a gap, truths, text, categories; a class."""
    a = RNG.normal(size=N)
    frame = pd.DataFrame(
        {
            "a": a,
            "n": RNG.integers(0, 9, N),
            "yes": a > 0.5,
            "city": RNG.choice(["Rome", "Oslo", None], N),
            "size": pd.Categorical(RNG.choice(["S", "L"], N)),
        }
    )
    frame.loc[3, "a"] = np.nan
    return frame.assign(kind=np.where(a + frame.n > 4, "big", "small"))


def test_a_frame_is_what_its_csv_would_be(frame, tmp_path):
    frame.to_csv(tmp_path / "t.csv", index=False)
    one, other = load(frame, target="kind"), load(tmp_path / "t.csv", target="kind")
    assert np.array_equal(one.x, other.x)
    assert np.array_equal(one.y, other.y)
    assert one.labels == other.labels == ("big", "small")
    assert one.input_spec()["columns"] == other.input_spec()["columns"]
    assert one.names[0].startswith("row ")


@pytest.mark.parametrize("how", ["series", "array", "frame", "list"])
def test_targets_beside_a_frame(how, frame):
    X, y = frame.drop(columns="kind"), frame.kind
    beside = {"series": y, "array": y.to_numpy(), "frame": y.to_frame(), "list": list(y)}[how]
    one, other = load((X, beside)), load(frame, target="kind")
    assert np.array_equal(one.x, other.x)
    assert np.array_equal(one.y, other.y)


def test_several_targets_and_names_that_are_taken(frame):
    X = frame[["a", "n"]].fillna(0)
    two = load((X, pd.DataFrame({"a": 2 * X.a, "b": X.n + X.a})), task="regression")
    assert (two.task, two.n_outputs, two.x.shape[1]) == ("regression", 2, 2)
    assert two.input_spec()["target"]["name"] == "a (target), b"
    assert load((X, np.stack([X.a, X.n], axis=1) * 1.5)).n_outputs == 2
    assert load(frame.dropna(), target="a,n", task="regression").n_outputs == 2
    with pytest.raises(DataError, match="targets: expected 120, one for each row, got 7"):
        load((X, np.arange(7)))
    with pytest.raises(SettingError, match="no target column 'z' in the table"):
        load(frame, target="z")
    with pytest.raises(DataError, match="'a', row 5: expected a finite number, got inf"):
        load(frame.assign(a=np.where(np.arange(N) == 5, np.inf, 0.0)), target="kind")


def test_new_frames_are_read_by_the_names_of_their_columns(frame):
    data = load(frame, target="kind")
    spec = data.input_spec()
    X = raw_inputs(frame[["size", "yes", "n", "a", "city"]], spec)  # in another order
    z = (X - data.mean) / data.std
    assert np.allclose(z, data.x, atol=1e-6)
    with pytest.raises(DataError, match="no column 'n'"):
        raw_inputs(frame[["a"]], spec)


def test_fit_and_predict_take_frames(frame, tmp_path):
    nas = ft.NAS(space="tabular", n_train=3, top_k=1, epochs=2, workers=0, predictor="mean",
                 out=tmp_path / "run")  # fmt: skip
    nas.fit(frame.drop(columns="kind"), frame.kind)
    said = nas.predict(frame.drop(columns="kind"))
    assert set(said) <= {"big", "small"}
    frame.to_csv(tmp_path / "new.csv", index=False)
    assert np.array_equal(said, nas.predict(tmp_path / "new.csv"))
    assert nas.score(frame, frame.kind) > 0.5


def write(folder, **files):
    folder.mkdir(exist_ok=True)
    for name, frame in files.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    return folder


def test_a_folder_of_tables_has_its_splits(frame, tmp_path):
    train, test = frame[:80], frame[80:]
    data = load(write(tmp_path / "d", train=train, test=test[test.columns[::-1]]), target="kind")
    assert data.sizes[2] == 40
    assert data.sizes[0] + data.sizes[1] == 80
    rows = data.split["test"]
    assert np.allclose(data.x[rows][:, 1] * data.std[1] + data.mean[1], test.n, atol=1e-5)
    assert [data.labels[k] for k in data.y[rows]] == list(test.kind)
    assert any("splits of its own: train 80, test 40" in note for note in data.about["notes"])


def test_a_table_to_predict_is_left_out_and_said(frame, tmp_path):
    folder = write(tmp_path / "d", train=frame, test=frame.drop(columns="kind"), sample=frame[:3])
    data = load(folder, target="kind")
    assert sum(data.sizes) == N
    notes = " ".join(data.about["notes"])
    assert "test.csv has no 'kind' and was left out: predict it" in notes
    assert "left out: sample.csv" in notes


def test_tables_of_a_folder_that_differ_are_refused(frame, tmp_path):
    folder = write(tmp_path / "d", train=frame[:80], test=frame[80:].drop(columns="city"))
    with pytest.raises(DataError, match=r"'city': expected the same columns .* none of it in test"):
        load(folder, target="kind")
    assert sum(load(folder, target="kind", drop=["city"]).sizes) == N


def test_floats_for_a_network_of_bytes():
    x = RNG.integers(0, 256, (40, 3, 5, 5), dtype=np.uint8)
    spec = load((x, np.arange(40) % 2)).input_spec()
    assert spec["bytes"]
    assert np.array_equal(raw_inputs(x.astype(np.float32), spec), x)
    assert np.allclose(raw_inputs(x / 255.0, spec), x, atol=1e-4)
    with pytest.raises(DataError, match="from 0 to 255, or from 0 to 1, got numbers from -1"):
        raw_inputs(x / 127.5 - 1, spec)


def test_floats_and_bytes_of_files_are_the_same(tmp_path):
    x = RNG.integers(0, 256, (40, 3, 5, 5), dtype=np.uint8)
    data = load((x, np.arange(40) % 2))
    read = {}
    for name, values in (("b", x), ("f", x.astype(float)), ("unit", x / 255)):
        np.savez(tmp_path / f"{name}.npz", x=values)
        read[name] = read_inputs(tmp_path / f"{name}.npz", data.input_spec())[1]
    assert np.allclose(read["f"], read["b"], atol=1e-6)
    assert np.allclose(read["unit"], read["b"], atol=1e-6)


def test_several_files_at_once(tmp_path, frame):
    spec = load(frame, target="kind").input_spec()
    for name, part in (("a", frame[:2]), ("b", frame[2:3])):
        part.to_csv(tmp_path / f"{name}.csv", index=False)
    names, x = read_inputs([tmp_path / "a.csv", tmp_path / "b.csv"], spec)
    assert x.shape[0] == 3
    assert names == [f"{tmp_path}/a.csv: line 2", f"{tmp_path}/a.csv: line 3",
                     f"{tmp_path}/b.csv: line 2"]  # fmt: skip


def test_a_bomb_is_no_table(tmp_path):
    with gzip.open(tmp_path / "t.csv.gz", "wb") as file:
        file.write(b"a,b\n")
        for _ in range(300):
            file.write(b"0" * (1 << 20))
    assert (tmp_path / "t.csv.gz").stat().st_size < 400_000
    with pytest.raises(DataError, match="a bomb, not data"):
        load(tmp_path / "t.csv.gz")
    with pytest.raises(DataError, match="a bomb, not data"):
        ft.Table.open(tmp_path / "t.csv.gz", space=ft.spaces.get("nb201"))


def test_a_bunch_of_tables_and_a_dict_of_lists():
    iris, plain = load_iris(as_frame=True), load_iris()
    one, other = load(iris), load(plain)
    assert np.allclose(one.x, other.x, atol=1e-6)
    assert np.array_equal(one.y, other.y)
    assert one.describe()["columns"][0]["name"] == "sepal length (cm)"
    lists = {"x": plain.data.tolist(), "y": plain.target.tolist(), "note": "of iris"}
    assert np.array_equal(load(lists).x, other.x)
    frames = {
        "X_train": iris.data,
        "y_train": iris.target,
        "X_val": iris.data,
        "y_val": iris.target,
    }
    assert load(frames).sizes[1] == 150
    with pytest.raises(DataError, match="expected x and y"):
        load({"x": plain.data.tolist()})


@pytest.mark.parametrize("how", ["frame", "csv", "array", "bytes"])
def test_truths_are_labels(how, tmp_path):
    X, yes = RNG.normal(size=(60, 2)), RNG.random((60, 3)) < 0.5
    frame = pd.DataFrame(yes, columns=["red", "round", "big"])
    pd.DataFrame(X, columns=["u", "v"]).join(frame).to_csv(tmp_path / "t.csv", index=False)
    if how == "bytes":
        assert load((X, np.where(yes[:, 0], b"red", b"blue"))).labels == ("blue", "red")
        return
    data = {
        "frame": lambda: load((pd.DataFrame(X), frame)),
        "csv": lambda: load(tmp_path / "t.csv", target="red,round,big"),
        "array": lambda: load((X, yes)),
    }[how]()
    assert data.task == "multilabel"
    assert np.array_equal(data.y, yes)
