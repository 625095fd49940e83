"""The state of a search that may be broken off: all that changes, in memory and in its file."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from torch import Tensor

from foretell.nets.supernet.mixed import Supernet
from foretell.supernets.distribution import Architecture
from foretell.training import checkpoint

EVERY_S = 1.0  # seconds between two writes of the state, at least
KEPT = 14  # epochs back that `go_back` may want

Facts = dict[str, Any]


class Moving(NamedTuple):
    """All tensors that change in a search, where they live."""

    net: Supernet
    arch: Architecture
    optimiser: torch.optim.Optimizer
    alpha_optimiser: torch.optim.Optimizer | None
    rngs: Mapping[str, torch.Generator]

    def model(self) -> dict[str, Tensor]:
        """Weights of the network and of the architecture, not copied."""
        net = {f"net/{k}": v for k, v in checkpoint.named_tensors(self.net).items()}
        return net | {f"arch/{k}": v for k, v in checkpoint.named_tensors(self.arch).items()}

    def tensors(self) -> dict[str, Tensor]:
        """Copies in main memory, by name."""
        out = {name: copied(value) for name, value in self.model().items()}
        for word, optimiser in self._optimisers().items():
            for i, p in enumerate(_params(optimiser)):
                for key, value in optimiser.state.get(p, {}).items():
                    if isinstance(value, Tensor):
                        out[f"{word}/{i}/{key}"] = copied(value)
        return out | {f"rng/{name}": rng.get_state() for name, rng in self.rngs.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put everything where it was."""
        for name, value in self.model().items():
            value.data.copy_(tensors[name])
        for word, optimiser in self._optimisers().items():
            _remember(optimiser, tensors, word)
        for name, rng in self.rngs.items():
            rng.set_state(tensors[f"rng/{name}"])

    def _optimisers(self) -> dict[str, torch.optim.Optimizer]:
        both = {"w": self.optimiser, "a": self.alpha_optimiser}
        return {word: one for word, one in both.items() if one is not None}


class Kept:
    """Models of the last epochs, in memory, once a schedule has asked for them."""

    def __init__(self) -> None:
        self.on = False
        self.epochs: dict[int, dict[str, Tensor]] = {}

    def keep(self, epoch: int, model: Mapping[str, Tensor]) -> None:
        """That of an epoch, from now on."""
        if not self.on or epoch not in self.epochs:
            self.on = True
            self.epochs[epoch] = {k: v.clone() for k, v in model.items()}
            for old in [e for e in self.epochs if e < epoch - KEPT]:
                del self.epochs[old]

    def go_back(self, epoch: int, model: Mapping[str, Tensor]) -> None:
        """Make a model what it was after an epoch, if that is still known."""
        for name, value in self.epochs.get(epoch + 1, {}).items():
            model[name].data.copy_(value)

    def tensors(self) -> dict[str, Tensor]:
        """Copies in main memory, by name."""
        return {
            f"kept/{epoch}/{name}": copied(value)
            for epoch, kept in self.epochs.items()
            for name, value in kept.items()
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `tensors` gave."""
        for name, value in tensors.items():
            if name.startswith("kept/"):
                _, epoch, key = name.split("/", 2)
                self.epochs.setdefault(int(epoch), {})[key] = value


class State:
    """The file of one search.

    Args:
        path: the file; need not be there; None to keep none.
        of: whose state it is, JSON-able: a file that says otherwise is not read.
    """

    def __init__(self, path: Path | None, of: Mapping[str, Any]) -> None:
        self.path = path
        self.of = json.dumps({"format": 1, "torch": str(torch.__version__), **of})
        self._saved = time.perf_counter()

    def due(self) -> bool:
        """Whether it is time to write it again."""
        return self.path is not None and time.perf_counter() - self._saved >= EVERY_S

    def save(self, tensors: dict[str, Tensor], facts: Facts) -> None:
        """Write it."""
        if self.path is not None:
            header = {"of": self.of, "facts": json.dumps(facts)}
            self.path.parent.mkdir(parents=True, exist_ok=True)
            checkpoint.write(self.path, tensors, header)
            self._saved = time.perf_counter()

    def load(self) -> tuple[dict[str, Tensor], Facts] | None:
        """What the file has; None where it is not there, torn, or of another search."""
        if self.path is None or not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                header = file.metadata() or {}
                if header.get("of") != self.of:
                    return None
                names = file.keys()  # it has no iterator
                tensors = {name: file.get_tensor(name).clone() for name in names}
            facts: Facts = json.loads(header["facts"])
        except Exception:  # torn or foreign: start anew
            return None
        return tensors, facts


def copied(value: Tensor) -> Tensor:
    """In main memory, contiguous."""
    return value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)


def _params(optimiser: torch.optim.Optimizer) -> list[Tensor]:
    return [p for group in optimiser.param_groups for p in group["params"]]


def _remember(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor], word: str) -> None:
    for i, p in enumerate(_params(optimiser)):
        memory = {
            name.split("/", 2)[2]: value
            for name, value in tensors.items()
            if name.startswith(f"{word}/{i}/")
        }
        if memory:
            optimiser.state[p] = {
                key: value.clone() if key == "step" else value.to(p.device).clone()
                for key, value in memory.items()
            }
