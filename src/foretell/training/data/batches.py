"""A split on the device that trains: whole where it fits, else a batch at a time from disk."""

from __future__ import annotations

import weakref

import torch
from torch import Tensor

from foretell.training.data.dataset import Data

IN_MEMORY = 1 << 30  # bytes of a split that are held as one tensor; larger ones stay mapped


class Split:
    """One split of the data, on the device where it fits; batches come normalised as float32."""

    def __init__(self, data: Data, part: str, device: torch.device) -> None:
        self.rows = data.split[part]
        self.device = device
        self.y: Tensor = torch.from_numpy(data.y[self.rows]).to(device)
        self.held = None
        self._x = data.x  # where it is on disk
        if self.rows.size * data.x[:1].nbytes <= _room(device):
            self.held = torch.from_numpy(data.x[self.rows]).to(device)
            del self._x
        shape = (1, -1, *(1,) * (data.x.ndim - 2))
        scale, shift = 1 / (255 * data.std), data.mean / data.std  # of bytes
        self.scale = torch.tensor(scale, dtype=torch.float32, device=device).view(shape)
        self.shift = torch.tensor(shift, dtype=torch.float32, device=device).view(shape)

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, at: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs and targets at positions `at` (a CPU tensor) of this split."""
        if self.held is not None:
            x = self.held.index_select(0, at.to(self.device))
        else:
            x = self.rows_at(at)
        return self.normalised(x), self.y.index_select(0, at.to(self.device))

    def rows_at(self, at: Tensor) -> Tensor:
        """Inputs as the data has them, from disk, at positions `at` (a CPU tensor)."""
        return torch.from_numpy(self._x[self.rows[at.numpy()]]).to(self.device)

    def normalised(self, x: Tensor) -> Tensor:
        """Bytes as float32 of mean 0 and spread 1; numbers as they are."""
        return x.float().mul_(self.scale).sub_(self.shift) if x.dtype == torch.uint8 else x


_resident: weakref.WeakKeyDictionary[Data, dict[tuple[str, str], Split]] = (
    weakref.WeakKeyDictionary()
)


def resident(data: Data, part: str, device: torch.device) -> Split:
    """A split, of which a card has one copy for all networks, as long as there is the data.

    It is copied before this returns, so that every stream may read it.
    """
    if device.type != "cuda":
        return Split(data, part, device)
    key = (part, str(device))
    kept = _resident.setdefault(data, {})
    if key not in kept:
        found = Split(data, part, device)
        torch.cuda.current_stream(device).synchronize()
        if found.held is None:
            return found
        kept[key] = found
    return kept[key]


def balanced(y: Tensor, generator: torch.Generator) -> Tensor:
    """Positions of an epoch in which each class has as many rows as any other.

    Of n rows and K classes each class has n / K, rounded up for some drawn at random: its own in a
    random order, and again in another once all have been there.

    Shapes: y (n,) class numbers; returns (n,).
    """
    present = torch.unique(y)
    present = present[torch.randperm(len(present), generator=generator)]
    parts = []
    for place, label in enumerate(present.tolist()):
        mine = torch.nonzero(y == label)[:, 0]
        wanted = len(y) // len(present) + (place < len(y) % len(present))
        rounds = [mine[torch.randperm(len(mine), generator=generator)]
                  for _ in range(-(-wanted // len(mine)))]  # fmt: skip
        parts.append(torch.cat(rounds)[:wanted])
    rows = torch.cat(parts)
    return rows[torch.randperm(len(rows), generator=generator)]


def _room(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0]) // 2
    return IN_MEMORY
