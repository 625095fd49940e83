"""The global random states that nobody may touch."""

from __future__ import annotations

import random
import sys
from typing import Any

import numpy as np


def global_states() -> dict[str, object]:
    """States of the global generators of random, numpy and (when it is loaded) torch."""
    legacy: Any = np.random.get_state(legacy=False)  # noqa: NPY002  # read, never drawn from
    key, position = legacy["state"]["key"].tobytes(), legacy["state"]["pos"]
    states: dict[str, object] = {"random": random.getstate(), "numpy": (key, position)}
    torch = sys.modules.get("torch")
    if torch is not None:
        states["torch"] = torch.get_rng_state().numpy().tobytes()
    return states
