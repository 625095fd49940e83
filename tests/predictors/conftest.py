"""What several tests of predictors share."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def gates():
    """`gates_by_hand.py`."""
    file = Path(__file__).with_name("gates_by_hand.py")
    spec = importlib.util.spec_from_file_location("gates_by_hand", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
