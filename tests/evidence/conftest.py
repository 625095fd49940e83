"""Workers and other processes import the evidence of these tests, so it is a module of its own."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
