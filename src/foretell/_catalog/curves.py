"""Methods that go on a learning curve."""

from __future__ import annotations

from foretell._catalog.row import Row

ROWS: tuple[Row, ...] = ()
