"""The only maker of randomness: named, independent streams from one seed."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator

import numpy as np

from foretell.errors import SettingError

Seed = int | np.random.Generator | np.random.RandomState | None


def stream(seed: Seed, *keys: int | str) -> np.random.Generator:
    """An independent generator for `(seed, *keys)`; equal arguments give equal streams.

    Args:
        seed: non-negative integer, or None for fresh entropy from the operating system; or a
            generator of numpy (`RandomState`, too, as in scikit-learn), which gives the integer.
        keys: what the stream is for, e.g. `("ask", 3)`.

    >>> bool(stream(0, "ask", 1).random() == stream(0, "ask", 1).random())
    True
    >>> bool(stream(0, "ask", 1).random() == stream(0, "ask", 2).random())
    False
    """
    if isinstance(seed, np.random.RandomState):
        seed = int(seed.randint(2**31))
    elif isinstance(seed, np.random.Generator):
        seed = int(seed.integers(2**31))
    if seed is None:
        return np.random.default_rng()
    return np.random.default_rng(np.random.SeedSequence([_natural(seed), *map(_word, keys)]))


def as_rng(rng: int | np.random.Generator | None) -> np.random.Generator:
    """A generator from a seed, a generator (returned as it is) or None (fresh entropy)."""
    return rng if isinstance(rng, np.random.Generator) else stream(rng)


def derive(seed: Seed, *keys: int | str) -> int:
    """A 31-bit seed for libraries that want an integer (torch, scikit-learn)."""
    return int(stream(seed, *keys).integers(2**31))


def _natural(seed: object) -> int:
    if isinstance(seed, (int, np.integer)) and not isinstance(seed, bool) and seed >= 0:
        return int(seed)
    raise SettingError("bad seed", expected="a non-negative integer or None", got=repr(seed))


def _word(key: int | str) -> int:
    if isinstance(key, str):
        return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little")
    return _natural(key)


@contextlib.contextmanager
def own_global(seed: int) -> Iterator[None]:
    """numpy's global generator at `seed`, and put back after: SVRs draw from it, it is not ours."""
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)
