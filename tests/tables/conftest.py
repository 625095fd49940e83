"""The writer of small official files, as a fixture: test folders are no packages."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def official():
    file = Path(__file__).with_name("records.py")
    spec = importlib.util.spec_from_file_location("official_records", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
