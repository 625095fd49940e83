"""Supernets: one network that holds all of a space."""

from __future__ import annotations

from foretell._catalog.row import Row

ROWS: tuple[Row, ...] = ()
