"""Encodings that are networks, pretrained on rows of the space without any target."""

from __future__ import annotations

import functools
from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from foretell._rng import derive
from foretell.encodings.base import Encoding
from foretell.errors import SettingError
from foretell.graphs.pretraining import load_weights, pretrain, save_weights, seeded
from foretell.graphs.tensors import Batch, batch
from foretell.spaces.base import Rows, Space

_BLOCK = 2048  # rows that are encoded at a time


class Learnt(Encoding):
    """Base of learnt encodings: a network on the graph view, trained once in a process.

    `rows` architectures are drawn from the space (without its limits) with a fixed seed, and the
    network learns from them in `steps` steps, when the encoding is first asked for. Equal spaces
    and settings share it; `path` reads weights that `save` has written instead. Features are
    computed in double precision, so that they do not depend on the other rows of a batch.

    A subclass lists its parameters, those below among them, and implements `_module` (untrained,
    with `loss(graphs)`) and `_embed`; `_groups` where graphs come in groups.

    Args:
        space: the space whose rows it sees.
        latent: size of the encoding, f.
        rows: architectures to learn from, at least 1.
        steps: of the optimiser, at least 1.
        batch_size: groups of architectures in a step, at least 1.
        lr: highest learning rate.
        seed: of rows and weights, non-negative.
        path: .safetensors file of weights that are already learnt, or None.
    """

    latent: int
    rows: int
    steps: int
    batch_size: int
    lr: float
    seed: int
    path: str | Path | None

    @abstractmethod
    def _module(self) -> nn.Module:
        """The untrained network; torch's own generator is seeded around."""

    @abstractmethod
    def _embed(self, module: Any, graphs: Batch) -> Tensor:
        """Features (n, f) of graphs."""

    def _groups(self, X: Rows) -> NDArray[np.int64]:
        """Indices (m, k) of the rows that a step takes together."""
        return np.arange(len(X))[:, None]

    def module(self) -> Any:
        """The network, learnt or read, in double precision and ready to be asked."""
        if self.path is None:
            settings: dict[str, Any] = self.get_params(deep=False)
            space = settings.pop("space")
            return _trained(type(self), space.whole, tuple(sorted(settings.items())))
        with seeded(0):
            module = self._module()
        load_weights(module, self.path)
        return module.eval().requires_grad_(False).double()

    def save(self, path: str | Path) -> None:
        """Write the weights as safetensors, to be read by the parameter `path`."""
        save_weights(self.module(), path)

    def graphs(self, X: Rows) -> Batch:
        """Checked rows (n, d) as the network reads them."""
        nothing = np.zeros((len(X), 0), dtype=np.float32)
        return batch(self.space.graphs(X), nothing, len(self.space.vocabulary))

    def encode(self, X: Rows) -> NDArray[np.float32]:
        """Features (n, f)."""
        if not len(X):
            return np.zeros((0, self.latent), dtype=np.float32)
        module = self.module()
        with torch.inference_mode():
            blocks = [
                self._embed(module, self.graphs(X[i : i + _BLOCK])).float().numpy()
                for i in range(0, len(X), _BLOCK)
            ]
        return np.concatenate(blocks)

    def _learn(self) -> nn.Module:
        for name in ("rows", "steps", "batch_size"):
            if getattr(self, name) < 1:
                raise SettingError(name, expected="at least 1", got=getattr(self, name))
        X = self.space.sample(self.rows, derive(self.seed, "rows"))
        with seeded(derive(self.seed, "weights")):
            module = self._module()
            pretrain(
                module,  # type: ignore[arg-type]  # it has a `loss`: see `_module`
                self.graphs(X),
                steps=self.steps,
                lr=self.lr,
                groups=torch.from_numpy(self._groups(X)),
                batch_size=self.batch_size,
            )
        return module.eval().requires_grad_(False).double()


@functools.lru_cache(maxsize=16)
def _trained(kind: type[Learnt], space: Space, settings: tuple[tuple[str, Any], ...]) -> nn.Module:
    return kind(space=space, **dict(settings))._learn()
