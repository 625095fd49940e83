"""Fixtures for all tests."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


SLOW = Path(__file__).with_name("slow.txt")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of `slow.txt`."""
    lines = [line for line in SLOW.read_text().splitlines() if line and not line.startswith("#")]
    slow = re.compile("|".join(re.escape(line).replace(r"\*", ".*") for line in lines))
    for item in items:
        if slow.fullmatch(item.nodeid):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real tables and images, or a skip that says how to get it."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("FORETELL_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}: set FORETELL_DATA to a folder that has it")
    return folder


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A card that is not there, see `pretend.py`: `torch.cuda` for one test, on the CPU."""
    import torch

    from foretell.training import lead, replay

    file = Path(__file__).with_name("pretend.py")
    spec = importlib.util.spec_from_file_location("pretend", file)
    assert spec is not None
    assert spec.loader is not None
    pretend = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pretend)
    cuda = pretend.Cuda()
    for name in ("get_rng_state", "set_rng_state"):  # torch keeps the module for itself
        monkeypatch.setattr(torch.cuda, name, getattr(cuda, name))
    monkeypatch.setattr(torch, "cuda", cuda)
    monkeypatch.setattr(replay, "_said", set())
    monkeypatch.setattr(lead, "_cards", {})
    with pretend.Moved(cuda):
        yield cuda
