"""Small networks on one CUDA card: recorded steps, several networks at once, and a whole run.

Bounds, each against a bare eager loop of the same call on the same card: one network at batch 64
at least 6 times its images a second; eight at once 12 times; on an H100 also 0.9 of 8,712 / 12,353
(batch 64: all-convolution / mixed cell) and of 19,517 / 25,901 (batch 256), and 24,000 for eight.
A whole run (24 + 5 networks of nb201, 4 epochs), ten times as fast as that of an older checkout
whose src is given, and the tests marked `gpu`. Without the older run in under four minutes.

    python perf/bench_gpu.py [--before FOLDER/src] [--only single,several,run]

Images are random bytes, which learn nothing and take as long; the run uses FORETELL_DATA, or
../shared/data, and is left out without it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

import foretell as ft
from foretell.evaluators.base import Job
from foretell.evaluators.together import Together
from foretell.evaluators.trainer import Trainer
from foretell.predictors.gcn import GCN
from foretell.predictors.parts.neural import CROSSING
from foretell.training import checkpoint, loop, statistics
from foretell.training.data import Data, load
from foretell.training.lead import AHEAD
from foretell.training.recipe import Recipe
from foretell.training.replay import Replay

CARD = torch.device("cuda")
CONV, MIXED = np.full(6, 3), np.array([3, 2, 1, 3, 4, 2])  # operations by nb201's numbers
H100 = {(64, 0): 8712, (64, 1): 12353, (256, 0): 19517, (256, 1): 25901}
SECONDS = 2.0  # that a rate is measured, at least
PARTS = ("single", "several", "anatomy", "crossing", "proxies", "run", "tests")


def images(n: int) -> Data:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (n, 3, 32, 32), dtype=np.uint8)
    return load((x, rng.integers(0, 10, n)))


def eager(model: nn.Module, batch: int) -> float:
    """Images a second of a bare loop, operation by operation, as somebody would write it."""
    model.to(CARD).train()
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's types lack it
    x = torch.randn(batch, 3, 32, 32, device=CARD).to(memory_format=torch.channels_last)
    y = torch.randint(0, 10, (batch,), device=CARD)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, fused=True)

    def step() -> None:
        with torch.autocast("cuda", dtype=torch.bfloat16):
            loss = nn.functional.cross_entropy(model(x), y)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    return batch * rate(step)


def rate(step: Callable[[], None]) -> float:
    for _ in range(5):
        step()
    torch.cuda.synchronize()
    began, n = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        for _ in range(5):
            step()
        torch.cuda.synchronize()
        n += 5
    return n / (time.perf_counter() - began)


def trained(space: ft.Space, x: np.ndarray, data: Data, recipe: Recipe) -> tuple[float, float]:
    """Images a second of the training loop after its first epoch: of its steps, and of all of it.

    Steps are timed while the loop waits for the card, from `AHEAD` after an epoch's first one.
    """
    model = space.build(x, data.input_shape, data.n_outputs)
    ends: list[float] = []
    begins: list[float] = []

    def note(epoch: int, row: dict[str, float]) -> None:
        torch.cuda.synchronize()
        ends.append(time.perf_counter())

    with torch.cuda.stream(torch.cuda.Stream()):
        loop.fit(model, data, recipe, 0, CARD, note, on_step=partial(_note, begins))
    each = math.ceil(data.sizes[0] / recipe.batch_size)
    last = [one for one in begins if ends[-2] < one][:each][2 * AHEAD :]
    size = data.sizes[0] / each
    return size * (len(last) - 1) / (last[-1] - last[0]), data.sizes[0] * (len(ends) - 1) / (
        ends[-1] - ends[0]
    )


def at_once(
    space: ft.Space, x: np.ndarray, data: Data, recipe: Recipe, k: int
) -> tuple[float, float]:
    """Images a second of k networks at once: of more epochs, and of all that they do."""
    rows, spent = [], []
    for epochs in (recipe.epochs, 3 * recipe.epochs):
        longer = dataclasses.replace(recipe, epochs=epochs)
        workers = Together(Trainer(space, data, longer), k)
        began = time.perf_counter()
        done = list(workers.run([Job(i, x, seed=i) for i in range(k)]))
        spent.append(time.perf_counter() - began)
        assert all(result.ok for _, result in done), [result.error for _, result in done]
        rows.append(sum(result.usage.rows for _, result in done if result.usage is not None))
    return (rows[1] - rows[0]) / (spent[1] - spent[0]), rows[0] / spent[0]


def anatomy(space: ft.Space) -> None:
    """What the host does for one network, in ms: all of it holds up the others."""
    data = images(5085)
    recipe = Recipe(epochs=2, device="cuda")
    recorded = Replay._recorded

    def clocked(self: Replay) -> Callable[[], None]:
        torch.cuda.synchronize()
        began = time.perf_counter()
        try:
            return recorded(self)
        finally:
            print(f"  recording {self.name}: {1e3 * (time.perf_counter() - began):.0f}")

    Replay._recorded = clocked  # type: ignore[method-assign]  # to look on
    for _ in range(2):  # the second has all kernels
        clock, marks = Clock(), list[float]()
        note = partial(_note, marks)
        model = space.build(MIXED, data.input_shape, data.n_outputs)
        clock("build")
        with torch.cuda.stream(torch.cuda.Stream()):
            fit = loop.fit(model, data, recipe, 0, CARD, on_step=note)
        clock("fit")
        first = (np.diff(marks[:5]) * 1e3).round().tolist()
        parts = {name: round(s, 2) for name, s in fit.usage.parts.items()}
        print(f"  first steps: {first}; seconds of parts: {parts}; busy {fit.usage.busy_s:.2f} s")
        checkpoint.pack(model)
        clock("weights to the host")
        statistics.read(model)
        clock("statistics read")
        with statistics.Estimate(model):
            pass
        clock("an estimate begun and ended")
    Replay._recorded = recorded  # type: ignore[method-assign]  # and no longer


def _note(marks: list[float]) -> None:
    marks.append(time.perf_counter())


class Clock:
    """Prints the milliseconds since it was made or asked, of the card too."""

    def __init__(self) -> None:
        self.since = time.perf_counter()

    def __call__(self, name: str) -> None:
        torch.cuda.synchronize()
        print(f"  {name}: {1e3 * (time.perf_counter() - self.since):.0f}")
        self.since = time.perf_counter()


def proxies(space: ft.Space) -> None:
    """Seconds of all proxies of a batch of networks, on the card and on the CPU."""
    rng = np.random.default_rng(0)
    batch = ft.proxies.batch((rng.normal(size=(64, 3, 32, 32)), np.arange(64) % 10))
    X, names = space.sample(3, rng=0), tuple(ft.proxies.names())
    spent = {}
    for device in ("cuda", "cpu"):
        score = ft.proxies.ZeroCost(names, batch, space=space, device=device)
        score.compute(X[:1])  # starts the card
        began = time.perf_counter()
        score.compute(X)
        spent[device] = (time.perf_counter() - began) / len(X)
    print(f"all proxies of a network: {spent['cuda']:.2f} s on the card, {spent['cpu']:.2f} s not")


def crossing(space: ft.Space) -> None:
    """From how many floats of a layer on a predictor is scored faster on the card."""
    X = space.sample(200, rng=0)
    model = GCN(space, random_state=0).fit(X, (X == 3).sum(axis=1))
    each = model._floats(model._view(X[:1]))
    model.set_params(device="cuda").predict(X)
    found = 0
    for n in (500, 2_000, 8_000, 32_000):
        rows, spent = space.sample(n, rng=1), {}
        for device in ("cuda", "cpu"):
            model.set_params(device=device)
            began = time.perf_counter()
            model.predict(rows)
            spent[device] = time.perf_counter() - began
        print(f"gcn, {n} rows, 2^{np.log2(n * each):.1f} floats: {spent}")
        found = found or n * each * (spent["cuda"] < spent["cpu"])
    said = f"2^{np.log2(found):.1f}" if found else "not reached"
    print(f"crossing: {said}; predictors.parts.neural.CROSSING is 2^{np.log2(CROSSING):.0f}")


def whole_run(old: Path | None) -> bool:
    """A run of this code, and of an older one before it; accuracies of both."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    data = Path(os.environ.get("FORETELL_DATA", default)) / "cifar10_small.npz"
    if not data.is_file():
        print(f"whole run: NOT MEASURED, no {data}")
        return False
    took = {}
    sources = {"before": old, "now": Path(ft.__file__).resolve().parents[1]}
    for name, source in sources.items():
        if source is None:
            continue
        with tempfile.TemporaryDirectory() as folder:
            command = [
                *(sys.executable, "-m", "foretell", "run", "--data", str(data), "--space", "nb201"),
                *("--train", "24", "--top", "5", "--epochs", "4", "--out", f"{folder}/run"),
            ]
            env = {**os.environ, "PYTHONPATH": f"{source}:{os.environ.get('PYTHONPATH', '')}"}
            began = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
            took[name] = time.perf_counter() - began
            print(done.stdout[-900:] if done.returncode == 0 else done.stderr[-2000:])
            if done.returncode:
                return False
            values = accuracies(Path(folder) / "run" / "trials.jsonl")
        print(
            f"whole run {name}: {took[name]:.1f} s, {len(values)} networks, val_acc mean "
            f"{values.mean():.3f}, spread {values.std():.3f}, best {values.max():.3f}"
        )
    if "before" not in took:
        return True
    print(f"whole run: {took['before'] / took['now']:.1f} times as fast (bound 10)")
    return took["before"] >= 10 * took["now"]


def accuracies(journal: Path) -> np.ndarray:
    """Validation accuracies of the networks of a run."""
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    return np.array([one["metrics"]["val_acc"] for one in lines if one["event"] == "trial"])


def single(space: ft.Space, base: dict[tuple[int, int], float], h100: bool) -> bool:
    """One network at a time."""
    met = []
    for batch in (64, 256):
        data = images(100 * batch)
        recipe = Recipe(epochs=4, batch_size=batch, device="cuda", augment="crop+flip")
        for i, x in enumerate((CONV, MIXED)):
            base[batch, i] = eager(space.build(x, (3, 32, 32), 10), batch)
            steps, whole = trained(space, x, data, recipe)
            print(
                f"batch {batch}, {('all conv3x3', 'mixed')[i]}: bare eager {base[batch, i]:,.0f}, "
                f"foretell {steps:,.0f} images/s ({steps / base[batch, i]:.1f} times, "
                f"{steps / H100[batch, i]:.2f} of the H100's graph), with validation {whole:,.0f}"
            )
            met.append(steps >= 6 * base[batch, i] or (h100 and steps >= 0.9 * H100[batch, i]))
    return all(met)


def several(space: ft.Space, eager: float, h100: bool, ks: tuple[int, ...]) -> bool:
    """Several networks at once."""
    data, recipe = images(6400), Recipe(epochs=3, batch_size=64, device="cuda", augment="flip")
    met = False
    for k in ks:
        more, whole = at_once(space, MIXED, data, recipe, k)
        print(f"{k} at once, mixed, batch 64: {more:,.0f} images/s, short trainings {whole:,.0f}")
        if k == 8:
            print(f"  {more / eager:.1f} times bare eager (bound 12, or 24,000/s on an H100)")
            met = more >= 12 * eager or (h100 and more >= 24_000)
    return met


def tests() -> bool:
    """The tests that need a card."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests/training/test_cuda.py"]
    return subprocess.run(command, env={**os.environ, "FORETELL_GPU": "1"}).returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--before", type=Path, help="src of an older checkout, for the whole run")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas between")
    parser.add_argument("--k", default="1,2,4,8,16", help="networks at once")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        print("no CUDA device: nothing is measured")
        return
    name = torch.cuda.get_device_name()
    h100 = "H100" in name
    print(f"{name}, torch {torch.__version__}")
    space = ft.spaces.get("nb201")
    base: dict[tuple[int, int], float] = {}
    met = {}
    for part in given.only.split(","):
        began = time.perf_counter()
        if part == "single":
            met[part] = single(space, base, h100)
        elif part == "several":
            rate = base.get((64, 1)) or eager(space.build(MIXED, (3, 32, 32), 10), 64)
            met[part] = several(space, rate, h100, tuple(map(int, given.k.split(","))))
        elif part == "anatomy":
            anatomy(space)
        elif part == "crossing":
            crossing(ft.spaces.get("nb101"))
        elif part == "proxies":
            proxies(space)
        elif part == "run":
            met[part] = whole_run(given.before)
        elif part == "tests":
            met[part] = tests()
        print(f"[{part}: {time.perf_counter() - began:.0f} s]", flush=True)
    print(met)
    sys.exit(not all(met.values()))


if __name__ == "__main__":
    main()
