"""How many cores a small piece of linear algebra may take."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from threadpoolctl import ThreadpoolController

_seen: tuple[int, ThreadpoolController] | None = None


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """BLAS and OpenMP on one core.

    Predictors factor matrices of a few hundred rows, many times. A second thread saves nothing
    there, and where other processes want the cores too (the networks that a search trains
    meanwhile), threads wait for each other at each of thousands of steps: see decision 0015.

    >>> import torch
    >>> with one_thread():
    ...     torch.get_num_threads()
    1
    """
    global _seen
    modules = len(sys.modules)
    if _seen is None or _seen[0] != modules:  # a library may have come; to look takes 2 ms
        _seen = modules, ThreadpoolController()
    with _seen[1].limit(limits=1):
        yield
