"""NAS-Bench-301: the result files of the trained networks."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from foretell.errors import DataError, SpaceError
from foretell.spaces.nb301 import NB301
from foretell.tables.base import (
    ZIP,
    Benchmark,
    Column,
    Peek,
    Reader,
    chosen,
    grouped,
    json_records,
    repeats_in_words,
    spread,
)

_CONFIG = "optimized_hyperparamater_config"  # as the files spell it
_MODEL = "surrogate_model.model"


class NB301Files(Reader):
    """Results of trained networks, a .json each, in a folder or .zip.

    `val_acc` and `test_acc` are percent, `train_s` seconds. The fitted surrogates of the release
    are pickles of other libraries' objects: reading one runs code, so it is refused.

    References: Siems et al., NAS-Bench-301 and the Case for Surrogate Benchmarks, 2020.
    """

    name = "nb301"

    def matches(self, peek: Peek) -> bool:
        """JSON with a configuration, or a surrogate."""
        return _CONFIG.encode() in peek.head or _has_model(peek)

    def read(self, path: Path, repeat: int | None) -> Benchmark:
        """All results; equal genotypes are repeats of one."""
        if _has_model(Peek(path)):
            raise DataError(
                f"{path.name!r} is a fitted surrogate of NAS-Bench-301: a pickle, and reading it"
                " would run its code",
                hint="import the folder of its training results (.json), then fit a predictor",
            )
        space = NB301()
        rows, values = [], []
        for where, record in json_records(path):
            try:
                rows.append(space.from_config(record[_CONFIG]))
                values.append(_values(record))
            except (KeyError, TypeError, ValueError, IndexError, SpaceError) as error:
                raise DataError(
                    f"{where} is no result of NAS-Bench-301",
                    got=" ".join(f"{type(error).__name__}: {error}".split())[:120],
                    hint="leave that file out, or copy it again",
                ) from error
        X = np.array(rows)
        first, group = grouped(space, X)
        wide = spread(group, np.array(values), len(first))
        val, test, seconds = chosen(wide, repeat).T
        columns = {
            "val_acc": Column(val, "percent", "max"),
            "test_acc": Column(test, "percent", "max"),
            "train_s": Column(seconds, "s", "min"),
        }
        words = repeats_in_words(wide.shape[1], repeat)
        return Benchmark(self.name, "nb301", X[first], columns, path.name, words)


def _values(record: dict[str, Any]) -> tuple[float, float, float]:
    info = record["info"]
    first = info[0] if isinstance(info, list) else info
    missing = float("nan")
    return (
        float(first["val_accuracy"]),
        float(record.get("test_accuracy", missing)),
        float(record.get("runtime", missing)),
    )


def _has_model(peek: Peek) -> bool:
    if peek.folder:
        return next(peek.path.rglob(_MODEL), None) is not None
    if peek.path.name == _MODEL:
        return True
    if peek.raw[:4] != ZIP:
        return False
    try:
        with zipfile.ZipFile(peek.path) as packed:
            return any(name.endswith(_MODEL) for name in packed.namelist())
    except zipfile.BadZipFile:
        return False
