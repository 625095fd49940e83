"""The winner in the formats of other programs: ONNX, and torch.export's .pt2.

What is written has been read back and compared with the network first; a file that does not give
the same outputs is never left behind.
"""

from __future__ import annotations

import io
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from foretell._rng import stream
from foretell.costs.latency import Latency, alone
from foretell.errors import RunError
from foretell.nets.formats import needed, onnx_of, program_of, pt2_of
from foretell.winner.load import TAKES, config_of, core, find
from foretell.winner.parts.whole import Whole

TOLERANCE = 1e-4
BATCHES = (1, 2, 7)
Array = NDArray[np.float32]
Run = Callable[[Array], Array]


@dataclass(frozen=True)
class Exported:
    """A written file, and how it compares with the network here.

    Args:
        file: where it is.
        bytes: its size.
        opset: the version of ONNX's operators; None for .pt2.
        difference: largest |y' - y| / max(1, |y|), where |y| is the largest output of an example.
        ms: median milliseconds for one example in one thread, of the file.
        torch_ms: likewise of the network in torch.

    >>> print(Exported(Path("m.onnx"), 24_181, 20, 3e-7, 0.2, 0.5))
    m.onnx: 24.2 kB, opset 20, largest difference 3e-07, 0.20 ms an example (torch 0.50 ms)
    """

    file: Path
    bytes: int
    opset: int | None
    difference: float
    ms: float
    torch_ms: float

    def __str__(self) -> str:
        big = self.bytes >= 1e6
        size = f"{self.bytes / (1e6 if big else 1e3):.1f} {'MB' if big else 'kB'}"
        opset = "" if self.opset is None else f" opset {self.opset},"
        return (
            f"{self.file}: {size},{opset} largest difference {self.difference:.2g}, "
            f"{self.ms:.2f} ms an example (torch {self.torch_ms:.2f} ms)"
        )

    @property
    def use(self) -> str:
        """The line of Python that runs the file."""
        if self.opset is None:
            return f"torch.export.load({str(self.file)!r}).module()(x)"
        return f'onnxruntime.InferenceSession({str(self.file)!r}).run(None, {{"input": x}})'

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "file": str(self.file)}


def to_onnx(
    best: str | Path,
    file: str | Path,
    *,
    with_normalisation: bool | None = None,
    code: bool = True,
) -> Exported:
    """Write the winner as ONNX, for batches of any size, and check it with onnxruntime.

    Input "input" (batch, *shape), float32; output "scores" (batch, classes) or "values" (batch,
    targets). The metadata say how inputs are normalised and what the outputs mean: "foretell",
    "arch", "task", "inputs" ("normalised" or "raw"), and in JSON "labels", "mean", "std", "scale"
    and "target".

    Args:
        best: the `best/` folder of a run, or the run's own.
        file: where to; replaced if it is there.
        with_normalisation: the file takes inputs x as the data has them (0 to 255 for bytes) and
            gives values in the unit of the targets: f((x / c - mean) / std) s + m, with c = 255 for
            bytes, mean m and deviation s of the targets. False: it is f, the network alone. None:
            as `foretell.load` gives it, so False for folders whose config.json lacks "takes"; these
            take bytes divided by c.
        code: whether the folder's model.py may run, see `foretell.load`.

    Raises:
        MissingExtraError: onnx, onnxscript or onnxruntime is not installed.
        RunError: the network cannot be written as ONNX, the file cannot be written, or its
            outputs differ by more than 1e-4 max(1, |y|) on random and extreme inputs in batches
            of 1, 2 and 7; then `file` is as it was.
    """
    onnxruntime = needed("onnxruntime")
    network = _Network.of(best, with_normalisation, code)
    data, opset = onnx_of(network.program(), network.output, network.facts)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])

    def run(x: Array) -> Array:
        out: Array = session.run(None, {"input": x})[0]
        return out

    return network.write(Path(file), data, opset, run)


def to_pt2(
    best: str | Path,
    file: str | Path,
    *,
    with_normalisation: bool | None = None,
    code: bool = True,
) -> Exported:
    """Write the winner as a program of torch.export, for batches of any size, and check it.

    `torch.export.load(file).module()` runs it with torch alone; its extra file "foretell.json" has
    the metadata of `to_onnx`.

    Args:
        best: the `best/` folder of a run, or the run's own.
        file: where to; replaced if it is there.
        with_normalisation: as in `to_onnx`.
        code: as in `to_onnx`.

    Raises:
        RunError: as in `to_onnx`.
    """
    network = _Network.of(best, with_normalisation, code)
    data = pt2_of(network.program(), network.facts)
    loaded = torch.export.load(io.BytesIO(data)).module()
    return network.write(Path(file), data, None, _runs(loaded))


@dataclass(frozen=True)
class _Network:
    """The network of a `best/` and what comes around it, as in `Whole`.

    `module` is what is exported, `network` as it was trained, between normalised inputs and
    standardised outputs. `mean` and `std` broadcast with inputs, `m` and `s` with outputs; they
    are 0 and 1 where they are not part of `module`.
    """

    network: nn.Module
    module: nn.Module
    shape: tuple[int, ...]
    output: str
    facts: dict[str, str]
    c: Array
    mean: Array
    std: Array
    s: Array
    m: Array

    @classmethod
    def of(cls, best: str | Path, with_normalisation: bool | None, code: bool) -> _Network:
        folder = find(best)
        config, network = config_of(folder), core(folder, code=code)
        new = config.get("takes") == TAKES
        inside = new if with_normalisation is None else with_normalisation
        spec, shape = config["input"], tuple(config["input_shape"])
        numbers_out = config["task"] == "regression"
        facts = {
            "foretell": str(config["foretell"]),
            "arch": config["arch"],
            "task": config["task"],
            "inputs": "raw" if inside else "normalised",
            "labels": json.dumps(config["labels"]),
            **{key: json.dumps(spec.get(key)) for key in ("mean", "std", "scale", "target")},
        }
        module, none = network, np.zeros(1, np.float32)
        given = {"c": none + 1, "mean": none, "std": none + 1, "s": none + 1, "m": none}
        if inside:
            module = Whole.of(network, spec, shape, bytes_inside=new).eval()
            given = {key: value.numpy() for key, value in module.named_buffers(recurse=False)}
        return cls(network, module, shape, "values" if numbers_out else "scores", facts, **given)

    def program(self) -> torch.export.ExportedProgram:
        """The traced program of what is exported."""
        return program_of(self.module, torch.zeros((2, *self.shape)))

    def write(self, file: Path, data: bytes, opset: int | None, run: Run) -> Exported:
        """Compare what `data` runs with the network, and only then put it into `file`."""
        difference = self._difference(run)
        if not difference <= TOLERANCE:
            raise RunError(
                f"the exported network gives other outputs, {file} is not written",
                expected=f"a difference of at most {TOLERANCE:g}",
                got=f"{difference:.3g}",
            )
        part = file.with_name(f".{file.name}.{os.getpid()}.tmp")
        try:
            part.unlink(missing_ok=True)  # a link there would lead elsewhere
            with part.open("xb") as new:
                new.write(data)
            os.replace(part, file)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise RunError(
                f"cannot write {file}: {error.strerror or error}",
                hint="name a file in a folder that is there and has room",
            ) from error
        example = np.zeros((1, *self.shape), dtype=np.float32)
        ms = [_milliseconds(each, example) for each in (run, _runs(self.module))]
        return Exported(file, len(data), opset, difference, *ms)

    def _difference(self, run: Run) -> float:
        """Largest |y' - y| / max(1, |y|), |y| the largest output of the same example.

        Not a number where one of y', y is finite and the other is not.
        """
        largest, network = 0.0, _runs(self.network)
        for x in self._probes():
            inner = ((x.astype(np.float64) / self.c - self.mean) / self.std).astype(np.float32)
            y, other = network(inner) * self.s + self.m, run(x)
            if y.shape != other.shape:
                raise RunError("the exported network", expected=y.shape, got=other.shape)
            same = (y == other) | (np.isnan(y) & np.isnan(other))
            size = np.where(np.isfinite(y), np.abs(y), 0.0)
            scale = np.maximum(1.0, size.max(axis=1, keepdims=True))
            with np.errstate(invalid="ignore"):
                gaps = np.where(same, 0.0, np.abs(other - y) / scale)
            if not np.isfinite(gaps).all():
                return math.nan
            largest = max(largest, float(gaps.max()))
        return largest

    def _probes(self) -> Iterator[Array]:
        """Inputs of each batch size: as in training, all at the mean, ten deviations away."""
        rng = stream(0, "export")
        for n in BATCHES:
            x = rng.standard_normal((n, *self.shape))
            for z in (x, 0 * x, 10 * np.sign(x), np.full_like(x, 10.0)):
                yield ((z * self.std + self.mean) * self.c).astype(np.float32)


def _runs(module: nn.Module) -> Run:
    def run(x: Array) -> Array:
        with torch.no_grad():
            out: Array = module(torch.from_numpy(x)).numpy()
        return out

    return run


def _milliseconds(run: Run, x: Array) -> float:
    def once() -> float:
        start = time.perf_counter()
        run(x)
        return 1e3 * (time.perf_counter() - start)

    with alone(torch.device("cpu"), threads=1):
        return Latency(most_s=0.3).repeated(once)[0]
