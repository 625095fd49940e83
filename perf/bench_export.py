"""Every operation of every space as ONNX and as .pt2: sizes, largest differences, milliseconds.

Few networks hold every option of every decision together; each is written to `best/`, exported
from there, read back and compared with the network in batches of 1, 2 and 7.

Bound: differences of at most 1e-4 of max(1, |y|).
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import foretell as ft
from foretell.errors import RunError
from foretell.spaces.mobile import PRESETS
from foretell.testing.cover import cover
from foretell.winner import best, export
from foretell.winner.base import Winner

IMAGE = (3, 32, 32)
SPACES: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "nb201": ({}, IMAGE),
    "nb101": ({}, IMAGE),
    **{f"mobile {name}": ({"preset": name}, IMAGE) for name in PRESETS},
    "tabular": ({}, (16,)),
    "nb-graph": ({}, (8, 16)),
    "nb301": ({"channels": 16, "n_cells": 3}, IMAGE),
    "nb-nlp": ({"max_nodes": 12}, (3, 16)),
}


def winner(space: ft.Space, x: np.ndarray) -> Winner:
    """A network as after some training: moved weights, measured statistics of batch norms."""
    shape, classes = space.input_shape, space.n_outputs
    torch.manual_seed(0)
    module = space.build(x, shape, classes)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
        for _ in range(20):
            module(torch.randn(16, *shape))
    numbers = {"mean": [0.4] * shape[0], "std": [0.2] * shape[0], "scale": None}
    return Winner(
        space=space,
        x=x,
        module=module.eval(),
        task="classification",
        labels=tuple(map(str, range(classes))),
        inputs={**numbers, "target": {"name": "", "mean": [], "std": []}},
        objective="val_acc",
        metrics={"val_acc": 0.5, "test_acc": 0.5},
        facts={"data": "random"},
    )


def main() -> int:
    print("space          networks  parameters      format  kB             opset  difference  ms")
    failed = 0
    only = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        for name, (settings, shape) in SPACES.items():
            if only and name not in only:
                continue
            space = ft.spaces.get(name.split()[0], **settings).with_io(shape, 10)
            X, start = cover(space), time.perf_counter()
            X = np.vstack([X, (0 * X[:1])[space.contains(0 * X[:1])]])  # in nb201 without any edge
            done: dict[str, list[export.Exported]] = {"onnx": [], "pt2": []}
            for x in X:
                best.write(Path(folder) / "best", winner(space, x), lambda network: None)
                for kind, call in (("onnx", export.to_onnx), ("pt2", export.to_pt2)):
                    try:
                        done[kind].append(call(folder, Path(folder) / f"m.{kind}"))
                    except RunError as error:
                        failed += 1
                        print(f"FAILED {space.to_str(x[None])[0]}: {error}")
            params = space.costs(X).params
            for kind, rows in done.items():
                if not rows:
                    continue
                sizes = [row.bytes / 1e3 for row in rows]
                ms = [float(np.median([row.ms for row in rows]))]
                ms.append(float(np.median([row.torch_ms for row in rows])))
                print(
                    f"{name:<15}{len(rows):>8}  {min(params):>6,} to {max(params):<9,} {kind:<6}"
                    f"{min(sizes):>6.0f} to {max(sizes):<7.0f} {rows[0].opset or '':>4}  "
                    f"{max(row.difference for row in rows):>10.1e}  "
                    f"{ms[0]:.2f} (torch {ms[1]:.2f})",
                    flush=True,
                )
            print(f"{'':<15}{time.perf_counter() - start:.0f} s")
    print("all within 1e-4" if not failed else f"{failed} FAILED")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
