"""Once-for-all: accuracies of sub-networks as its predictor's data set has them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from foretell.errors import DataError, SpaceError
from foretell.spaces.ofa_mbv3 import OFAMBv3
from foretell.tables.base import (
    Benchmark,
    Column,
    Peek,
    Reader,
    chosen,
    grouped,
    repeats_in_words,
    spread,
)


class OFAFiles(Reader):
    """A .dict or .json file, or a folder of them: setting of a sub-network -> accuracy.

    Keys are settings as JSON, {"ks": [20], "e": [20], "d": [5], "image_size": 224}; values are
    accuracies on held-out training images of ImageNet with inherited weights. They are percent
    where any is above 1.

    References: Cai et al., Once-for-All, ICLR 2020.
    """

    name = "ofa"

    def matches(self, peek: Peek) -> bool:
        """JSON whose keys are settings."""
        head = peek.raw if not peek.folder else b""
        if peek.folder:
            head = next((Peek(file).raw for file in sorted(peek.path.glob("*.dict"))), b"")
        return head.lstrip()[:1] == b"{" and b'\\"ks\\"' in head and b'\\"d\\"' in head

    def read(self, path: Path, repeat: int | None) -> Benchmark:
        """All sub-networks of the space; those at other resolutions are left out and told."""
        files = sorted(path.glob("*.dict")) if path.is_dir() else [path]
        space, rows, values, others = OFAMBv3(), [], [], set[int]()
        for file in files:
            for text, value in json.loads(file.read_text()).items():
                side = int(json.loads(text).get("image_size", 0))
                if side not in space.resolutions:
                    others.add(side)
                    continue
                try:
                    rows.append(space.from_str([text])[0])
                except SpaceError as error:
                    raise DataError(f"{file.name} has a setting that is none", got=error) from error
                values.append(float(value))
        if not rows:
            raise DataError(
                f"no sub-network of {path.name!r} is of the space",
                expected=f"image_size one of {', '.join(map(str, space.resolutions))}",
                got=sorted(others),
            )
        X = np.array(rows)
        first, group = grouped(space, X)
        wide = spread(group, np.array(values)[:, None], len(first))
        accuracy = chosen(wide, repeat)[:, 0]
        unit = "percent" if np.nanmax(accuracy) > 1 else "fraction"
        left = f"left out: resolutions {', '.join(map(str, sorted(others)))}" if others else ""
        return Benchmark(
            self.name,
            "ofa-mbv3",
            X[first],
            {"val_acc": Column(accuracy, unit, "max")},
            path.name,
            repeats_in_words(wide.shape[1], repeat),
            notes=(left,) if left else (),
        )
