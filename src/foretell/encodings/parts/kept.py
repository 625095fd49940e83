"""Features that are asked for again and again, as a search ranks all rows after each result."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from foretell.encodings.base import Encoding
from foretell.spaces.base import Rows, Space

_FEWEST = 1024  # rows: fewer are encoded in no time
_BYTES = 2**26  # of the features of a space; when they are there, nothing more is kept
_MOST = 4096  # blocks of rows that are remembered to have been asked for


class _Kept:
    """What was asked for once, by its digest, and the features of what was asked for twice."""

    def __init__(self) -> None:
        self.asked: set[Hashable] = set()
        self.features: dict[Hashable, NDArray[np.float32]] = {}
        self.bytes = 0


_OF: WeakKeyDictionary[Space, _Kept] = WeakKeyDictionary()


def kept(encoding: Encoding, X: Rows) -> NDArray[np.float32]:
    """Features (n, f) of rows (n, d), as `encode` gives them; not to be written to.

    Those of an encoding that is a pure function of a row (`Encoding.pure`) are kept from the second
    time on that the same rows are asked for.
    """
    if len(X) < _FEWEST or not encoding.pure:
        return encoding.encode(X)
    known = _OF.setdefault(encoding.space, _Kept())
    settings = encoding.get_params(deep=False)
    named = tuple((name, settings[name]) for name in sorted(settings) if name != "space")
    rows = hashlib.blake2b(np.ascontiguousarray(X).tobytes(), digest_size=16).digest()
    key = (type(encoding), named, X.shape, X.dtype.str, rows)
    try:
        hash(key)
    except TypeError:  # a setting that cannot be compared, such as an array
        return encoding.encode(X)
    found = known.features.get(key)
    if found is not None:
        return found
    found = encoding.encode(X)
    if key in known.asked and known.bytes + found.nbytes <= _BYTES:
        found.setflags(write=False)
        known.features[key] = found
        known.bytes += found.nbytes
    if len(known.asked) >= _MOST:
        known.asked.clear()
    known.asked.add(key)
    return found
