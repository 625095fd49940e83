"""Curvature of the validation loss in alpha: how flat the place is where a search has ended."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor

EXACT = 12  # of at most so many numbers all of H is written down


def hessian(f: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """d2f/dat2 as a symmetric matrix, a backward pass for each number of `at`.

    Shapes: (n, n) for `at` of n numbers.
    """
    at = at.detach().clone().requires_grad_()
    (slope,) = torch.autograd.grad(f(at), at, create_graph=True)
    flat = slope.flatten()
    rows = [torch.autograd.grad(one, at, retain_graph=True)[0].flatten() for one in flat]
    H = torch.stack(rows).detach()
    return (H + H.T) / 2


def largest(f: Callable[[Tensor], Tensor], at: Tensor) -> float:
    """The largest eigenvalue of d2f/dat2, by products with vectors.

    >>> H = torch.tensor([[2.0, 0.0], [0.0, -5.0]])
    >>> largest(lambda x: x @ H @ x / 2, torch.zeros(2))
    2.0
    """
    n = at.numel()
    if n <= EXACT:
        return float(torch.linalg.eigvalsh(hessian(f, at).double())[-1])
    at = at.detach().clone().requires_grad_()
    (slope,) = torch.autograd.grad(f(at), at, create_graph=True)

    def product(v: NDArray[np.float64]) -> NDArray[np.float64]:
        vector = torch.from_numpy(v).to(at.device, at.dtype).view_as(at)
        (hv,) = torch.autograd.grad(slope, at, vector, retain_graph=True)
        out: NDArray[np.float64] = hv.double().flatten().cpu().numpy()
        return out

    start = np.cos(np.arange(n) * 1.7 + 0.3)  # any vector that is no eigenvector
    operator = LinearOperator((n, n), matvec=product, dtype=np.float64)
    (value,) = eigsh(operator, k=1, which="LA", v0=start, ncv=min(n, 12), tol=1e-3,
                     return_eigenvectors=False, maxiter=30)  # fmt: skip
    return float(value)
