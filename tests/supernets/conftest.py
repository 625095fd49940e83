"""What the tests of supernets share."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for `toy`, whose classes are found by name
