"""The text of `model.py`: a network's source, its facts, and how to load its weights."""

from __future__ import annotations

import pprint
from collections.abc import Mapping
from typing import Any

from foretell.winner.parts.whole import numbers

_HEADER = '''"""{title}

Made by foretell {version}; needs torch and nothing else.

    import model
    network = model.load()  # an nn.Module in eval mode, on the CPU
    outputs = network(x)    # x as the data had it{bytes}: (batch, {shape})

Outputs are {outputs}. `model.core()` is the network alone, between normalised inputs and {core}.
"""

from __future__ import annotations

import json
import math
import operator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

ARCH = {arch}
INPUT_SHAPE = {input_shape}
N_OUTPUTS = {n_outputs}
LABELS = {labels}
MEAN = {mean}
STD = {std}
DIVISOR = {divisor}
TARGET_MEAN = {target_mean}
TARGET_STD = {target_std}
LAYOUT = {layout}  # of the data
'''

_PART = '''
class Part(nn.Module):
    """Named parts of the network, so that its weights have the names they were trained under."""

    def __init__(self, **parts: nn.Module | torch.Tensor) -> None:
        super().__init__()
        for name, part in parts.items():
            if isinstance(part, torch.Tensor) and not isinstance(part, nn.Parameter):
                self.register_buffer(name, part)
            elif isinstance(part, nn.Parameter):
                self.register_parameter(name, part)
            else:
                self.add_module(name, part)

'''

_FOOTER = '''
DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
    "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip


def read_safetensors(path: str | Path) -> dict[str, torch.Tensor]:
    """The tensors of a .safetensors file: 8 bytes of length, a JSON header, the raw numbers."""
    data = bytearray(Path(path).read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, entry in json.loads(data[8:start]).items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        raw = data[start + begin : start + end]
        dtype = DTYPES[entry["dtype"]]
        flat = torch.frombuffer(raw, dtype=dtype) if raw else torch.empty(0, dtype=dtype)
        tensors[name] = flat.reshape(entry["shape"])
    return tensors


class Whole(nn.Module):
    """f((x / DIVISOR - MEAN) / STD) TARGET_STD + TARGET_MEAN, with f the network alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        kind = torch.float64 if len(INPUT_SHAPE) == 1 else torch.float32
        shape = (-1, *(1 for _ in INPUT_SHAPE[1:]))
        self.register_buffer("c", torch.tensor(DIVISOR, dtype=kind))
        self.register_buffer("mean", torch.tensor(MEAN, dtype=kind).reshape(shape))
        self.register_buffer("std", torch.tensor(STD, dtype=kind).reshape(shape))
        self.register_buffer("s", torch.tensor(TARGET_STD))
        self.register_buffer("m", torch.tensor(TARGET_MEAN))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if LAYOUT == "grey" and x.ndim == len(INPUT_SHAPE):
            x = x.unsqueeze(1)
        elif LAYOUT == "channels-last" and tuple(x.shape[1:]) != INPUT_SHAPE:
            x = x.movedim(-1, 1)
        x = (x.to(self.mean.dtype) / self.c - self.mean) / self.std
        return self.network(x.to(self.s.dtype)) * self.s + self.m


def load(folder: str | Path | None = None) -> nn.Module:
    """The trained network, in eval mode, for inputs as the data had them."""
    return Whole(core(folder)).eval()


def core(folder: str | Path | None = None) -> nn.Module:
    """The network alone, in eval mode; `folder` has model.safetensors (default: beside me)."""
    folder = Path(__file__).parent if folder is None else Path(folder)
    network = Network()
    network.load_state_dict(read_safetensors(folder / "model.safetensors"))
    return network.eval()


if __name__ == "__main__":
    network = load()
    with torch.no_grad():
        outputs = network(torch.zeros(1, *INPUT_SHAPE))
    print(f"architecture  {ARCH}")
    print(f"parameters    {sum(p.numel() for p in network.parameters()):,}")
    print(f"input         (batch, {', '.join(map(str, INPUT_SHAPE))})")
    print(f"output        (batch, {outputs.shape[1]})")
    if LABELS:
        print(f"labels        {', '.join(LABELS)}")
'''


def model_file(
    source: str,
    *,
    title: str,
    version: str,
    arch: str,
    input_shape: tuple[int, ...],
    n_outputs: int,
    labels: tuple[str, ...],
    inputs: Mapping[str, Any],
) -> str:
    """The text of `model.py` around the `source` of a `Network`; `inputs`: `Data.input_spec()`."""
    inside = {
        name: values.flatten().tolist() for name, values in numbers(inputs, input_shape).items()
    }
    (divisor,) = inside["c"]
    own = {name: inputs.get("target", {}).get(name) for name in ("mean", "std")}
    head = _HEADER.format(
        title=title,
        version=version,
        shape=", ".join(map(str, input_shape)),
        arch=pprint.pformat(arch, width=88),
        input_shape=repr(tuple(input_shape)),
        n_outputs=n_outputs,
        labels=pprint.pformat(list(labels), width=88, compact=True),
        mean=_listed(inputs["mean"]),
        std=_listed(inputs["std"]),
        divisor=divisor,
        target_mean=_listed(own["mean"] or [0.0]),
        target_std=_listed(own["std"] or [1.0]),
        layout=repr(str(inputs.get("layout", "auto"))),
        bytes=f", from 0 to {divisor:g}" if divisor != 1 else "",
        outputs="class scores" if labels else "values in the target's own unit",
        core="class scores" if labels else "standardised targets",
    )
    for line, word in (
        ("import math\n", "math."),
        ("import operator\n", "operator."),
        ("import torch.nn.functional as F\n", "F."),
    ):
        if word not in source:
            head = head.replace(line, "")
    part = _PART if "Part(" in source else ""
    return f"{head}\n{part}\n{source}\n{_FOOTER}"


def _listed(values: list[float]) -> str:
    return pprint.pformat(list(values), width=88, compact=True)
