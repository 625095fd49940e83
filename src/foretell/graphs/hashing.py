"""64-bit mixing of whole arrays: order-sensitive `combine`, order-free `combine_set`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]


def mix(h: U64) -> U64:
    """The splitmix64 finaliser: a bijection of 64 bits in which every bit moves every bit.

    >>> int(mix(np.array([0], dtype=np.uint64))[0])
    16294208416658607535
    """
    with np.errstate(over="ignore"):
        h = h + np.uint64(0x9E3779B97F4A7C15)
        h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return h ^ (h >> np.uint64(31))


def combine(*parts: U64) -> U64:
    """Hash of a sequence of equally shaped hashes; the order matters."""
    out = np.zeros_like(parts[0])
    with np.errstate(over="ignore"):
        for part in parts:
            out = mix(out * np.uint64(3) + mix(part))
    return out


def combine_set(parts: U64, axis: int = -1) -> U64:
    """Hash of the multiset along `axis`; the order does not matter."""
    return combine(*np.moveaxis(np.sort(parts, axis=axis), axis, 0))
