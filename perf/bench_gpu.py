"""Small networks on one CUDA card: recorded steps, several networks at once, and a whole run.

Bounds, each against a bare eager loop of the same call on the same card: one network at batch 64
at least 6 times its images a second; eight at once 12 times; on an H100 also 0.9 of 8,712 / 12,353
(batch 64: all-convolution / mixed cell) and of 19,517 / 25,901 (batch 256), and 24,000 for eight.
A whole run (24 + 5 networks of nb201, 4 epochs) against --before SECONDS, what the same command
took elsewhere, and the tests that are marked `gpu`. Everything in under four minutes.

    python perf/bench_gpu.py [--before SECONDS] [--skip-run]

Images are random bytes, which learn nothing and take as long; the run uses FORETELL_DATA, or
../shared/data, and is left out without it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
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
from foretell.training import loop
from foretell.training.data import Data, load
from foretell.training.recipe import Recipe

CARD = torch.device("cuda")
CONV, MIXED = np.full(6, 3), np.array([3, 2, 1, 3, 4, 2])  # operations by nb201's numbers
H100 = {(64, 0): 8712, (64, 1): 12353, (256, 0): 19517, (256, 1): 25901}
SECONDS = 4.0  # that a rate is measured, at least


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

    def step() -> None:
        begins.append(time.perf_counter())

    with torch.cuda.stream(torch.cuda.Stream()):
        loop.fit(model, data, recipe, 0, CARD, note, on_step=step)
    each = math.ceil(data.sizes[0] / recipe.batch_size)
    last = [one for one in begins if ends[-2] < one][:each][2 * AHEAD :]
    size = data.sizes[0] / each
    return size * (len(last) - 1) / (last[-1] - last[0]), data.sizes[0] * (len(ends) - 1) / (
        ends[-1] - ends[0]
    )


def at_once(
    space: ft.Space, x: np.ndarray, data: Data, recipe: Recipe, k: int
) -> tuple[float, float]:
    """Images a second of k networks at once: of epochs more of it, and of all, recording and all."""
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


def whole_run(before: float | None) -> bool:
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    data = Path(os.environ.get("FORETELL_DATA", default)) / "cifar10_small.npz"
    if not data.is_file():
        print(f"whole run: left out, no {data}")
        return True
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "foretell", "run", "--data", str(data), "--space", "nb201"),
            *("--train", "24", "--top", "5", "--epochs", "4", "--out", f"{folder}/run"),
        ]
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        took = time.perf_counter() - began
    print(done.stdout[-600:] if done.returncode == 0 else done.stderr[-2000:])
    ratio = f", {before / took:.1f} times as fast (bound 10)" if before else ""
    print(f"whole run: {took:.1f} s{ratio}")
    return done.returncode == 0 and (before is None or before >= 10 * took)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--before", type=float, help="seconds of the same run elsewhere")
    parser.add_argument("--skip-run", action="store_true")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        print("no CUDA device: nothing is measured")
        return
    name = torch.cuda.get_device_name()
    h100 = "H100" in name
    print(f"{name}, torch {torch.__version__}")
    space = ft.spaces.get("nb201")
    base: dict[tuple[int, int], float] = {}
    met: list[bool] = []
    for batch in (64, 256):
        data = images(100 * batch)
        recipe = Recipe(epochs=4, batch_size=batch, device="cuda", augment="crop+flip")
        for i, x in enumerate((CONV, MIXED)):
            base[batch, i] = eager(space.build(x, (3, 32, 32), 10), batch)
            found = trained(space, x, data, recipe)
            cell = ("all conv3x3", "mixed")[i]
            print(
                f"batch {batch}, {cell}: bare eager {base[batch, i]:,.0f}, foretell {found:,.0f} "
                f"images/s, {found / base[batch, i]:.1f} times (bound 6 at batch 64)"
            )
            fast = h100 and found >= 0.9 * H100[batch, i]
            met.append(fast or batch > 64 or found >= 6 * base[batch, i])
    data, recipe = images(6400), Recipe(epochs=6, batch_size=64, device="cuda", augment="flip")
    for k in (1, 2, 4, 8):
        found = at_once(space, MIXED, data, recipe, k)
        print(f"{k} at once, mixed, batch 64: {found:,.0f} images/s")
    print(f"  {found / base[64, 1]:.1f} times the bare eager loop (bound 12, or 24,000 on an H100)")
    met.append(found >= 12 * base[64, 1] or (h100 and found >= 24_000))
    crossing(ft.spaces.get("nb101"))
    proxies(space)
    if not given.skip_run:
        met.append(whole_run(given.before))
    tests = [sys.executable, "-m", "pytest", "-m", "gpu", "tests/training/test_cuda.py"]
    met.append(subprocess.run(tests, env={**os.environ, "FORETELL_GPU": "1"}).returncode == 0)
    sys.exit(not all(met))


if __name__ == "__main__":
    main()
