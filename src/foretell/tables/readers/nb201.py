"""NAS-Bench-201 and the topology space of NATS-Bench: official .pth, .pickle.pbz2 and folders."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.errors import DataError
from foretell.spaces.nb201 import NB201
from foretell.tables.base import (
    Benchmark,
    Better,
    Column,
    Peek,
    Reader,
    chosen,
    repeats_in_words,
)
from foretell.tables.readers.parts import unpickle

META = "meta.pickle.pbz2"
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # how torch.save began before 1.6
_BUDGETS = {"less": 12, "full": 200}  # names in the older files; the newer ones have numbers
# data set and evaluation in the file -> what it is called here
_EVALUATIONS = {
    ("cifar10-valid", "x-valid"): "val_acc_cifar10",
    ("cifar10", "ori-test"): "test_acc_cifar10",
    ("cifar100", "x-valid"): "val_acc_cifar100",
    ("cifar100", "x-test"): "test_acc_cifar100",
    ("ImageNet16-120", "x-valid"): "val_acc_imagenet16_120",
    ("ImageNet16-120", "x-test"): "test_acc_imagenet16_120",
}
_TIMED = {
    "cifar10-valid": "train_s_cifar10_valid",
    "cifar10": "train_s_cifar10",
    "cifar100": "train_s_cifar100",
    "ImageNet16-120": "train_s_imagenet16_120",
}
_SIZES = {"params": "params_m", "flop": "flops_m"}


class NB201Files(Reader):
    """`NAS-Bench-201-*.pth`, `NATS-tss-*.pickle.pbz2`, or the folder `NATS-tss-*-simple`.

    Accuracies are percent after the last epoch of a budget: `val_acc_cifar10_200ep` (trained on
    half of the training images, measured on the other half), `test_acc_cifar10_200ep` (trained on
    all of them), and so on. The files are read as plain values, without any code of theirs.

    References: Dong & Yang, NAS-Bench-201, ICLR 2020; Dong et al., NATS-Bench, TPAMI 2021.
    """

    name = "nb201"

    def matches(self, peek: Peek) -> bool:
        """A file of torch.save, a pickle that names `meta_archs`, or a folder with that pickle."""
        if peek.folder:
            return (peek.path / META).exists()
        torch_zip = peek.raw[:4] == b"PK\x03\x04" and b"data.pkl" in peek.raw[:256]
        pickled = peek.head[:1] == b"\x80" and b"meta_archs" in peek.head
        return torch_zip or pickled or peek.raw.startswith(_LEGACY)

    def read(self, path: Path, repeat: int | None) -> Benchmark:
        """All architectures with results."""
        archs, entries = _folder(path) if path.is_dir() else _whole(path)
        if archs and re.fullmatch(r"\d+(:\d+)+", str(archs[0])):
            raise DataError(
                f"{path.name!r} is the size space of NATS-Bench",
                expected="the topology space (tss)",
                hint="no space of the catalog has its networks",
            )
        kept: list[str] = []
        found: dict[str, dict[tuple[int, int], float]] = {}
        for index, entry in entries:
            for name, seed, value in _values(entry):
                found.setdefault(name, {})[len(kept), seed] = value
            kept.append(archs[index])
            self.progressed(len(kept) / len(archs))
        columns, most = {}, 1
        for name in sorted(found, key=_order):
            wide = _by_seed(found[name], len(kept))
            most = max(most, wide.shape[1])
            last = wide.shape[1] - 1
            table = chosen(wide, None if repeat is None else min(repeat, last))
            columns[name] = Column(table, *_unit(name))
        if repeat is not None and repeat >= most:
            chosen(np.empty((0, most)), repeat)  # the error
        X = NB201().from_str(kept)
        return Benchmark("nb201", "nb201", X, columns, path.name, repeats_in_words(most, repeat))


def _whole(path: Path) -> tuple[list[str], Iterator[tuple[int, Mapping[str, Any]]]]:
    raw = Peek(path).raw
    data = (
        unpickle.torch_file(path)
        if raw[:2] == b"PK" or raw.startswith(_LEGACY)
        else unpickle.load(path)
    )
    infos = data["arch2infos"]
    return list(data["meta_archs"]), ((int(i), infos[i]) for i in sorted(infos))


def _folder(path: Path) -> tuple[list[str], Iterator[tuple[int, Mapping[str, Any]]]]:
    archs = list(unpickle.load(path / META)["meta_archs"])
    files = sorted(path.glob("[0-9]*.pickle.pbz2"))
    if not files:
        raise DataError(
            f"folder {path.name!r} has no results", expected="000000.pickle.pbz2 and so on"
        )
    return archs, ((int(file.name.split(".")[0]), unpickle.load(file)) for file in files)


def _values(entry: Mapping[str, Any]) -> Iterator[tuple[str, int, float]]:
    """Name of a column, seed and value of every result of one architecture."""
    for budget, bundle in entry.items():
        epochs = _BUDGETS.get(budget) or int(budget)
        for (dataset, seed), one in bundle["all_results"].items():
            last = _last(one.get("eval_acc1es") or {})
            for (data, evaluation), name in _EVALUATIONS.items():
                if data == dataset and evaluation in last:
                    yield f"{name}_{epochs}ep", int(seed), last[evaluation]
            times = one.get("train_times")
            if times and dataset in _TIMED:
                listed = times.values() if isinstance(times, Mapping) else times
                yield f"{_TIMED[dataset]}_{epochs}ep", int(seed), float(sum(listed))
            if dataset == "cifar10-valid":  # sizes differ with the number of classes
                for old, new in _SIZES.items():
                    if one.get(old) is not None:
                        yield new, -1, float(one[old])
                if one.get("latency"):
                    yield "latency_s", int(seed), float(np.mean(one["latency"]))


def _last(accuracies: Mapping[str, float]) -> dict[str, float]:
    """Evaluation -> value after its last epoch; keys are `evaluation@epoch`."""
    latest: dict[str, tuple[int, float]] = {}
    for key, value in accuracies.items():
        name, _, epoch = key.rpartition("@")
        if name not in latest or int(epoch) > latest[name][0]:
            latest[name] = int(epoch), float(value)
    return {name: value for name, (_, value) in latest.items()}


def _by_seed(values: Mapping[tuple[int, int], float], n: int) -> NDArray[np.float64]:
    """Values (n, seeds) from a dict of (row, seed), each row's trainings in order of their seed."""
    rows = np.array([row for row, _ in values])
    seeds = np.array([seed for _, seed in values])
    order = np.lexsort((seeds, rows))
    rows = rows[order]
    count = np.bincount(rows, minlength=n)
    place = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
    out = np.full((n, int(count.max())), np.nan)
    out[rows, place] = np.fromiter(values.values(), dtype=np.float64, count=len(values))[order]
    return out


def _unit(name: str) -> tuple[str, Better]:
    if "_acc_" in name:
        return "percent", "max"
    if name.endswith("_m"):
        return "millions", ""
    return "s", "min"


def _order(name: str) -> tuple[int, str]:
    kinds = ("val_acc", "test_acc", "train_s", "latency")
    return next((k for k, kind in enumerate(kinds) if name.startswith(kind)), len(kinds)), name
