"""The few examples that proxies look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from foretell._rng import stream
from foretell.errors import DataError
from foretell.evidence.parts.identity import digest
from foretell.training.data import Data, load
from foretell.training.data.batches import Split


@dataclass(frozen=True, eq=False)
class Batch:
    """Inputs and targets, and how many outputs a network for them has.

    Args:
        inputs: (n, ...), numbers as networks get them.
        targets: classes (n,), or numbers (n, outputs).
        n_outputs: of a network; None where the data does not say.
    """

    inputs: Tensor
    targets: Tensor
    n_outputs: int | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # it does not change, so scikit-learn's clone may share it

    @property
    def digest(self) -> str:
        """Of the content."""
        return digest([self.inputs.numpy(), self.targets.numpy()])


def batch(data: Any, n: int = 64, seed: int = 0) -> Batch:
    """`n` examples of any data, for proxies.

    Args:
        data: (images, labels), arrays or tensors; a `Data`; or a source that `foretell run --data`
            takes, of which the training part is used.
        n: examples; all, where there are fewer.
        seed: of which, where there are more; those of a pair are its first.

    Returns: inputs as float32 (bytes are brought to mean 0 and deviation 1 in each channel; whole
    numbers of other kinds, such as words, stay), classes as int64, other targets as float32.

    >>> found = batch((np.zeros((5, 3, 8, 8)), np.arange(5)), n=2)
    >>> found.inputs.shape, found.targets.tolist()
    (torch.Size([2, 3, 8, 8]), [0, 1])
    """
    if isinstance(data, Batch):
        return Batch(data.inputs[:n], data.targets[:n], data.n_outputs)
    if isinstance(data, (tuple, list)) and len(data) == 2:
        return _of_pair(_tensor(data[0])[:n], _tensor(data[1])[:n])
    known = data if isinstance(data, Data) else load(data)
    part = Split(known, "train", torch.device("cpu"))
    at = torch.from_numpy(stream(seed, "batch").permutation(len(part))[:n])
    x, y = part.batch(at)
    return Batch(x.contiguous(), y.contiguous(), known.n_outputs)


def noise(shape: tuple[int, ...], n_outputs: int, n: int = 64, seed: int = 0) -> Batch:
    """`n` inputs from N(0, 1), and classes that are as often as each other: for want of data."""
    draws = torch.Generator().manual_seed(int(stream(seed, "noise").integers(2**31)))
    inputs = torch.randn((n, *shape), generator=draws)
    if n_outputs == 1:
        return Batch(inputs, torch.randn((n, 1), generator=draws), 1)
    return Batch(inputs, torch.arange(n) % n_outputs, n_outputs)


def _tensor(values: Any) -> Tensor:
    found = values if isinstance(values, Tensor) else torch.from_numpy(np.array(values))
    return found.detach()


def _of_pair(x: Tensor, y: Tensor) -> Batch:
    if len(x) != len(y) or not len(x) or x.ndim < 2:
        raise DataError(
            "data of proxies",
            expected="inputs (n, ...) and as many targets",
            got=f"shapes {tuple(x.shape)} and {tuple(y.shape)}",
        )
    if x.dtype == torch.uint8:
        over = [0, *range(2, x.ndim)]
        x = x.to(torch.float32)
        x = (x - x.mean(over, keepdim=True)) / x.std(over, keepdim=True).clamp_min(1e-6)
    elif x.is_floating_point():
        x = x.to(torch.float32)
    y = y.to(torch.float32) if y.is_floating_point() else y.to(torch.int64)
    if not y.is_floating_point() and int(y.min()) < 0:
        raise DataError("classes", expected="numbers from 0", got=int(y.min()))
    return Batch(x, y.flatten() if not y.is_floating_point() and y.numel() == len(y) else y)
