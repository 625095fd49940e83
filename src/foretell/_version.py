"""Which version this is; files that it writes say so."""

__version__ = "0.1.0"
