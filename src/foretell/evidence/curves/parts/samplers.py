"""Samplers of many posteriors at once: one for each curve, with random numbers that all share.

So what is drawn for a curve does not depend on which others are there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from foretell.evidence.curves.base import Floats

# states (m, c, d) of the posteriors (m,) that the second argument counts, to (m, c)
LogDensity = Callable[[Floats, NDArray[np.intp]], Floats]
_SHRINKS = 60  # of a bracket, after which a state stays


def elliptical(
    log_likelihood: LogDensity, start: Floats, steps: int, rng: np.random.Generator
) -> Floats:
    """Elliptical slice sampling of N(z; 0, I) L(z): the states after each step, (steps, n, c, d).

    A step draws nu ~ N(0, I), and an angle from a bracket around 0 that is shrunk until
    z cos + nu sin lies above a level below L(z). It has no setting, and always moves.

    Args:
        log_likelihood: log L of states.
        start: n posteriors with c chains each, (n, c, d).
        steps: of each chain.
        rng: of numbers that all n posteriors share.

    References: Murray, Adams & MacKay, Elliptical Slice Sampling, AISTATS 2010, figure 2.
    """
    z, (_, chains, size) = start.copy(), start.shape
    now = log_likelihood(z, np.arange(len(z)))
    kept = np.empty((steps, *z.shape))
    for step in range(steps):
        nu = rng.standard_normal((chains, size))
        level = now + np.log(rng.random(chains))
        turns = rng.random((_SHRINKS + 1, chains))  # all of them now: others may need fewer
        angle = np.broadcast_to(turns[-1] * 2 * np.pi, now.shape).copy()
        low, high = angle - 2 * np.pi, angle.copy()
        rows = np.arange(len(z))  # with a chain that has not moved yet
        waits = np.ones(now.shape, dtype=bool)
        for turn in turns[:-1]:
            turned = angle[rows][..., None]
            tried = z[rows] * np.cos(turned) + nu * np.sin(turned)
            found = log_likelihood(tried, rows)
            good = waits[rows] & (found > level[rows])
            z[rows] = np.where(good[..., None], tried, z[rows])
            now[rows] = np.where(good, found, now[rows])
            waits[rows] &= ~good
            low = np.where(waits & (angle < 0), angle, low)
            high = np.where(waits & (angle >= 0), angle, high)
            angle = np.where(waits, low + turn * (high - low), angle)
            rows = np.flatnonzero(waits.any(axis=1))
            if not len(rows):
                break
        kept[step] = z
    return kept


def stretch(log_density: LogDensity, start: Floats, steps: int, rng: np.random.Generator) -> Floats:
    """The affine-invariant ensemble: the walkers after each step, (steps, n, c, d).

    Each half of the walkers in turn moves along lines through walkers of the other half,
    x' = y + u (x - y) with the density of u proportional to 1 / sqrt(u) on [1/2, 2], and is
    accepted with probability min(1, u^(d-1) p(x') / p(x)).

    Args:
        log_density: log p of states.
        start: n ensembles of c walkers, (n, c, d); c is even and more than d.
        steps: of each walker.
        rng: of numbers that all n ensembles share.

    References: Goodman & Weare, Ensemble Samplers with Affine Invariance, 2010; Foreman-Mackey
    et al., emcee, 2013.
    """
    x, (n, walkers, size) = start.copy(), start.shape
    every, half = np.arange(n), walkers // 2
    now = log_density(x, every)
    kept = np.empty((steps, *x.shape))
    for step in range(steps):
        for first in (True, False):
            mine = slice(0, half) if first else slice(half, walkers)
            other = slice(half, walkers) if first else slice(0, half)
            u = ((rng.random(half) + 1.0) ** 2 / 2.0)[:, None]
            partner = x[:, other][:, rng.integers(half, size=half)]
            tried = partner + u * (x[:, mine] - partner)
            found = log_density(tried, every)
            gain = (size - 1) * np.log(u[:, 0]) + found - now[:, mine]
            good = np.log(rng.random(half)) < gain
            x[:, mine] = np.where(good[..., None], tried, x[:, mine])
            now[:, mine] = np.where(good, found, now[:, mine])
        kept[step] = x
    return kept
