"""Sparse Gaussian process: inducing points and the collapsed bound."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from foretell.predictors.parts.features import FEATURES, Encodings
from foretell.predictors.parts.sparse import Sparse
from foretell.predictors.parts.targets import Target
from foretell.spaces.base import Space

_JITTER = 1e-6


class SparseGP(Sparse):
    """Gaussian process that knows the n training rows through m inducing points Z.

    With Q = K_xz K_zz^-1 K_zx, inducing points and kernel maximise the variational bound

        log N(y; 0, Q + noise I) - tr(K_xx - Q) / (2 noise)

    times a log-normal prior, by L-BFGS. The kernel is a sum of Matern kernels, one for each
    encoding. A step costs O(n m^2), so thousands of training rows are no burden.

    Args:
        space: the space whose rows it sees.
        points: m, at least 1; with fewer different rows, all of those.
        steps: of L-BFGS, at least 0.
        smooth: 0.5, 1.5 or 2.5 for Matern kernels, `inf` for the squared exponential.
        encoding: a name of the catalog, an `Encoding`, or a tuple of them, one kernel each.
        target: "rank" to learn ranks of the targets, "value" to learn standardised values.
        random_state: non-negative seed, or None for fresh entropy.

    References: Titsias 2009, Variational Learning of Inducing Variables in Sparse Gaussian
    Processes, equation 9; Gardner et al. 2018, GPyTorch; White et al. 2021, How Powerful are
    Performance Predictors in NAS?
    Differs: the study has 10 inducing points, one squared exponential kernel on adjacency one-hot
    values, and 200 steps of Adam: `SparseGP.paper(space)`, with L-BFGS.

    >>> import foretell as ft
    >>> space = ft.spaces.get("nb201")
    >>> X = space.sample(60, rng=0)
    >>> model = SparseGP(space, points=30, random_state=0).fit(X, (X == 3).sum(axis=1))
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
        steps: int = 25,
        smooth: float = 1.5,
        encoding: Encodings = FEATURES,
        target: Target = "rank",
        random_state: int | None = None,
    ) -> None:
        self.space = space
        self.points = points
        self.steps = steps
        self.smooth = smooth
        self.encoding = encoding
        self.target = target
        self.random_state = random_state

    @classmethod
    def paper(cls, space: Space, random_state: int | None = None, **changes: Any) -> SparseGP:
        """The settings of the study (NASLib)."""
        settings: dict[str, Any] = {
            "points": 10,
            "steps": 200,
            "smooth": np.inf,
            "encoding": "adjacency-one-hot",
            "target": "value",
        }
        return cls(space, random_state=random_state, **{**settings, **changes})

    def _model(self, F: Tensor, scores: Tensor, Z: Tensor) -> Any:
        import gpytorch

        likelihood = self._likelihood().double()
        base = self._kernel()

        class Model(gpytorch.models.ExactGP):  # type: ignore[misc]  # gpytorch has no types
            def __init__(self) -> None:
                super().__init__(F, scores, likelihood)
                self.mean = gpytorch.means.ZeroMean()
                self.kernel = gpytorch.kernels.InducingPointKernel(base, Z.clone(), likelihood)

            def forward(self, x: Tensor) -> Any:
                return gpytorch.distributions.MultivariateNormal(self.mean(x), self.kernel(x))

        model = Model().double().train()
        bound = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model)
        if self.steps:
            search = torch.optim.LBFGS(
                model.parameters(), max_iter=self.steps, line_search_fn="strong_wolfe"
            )

            def loss() -> Tensor:
                search.zero_grad()
                value: Tensor = -bound(model(F), scores)
                value.backward()
                return value

            search.step(loss)
        kernel, noise = model.kernel, likelihood.noise
        with torch.no_grad():
            self.points_ = kernel.inducing_points
            self.base_ = kernel.base_kernel
            zz = self.base_(self.points_).to_dense() + _JITTER * torch.eye(len(Z))
            self.root_ = torch.linalg.cholesky(zz)
            A = self._whiten(F) / noise.sqrt()
            self.both_ = torch.linalg.cholesky(torch.eye(len(Z)) + A @ A.T)
            target = (A @ scores / noise.sqrt())[:, None]
            self.weights_ = torch.linalg.solve_triangular(self.both_, target, upper=False)[:, 0]
        return model.eval()

    def _whiten(self, F: Tensor) -> Tensor:
        """L^-1 K_zx for K_zz = L L^T, (m, n)."""
        cross = self.base_(self.points_, F).to_dense()
        near: Tensor = torch.linalg.solve_triangular(self.root_, cross, upper=False)
        return near

    def _posterior(self, F: Tensor) -> tuple[Tensor, Tensor]:
        # not the model's own: its covariance depends on which rows are asked for together
        near = self._whiten(F)
        seen = torch.linalg.solve_triangular(self.both_, near, upper=False)
        own = self.base_(F, diag=True)
        return self.weights_ @ seen, own - near.square().sum(0) + seen.square().sum(0)
