"""Learning a prior from labelled networks of several spaces."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm, rankdata
from torch import Tensor, nn

from foretell._rng import derive, stream
from foretell.errors import DataError
from foretell.graphs.measures import NAMES
from foretell.transfer.parts.prior import Floats, Prior

# alike in all networks of a source, or told by others: they would only say which source it is
LEFT_OUT = (
    *("narrowest", "side_out", "channels_out", "n_linear", "mean_linear"),
    *("n_recurrent", "n_attention", "n_other"),
    # go far beyond what one source has
    *(f"felt_{name}" for name in ("grad_in", "grad_mean", "grad_top", "grad_spread", "variance")),
)
CORE = tuple(name for name in NAMES if name not in LEFT_OUT)
SIZE = ("params", "flops")  # all that every third member reads: what it says holds everywhere


class Source(NamedTuple):
    """Labelled networks of one task: numbers (n, len(NAMES)), targets (n,), higher is better."""

    name: str
    numbers: NDArray[Any]
    y: Floats


def normal_scores(y: Floats) -> Floats:
    """Targets as quantiles of a normal distribution, equal ones alike: standard in every task.

    >>> normal_scores(np.array([5.0, 1.0, 3.0])).round(3).tolist()
    [0.967, -0.967, 0.0]
    """
    scores: Floats = norm.ppf((rankdata(y) - 0.5) / len(y))
    return scores


def ranking_loss(scores: Tensor, y: Tensor) -> Tensor:
    """Logistic loss of pairs (members, n), each by how far its targets are apart, 1 at most.

    sum_{i, j: y_i > y_j} min(y_i - y_j, 1) log(1 + exp(s_j - s_i)), over the sum of the weights.
    """
    gap = y[:, :, None] - y[:, None, :]
    weight = gap.clamp(0.0, 1.0)
    lost = nn.functional.softplus(scores[:, None, :] - scores[:, :, None]) * weight
    total: Tensor = (lost.sum((1, 2)) / weight.sum((1, 2)).clamp(min=1e-9)).sum()
    return total


class _Nets(nn.Module):
    """Networks of two hidden layers side by side, each of the inputs that it `sees`.

    Shapes: `sees` (members, inputs, 1); (members, n, inputs) or (n, inputs) to (members, n).
    """

    def __init__(self, sees: Tensor, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        members, inputs, _ = sees.shape
        sizes = [inputs, hidden, hidden, 1]
        self.sees = sees
        self.weights = nn.ParameterList(
            (torch.rand(members, a, b, generator=generator) * 2 - 1) / a**0.5
            for a, b in itertools.pairwise(sizes)
        )
        self.biases = nn.ParameterList(torch.zeros(members, 1, b) for b in sizes[1:])

    def maps(self) -> list[tuple[Tensor, Tensor]]:
        """Weights and biases of each layer; weights of what is not seen are 0."""
        first, *rest = self.weights
        return list(zip([first * self.sees, *rest], self.biases, strict=True))

    def forward(self, z: Tensor) -> Tensor:
        for i, (w, b) in enumerate(self.maps()):
            z = nn.functional.silu(z) @ w + b if i else z @ w + b
        return z[..., 0]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """`weight0`, `bias0`, ... as a prior keeps them."""
        found: dict[str, NDArray[Any]] = {}
        for i, (w, b) in enumerate(self.maps()):
            found |= {f"weight{i}": w.detach().numpy(), f"bias{i}": b.detach().numpy()}
        return found


def learn(
    sources: Sequence[Source],
    *,
    names: Sequence[str] = CORE,
    members: int = 6,
    by_size: bool = True,
    hidden: int = 48,
    steps: int = 400,
    batch: int = 128,
    lr: float = 3e-3,
    weight_decay: float = 1e-2,
    loss: str = "rank",
    facts: Mapping[str, Any] | None = None,
    random_state: int | None = None,
) -> Prior:
    """A prior from several sources, each as important as any other.

    Each step takes `batch` networks of each source and adds the losses of the sources: pairs are
    of one source, so that tasks and schedules need not be comparable. Targets are normal scores
    within their source.

    Args:
        sources: at least one, with two networks or more each.
        names: of the numbers it reads.
        members: of the ensemble.
        by_size: every third member reads the size of the network alone (`SIZE`).
        hidden: width of the two hidden layers.
        steps: of AdamW, with a cosine from `lr` to 0.
        batch: networks of each source in a step.
        lr: highest learning rate.
        weight_decay: of AdamW.
        loss: "rank", or "mse" for squared errors of the normal scores.
        facts: for the model card.
        random_state: non-negative seed, or None for fresh entropy.
    """
    if not sources or any(len(source.y) < 2 for source in sources):
        raise DataError("sources of a prior", expected="at least one, of 2 networks or more")
    places = [NAMES.index(name) for name in names]
    inputs = [np.asarray(source.numbers, dtype=np.float64)[:, places] for source in sources]
    # each source counts as much as any other, however many networks it has
    centre = np.mean([x.mean(axis=0) for x in inputs], axis=0)
    second = np.mean([((x - centre) ** 2).mean(axis=0) for x in inputs], axis=0)
    spread = np.where(second > 1e-12, np.sqrt(second), 1.0)
    data = [
        (
            torch.tensor(np.clip((x - centre) / spread, -4, 4), dtype=torch.float32),
            torch.tensor(normal_scores(source.y), dtype=torch.float32),
        )
        for x, source in zip(inputs, sources, strict=True)
    ]
    generator = torch.Generator().manual_seed(derive(random_state, "prior"))
    sees = torch.ones(members, len(places), 1)
    if by_size:
        sees[2::3] = torch.tensor([[float(name in SIZE)] for name in names])
    nets = _Nets(sees, hidden, generator)
    optimiser = torch.optim.AdamW(nets.parameters(), lr=lr, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)

    rng = stream(random_state, "batches")
    for _ in range(steps):
        total = torch.zeros(())
        for x, y in data:
            at = torch.from_numpy(rng.integers(len(y), size=(members, min(batch, len(y)))))
            scores, wanted = nets(x[at]), y[at]
            if loss == "mse":
                total = total + ((scores - wanted) ** 2).mean(dim=1).sum()
            else:
                offset = 0.01 * (scores.mean(dim=1) ** 2).sum()
                total = total + ranking_loss(scores, wanted) + offset
        optimiser.zero_grad()
        (total / len(data)).backward()
        optimiser.step()
        schedule.step()
    arrays = {"centre": centre, "spread": spread, **nets.arrays()}
    plain = {name: value.astype(np.float32) for name, value in arrays.items()}
    prior = Prior(tuple(names), plain, dict(facts or {}))
    return prior.scaled([prior.score(source.numbers)[0] for source in sources])
