"""The text of `model.py`: a network's source, its facts, and how to load its weights."""

from __future__ import annotations

import pprint

_HEADER = '''"""{title}

Made by foretell {version}; needs torch and nothing else.

    import model
    network = model.load()                  # an nn.Module in eval mode, on the CPU
    outputs = network(model.normalised(x))  # x: float32, (batch, {shape}){bytes}
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


def normalised(x: torch.Tensor) -> torch.Tensor:
    """Inputs (batch, *INPUT_SHAPE) as the network was trained on them: (x - MEAN) / STD."""
    shape = (-1, *(1 for _ in INPUT_SHAPE[1:]))
    mean, std = (torch.tensor(v, device=x.device).reshape(shape) for v in (MEAN, STD))
    return (x - mean) / std


def load(folder: str | Path | None = None) -> nn.Module:
    """The trained network in eval mode; `folder` has model.safetensors (default: beside me)."""
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
    mean: list[float],
    std: list[float],
    scale: float | None,
) -> str:
    """The text of `model.py` around the `source` of a `Network`."""
    head = _HEADER.format(
        title=title,
        version=version,
        shape=", ".join(map(str, input_shape)),
        arch=pprint.pformat(arch, width=88),
        input_shape=repr(tuple(input_shape)),
        n_outputs=n_outputs,
        labels=pprint.pformat(list(labels), width=88, compact=True),
        mean=pprint.pformat(list(mean), width=88, compact=True),
        std=pprint.pformat(list(std), width=88, compact=True),
        bytes="" if scale is None else f", bytes divided by {scale:g}",
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
