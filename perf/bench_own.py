"""Own data and own spaces: what is measured, delivered and said, by the code that this runs with.

The parts have the numbers of the cases that were tried before and after they were mended:

1   validation of six small networks of `mobile` on 120 or 300 images (three classes of CIFAR-10 as
    PNG): as the trainer reports it, and of the same weights with the statistics of normalisation
    layers estimated here on all training rows. They are at most .06 apart.
2   spaces whose networks share a weight, keep a layer in a plain list, or drop out at all times:
    what `space check` says, and how a run ends. It ends with the test accuracy near the
    validation, or in words (exit code 2) before anything is trained, and does so when run again.
4   `nas.best_model_(X)` on the X that was fitted: accuracy on digits (at least .95), and the mean
    value on diabetes, whose target has a mean of 152 (within 15).
5   what a report says of 21 of 45 test images right: the half-width of the 95 % interval is 13.5
    to 15 points (Wald 14.6, Wilson 14.0).
14  285 images "ok" and 15 "defect": what a run prints. It names the majority's accuracy.
18  Kendall tau on all other networks after n of them, mean of five draws and its standard error,
    beside scikit-learn's Gaussian processes on standardised logarithms of the options, with a
    length scale each and with one (`bench_numbers.py`): `widths`, five widths, and `stages`, 28
    decisions of MnasNet's kind (both really trained, `train_own.py`), and `cnas`, 46 decisions of
    MobileNetV3's kind (`cnas_cifar10_mbv3` of FORETELL_DATA). `auto` and `gp` are above, or within
    one standard error of the difference.

19  Kendall tau of `gp` on tables without numbers, mean of eight draws: at most .003 and a standard
    error below what it was (the rest of 19, and 20, is `bench_numbers.py`).

Exit code 1 where a bound is broken. Only what version 0.1 had as well is called, so an older commit
is measured by the same file:

    python perf/bench_own.py [--only 1,2,4,5,14,18,19]
    git worktree add --detach /tmp/before aa9dbbe
    PYTHONPATH=/tmp/before/src python perf/bench_own.py
"""

from __future__ import annotations

import argparse
import html
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import bench_numbers
import numpy as np
import torch
from own_predictors import Line, graphs, numbers
from PIL import Image
from safetensors.torch import load_model
from sklearn.datasets import load_diabetes, load_digits
from torch import nn

import foretell as ft
from foretell.training.data import Data, load
from foretell.training.recipe import Recipe

LIMIT_S = 300  # of one command
TINY = ("--space", "mobile", "--space-set", "preset=tiny")
FEW = ("--train", "3", "--top", "1", "--strategy", "random", "--workers", "1", "--json")
SPACES = """
import foretell as ft
import torch
from torch import nn
from torch.nn import functional


class Net(nn.Module):
    def __init__(self, inputs, width, outputs, kind):
        super().__init__()
        self.kind = kind
        self.first = nn.Linear(inputs, width)
        self.a, self.b = nn.Linear(width, width), nn.Linear(width, width)
        if kind == "tied":
            self.b.weight = self.a.weight
        self.more = [nn.Linear(width, width)] if kind == "listed" else nn.ModuleList()
        self.head = nn.Linear(width, outputs)

    def forward(self, x):
        x = torch.relu(self.first(x.flatten(1)))
        for layer in (self.a, self.b, *self.more):
            x = torch.relu(layer(x))
        if self.kind == "dropout":
            x = functional.dropout(x, 0.3, training=True)
        return self.head(x)


class Own(ft.Space):
    kind = ""
    width = ft.choice([48, 64, 80])
    def build(self, x, input_shape, n_outputs):
        inputs = 1
        for size in input_shape:
            inputs *= size
        return Net(inputs, self.decode(x)["width"], n_outputs, type(self).__name__.lower())


class Tied(Own): ...
class Listed(Own): ...
class Dropout(Own): ...
"""


class Ended(NamedTuple):
    """How a command ended; `code` None: it did not within `LIMIT_S`."""

    code: int | None
    out: str
    log: str

    @property
    def metrics(self) -> Mapping[str, float]:
        """Of the network that it delivered."""
        found = json.loads(self.out.splitlines()[-1])["metrics"] if self.code == 0 else {}
        return {name: float(value) for name, value in found.items()}

    @property
    def words(self) -> str:
        """A traceback, or what it said last."""
        if self.code is None:
            return f"no end within {LIMIT_S} s"
        if self.code == 0:
            return "exit 0"
        lines = [line.strip() for line in self.log.splitlines() if line.strip(" │╭╰─╮╯")]
        told = "a traceback" if "Traceback" in self.log else ""
        return f"exit {self.code}, {told or (lines[-1] if lines else 'no word')}"


def foretell(folder: Path, *words: str) -> Ended:
    """A command, run in a folder."""
    command = [sys.executable, "-m", "foretell", *words]
    env = {**os.environ, "COLUMNS": "400", "NO_COLOR": "1"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=env, capture_output=True, text=True, timeout=LIMIT_S
        )
    except subprocess.TimeoutExpired:
        return Ended(None, "", "")
    return Ended(done.returncode, done.stdout, done.stderr)


def write_images(folder: Path, classes: Mapping[str, tuple[int, int]]) -> Path:
    """PNGs in a folder for each name: so many of a class of CIFAR-10."""
    found = np.load(bench_numbers.FOLDER / "cifar10_small.npz")
    x, y = found["x_train"], found["y_train"]
    for name, (label, count) in classes.items():
        (folder / name).mkdir(parents=True)
        for i, image in enumerate(x[y == label][:count]):
            Image.fromarray(image.transpose(1, 2, 0)).save(folder / name / f"{i:03d}.png")
    return folder


def three(folder: Path, count: int) -> Path:
    """So many aeroplanes, cars and frogs each."""
    return write_images(folder, {"plane": (0, count), "car": (1, count), "frog": (6, count)})


def recomputed(model: nn.Module, data: Data) -> float:
    """Validation accuracy with the mean of the statistics of all batches of training rows."""

    def inputs(rows: Any) -> torch.Tensor:
        mean, std = (v.astype(np.float32).reshape(1, -1, 1, 1) for v in (data.mean, data.std))
        return torch.from_numpy((np.asarray(data.x[rows], dtype=np.float32) / 255 - mean) / std)

    model.eval()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None  # the mean of all, none weighs more
            layer.train()
    with torch.no_grad():
        for rows in np.array_split(data.split["train"], max(1, data.sizes[0] // 64)):
            model(inputs(rows))
        said = model.eval()(inputs(data.split["val"])).argmax(dim=1).numpy()
    return float((said == data.y[data.split["val"]]).mean())


def validation(folder: Path) -> Iterator[Line]:
    """1: reported, and with statistics of the training rows."""
    for count, epochs in ((100, 2), (40, 10), (100, 10)):
        path = folder / f"of{count}"
        data = load(path if path.exists() else three(path, count))
        space = ft.spaces.get("mobile", preset="tiny")
        trainer = ft.Trainer(space, data, Recipe(epochs=epochs, device="cpu"))
        pairs = []
        for x in space.sample(6, rng=0):
            weights = folder / "weights.safetensors"
            result = trainer.evaluate(x, seed=0, weights=weights)
            model = trainer.space.build(x, data.input_shape, data.n_outputs)
            load_model(model, weights)
            pairs.append((result.metrics["val_acc"], recomputed(model, data)))
        said, true = np.mean(pairs, axis=0)
        yield Line(
            f"{3 * count} images, {epochs} epochs: val_acc reported, recomputed",
            f"{said:.2f}, {true:.2f}",
            bool(abs(said - true) <= 0.06),
        )


def returns(folder: Path) -> Iterator[Line]:
    """2: networks that do not come back from their files as they were measured."""
    (folder / "spaces.py").write_text(SPACES)
    titles = {"Tied": "shared weight", "Listed": "layer in a list", "Dropout": "dropout always on"}
    for name, title in titles.items():
        spec = f"spaces.py:{name}"
        check = foretell(folder, "space", "check", spec)
        errors = [x.split(maxsplit=1)[1] for x in check.out.splitlines() if x.startswith("error")]
        ready = "ready to search" in check.out
        yield Line(f"{title}: space check", errors[0] if errors else "ready" if ready else "-")
        command = ("run", "--data", "digits", "--space", spec, "--epochs", "3", *FEW)
        ends = [foretell(folder, *command, "--out", name) for _ in range(2)]
        figures = [
            f"{end.words}, val {end.metrics['val_acc']:.1%}, test {end.metrics['test_acc']:.1%}"
            if end.metrics
            else end.words
            for end in ends
        ]
        same = figures[0] == figures[1]
        yield Line(
            f"{title}: run",
            f"{figures[0]}; again: {'the same' if same else figures[1]}",
            all(
                abs(end.metrics["val_acc"] - end.metrics["test_acc"]) < 0.1
                if end.metrics
                else end.code == 2 and not ready
                for end in ends
            ),
        )


def delivered(folder: Path) -> Iterator[Line]:
    """4: the network takes what `fit` took."""
    digits, diabetes = load_digits(), load_diabetes()
    settings: dict[str, Any] = {"n_train": 3, "top_k": 1, "workers": 1, "strategy": "random"}
    nas = ft.NAS(
        space="mobile", space_settings={"preset": "tiny"}, epochs=10, out=folder / "d", **settings
    ).fit((digits.images[:, None] / 16, digits.target))
    with torch.no_grad():
        said = nas.best_model_(torch.tensor(digits.images[:, None] / 16, dtype=torch.float32))
    right = float((said.argmax(dim=1).numpy() == digits.target).mean())
    yield Line(
        "digits: accuracy of best_model_(X); test_acc of the run",
        f"{right:.1%}; {nas.best_metrics_['test_acc']:.1%}",
        right > 0.95,
    )
    nas = ft.NAS(space="tabular", epochs=20, out=folder / "t", **settings).fit(
        (diabetes.data, diabetes.target)
    )
    with torch.no_grad():
        said = nas.best_model_(torch.tensor(diabetes.data, dtype=torch.float32))
    mean, first = float(said.mean()), float(said[0])
    target = diabetes.target
    yield Line(
        "diabetes: first value and mean of best_model_(X); of the target",
        f"{first:.2f}, {mean:.2f}; {target[0]:.0f}, {target.mean():.0f}",
        abs(mean - target.mean()) < 15,
    )


def interval(folder: Path) -> Iterator[Line]:
    """5: the report of a run, in whose journal 21 of 45 test images are right."""
    data = str(three(folder / "images", 100))
    foretell(folder, "run", "--data", data, *TINY, *FEW, "--epochs", "1", "--out", "run")
    journal = folder / "run" / "trials.jsonl"
    changed = re.sub(r'("test_acc":\s*)[\d.]+', rf"\g<1>{21 / 45}", journal.read_text())
    journal.write_text(changed)
    foretell(folder, "report", "run")
    text = html.unescape(re.sub(r"<[^>]+>", "", (folder / "run" / "report.html").read_text()))
    said = re.search(r"The test split has 45 examples[^.]*\.\d[^:]*", text)
    words = " ".join(said[0].split()) if said else "nothing"
    if found := re.search(r"from ([\d.]+) % to ([\d.]+) %", words):
        half = (float(found[2]) - float(found[1])) / 2
    else:
        found = re.search(r"about ([\d.]+)", words)
        half = float(found[1]) if found else 0.0
    yield Line("21 of 45 right: half-width", f"{half:.1f} points", 13.5 <= half <= 15)
    yield Line("in words", words)


def rare(folder: Path) -> Iterator[Line]:
    """14: what a run prints of a class that is a twentieth of all."""
    data = write_images(folder / "images", {"ok": (3, 285), "defect": (5, 15)})
    command = ("run", "--data", data.name, *TINY, *FEW[:-1], "--epochs", "2", "--out", "run")
    done = foretell(folder, *command)
    lines = [line.strip() for line in done.out.splitlines()]
    told = [line for line in lines if re.search("test_acc|balanced", line)]
    for line in told or [done.words]:
        yield Line("285 ok, 15 defect: printed", line, any("always" in each for each in told))


PARTS: dict[str, Callable[[Path], Iterator[Line]]] = {
    "1": validation,
    "2": returns,
    "4": delivered,
    "5": interval,
    "14": rare,
    "18": numbers,
    "19": graphs,
}
IMAGES = ("1", "5", "14")


def main() -> int:
    """A line for each figure; 1 where a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--only", default=",".join(PARTS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"foretell in {Path(ft.__file__).parent}")
    broken = []
    for part in args.only.split(","):
        start = time.perf_counter()
        if part in IMAGES and not (bench_numbers.FOLDER / "cifar10_small.npz").exists():
            print(f"{part:>3s}  skipped: no cifar10_small.npz in {bench_numbers.FOLDER}")
            continue
        with tempfile.TemporaryDirectory() as folder:
            for line in PARTS[part](Path(folder)):
                mark = "" if line.kept else "   BROKEN"
                print(f"{part:>3s}  {line.what:64s} {line.figure}{mark}", flush=True)
                broken += [] if line.kept else [f"{part}: {line.what}"]
        print(f"     {time.perf_counter() - start:.0f} s", flush=True)
    print("\n".join(f"BROKEN: {line}" for line in broken) or "all bounds are kept")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
