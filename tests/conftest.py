"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

# how long a draw takes says how busy the machine is
hypothesis.settings.register_profile(
    "quiet", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("quiet")

os.environ.setdefault("OMP_NUM_THREADS", "1")
# Results of a CPU are compared to the bit, and here a card is one more CPU that rounds otherwise.
# With FORETELL_GPU=1 the tests that are marked `gpu` see it: `pytest -m gpu`.
if os.environ.get("FORETELL_GPU") != "1":
    os.environ["CUDA_VISIBLE_DEVICES"] = ""


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real tables and images, or a skip that says how to get it."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("FORETELL_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}: set FORETELL_DATA to a folder that has it")
    return folder
