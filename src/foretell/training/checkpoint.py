"""The state of a half-trained network: one file, from which training goes on bit for bit.

All that changes in training is in it: weights and buffers, the optimiser's memory, the states of
the generators, the curve so far and, where the best epoch counts, its weights. What a network
keeps outside its parameters and buffers (a plain attribute that counts) is not.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from foretell._files import write_bytes
from foretell._version import __version__
from foretell.errors import DataError

Curve = dict[str, list[float]]

EVERY_S = 1.0  # seconds between two writes of a state, at least
SHARE = 0.01  # of the training time that writing states may take
GUESS_S = 0.05  # that the first one takes


class Moving(NamedTuple):
    """All tensors that change in training, where they live."""

    model: nn.Module
    optimiser: torch.optim.Optimizer
    generators: dict[str, torch.Generator]

    def tensors(self) -> dict[str, Tensor]:
        """Copies in main memory, by name; a tensor with two names is there once."""
        return {name: _copy(value) for name, value in self._live().items()}

    def fits(self, tensors: Mapping[str, Tensor]) -> bool:
        """Whether `tensors` are of such a network."""
        live, kept = self._live(), set(tensors)
        names = {name for name in live if name.startswith("model/")}
        return names == {name for name in kept if name.startswith("model/")} and all(
            (live[name].shape, live[name].dtype) == (tensors[name].shape, tensors[name].dtype)
            for name in names
        )

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put `tensors` that fit where they belong."""
        for name, value in self._live().items():
            if name.startswith("model/"):
                value.copy_(tensors[name])
        memory: dict[int, dict[str, Tensor]] = {}
        params = self._params()
        for name, value in tensors.items():
            if name.startswith("optimiser/"):
                _, i, key = name.split("/", 2)
                like = params[int(i)]
                if value.shape == like.shape:  # fused steps rely on equal strides
                    value = torch.empty_like(like, dtype=value.dtype).copy_(value)
                memory.setdefault(int(i), {})[key] = value
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": memory, "param_groups": groups})
        for name, generator in self.generators.items():
            if f"generator/{name}" in tensors:  # that of a GPU is not, after a start without one
                generator.set_state(tensors[f"generator/{name}"])

    def _live(self) -> dict[str, Tensor]:
        live = {f"model/{name}": value for name, value in named_tensors(self.model).items()}
        for i, param in enumerate(self._params()):
            for key, value in self.optimiser.state.get(param, {}).items():
                if isinstance(value, Tensor):
                    live[f"optimiser/{i}/{key}"] = value
        return live | {f"generator/{k}": g.get_state() for k, g in self.generators.items()}

    def _params(self) -> list[Tensor]:
        return [param for group in self.optimiser.param_groups for param in group["params"]]


class State:
    """The file of one training that may be broken off and go on.

    Args:
        path: the file; need not be there.
        of: whose training it is, JSON-able: a file that says otherwise is not read.
        every_s: seconds between two writes, at least; 0 writes after every epoch. Otherwise
            writing also takes at most `SHARE` of the time.
    """

    def __init__(self, path: Path, of: Mapping[str, Any], every_s: float = EVERY_S) -> None:
        versions = {"format": 1, "foretell": __version__, "torch": str(torch.__version__)}
        self.path, self.every_s = path, every_s
        self.of = json.dumps({**versions, **of}, sort_keys=True)
        self.before = 0.0  # seconds of the attempts that are continued
        self._start = self._last = time.perf_counter()
        self._cost = GUESS_S

    @property
    def seconds(self) -> float:
        """Of this training so far, with all attempts that it continues."""
        return self.before + time.perf_counter() - self._start

    def load(self, moving: Moving) -> tuple[Curve, dict[str, Tensor]]:
        """Put `moving` where the file left it.

        A file that is torn, damaged, foreign or of another version counts as none.

        Returns: the curve so far, empty where there is no file, and the weights of its best epoch.
        """
        try:
            with safe_open(self.path, framework="pt") as file:
                header = file.metadata() or {}
                if header.get("of") != self.of:
                    return {}, {}
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118  # no iterator
            if header["sum"] != _sum(tensors, header["curve"]):
                return {}, {}
            curve: Curve = json.loads(header["curve"])
            before = float(header["seconds"])
        except Exception:  # nothing has been touched yet: whatever is wrong with it, start anew
            return {}, {}
        if not moving.fits(tensors):
            return {}, {}
        moving.restore(tensors)
        self.before = before
        best = {k.removeprefix("best/"): v for k, v in tensors.items() if k.startswith("best/")}
        return curve, best

    def save(
        self, moving: Moving, curve: Curve, best: Mapping[str, Tensor], *, now: bool = False
    ) -> None:
        """Write the file if it is time, or `now`; one that cannot be written stays as it was."""
        start = time.perf_counter()
        wait = max(self.every_s, self._cost / SHARE) if self.every_s else 0.0
        if not now and start - self._last < wait:
            return
        # a full disk, no memory: training goes on, from an older state if need be
        with contextlib.suppress(Exception):
            kept = {f"best/{name}": _copy(value) for name, value in best.items()}
            tensors = moving.tensors() | kept
            header = {"of": self.of, "curve": json.dumps(curve), "seconds": repr(self.seconds)}
            write(self.path, tensors, header | {"sum": _sum(tensors, header["curve"])})
        self._last = time.perf_counter()
        self._cost = self._last - start


def named_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers, each once, under its first name."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def pack(model: nn.Module) -> dict[str, Tensor]:
    """Copies of a network's saved tensors; those that have several names under one."""
    names = {name for name, _ in _all_names(model)}
    dropped = names - set(named_tensors(model))
    state = {name: value for name, value in model.state_dict().items() if name not in dropped}
    return {name: _copy(value) for name, value in state.items()}


def unpack(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give a network the tensors of `pack`; one of several names of a weight is enough.

    Raises:
        DataError: tensors are missing, or the network has none of that name.
        RuntimeError: a tensor has another shape.
    """
    live = dict(_all_names(model))
    given = {id(live[name]) for name in tensors if name in live}
    missing, foreign = model.load_state_dict(tensors, strict=False)
    missing = [name for name in missing if name not in live or id(live[name]) not in given]
    if missing or foreign:
        raise DataError(
            "tensors of a network",
            expected=f"{missing[0]!r} too" if missing else "only those that it has",
            got=f"{foreign[0]!r}" if foreign else None,
        )


def write_model(model: nn.Module, path: Path) -> None:
    """Write the weights of a network, for `read_model`.

    Raises:
        OSError: it cannot be written; nothing is left of it.
    """
    write(path, pack(model))


def read_model(model: nn.Module, path: Path) -> None:
    """Give a network the weights of a file.

    Raises:
        DataError: they are those of another network.
    """
    unpack(model, load_file(path))


def _all_names(model: nn.Module) -> list[tuple[str, Tensor]]:
    return [
        *model.named_parameters(remove_duplicate=False),
        *model.named_buffers(remove_duplicate=False),
    ]


def write(path: Path, tensors: dict[str, Tensor], header: dict[str, str] | None = None) -> None:
    """Write a .safetensors file that is whole or not there, also after a power cut.

    Raises:
        OSError: it cannot be written; nothing is left of it.
    """
    write_bytes(path, save(tensors, header))


def _sum(tensors: Mapping[str, Tensor], curve: str) -> str:
    """A checksum of what a state holds, in hexadecimal."""
    total = hashlib.blake2b(curve.encode(), digest_size=16)
    for name in sorted(tensors):
        total.update(name.encode())
        total.update(tensors[name].reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def _copy(value: Tensor) -> Tensor:
    return value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
