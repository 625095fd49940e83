"""Contrastive learning on graphs without labels: near are those with near spectra."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from foretell._files import write_bytes
from foretell._rng import stream
from foretell.errors import DataError, SettingError
from foretell.graphs.computation import Computations
from foretell.graphs.spectra import spectra
from foretell.transfer.parts.encoder import Projection, tensors

Positives = Literal["soft", "literal", "hard"]


def contrastive_loss(
    z: Tensor,
    distances: Tensor,
    *,
    temperature: float = 0.1,
    softness: float = 1.0,
    positives: Positives = "soft",
    nearest: int = 10,
) -> Tensor:
    """How badly projections say which graphs are alike.

        L = -(1 / n) sum_i sum_{s in P(i)} a_is log(e_is / sum_{r != i} e_ir),  e = exp(z z' / t)

    P(i) are the `nearest` graphs of the batch to i by the distance d of their spectra, and a_i. is
    softmax(-d_i. / T) over them.

    Args:
        z: projections of length 1, (n, f).
        distances: of the spectra, (n, n).
        temperature: t.
        softness: T, in units of the mean distance of the batch.
        positives: "soft" as above; "literal" with softmax(+d / T), as the paper's formula can be
            read; "hard" with a of 1 for the nearest graph alone.
        nearest: how many graphs P(i) has.

    References: Han et al., SDM 2023. `Differs:` the sign, number and temperature of the softmax are
    not in the paper; a distance has to enter with a minus for near graphs to be drawn near.
    """
    if positives not in ("soft", "literal", "hard"):
        raise SettingError("positives", expected="soft, literal or hard", got=repr(positives))
    n = len(z)
    own = torch.eye(n, dtype=torch.bool)
    log_odds = torch.log_softmax((z @ z.T / temperature).masked_fill(own, -math.inf), dim=1)
    d = distances / distances.sum().clamp(min=1e-12) * n * (n - 1)
    k = min(1 if positives == "hard" else nearest, n - 1)
    near = d.masked_fill(own, math.inf).topk(k, dim=1, largest=False)
    sign = 1.0 if positives == "literal" else -1.0
    weight = torch.softmax(sign * near.values / softness, dim=1)
    return -(weight * log_odds.gather(1, near.indices)).sum(dim=1).mean()


def pretrain(
    module: Projection,
    graphs: Computations,
    *,
    steps: int = 300,
    batch: int = 64,
    lr: float = 1e-3,
    positives: Positives = "soft",
    k: int = 20,
    file: str | Path | None = None,
    every: int = 50,
    random_state: int = 0,
) -> list[float]:
    """Minimise the contrastive loss on graphs without labels; returns the loss of each step.

    With `file` the state is kept there every so many steps, and one that is there is continued:
    the result is the one of a run without a break.

    Args:
        module: what learns, in place.
        graphs: of the target space, or of several.
        steps: of Adam, with a cosine from `lr` to 0.
        batch: different graphs in a step.
        lr: highest learning rate.
        positives: see `contrastive_loss`.
        k: eigenvalues of a spectrum.
        file: a .safetensors file for the state.
        every: steps after which it is written.
        random_state: of the batches.

    Raises: DataError: the file is of another network.
    """
    if graphs.n < 3:
        raise DataError("graphs to learn from", expected="3 or more", got=graphs.n)
    values = spectra(graphs, k)
    weights = dict(module.named_parameters())
    optimiser = torch.optim.Adam(weights.values(), lr=lr)
    losses: list[float] = []
    if file is not None and Path(file).exists():
        losses = _restore(Path(file), weights, optimiser)
    for step in range(len(losses), steps):
        picked = stream(random_state, "contrast", step).permutation(graphs.n)[:batch]
        for group in optimiser.param_groups:
            group["lr"] = lr * (1.0 + math.cos(math.pi * step / steps)) / 2.0
        distances = torch.from_numpy(_distances(values[picked]))
        optimiser.zero_grad()
        loss = contrastive_loss(
            module(tensors(graphs.take(picked))), distances.float(), positives=positives
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights.values(), 5.0)
        optimiser.step()
        losses.append(float(loss.detach()))
        if file is not None and ((step + 1) % every == 0 or step + 1 == steps):
            _keep(Path(file), weights, optimiser, losses)
    return losses


def _distances(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Euclidean distances of spectra, (n, k) to (n, n)."""
    gaps: NDArray[np.float64] = np.linalg.norm(values[:, None] - values[None], axis=2)
    return gaps


def _keep(
    file: Path,
    weights: dict[str, torch.nn.Parameter],
    optimiser: torch.optim.Adam,
    losses: list[float],
) -> None:
    state = {f"weight.{name}": w.detach().contiguous() for name, w in weights.items()}
    for name, w in weights.items():
        for key in ("exp_avg", "exp_avg_sq", "step"):
            value = optimiser.state[w][key]
            state[f"{key}.{name}"] = torch.as_tensor(value).detach().clone().contiguous()
    state["losses"] = torch.tensor(losses, dtype=torch.float64)
    write_bytes(file, save(state))


def _restore(
    file: Path, weights: dict[str, torch.nn.Parameter], optimiser: torch.optim.Adam
) -> list[float]:
    try:
        with safe_open(str(file), framework="pt") as opened:
            keys = opened.keys()  # it has no iterator
            state = {name: opened.get_tensor(name) for name in keys}
        with torch.no_grad():
            for name, w in weights.items():
                if state[f"weight.{name}"].shape != w.shape:
                    raise KeyError(name)
                w.copy_(state[f"weight.{name}"])
                optimiser.state[w] = {
                    key: state[f"{key}.{name}"] for key in ("step", "exp_avg", "exp_avg_sq")
                }
        losses: list[float] = state["losses"].tolist()
    except (OSError, SafetensorError, KeyError) as error:
        raise DataError(
            f"state of a pretraining {str(file)!r}",
            expected="one of this network",
            got=error,
            hint="remove the file, or take the settings it was made with",
        ) from error
    return losses
