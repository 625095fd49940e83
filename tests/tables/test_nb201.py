"""NAS-Bench-201 and NATS-Bench from files in their layouts that the tests write."""

from __future__ import annotations

import bz2
import collections
import pickle

import numpy as np
import pytest
import torch

import foretell as ft
from foretell.errors import DataError
from foretell.tables.convert import convert, read
from foretell.tables.readers.parts import unpickle

SPACE = ft.spaces.get("nb201")
X = next(SPACE.enumerate())[[7, 9000, 15000]]
ARCHS = SPACE.to_str(X)
EVALUATIONS = {
    "cifar10-valid": ("x-valid", "ori-test"),
    "cifar10": ("ori-test",),
    "cifar100": ("x-valid", "x-test", "ori-test"),
    "ImageNet16-120": ("x-valid", "x-test", "ori-test"),
}


def accuracy(i, epochs, dataset, seed, evaluation):
    """A number of its own for every place in the file."""
    return (i * 7 + epochs / 7 + len(dataset) * 1.5 + seed / 111 + len(evaluation)) % 97


def result(i, epochs, dataset, seed, number=float):
    evaluations = EVALUATIONS[dataset]
    accs = {f"{e}@{epochs - 1}": number(accuracy(i, epochs, dataset, seed, e)) for e in evaluations}
    accs |= {f"{e}@0": number(1.0) for e in evaluations}
    return {
        "name": "x",
        "seed": seed,
        "epochs": epochs,
        "eval_names": list(evaluations),
        "eval_acc1es": accs,
        "train_times": {k: number(2.0) for k in range(epochs)},
        "params": number(0.5 + i),
        "flop": number(10.0 + i),
        "latency": [number(0.25)],
    }


def entry(i, budgets, number=float):
    out = {}
    for budget, (epochs, seeds) in budgets.items():
        results = collections.OrderedDict()
        for dataset in EVALUATIONS:
            for seed in seeds:
                results[dataset, seed] = result(i, epochs, dataset, seed, number)
        out[budget] = {"arch_index": i, "arch_str": ARCHS[i], "all_results": results}
    return out


NEW = {"12": (12, (111, 777)), "200": (200, (777, 888, 999))}
OLD = {"less": (12, (111, 777)), "full": (200, (777, 888, 999))}


def whole(budgets, number=float):
    infos = {i: entry(i, budgets, number) for i in range(3)}
    return {"meta_archs": list(ARCHS), "arch2infos": infos, "evaluated_indexes": {0, 1, 2}}


def nats(tmp_path):
    path = tmp_path / "NATS-tss-v1_0-3ffb9.pickle.pbz2"
    path.write_bytes(bz2.compress(pickle.dumps(whole(NEW, np.float64))))
    return path


def simple(tmp_path):
    folder = tmp_path / "NATS-tss-v1_0-3ffb9-simple"
    folder.mkdir()
    meta = {"meta_archs": list(ARCHS), "total_archs": 3, "evaluated_indexes": [0, 1, 2]}
    (folder / "meta.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(meta)))
    for i in range(3):
        data = bz2.compress(pickle.dumps(entry(i, NEW)))
        (folder / f"{i:06d}.pickle.pbz2").write_bytes(data)
    return folder


def pth(tmp_path):
    path = tmp_path / "NAS-Bench-201-v1_1-096897.pth"
    torch.save(whole(OLD, np.float64), path)
    return path


def legacy(tmp_path):
    path = tmp_path / "NAS-Bench-201-v1_0-e61699.pth"
    torch.save(whole(OLD), path, _use_new_zipfile_serialization=False)
    return path


@pytest.mark.parametrize("make", [nats, simple, pth, legacy])
def test_all_layouts_give_the_same(make, tmp_path):
    path = make(tmp_path)
    found = read(path)
    table = ft.Table.open(path)
    assert found.name == "nb201"
    assert (table.X == X).all()
    for name, dataset, evaluation in (
        ("val_acc_cifar10", "cifar10-valid", "x-valid"),
        ("test_acc_cifar10", "cifar10", "ori-test"),
        ("val_acc_cifar100", "cifar100", "x-valid"),
        ("test_acc_cifar100", "cifar100", "x-test"),
        ("val_acc_imagenet16_120", "ImageNet16-120", "x-valid"),
        ("test_acc_imagenet16_120", "ImageNet16-120", "x-test"),
    ):
        for epochs, seeds in NEW.values():
            want = [
                np.mean([accuracy(i, epochs, dataset, s, evaluation) for s in seeds])
                for i in range(3)
            ]
            np.testing.assert_allclose(table.column(f"{name}_{epochs}ep"), want)
            assert found.columns[f"{name}_{epochs}ep"].unit == "percent"
    assert table.column("train_s_cifar10_200ep").tolist() == [400.0] * 3
    assert table.column("params_m").tolist() == [0.5, 1.5, 2.5]
    one = read(path, repeat=2).columns["test_acc_cifar10_200ep"].values
    np.testing.assert_allclose(
        one, [accuracy(i, 200, "cifar10", 999, "ori-test") for i in range(3)]
    )


def test_the_size_space_is_refused_in_words(tmp_path):
    path = tmp_path / "NATS-sss.pickle.pbz2"
    data = {"meta_archs": ["8:16:24:32:64"], "arch2infos": {0: {}}}
    path.write_bytes(bz2.compress(pickle.dumps(data)))
    with pytest.raises(DataError, match="size space"):
        read(path)


class Bomb:
    def __reduce__(self):
        return print, ("this must never be run",)


@pytest.mark.parametrize("pack", [bz2.compress, bytes])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, capsys, pack):
    path = tmp_path / "evil.pickle.pbz2"
    path.write_bytes(pack(pickle.dumps({"meta_archs": [Bomb()], "arch2infos": {}})))
    with pytest.raises(DataError, match=r"it names builtins\.print"):
        read(path)
    torch.save({"meta_archs": [Bomb()], "arch2infos": {}}, tmp_path / "evil.pth")
    with pytest.raises(DataError, match=r"evil\.pth"):
        read(tmp_path / "evil.pth")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("make", [nats, pth, legacy])
@pytest.mark.parametrize("part", [0.3, 0.98])
def test_torn_files_are_one_line(make, part, tmp_path):
    path = make(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(DataError) as caught:
        convert(path, tmp_path / "out.parquet")
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.parquet").exists()


VALUES = [
    {"a": [1, (2.5, "x", b"y", None, True)], "s": {1, 2}, "f": frozenset({3})},
    np.arange(6.0).reshape(2, 3),
    np.asfortranarray(np.arange(6).reshape(2, 3)),
    np.arange(3, dtype=">i4"),
    [np.float64(1.25), np.int64(-3), np.float32(0.5), np.bool_(True)],
    collections.OrderedDict(a=1, b=np.array(["x", "yy"])),
]


@pytest.mark.parametrize("value", VALUES, ids=str)
@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_come_back(value, protocol):
    written = pickle.dumps(value, protocol)
    assert repr(unpickle.loads(written, "x")) == repr(pickle.loads(written))


@pytest.mark.parametrize(
    "value",
    [np.array([print], dtype=object), eval, ft.Table, np.dtype("O"), Bomb()],
    ids=("array", "function", "class", "dtype", "instance"),
)
def test_anything_else_does_not(value):
    with pytest.raises(DataError, match="no pickle of plain values"):
        unpickle.loads(pickle.dumps(value), "x")


def test_every_torn_pickle_is_refused():
    whole = pickle.dumps({"a": np.arange(5), "b": [np.float64(2)] * 3}, 2)
    for end in range(len(whole)):
        with pytest.raises(DataError, match="x is no pickle of plain values") as caught:
            unpickle.loads(whole[:end], "x")
        assert "\n" not in str(caught.value)
