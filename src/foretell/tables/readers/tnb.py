"""TransNAS-Bench-101: the official file, seven tasks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from foretell.errors import DataError
from foretell.spaces.base import Space
from foretell.spaces.tnb_macro import TNBMacro
from foretell.spaces.tnb_micro import TNBMicro
from foretell.tables.base import Benchmark, Column, Peek, Reader, repeats_in_words
from foretell.tables.readers.parts import unpickle

_LESS = ("loss", "l1")  # small values of these are good; `neg_loss` is none of them


class TNBFiles(Reader):
    """`transnas-bench_v*.pth`: the last epoch of every task and metric.

    Columns are `<split>_<task>_<metric>`, such as `val_class_scene_top1`, with the metric's own
    unit. The file has both spaces; the cells are read, of a file without them the skeletons. It is
    read as plain values, without any code of its own.

    References: Duan et al., TransNAS-Bench-101, CVPR 2021.
    """

    name = "tnb"

    def matches(self, peek: Peek) -> bool:
        """A file of torch.save that names metrics and tasks."""
        return all(word in peek.raw for word in (b"metrics_dict", b"task_list"))

    def read(self, path: Path, repeat: int | None) -> Benchmark:
        """All architectures of one of its spaces."""
        found: Mapping[str, Mapping[str, Any]] = unpickle.torch_file(path)["data"]
        micro = bool(found.get("micro"))
        space: Space = TNBMicro() if micro else TNBMacro()
        entries = found["micro" if micro else "macro"]
        if not entries:
            raise DataError(f"{path.name!r} has no architectures")
        X = space.from_str(list(entries))
        values: dict[str, list[float]] = {}
        for i, (arch, tasks) in enumerate(entries.items()):
            for task, result in tasks.items():
                for metric, epochs in result["metrics"].items():
                    split, _, kind = str(metric).partition("_")
                    if split not in ("train", "valid", "test") or not len(epochs):
                        continue
                    name = f"{split.replace('valid', 'val')}_{task}_{kind}"
                    column = values.setdefault(name, [float("nan")] * len(entries))
                    column[i] = float(epochs[-1])
            self.progressed((i + 1) / len(entries))
            del arch
        columns = {
            name: Column(
                np.array(column),
                better="min" if name.endswith(_LESS) and "neg_" not in name else "max",
            )
            for name, column in values.items()
        }
        notes = (
            ("the skeletons of the same file are left out",) if micro and found.get("macro") else ()
        )
        return Benchmark(
            self.name, space.name, X, columns, path.name, repeats_in_words(1, repeat), notes=notes
        )
