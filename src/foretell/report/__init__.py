"""The report of a run: `write(folder)` makes one offline `report.html`."""

from __future__ import annotations

from foretell.report.page import write

__all__ = ["write"]
