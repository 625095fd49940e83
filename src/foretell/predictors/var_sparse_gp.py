"""Variational sparse Gaussian process: inducing values have a distribution of their own."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from foretell.errors import SettingError
from foretell.predictors.parts.features import FEATURES, Encodings
from foretell.predictors.parts.sparse import Sparse
from foretell.predictors.parts.targets import Target
from foretell.spaces.base import Space


class VarSparseGP(Sparse):
    """Gaussian process whose values u at m inducing points Z have the distribution N(mu, S).

    The bound of the evidence

        sum_i E_q [log N(y_i; f(x_i), noise)] - KL(N(mu, S) | N(0, K_zz))

    times a log-normal prior is maximised: mu and S by natural gradients, which with Gaussian noise
    reach their optimum for given kernel and Z in one step; kernel and Z by Adam. The kernel is a
    sum of Matern kernels, one for each encoding. A step costs O(n m^2).

    Args:
        space: the space whose rows it sees.
        points: m, at least 1; with fewer different rows, all of those.
        steps: of Adam, at least 0.
        lr: step of the kernel's logarithms, above 0.
        move: step of the inducing points, at least 0.
        smooth: 0.5, 1.5 or 2.5 for Matern kernels, `inf` for the squared exponential.
        encoding: a name of the catalog, an `Encoding`, or a tuple of them, one kernel each.
        target: "rank" to learn ranks of the targets, "value" to learn standardised values.
        random_state: non-negative seed, or None for fresh entropy.

    References: Hensman et al. 2013, Gaussian Processes for Big Data; Salimbeni et al. 2018, Natural
    Gradients in Practice; White et al. 2021, How Powerful are Performance Predictors in NAS?
    Differs: the study has 10 inducing points, one squared exponential kernel on adjacency one-hot
    values, and 200 steps of Adam for all: `VarSparseGP.paper(space)`, with natural gradients.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(60, rng=0)
    >>> model = VarSparseGP(space, points=30, random_state=0).fit(X, (X == 3).sum(axis=1))
    >>> mean, std = model.predict([[0, 0, 0, 0, 0, 0], [3, 3, 3, 3, 3, 3]], return_std=True)
    >>> bool(mean[1] > mean[0] + 2), bool((std > 0).all())
    (True, True)
    """

    ranges: ClassVar = {
        "points": [50, 100, 200],
        "smooth": [0.5, 1.5, 2.5],
        "encoding": [FEATURES, "graph-stats"],
        "target": ["rank", "value"],
    }

    def __init__(
        self,
        space: Space,
        points: int = 100,
        steps: int = 45,
        lr: float = 0.1,
        move: float = 0.003,
        smooth: float = 1.5,
        encoding: Encodings = FEATURES,
        target: Target = "rank",
        random_state: int | None = None,
    ) -> None:
        self.space = space
        self.points = points
        self.steps = steps
        self.lr = lr
        self.move = move
        self.smooth = smooth
        self.encoding = encoding
        self.target = target
        self.random_state = random_state

    @classmethod
    def paper(cls, space: Space, random_state: int | None = None, **changes: Any) -> VarSparseGP:
        """The settings of the study (NASLib)."""
        settings: dict[str, Any] = {
            "points": 10,
            "steps": 200,
            "move": 0.01,
            "smooth": np.inf,
            "encoding": "adjacency-one-hot",
            "target": "value",
        }
        return cls(space, random_state=random_state, **{**settings, **changes})

    def _model(self, F: Tensor, scores: Tensor, Z: Tensor) -> Any:
        import gpytorch

        if self.lr <= 0 or self.move < 0:
            raise SettingError(
                "lr and move", expected="above 0, at least 0", got=(self.lr, self.move)
            )
        likelihood = self._likelihood().double()
        base = self._kernel()

        class Model(gpytorch.models.ApproximateGP):  # type: ignore[misc]  # gpytorch has no types
            def __init__(self) -> None:
                values = gpytorch.variational.NaturalVariationalDistribution(len(Z))
                super().__init__(gpytorch.variational.VariationalStrategy(self, Z.clone(), values))
                self.mean = gpytorch.means.ZeroMean()
                self.kernel = base
                self.likelihood = likelihood

            def forward(self, x: Tensor) -> Any:
                return gpytorch.distributions.MultivariateNormal(self.mean(x), self.kernel(x))

        model = Model().double().train()
        bound = gpytorch.mlls.VariationalELBO(likelihood, model, num_data=len(F))
        natural = gpytorch.optim.NGD(model.variational_parameters(), num_data=len(F), lr=1.0)
        points = [model.variational_strategy.inducing_points]
        kernel = [*base.parameters(), *likelihood.parameters()]
        adam = torch.optim.Adam(
            [{"params": kernel, "lr": self.lr}, {"params": points, "lr": self.move}]
        )
        for step in range(self.steps + 1):
            natural.zero_grad()
            adam.zero_grad()
            (-bound(model(F), scores)).backward()
            natural.step()
            if step < self.steps:  # the last step is for mu and S alone: they fit the kernel
                adam.step()
        return model.eval()

    def _posterior(self, F: Tensor) -> tuple[Tensor, Tensor]:
        process = self.model_(F)
        return process.mean, process.variance
