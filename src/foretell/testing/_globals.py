"""The global random states that nobody may touch."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


def global_states() -> dict[str, object]:
    """States of the global generators of random, numpy and (when it is loaded) torch."""
    legacy: Any = np.random.get_state(legacy=False)  # read, never drawn from
    key, position = legacy["state"]["key"].tobytes(), legacy["state"]["pos"]
    states: dict[str, object] = {"random": random.getstate(), "numpy": (key, position)}
    torch = sys.modules.get("torch")
    if torch is not None:
        states["torch"] = torch.get_rng_state().numpy().tobytes()
    return states


@contextmanager
def shaken() -> Iterator[None]:
    """The global generators in other states than they were; as they were at the end.

    Who seeds one and draws from it leaves the state that it left before: here it does not.
    """
    torch = sys.modules.get("torch")
    known = random.getstate(), np.random.get_state(), torch and torch.get_rng_state()
    try:
        random.random()
        np.random.random()
        if torch is not None:
            torch.rand(1)
        yield
    finally:
        random.setstate(known[0])
        np.random.set_state(known[1])
        if torch is not None:
            torch.set_rng_state(known[2])
