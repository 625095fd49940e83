"""Zero-cost proxies: scores of an untrained network."""

from __future__ import annotations

from foretell._catalog.row import Row

ROWS: tuple[Row, ...] = ()
